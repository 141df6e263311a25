"""Deep nesting, built directly or through the memo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plainpickle
from tests.attacks.case import CONTAINED, REFUSED, Family, over
from tests.attacks.ops import Raw, get, glob, pickled, put, reduced

if TYPE_CHECKING:
    from collections.abc import Callable

DEPTH = "depth is counted as values are built; decoding and dropping are iterative"
KEY_DEPTH = "depth is counted before a tuple or frozenset is hashed"
MEMO_DEPTH = "no walk or drop of ours recurses, however the depth came about"

family = Family("deep-nesting", "containers inside containers exhaust the native stack")
family.add(
    "nested", "A million containers, each inside the next.", DEPTH, over("max_depth"),
    {
        "list-append": lambda n: b"]" * n + b"a" * (n - 1) + b".",
        "list-opcode": lambda n: b"(" * n + b"l" * n + b".",
        "list-appends": lambda n: b"](" * n + b"]" + b"e" * n + b".",
        "tuple1": lambda n: b")" + b"\x85" * n + b".",
        "tuple2": lambda n: b"N" * n + b")" + b"\x86" * n + b".",
        "tuple": lambda n: b"(" * n + b"t" * n + b".",
        "dict-setitem": lambda n: b"}N" * n + b"}" + b"s" * n + b".",
        "dict-opcode": lambda n: b"(N" * n + b"N" + b"d" * n + b".",
    },
    (10, 500_000),
)  # fmt: skip
family.add(
    "just-marks", "A million MARKs, with nothing or one value above them.", "explicit stack checks",
    REFUSED,
    {
        "marks": lambda n: b"(" * n + b".", "unclosed": lambda n: b"](" * n,
        "pop-marks": lambda n: b"(" * n + b"1" * n + b"."
    },
    (10, 1_000_000),
)  # fmt: skip
family.add(
    "nested-key",
    "A tuple 200,000 deep as a key or member, which CPython hashes by recursion in C.", KEY_DEPTH,
    over(),
    {
        "setitem": lambda n: b"})" + b"\x85" * n + b"Ns.",
        "additems": lambda n: b"\x8f()" + b"\x85" * n + b"\x90.",
        "frozenset": lambda n: b"()" + b"\x85" * n + b"\x91.",
        "set-of-list": lambda n: pickled(reduced("builtins.set", [Raw(b")" + b"\x85" * n)])),
        "counter": lambda n: pickled(reduced("collections.Counter", {Raw(b")" + b"\x85" * n): 1})),
        "frozensets": lambda n: b"}" + b"(" * n + b"\x91" * n + b"Ns.",
        "ordereddict": lambda n: pickled(
            Raw(reduced("collections.OrderedDict") + b")" + b"\x85" * n + b"Ns")
        ),
    },
    (90, 200_000),
)  # fmt: skip
family.add(
    "nested-key-shallow", "A key just deep enough to pass for data, a hundred thousand times.",
    KEY_DEPTH, CONTAINED,
    lambda n: b"}" + (b")" + b"\x85" * 60 + b"Ns") * n + b".", (5, 20_000),
)  # fmt: skip

# A container, made by a call of memo slot 0 or by an opcode, and how it takes a child.
LINKS: dict[str, tuple[str, bytes, Callable[[bytes], bytes]]] = {
    "list": ("", b"]", lambda child: child + b"a"),
    "dict": ("", b"}", lambda child: b"N" + child + b"s"),
    "tuple-in-list": ("", b"]", lambda child: child + b"\x85a"),
    "tuples-in-list": ("", b"]", lambda child: child + b"\x85" * 5 + b"a"),
    "deque": ("collections.deque", b")R", lambda child: child + b"a"),
    "ordereddict": ("collections.OrderedDict", b")R", lambda child: b"N" + child + b"s"),
    "defaultdict": ("collections.defaultdict", b")R", lambda child: b"N" + child + b"s"),
    "counter": ("collections.Counter", b"}\x85R", lambda child: b"N" + child + b"s"),
    "namespace": ("types.SimpleNamespace", b")R", lambda child: b"}U\x01a" + child + b"sb"),
    "multivaluedict": (
        "django.utils.datastructures.MultiValueDict", b")R", lambda child: b"N]" + child + b"as"
    ),
    "state": ("shop.Cart", b")\x81", lambda child: b"}U\x01a" + child + b"sb"),
    "items": ("shop.Cart", b")\x81", lambda child: b"N" + child + b"s"),
}  # fmt: skip
APP_KINDS = ("state", "items")


def chain(kind: str, levels: int) -> bytes:
    """Puts each container into its parent while still empty, and fills it afterwards."""
    name, call, link = LINKS[kind]
    make = (b"h\0" if name else b"") + call
    head = glob(name) + b"q\x000" if name else b""
    steps = [link(make + put(index)) + b"0" + get(index) for index in range(2, levels + 2)]
    return b"\x80\x04" + head + make + put(1) + b"".join(steps) + b"0" + get(1) + b"."


def stubs() -> plainpickle.Policy:
    return plainpickle.Policy().stub()


def as_plain() -> plainpickle.Policy:
    return plainpickle.Policy().as_plain("shop.Cart")


for policy in (None, stubs, as_plain):
    family.add(
        "memo-chain" + (f"-{policy.__name__}" if policy else ""),
        "A chain of 300,000 levels, each filled after it was put into its parent, then dropped.",
        MEMO_DEPTH, CONTAINED,
        {
            kind: (lambda n, kind=kind: chain(kind, n))
            for kind in LINKS
            if (kind in APP_KINDS) == (policy is not None)
        },
        (10, 300_000), policy,
    )  # fmt: skip
family.add(
    "popped", "Builds deep values and drops them before the end, or never uses them.", DEPTH,
    CONTAINED,
    {
        "tuple": lambda n: (b")" + b"\x85" * n + b"0") * 3 + b"N.",
        "chain": lambda n: chain("list", n)[:-1] + b"0N.",
        "left-below": lambda n: b")" + b"\x85" * n + b"N.",
        "then-broken": lambda n: b")" + b"\x85" * n + b"\xff",
        "then-cut": lambda n: chain("dict", n)[:-1],
    },
    (10, 300_000),
)  # fmt: skip
family.add(
    "within-limit", "Nests up to just below the limit, twenty thousand times.", DEPTH, CONTAINED,
    lambda n: b"](" + (b")" + b"\x85" * 900) * n + b"e.", (2, 300),
)  # fmt: skip
family.add(
    "nested-stub", "Nests the arguments of unknown classes under a stub policy.", DEPTH, CONTAINED,
    {
        "arguments": lambda n: glob("shop.Cart")
            + b"q\0"
            + b"h\0" * n
            + b")R"
            + b"\x85R" * n
            + b".",
        "state": lambda n: glob("shop.Cart") + b"q\0)\x81" + b"h\0)\x81" * n + b"b" * n + b".",
        "key": lambda n: b"}"
            + glob("shop.Cart")
            + b"q\0"
            + b"h\0" * n
            + b")R"
            + b"\x85R" * n
            + b"Ns.",
    },
    (10, 200_000), stubs,
)  # fmt: skip
