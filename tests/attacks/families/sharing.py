"""Sharing bombs: a few bytes that are a tree of 2**n nodes to whoever walks them."""

from __future__ import annotations

from tests.attacks.case import CONTAINED, REFUSED, Family, GivesWhere, over
from tests.attacks.ops import Raw, glob, pickled, push, reduced

BUDGET = "work budget, charged node by node before anything is hashed"
SHARE = "values are shared, never cloned; what is written has an output budget"

LEVELS = 40


def doubled(levels: int, wrap: bytes = b"2\x86") -> Raw:
    """A tuple of the tuple before, twice, `levels` deep: DUP and TUPLE2."""
    return Raw(b")" + wrap * levels)


BOMB = doubled(LEVELS)
IN_FROZENSET = Raw(b"(" + BOMB + b"\x91")

family = Family("sharing-bomb", "shared containers double at every level, so a walk never ends")
family.add(
    "as-key", "Uses a tuple shared 2^40 ways as a key or member, which must be hashed.", BUDGET,
    over("max_work"),
    {
        "setitem": pickled(Raw(b"}" + BOMB + b"Ns")),
        "setitems": pickled(Raw(b"}(" + BOMB + b"Nu")),
        "dict": pickled(Raw(b"(" + BOMB + b"Nd"), protocol=0),
        "additems": pickled(Raw(b"\x8f(" + BOMB + b"\x90")),
        "frozenset": pickled(IN_FROZENSET),
        "set-of-list": pickled(reduced("builtins.set", [BOMB]), protocol=2),
        "frozenset-of-list": pickled(reduced("builtins.frozenset", [BOMB]), protocol=2),
        "ordereddict": pickled(Raw(reduced("collections.OrderedDict") + BOMB + b"Ns")),
        "defaultdict": pickled(
            Raw(reduced("collections.defaultdict", glob("builtins.int")) + b"(" + BOMB + b"Nu")
        ),
        "counter": pickled(reduced("collections.Counter", {BOMB: 1})),
        "in-tuple": pickled({(1, (2, BOMB)): 1}),
        "through-frozenset": pickled({IN_FROZENSET: 1}),
        "triple": pickled(Raw(b"}" + doubled(30, b"22\x87") + b"Ns")),
        "memo": pickled(Raw(b"})" + b"q\x000h\x00h\x00\x86" * LEVELS + b"Ns")),
        "protocol-0": pickled(Raw(b"(d(t" + b"p0\n0(g0\ng0\nt" * LEVELS + b"Ns"), protocol=0),
        "popped-after": pickled(Raw(b"}" + BOMB + b"Ns0"), None),
    },
)  # fmt: skip
family.add(
    "frozenset-chain", "Doubles through frozensets, alone or mixed with tuples.", BUDGET, CONTAINED,
    {
        "frozenset": pickled(Raw(b"(\x91" + b"q\x000(h\x00h\x00K\x01\x91" * LEVELS)),
        "mixed": pickled(Raw(b")" + b"q\x000(h\x00h\x00\x86\x91" * LEVELS)),
        "pairs": pickled(Raw(b"(" + push((1,)) + b"\x91" + b"q\x000(h\x00h\x00\x85\x91" * LEVELS)),
    },
)  # fmt: skip
family.add(
    "unhashed", "Shares without hashing: cheap to load, endless to print or to convert.", SHARE,
    GivesWhere("one small object a level, shared", lambda value: len(value) >= 1),
    {
        "tuple": pickled(BOMB),
        "list": pickled(Raw(b"]" + b"q\x000](h\x00h\x00e" * LEVELS)),
        "dict": pickled(Raw(b"}" + b"q\x000}(K\x01h\x00K\x02h\x00u" * LEVELS)),
        "value": pickled({"cart": BOMB}),
    },
)  # fmt: skip
family.add(
    "unhashed-values", "Doubles through containers of the standard library.", SHARE, CONTAINED,
    {
        "deque": pickled(
            Raw(b"]" + (b"q\x000" + reduced("collections.deque", ()) + b"(h\x00h\x00e") * LEVELS)
        ),
        "ordereddict": pickled(
            Raw(
                b"]"
                    + (
                        b"q\x000" + reduced("collections.OrderedDict") + b"(K\x01h\x00K\x02h\x00u"
                    ) * LEVELS
            )
        ),
        "namespace": pickled(
            Raw(
                b"]"
                    + (
                        b"q\x000"
                            + reduced("types.SimpleNamespace")
                            + push({"a": Raw(b"h\x00"), "b": Raw(b"h\x00")})
                            + b"b"
                    ) * LEVELS
            )
        ),
        "set-of-list": pickled(reduced("builtins.list", BOMB)),
    },
)  # fmt: skip
family.add(
    "key-again", "Hashes one affordable shared key again and again by its memo index.", BUDGET,
    over("max_work"),
    {
        "dict": lambda n: pickled(Raw(doubled(16) + b"q\x000}" + b"h\x00Ns" * n)),
        "set": lambda n: pickled(Raw(doubled(16) + b"q\x000\x8f(" + b"h\x00" * n + b"\x90")),
        "popped": lambda n: pickled(Raw(doubled(16) + b"q\x000" + b"}h\x00Ns0" * n), None),
        "frozensets": lambda n: pickled(Raw(doubled(16) + b"q\x000" + b"(h\x00\x910" * n), None),
    },
    (5, 100_000),
)  # fmt: skip
family.add(
    "equal-keys", "Adds equal but separate shared keys, so that each is compared node by node.",
    BUDGET, over("max_work"),
    {
        "dict": lambda n: pickled(Raw(b"}" + (doubled(14) + b"Ns") * n)),
        "set": lambda n: pickled(Raw(b"\x8f(" + doubled(14) * n + b"\x90")),
        "leaves": lambda n: pickled(Raw(b"}" + (push((1 << 70,)) + b"2\x86" * 14 + b"Ns") * n)),
    },
    (3, 20_000),
)  # fmt: skip
family.add(
    "equal-frozensets", "Makes equal but separate chains of frozensets, compared by recursion.",
    BUDGET, CONTAINED,
    {
        "chains": lambda n: pickled(
            Raw(b"\x8f(" + (b"(\x91" + b"q\x000(h\x00K\x01\x91" * n) * 2 + b"\x90")
        ),
        "one-chain-twice": lambda n: pickled(Raw(b"\x8f(" + (b")" + b"\x85" * n) * 2 + b"\x90")),
    },
    (10, 90),
)  # fmt: skip
family.add(
    "long-int-key", "Hashes an integer of 4 kB again and again by its memo index.", BUDGET,
    CONTAINED,
    lambda n: pickled(Raw(push(1 << 32_000) + b"q\x000}" + b"h\x00Ns" * n)), (10, 100_000),
)  # fmt: skip
family.add(
    "long-ints-in-key", "Hashes one tuple of many long integers again and again.", BUDGET,
    CONTAINED,
    lambda n: pickled(
        Raw(push(1 << 60_000) + b"q\x000(" + b"h\x00" * 500 + b"tq\x010}" + b"h\x01Ns" * n)
    ),
    (2, 50_000),
)  # fmt: skip
family.add(
    "decimal-key", "Hashes a Decimal with a giant exponent or many digits again and again.", BUDGET,
    CONTAINED,
    {
        "exponent": lambda n: pickled(
            Raw(reduced("decimal.Decimal", "1E+99999") + b"q\x000}" + b"h\x00Ns" * n)
        ),
        "digits": lambda n: pickled(
            Raw(reduced("decimal.Decimal", "7" * 4000) + b"q\x000}" + b"h\x00Ns" * n)
        ),
    },
    (10, 30_000),
)  # fmt: skip
family.add(
    "fraction-key", "Hashes a Fraction with a huge denominator again and again.", BUDGET, CONTAINED,
    lambda n: pickled(
        Raw(reduced("fractions.Fraction", "1/" + "7" * 2000) + b"q\x000}" + b"h\x00Ns" * n)
    ),
    (10, 30_000),
)  # fmt: skip
family.add(
    "million-shared", "A million references to one tuple.", SHARE,
    GivesWhere("a list of that length", lambda value: isinstance(value, list)),
    lambda n: pickled(Raw(b")q\x000](" + b"h\x00" * n + b"e")), (10, 500_000),
)  # fmt: skip
family.add(
    "unhashable-in-bomb", "Hides a list at the bottom of a shared key.", BUDGET, REFUSED,
    pickled(Raw(b"}]" + b"2\x86" * LEVELS + b"Ns")),
)  # fmt: skip
