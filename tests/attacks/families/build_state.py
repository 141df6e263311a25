"""BUILD with states that the class never wrote."""

from __future__ import annotations

import uuid

from tests.attacks.case import CONTAINED, REFUSED, SECRET, Family, Gives
from tests.attacks.ops import Raw, built, glob, new, pickled, push, reduced

FIELDS = "BUILD only for types whose state is validated field by field; nothing is ever set by name"
NO_CLASS = "a global is never the target of BUILD"

UUID = new("uuid.UUID")
SPACE = reduced("types.SimpleNamespace")
DECIMAL = reduced("decimal.Decimal", "1")
DATE = reduced("datetime.date", b"\x07\xe8\x01\x01")
PLANTED = {"__setstate__": SECRET, "__class__": SECRET, "__dict__": {"a": 1}, "__reduce_ex__": 1}

family = Family("build-state", "BUILD sets attributes, items or slots that the bytes choose")
family.add(
    "on-global", "BUILD on a class or function, as class pollution does.", NO_CLASS, REFUSED,
    {
        f"{name}-{kind}": pickled(Raw(glob(name) + push(state) + b"b"))
        for name in (
            "datetime.datetime", "uuid.UUID", "decimal.Decimal", "collections.OrderedDict",
            "builtins.list",
            "builtins.object", "_codecs.encode", "copyreg._reconstructor", "types.SimpleNamespace",
        )
        for kind, state in {
            "dict": {"__init__": SECRET}, "slots": (None, {"now": SECRET}), "none": None
        }.items()
    },
)  # fmt: skip
family.add(
    "on-value", "BUILD on a builtin or finished value.", FIELDS, REFUSED,
    {
        f"{kind}-{form}": pickled(built(target, state))
        for kind, target in {
            "list": [], "dict": {}, "tuple": (1,), "text": "a", "int": 1, "none": None,
            "set": Raw(b"\x8f"),
            "frozenset": Raw(b"(\x91"), "bytes": b"a", "bytearray": Raw(b"\x96" + bytes(8)),
            "date": DATE,
            "decimal": DECIMAL, "fraction": reduced("fractions.Fraction", "1/2"),
            "timedelta": reduced("datetime.timedelta", 1), "float": 1.5,
        }.items()
        for form, state in {"dict": PLANTED, "slots": (None, PLANTED), "list": [1]}.items()
    },
)  # fmt: skip
STATES = {
    "planted": PLANTED, "slots": (None, PLANTED), "list": [1], "int-keys": {1: 2}, "text": "x",
    "none": None,
    "class": {"__class__": DECIMAL}, "plain": {"a": 1},
}  # fmt: skip
family.add(
    "on-container",
    "BUILD on a container or another value of the standard library that takes no state.",
    FIELDS, REFUSED,
    {
        f"{kind}-{form}": pickled(built(target, state))
        for kind, target in {
            "ordereddict": reduced("collections.OrderedDict"),
            "counter": reduced("collections.Counter", {}),
            "defaultdict": reduced("collections.defaultdict", glob("builtins.list")),
            "deque": reduced("collections.deque", ()),
            "path": reduced("pathlib.PurePosixPath", "a"),
            "ip": reduced("ipaddress.IPv4Address", 1), "network": new("ipaddress.IPv4Network"),
            "array": reduced("array.array", "i", [1]),
        }.items()
        for form, state in STATES.items()
        if form != "none"
    },
)  # fmt: skip
family.add(
    "on-namespace", "BUILD on a SimpleNamespace, with reserved names in its state.", FIELDS,
    CONTAINED,
    {form: pickled(built(SPACE, state)) for form, state in STATES.items()},
)  # fmt: skip
family.add(
    "uuid-state", "Gives a UUID an int that is no integer of 128 bits, or other attributes.",
    FIELDS, REFUSED,
    {
        kind: pickled(built(UUID, state))
        for kind, state in {
            "text": {"int": SECRET}, "float": {"int": 1.5}, "negative": {"int": -1},
            "too-big": {"int": 1 << 128},
            "huge": {"int": 1 << 100_000}, "none": {"int": None}, "list": {"int": [1]},
            "missing": {}, "bytes": {"int": b"1"},
            "uuid": {"int": UUID}, "other-name": {"hex": "0" * 32}, "not-a-dict": [1], "int": 5,
            "slots-only": (None, None),
            "is-safe-text": {"int": 1, "is_safe": SECRET},
            "is-safe-global": {"int": 1, "is_safe": glob("os.system")},
            "key-bytes": {b"int\xff": 1}, "tuple-of-three": (None, {"int": 1}, 2),
        }.items()
    },
)  # fmt: skip
family.add(
    "uuid-unbuilt", "Leaves out a UUID's BUILD, or uses the UUID before it.",
    "a value is handed out finished, or not at all", REFUSED,
    {
        "alone": pickled(UUID), "in-list": pickled([UUID]), "as-key": pickled({UUID: 1}),
        "in-set": pickled(Raw(b"\x8f(" + UUID + b"\x90")), "in-tuple-key": pickled({(UUID,): 1}),
        "twice": pickled(Raw(UUID + b"q\x000" + push([Raw(b"h\x00"), Raw(b"h\x00")]))),
        "reconstructed": pickled(
            reduced("copyreg._reconstructor", glob("uuid.UUID"), glob("builtins.object"), None)
        ),
        "in-own-state": pickled(Raw(UUID + b"q\x00" + push({"int": Raw(b"h\x00")}) + b"b")),
        "as-argument": pickled(reduced("fractions.Fraction", UUID)),
    },
)  # fmt: skip
family.add(
    "built-after-hash", "Uses a UUID as a key, and gives it another int afterwards.",
    "a finished value is not changed", CONTAINED,
    {
        "rebuilt": pickled(built(built(UUID, {"int": 1}), {"int": 2})),
        "key-first": pickled(Raw(UUID + b"q\x000}h\x00K\x01sh\x00" + push({"int": 1}) + b"b0")),
        "key-between": pickled(
            Raw(built(UUID, {"int": 1}) + b"q\x000}h\x00K\x01sh\x00" + push({"int": 2}) + b"b0")
        ),
    },
)  # fmt: skip
family.add(
    "planted-setstate", "Plants `__setstate__` by one BUILD and sets it off by a second.", FIELDS,
    CONTAINED,
    {
        "namespace": pickled(built(built(SPACE, {"__setstate__": glob("builtins.exec")}), SECRET)),
        "namespace-plain": pickled(built(built(SPACE, {"__setstate__": SECRET}), {"a": 1})),
        "ordereddict": pickled(
            built(
                built(
                    reduced("collections.OrderedDict"),
                    {"__setstate__": reduced("os.system", SECRET)}
                ),
                SECRET
            )
        ),
        "counter": pickled(
            built(built(reduced("collections.Counter", {}), {"update": SECRET}), {"elements": 1})
        ),
    },
)  # fmt: skip
family.add(
    "state-shapes", "Gives states of odd shapes to a value that takes a dict.", FIELDS, CONTAINED,
    {
        kind: pickled(built(SPACE, state))
        for kind, state in {
            "cyclic": Raw(b"}q\x00" + push("a") + b"h\x00s"), "int-key": {1: 1},
            "none-key": {None: 1}, "tuple-3": (1, 2, 3),
            "nested-slots": (None, (None, {"a": 1})), "bytes-key": {b"a": 1},
            "surrogate": {"\udc80": 1},
            "nul": {"a\0b": 1}, "empty": {"": 1}, "global": glob("os.system"), "self": Raw(b"2"),
        }.items()
    },
)  # fmt: skip
family.add(
    "uuid-more-state", "Adds methods or a class to a UUID's state.", FIELDS,
    Gives(uuid.UUID(int=5)),
    {
        name: pickled(built(UUID, {"int": 5, name: SECRET}))
        for name in ("__str__", "__class__", "hex", "__setstate__")
    },
)  # fmt: skip
family.add(
    "uuid-honest", "The honest shape, to see that the family's own cases can load.", FIELDS,
    Gives(uuid.UUID(int=5)), pickled(built(UUID, {"int": 5})),
)  # fmt: skip
