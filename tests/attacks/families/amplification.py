"""One large argument, kept in the memo, and a thousand calls that copy it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tests.attacks.case import CONTAINED, REFUSED, Family
from tests.attacks.ops import Raw, Value, glob, pickled, push, reduced

if TYPE_CHECKING:
    from collections.abc import Callable

BUDGET = "what a constructor copies is charged to the memory and work budgets, kept or not"
NO_SIZES = "no size given as an integer is ever allocated"

CALLS = 3000


def bytearray8(data: bytes) -> Raw:
    return Raw(b"\x96" + struct.pack("<Q", len(data)) + data)


def ints(n: int) -> Raw:
    return Raw(b"](" + b"".join(map(push, range(n))) + b"e")


def pairs(n: int) -> Raw:
    return Raw(b"](" + b"".join(push(i) + push(i) + b"\x86" for i in range(n)) + b"e")


def mapping(n: int) -> Raw:
    return Raw(b"}(" + b"".join(push(f"k{i}") + b"N" for i in range(n)) + b"u")


# The constructor and its argument: each is called 3,000 times with the same one.
COPIES: dict[str, tuple[str, Callable[[int], Value]]] = {
    "list": ("builtins.list", ints), "tuple": ("builtins.tuple", ints),
    "set": ("builtins.set", ints),
    "frozenset": ("builtins.frozenset", ints), "dict": ("builtins.dict", mapping),
    "dict-pairs": ("builtins.dict", pairs),
    "bytes": ("builtins.bytes", lambda n: b"a" * n),
    "bytes-of-list": ("builtins.bytes", lambda n: [5] * n),
    "bytearray": ("builtins.bytearray", lambda n: b"a" * n),
    "bytearray-again": ("builtins.bytearray", lambda n: bytearray8(b"a" * n)),
    "bytearray-of-list": ("builtins.bytearray", lambda n: [5] * n),
    "str": ("builtins.str", lambda n: "a" * n),
    "int": ("builtins.int", lambda n: "7" * n), "float": ("builtins.float", lambda n: "7" * n),
    "complex": ("builtins.complex", lambda n: "7" * n),
    "ordereddict": ("collections.OrderedDict", pairs),
    "ordereddict-list": ("collections.OrderedDict", lambda n: [[i, i] for i in range(n)]),
    "counter": ("collections.Counter", mapping), "deque": ("collections.deque", ints),
    "decimal": ("decimal.Decimal", lambda n: "7" * min(n, 4000)),
    "decimal-long": ("decimal.Decimal", lambda n: "7" * n),
    "fraction": ("fractions.Fraction", lambda n: "7" * min(n, 2000) + "/" + "3" * min(n, 2000)),
    "fraction-long": ("fractions.Fraction", lambda n: "1" * n),
    "path": ("pathlib.PurePosixPath", lambda n: "a/" * (n // 2)),
    "windows-path": ("pathlib.PureWindowsPath", lambda n: "a\\" * (n // 2)),
    "ip": ("ipaddress.IPv6Address", lambda n: "1" * n), "uuid": ("uuid.UUID", lambda n: "1" * n),
    "struct-time": ("time.struct_time", ints),
    "datetime": ("datetime.datetime", lambda n: b"\7" * n),
    "safestring": ("django.utils.safestring.SafeString", lambda n: "a" * n),
    "markup": ("markupsafe.Markup", lambda n: "a" * n),
    "multidict": ("werkzeug.datastructures.MultiDict", mapping),
    "multivaluedict": ("django.utils.datastructures.MultiValueDict", mapping),
}  # fmt: skip
# The same with more arguments than the large one.
MORE: dict[str, tuple[str, Callable[[int], tuple[Value, ...]], str]] = {
    "encode": ("_codecs.encode", lambda n: ("\xe9" * n,), "latin1"),
    "bytearray-encoded": ("builtins.bytearray", lambda n: ("\xe9" * n,), "latin-1"),
}


def again(argument: Value, call: bytes) -> bytes:
    """The argument in memo 0, the global in memo 1, and CALLS results in one list."""
    return b"\x80\x04" + push(argument) + b"q\x000" + call


def kept(name: str, argument: Value, tail: bytes = b"\x85R") -> bytes:
    return again(argument, glob(name) + b"q\x010](" + (b"h\x01h\x00" + tail) * CALLS + b"e.")


def dropped(name: str, argument: Value, tail: bytes = b"\x85R") -> bytes:
    return again(argument, glob(name) + b"q\x010" + (b"h\x01h\x00" + tail + b"0") * CALLS + b"N.")


family = Family("amplification", "a large argument in the memo is copied by thousands of calls")
for id_, form in (("kept", kept), ("dropped", dropped)):
    family.add(
        id_, f"Calls a copying constructor 3,000 times on one large argument; results are {id_}.",
        BUDGET, CONTAINED,
        {
            kind: (lambda n, form=form, name=name, of=of: form(name, of(n)))
            for kind, (name, of) in COPIES.items()
        }
        | {
            kind: (
                lambda n, form=form, name=name, of=of, last=last: form(
                    name, of(n)[0], push(last) + b"\x86R"
                )
            )
            for kind, (name, of, last) in MORE.items()
        },
        (10, 20_000),
    )  # fmt: skip
family.add(
    "newobj", "The same by NEWOBJ.", BUDGET, CONTAINED,
    {
        kind: (lambda n, name=name, of=of: kept(name, of(n), b"\x85\x81"))
        for kind, (name, of) in COPIES.items()
        if kind in ("set", "list", "bytearray", "decimal", "safestring", "ordereddict")
    },
    (10, 20_000),
)  # fmt: skip
family.add(
    "state", "Builds thousands of objects from one large state in the memo.", BUDGET, CONTAINED,
    {
        kind: (lambda n, name=name, make=make: kept(name, mapping(n), make))
        for kind, (name, make) in {
            "namespace": ("types.SimpleNamespace", b"0)Rh\x00b"),
            "ordereddict": ("collections.OrderedDict", b"0)Rh\x00b"),
            "uuid": ("uuid.UUID", b"0)\x81h\x00b"),
            "multivaluedict": ("django.utils.datastructures.MultiValueDict", b"0)\x81h\x00b"),
        }.items()
    },
    (10, 20_000),
)  # fmt: skip
family.add(
    "array", "Makes thousands of arrays from one large list or bytes.", BUDGET, CONTAINED,
    {
        "list": lambda n: kept("array.array", ints(n), b"0" + push("q") + b"h\x00\x86R"),
        "reconstructor": lambda n: again(
            b"\0" * n,
            glob("array.array") + b"q\x010" + glob("array._array_reconstructor") + b"q\x020]("
            + (b"h\x02(h\x01" + push("B") + b"K\x00h\x00tR") * CALLS + b"e.",
        ),
    },
    (16, 20_000),
)  # fmt: skip
family.add(
    "chained-copies", "Copies the copy, and its copy, so that no argument is used twice.", BUDGET,
    CONTAINED,
    {
        "list-set": lambda n: pickled(
            Raw(
                glob("builtins.set")
                    + b"q\x000"
                    + glob("builtins.list")
                    + b"q\x010"
                    + ints(n)
                    + b"q\x020"
                + (b"h\x00h\x02\x85Rq\x020h\x01h\x02\x85Rq\x020" * CALLS)), None
        ),
        "frozenset-set": lambda n: pickled(
            Raw(
                glob("builtins.set")
                    + b"q\x000"
                    + glob("builtins.frozenset")
                    + b"q\x010"
                    + ints(n)
                    + b"q\x020"
                + (b"h\x00h\x02\x85Rq\x020h\x01h\x02\x85Rq\x020" * CALLS)), None
        ),
    },
    (10, 20_000),
)  # fmt: skip
family.add(
    "fraction-gcd",
    "Reduces a fraction of two long integers 3,000 times: each takes a greatest common divisor.",
    "slow constructors are charged by their cost", CONTAINED,
    lambda n: pickled(
        Raw(
            push((1 << n) - 1)
                + b"q\x000"
                + push((1 << n - 7) - 3)
                + b"q\x010"
                + glob("fractions.Fraction")
                + b"q\x020"
            + b"h\x02h\x00h\x01\x86R0" * CALLS), None
    ),
    (100, 65_000),
)  # fmt: skip
family.add(
    "int-to-text",
    "Writes one long integer as decimal text thousands of times, where conversion is quadratic.",
    "integers are limited in bits; output has a budget", CONTAINED,
    lambda n: pickled(Raw(push((1 << 65_000) - 1) + b"q\x000](" + b"h\x00" * n + b"e")), (5, 3_000),
)  # fmt: skip
family.add(
    "big-int-to-decimal", "Makes a Decimal of a long integer thousands of times.", BUDGET,
    CONTAINED,
    lambda n: kept("decimal.Decimal", (1 << n) - 1), (100, 65_000),
)  # fmt: skip
SIZES: dict[str, tuple[str, tuple[Value, ...]]] = {
    "bytes": ("builtins.bytes", (2**31,)), "bytes-huge": ("builtins.bytes", (10**11,)),
    "bytearray": ("builtins.bytearray", (2**30,)),
    "bytearray-huge": ("builtins.bytearray", (10**11,)),
    "bytes-small": ("builtins.bytes", (5,)), "bytes-bool": ("builtins.bytes", (True,)),
    "bytes-of-range": ("builtins.bytes", (reduced("builtins.range", 0, 2**40),)),
    "list-of-range": ("builtins.list", (reduced("builtins.range", 0, 2**40),)),
    "set-of-range": ("builtins.set", (reduced("builtins.range", 0, 2**40),)),
    "deque-of-range": ("collections.deque", (reduced("builtins.range", 0, 2**40),)),
    "ordereddict-of-range": ("collections.OrderedDict", (reduced("builtins.range", 0, 2**40),)),
    "frozenset-of-range": ("builtins.frozenset", (reduced("builtins.range", 0, 2**40),)),
    "repeat": ("itertools.repeat", (0,)), "array-size": ("array.array", ("i", 10**9)),
    "str-times": ("operator.mul", ("a", 10**9)),
    "str-format": ("builtins.format", (1, "1000000000d")),
    "factorial": ("math.factorial", (10**7,)), "power": ("builtins.pow", (9, 9**9)),
}  # fmt: skip
family.add(
    "size-as-integer", "Gives a size as a number, to a constructor that would allocate it.",
    NO_SIZES, REFUSED,
    {kind: pickled(reduced(name, *args)) for kind, (name, args) in SIZES.items()},
)  # fmt: skip
family.add(
    "range", "Makes a range of astronomic length: small itself, endless to whoever expands it.",
    "a range is three numbers; nothing expands it", CONTAINED,
    {
        "huge": pickled(reduced("builtins.range", 0, 10**18, 1)),
        "beyond-64-bit": pickled(reduced("builtins.range", 0, 10**300, 1)),
        "as-key": pickled({reduced("builtins.range", 0, 10**300, 1): 1}),
        "xrange": pickled(reduced("__builtin__.xrange", 0, 10**18, 1), protocol=2),
        "in-set": pickled(Raw(b"\x8f(" + reduced("builtins.range", 0, 10**18) + b"\x90")),
    },
)  # fmt: skip
MANY = (("sets", b"\x8f", 232), ("tuples", b"N\x85", 45), ("dicts", b"}", 77), ("lists", b"]", 50))
for kind_, opcode, cost in MANY:
    family.add(
        f"many-{kind_}",
        f"A million empty or tiny {kind_}, at {cost} bytes of memory for a byte of input.",
        "containers are charged to the memory budget", CONTAINED,
        lambda n, opcode=opcode: pickled(Raw(b"](" + opcode * n + b"e")), (10, 1_000_000),
    )  # fmt: skip
family.add(
    "many-deques", "Two hundred thousand empty containers of the standard library, by memo.",
    "containers are charged to the memory budget", CONTAINED,
    {
        name: (
            lambda n, name=name: pickled(
                Raw(glob(f"collections.{name}") + b"q\x000](" + b"h\x00)R" * n + b"e")
            )
        )
        for name in ("deque", "OrderedDict", "Counter", "defaultdict")
    },
    (10, 200_000),
)  # fmt: skip
family.add(
    "many-values", "Two hundred thousand small values of one kind, by memo.",
    "values are charged to the memory budget", CONTAINED,
    {
        name: (
            lambda n, name=name, args=args: pickled(
                Raw(glob(name) + b"q\x000" + push(args) + b"q\x010](" + b"h\x00h\x01R" * n + b"e")
            )
        )
        for name, args in {
            "decimal.Decimal": ("1.5",), "datetime.datetime": (b"\x07\xe8\x01\x01\0\0\0\0\0\0",),
            "fractions.Fraction": ("1/3",),
            "ipaddress.IPv4Address": ("1.2.3.4",), "ipaddress.IPv6Address": ("::1",),
            "pathlib.PurePosixPath": ("a", "b"),
            "datetime.timedelta": (1, 2, 3), "types.SimpleNamespace": (),
            "builtins.complex": (1.0, 2.0), "builtins.range": (1, 2, 3),
            "time.struct_time": ((1, 2, 3, 4, 5, 6, 7, 8, 9),),
            "ipaddress.IPv4Network": ("10.0.0.0/8",),
        }.items()
    },
    (10, 200_000),
)  # fmt: skip
