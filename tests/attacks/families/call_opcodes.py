"""Calls by every other opcode, and of what may be named but not called in that way."""

from __future__ import annotations

from tests.attacks.case import FORBIDDEN, REFUSED, SECRET, Family, Gives, forbidden
from tests.attacks.ops import (
    Raw,
    glob,
    instance,
    new,
    new_ex,
    obj,
    pickled,
    push,
    reduced,
    spellings,
)

ONE_TABLE = "one dispatch for all call opcodes, over the exact names of the policy table"
SHAPES = "each allowed name has its own list of call shapes"
VALUES = "a value on the stack is never called"

family = Family(
    "exec-call-opcode", "INST, OBJ, NEWOBJ, NEWOBJ_EX and copyreg call instead of REDUCE"
)
for name in ("os.system", "builtins.eval", "pty.spawn"):
    family.add(
        name, f"Calls {name} through each call opcode.", ONE_TABLE,
        forbidden(name), spellings(name, f"echo {SECRET}"),
    )  # fmt: skip

family.add(
    "inst-of-value", "Calls a known value type through INST or OBJ, which no pickler does.", SHAPES,
    REFUSED,
    {
        "inst-ordereddict": pickled(instance("collections.OrderedDict")),
        "inst-decimal": pickled(instance("decimal.Decimal", "1")),
        "inst-list": pickled(instance("__builtin__.list", (1, 2))),
        "obj-uuid": pickled(obj("uuid.UUID")),
        "obj-set": pickled(obj("__builtin__.set", [1])),
        "obj-datetime": pickled(obj("datetime.datetime", b"\x07\xe8\x01\x01\0\0\0\0\0\0")),
    },
)  # fmt: skip
family.add(
    "newobj-of-function", "Makes an instance of an allowed function.", SHAPES, REFUSED,
    {
        name: pickled(new(name, "a", "latin1"))
        for name in (
            "_codecs.encode", "copyreg._reconstructor", "builtins.getattr", "copyreg.__newobj__"
        )
    },
)  # fmt: skip
family.add(
    "newobj-keywords", "Hands keyword arguments to a known value type.", SHAPES, REFUSED,
    {
        "datetime": pickled(
            new_ex("datetime.datetime", (2024, 1, 1), {"tzinfo": glob("os.system")})
        ),
        "uuid": pickled(new_ex("uuid.UUID", (), {"int": 5, "version": 4})),
        "bytes": pickled(new_ex("builtins.bytes", (), {"source": 1 << 40})),
        "not-a-dict": pickled(new_ex("uuid.UUID", (), [1])),
        "keys-not-text": pickled(new_ex("uuid.UUID", (), {1: 2})),
    },
)  # fmt: skip
family.add(
    "arguments-not-a-tuple", "Calls a known value type with arguments that are no tuple.", SHAPES,
    REFUSED,
    {
        f"{opcode.hex()}-{kind}": pickled(Raw(glob("decimal.Decimal") + push(args) + opcode))
        for opcode in (b"R", b"\x81")
        for kind, args in {"list": ["1"], "none": None, "text": "1", "dict": {"1": 1}}.items()
    },
)  # fmt: skip
family.add(
    "call-a-value", "REDUCE, NEWOBJ and NEWOBJ_EX on a value instead of a global.", VALUES, REFUSED,
    {
        f"{form}-{kind}": pickled(Raw(push(target) + push(()) + tail))
        for form, tail in {"reduce": b"R", "newobj": b"\x81", "newobj-ex": b"}\x92"}.items()
        for kind, target in {
            "text": "os.system", "none": None, "int": 1, "tuple": (1,), "dict": {"__call__": 1},
            "list": [1], "decimal": reduced("decimal.Decimal", "1"),
        }.items()
    },
)  # fmt: skip
family.add(
    "reconstructor", "Hands copyreg._reconstructor a wrong class, base or state.",
    "_reconstructor only in the exact shapes that picklers write", REFUSED,
    {
        kind: pickled(reduced("copyreg._reconstructor", *args), protocol=1)
        for kind, args in {
            "function": (glob("os.system"), glob("builtins.object"), None),
            "base-function": (glob("uuid.UUID"), glob("os.system"), None),
            "base-list": (glob("uuid.UUID"), glob("builtins.list"), [1]),
            "base-dict": (glob("uuid.UUID"), glob("builtins.dict"), {"int": 1}),
            "base-self": (glob("uuid.UUID"), glob("uuid.UUID"), None),
            "state": (glob("uuid.UUID"), glob("builtins.object"), {"int": 1}),
            "datetime": (glob("datetime.datetime"), glob("builtins.object"), None),
            "text": ("uuid.UUID", "builtins.object", None),
            "short": (glob("uuid.UUID"), glob("builtins.object")),
            "long": (glob("uuid.UUID"), glob("builtins.object"), None, None),
            "getattr": (glob("builtins.getattr"), glob("builtins.object"), None),
            "object": (glob("builtins.object"), glob("builtins.object"), None),
            "type": (glob("builtins.type"), glob("builtins.type"), "X"),
        }.items()
    },
)  # fmt: skip
family.add(
    "copyreg-newobj", "Hands copyreg.__newobj__ a function, a text, or nothing.",
    "__newobj__ is NEWOBJ, with its rules", REFUSED,
    {
        "system": pickled(reduced("copyreg.__newobj__", glob("os.system"), SECRET)),
        "nothing": pickled(reduced("copyreg.__newobj__")),
        "text": pickled(reduced("copyreg.__newobj__", "os.system")),
        "getattr": pickled(reduced("copyreg.__newobj__", glob("builtins.getattr"), 1, "real")),
        "ex": pickled(reduced("copyreg.__newobj_ex__", glob("os.system"), (SECRET,), {})),
        "self": pickled(reduced("copyreg.__newobj__", glob("copyreg.__newobj__"))),
    },
)  # fmt: skip
family.add(
    "global-as-argument", "Passes a function as an argument to a known value type.",
    "a global is not a value", FORBIDDEN,
    {
        name: pickled(reduced(name, glob("os.system")))
        for name in (
            "decimal.Decimal", "uuid.UUID", "collections.OrderedDict", "builtins.set",
            "fractions.Fraction", "datetime.timezone", "collections.defaultdict",
        )
    },
)  # fmt: skip
family.add(
    "type-of-plain", "Makes plain values through NEWOBJ on their own class.", SHAPES, FORBIDDEN,
    {
        name: pickled(new(f"builtins.{name}", *args))
        for name, args in {
            "list": (), "dict": (), "set": (), "int": (5,), "str": ("a",), "tuple": ((1,),),
            "object": (), "type": ("X", (), {}), "bytes": (b"a",), "range": (1, 2, 1),
        }.items()
    },
)  # fmt: skip
family.add(
    "newobj-honest", "An OrderedDict by NEWOBJ, to see that the family's own cases can load.",
    SHAPES, Gives(None), pickled(Raw(glob("collections.OrderedDict") + b")R0"), None),
)  # fmt: skip
