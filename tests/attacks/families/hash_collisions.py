"""Keys made to collide in CPython's hash tables."""

from __future__ import annotations

import functools
import itertools
import random
from typing import TYPE_CHECKING

from tests.attacks.case import CONTAINED, Family, over
from tests.attacks.ops import Raw, glob, integer, pickled, push, reduced

if TYPE_CHECKING:
    from collections.abc import Callable

PRIME = 2**61 - 1
PROBES = "probes of every container are simulated from its 257th key that is not text"

family = Family("hash-collision", "keys of one hash make a table quadratic")


def same_hash(n: int) -> list[bytes]:
    """Integers of hash 0."""
    return [push(k * PRIME) for k in range(1, n + 1)]


def minus_ones(n: int) -> list[bytes]:
    """Tuples of -1 and -2, which hash alike."""
    width = max(n.bit_length(), 1)
    pairs = itertools.islice(
        itertools.product((b"J\xff\xff\xff\xff", b"J\xfe\xff\xff\xff"), repeat=width), n
    )
    return [b"(" + b"".join(pair) + b"t" for pair in pairs]


KEYS: dict[str, Callable[[int], list[bytes]]] = {
    "ints": same_hash,
    "negative-ints": lambda n: [integer(-k * PRIME) for k in range(1, n + 1)],
    "int-text": lambda n: [b"L%dL\n" % (k * PRIME) for k in range(1, n + 1)],
    "tuples": lambda n: [key + b"\x85" for key in same_hash(n)],
    "minus-ones": minus_ones,
    "frozensets": lambda n: [b"(" + key + b"\x91" for key in same_hash(n)],
    "floats-and-ints": lambda n: [
        push(float(2**(61 + k % 900))) + push(k) + b"\x86"
        if k % 2 else integer(k * PRIME) + b"\x85"
        for k in range(n)
    ],
    "same-low-bits": lambda n: [integer(k << 40) for k in range(n)],
    "floats": lambda n: [push(float(k) * 2.0**40) for k in range(n)],
}  # fmt: skip
CALLED: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "decimals": ("decimal.Decimal", lambda k: push((str(k * PRIME),)) + b"R"),
    "fractions": ("fractions.Fraction", lambda k: push((f"{k * PRIME}/1",)) + b"R"),
    "uuids": ("uuid.UUID", lambda k: b")\x81" + push({"int": k * PRIME}) + b"b"),
    "complexes": ("builtins.complex", lambda k: push((-1000003.0 * k, float(k))) + b"R"),
    "ranges": ("builtins.range", lambda k: push((k * PRIME, k * PRIME + 1, 1)) + b"R"),
    "timedeltas": ("datetime.timedelta", lambda k: push((-1 - k % 2, k // 2 % 86400, 0)) + b"R"),
}  # fmt: skip
KEYS.update(
    {
        kind: (lambda n, call=call: [b"h\x07" + call(k) for k in range(1, n + 1)])  # type: ignore[misc]
        for kind, (_, call) in CALLED.items()
    }
)
NAMES = {kind: name for kind, (name, _) in CALLED.items()}


def head(kind: str) -> bytes:
    """The constructor of the keys, in memo slot 7."""
    return glob(NAMES[kind]) + b"q\x070" if kind in NAMES else b""


def filled(kind: str, keys: list[bytes], container: str) -> bytes:
    """A container with these keys."""
    items = b"N".join(keys) + b"N"
    body = {
        "dict": lambda: b"}(" + items + b"u",
        "dict-one-by-one": lambda: b"}" + b"Ns".join(keys) + b"Ns",
        "dict-opcode": lambda: b"(" + items + b"d",
        "set": lambda: b"\x8f(" + b"".join(keys) + b"\x90",
        "set-one-by-one": lambda: b"\x8f" + b"".join(b"(" + key + b"\x90" for key in keys),
        "frozenset": lambda: b"(" + b"".join(keys) + b"\x91",
        "set-of-list": lambda: glob("builtins.set") + b"](" + b"".join(keys) + b"e\x85R",
        "frozenset-of-list": lambda: glob("builtins.frozenset")
            + b"]("
            + b"".join(keys)
            + b"e\x85R",
        "ordereddict": lambda: reduced("collections.OrderedDict") + b"(" + items + b"u",
        "defaultdict": lambda: reduced("collections.defaultdict") + b"(" + items + b"u",
        "counter": lambda: glob("collections.Counter") + b"}(" + items + b"u\x85R",
        "ordereddict-of-pairs": lambda: glob("collections.OrderedDict")
            + b"]("
            + b"".join(key + b"N\x86" for key in keys)
            + b"e\x85R",
    }[container]()  # fmt: skip
    return b"\x80\x04" + head(kind) + body + b"."


CONTAINERS = (
    "dict",
    "dict-one-by-one",
    "dict-opcode",
    "set",
    "set-one-by-one",
    "frozenset",
    "set-of-list",
    "frozenset-of-list",
    "ordereddict",
    "defaultdict",
    "counter",
    "ordereddict-of-pairs",
)
family.add(
    "multiples", "Fills each kind of container with integers of one hash, k(2^61-1).", PROBES,
    over("max_probes"),
    {
        container: (lambda n, container=container: filled("ints", same_hash(n), container))
        for container in CONTAINERS
    },
    (200, 30_000),
)  # fmt: skip
CERTAIN = (
    "ints",
    "negative-ints",
    "int-text",
    "tuples",
    "minus-ones",
    "frozensets",
    "decimals",
    "fractions",
    "uuids",
    "complexes",
    "ranges",
)
for id_, kinds, expect in (
    ("kinds", CERTAIN, over()),
    ("partial", [kind for kind in KEYS if kind not in CERTAIN], CONTAINED),
):
    family.add(
        id_, "Fills a dict or a set with keys of many kinds that hash alike, or nearly.", PROBES,
        expect,
        {
            f"{kind}-{container}": (
                lambda n, kind=kind, container=container: filled(kind, KEYS[kind](n), container)
            )
            for kind in kinds
            for container in ("dict", "set")
        },
        (200, 20_000),
    )  # fmt: skip


@functools.lru_cache(maxsize=1)
def crafted(n: int) -> list[bytes]:
    """Small integers that fill a run of slots, and 42-bit ones that each walk along that run.

    CPython's probe sequence is slot = 5 * slot + perturb + 1 with perturb >>= 5: once perturb is
    used up, every key walks the same circle of slots.
    """
    bits = 16
    mask = (1 << bits) - 1
    run, slot = [], 1
    for _ in range(40_000):
        run.append(slot)
        slot = (5 * slot + 1) & mask
    taken = {slot: index for index, slot in enumerate(run)}
    chooser = random.Random(5)
    walkers: list[int] = []
    while len(walkers) < n:
        key = perturb = chooser.getrandbits(42)
        slot = key & mask
        while slot in taken and perturb:
            perturb >>= 5
            slot = (5 * slot + perturb + 1) & mask
        if not perturb and taken.get(slot, len(run)) < len(run) // 2:
            walkers.append(key)
    return [push(slot) for slot in run] + [push(key) for key in walkers]


family.add(
    "crafted", "Uses 42-bit integers that differ in hash, and walk the same circle of slots.",
    PROBES, CONTAINED,
    {
        container: (lambda n, container=container: filled("ints", crafted(n), container))
        for container in ("dict", "dict-one-by-one", "ordereddict")
    },
    (2, 1500),
)  # fmt: skip
family.add(
    "many-small", "Spreads colliding keys over many containers of 250 each.", PROBES, CONTAINED,
    {
        container: (
            lambda n, container=container: b"]("
                + filled("ints", same_hash(250), container)[2:-1] * n
                + b"e."
        )
        for container in ("dict", "set", "frozenset")
    },
    (2, 250),
)  # fmt: skip
family.add(
    "again", "Makes a thousand sets from one list of 250 colliding keys.", PROBES, CONTAINED,
    {
        name: (
            lambda n, name=name: pickled(
                Raw(
                    b"]("
                        + b"".join(same_hash(250))
                        + b"eq\0"
                        + glob(f"builtins.{name}")
                        + b"q\x0100]("
                        + b"h\x01h\0\x85R" * n
                        + b"e"
                )
            )
        )
        for name in ("set", "frozenset")
    },
    (3, 10_000),
)  # fmt: skip
family.add(
    "in-tuples", "Hashes keys that are equal in hash and only differ deep inside.", PROBES,
    CONTAINED,
    lambda n: b"}("
        + b"".join(b")" + integer(k * PRIME) + b"\x86" + b"\x85" * 50 + b"N" for k in range(n))
        + b"u.",
    (10, 10_000),
)  # fmt: skip
family.add(
    "texts", "A hundred thousand different texts, which a secret keeps from colliding.",
    "text hashes are keyed by the interpreter", CONTAINED,
    lambda n: b"}(" + b"".join(push(f"k{k}") + b"N" for k in range(n)) + b"u.", (10, 50_000),
)  # fmt: skip
family.add(
    "dates", "Fills a dict with dates and times that differ in one field.", PROBES, CONTAINED,
    lambda n: pickled(
        Raw(
            glob("datetime.datetime")
                + b"q\x070}("
                + b"".join(
                    b"h\x07" + push((b"\x07\xe8\x01\x01\0\0\0" + k.to_bytes(3, "big"),)) + b"RN"
                    for k in range(n)
                )
                + b"u"
        )
    ),
    (10, 20_000),
)  # fmt: skip
