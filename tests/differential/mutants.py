"""Damages valid pickles; every mutant is a function of (seed, index)."""

from __future__ import annotations

import pickletools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Callable

from . import handmade
from .forms import pickled, random_form
from .graphs import GraphMaker

OPCODES = bytes(ord(op.code) for op in pickletools.opcodes)
CORPUS = Path(__file__).parents[1] / "corpus"
MAX_BYTES = 20_000
INTERESTING = (0, 1, 2, 0x7F, 0x80, 0xFF)
LENGTHS = (
    0,
    1,
    2,
    0x7F,
    0xFF,
    0x100,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 40,
    1 << 62,
    (1 << 64) - 1,
)
PREFIXED = {
    ord(code): width
    for codes, width in (("\x8aUC\x8c", 1), ("\x8bTBXjr", 4), ("\x8e\x96\x8d\x95", 8))
    for code in codes
}  # width of the length or index that follows the opcode


class Base:
    """A valid pickle and the offsets of its opcodes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offsets: list[int] = [0]
        with suppress(Exception):  # what genops cannot read is damaged bytewise
            self.offsets = [at for _, _, at in pickletools.genops(data) if at is not None]


def bases(seed: str, generated: int = 300) -> list[Base]:
    """Hand-made pickles, the corpus, and `generated` small graphs of this seed."""
    found = [*handmade.VALID, *(p.read_bytes() for p in sorted(CORPUS.glob("*.bin")))]
    rng = Random(f"bases {seed}")
    while generated > 0:
        try:
            graph = GraphMaker(rng, size=rng.choice((3, 8, 25)), stable=True).make()
            data = pickled(graph, random_form(rng)).data
        except (RecursionError, AssertionError):
            continue
        if len(data) <= MAX_BYTES:
            found.append(data)
            generated -= 1
    return [Base(data) for data in found if len(data) <= MAX_BYTES]


def mutants(seed: str, first: int, count: int) -> Iterator[bytes]:
    """Mutants number `first` to `first + count - 1` of `seed`."""
    pool = bases(seed)
    for index in range(first, first + count):
        yield mutant(Random(f"mutant {seed} {index}"), pool)


def mutant(rng: Random, pool: Sequence[Base]) -> bytes:
    base = rng.choice(pool)
    data = bytearray(base.data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if data:
            DAMAGES[rng.randrange(len(DAMAGES))](rng, data, base, pool)
    return bytes(data[: 2 * MAX_BYTES])


def _at(rng: Random, data: bytearray) -> int:
    return rng.randrange(len(data))


def _opcode_at(rng: Random, data: bytearray, base: Base) -> int:
    return min(rng.choice(base.offsets), len(data) - 1)


def _flip_bit(rng: Random, data: bytearray, base: Base, pool: Sequence[Base]) -> None:
    data[_at(rng, data)] ^= 1 << rng.randrange(8)


def _set_byte(rng: Random, data: bytearray, base: Base, pool: Sequence[Base]) -> None:
    data[_at(rng, data)] = rng.choice((*INTERESTING, rng.randrange(256)))


def _insert(rng: Random, data: bytearray, base: Base, pool: Sequence[Base]) -> None:
    at = _at(rng, data)
    data[at:at] = rng.getrandbits(32).to_bytes(4, "little")[: rng.randint(1, 4)]


def _delete(rng: Random, data: bytearray, base: Base, pool: Sequence[Base]) -> None:
    at = _at(rng, data)
    del data[at : at + rng.randint(1, 4)]


def _swap_opcode(rng: Random, data: bytearray, base: Base, pool: Sequence[Base]) -> None:
    data[_opcode_at(rng, data, base)] = rng.choice(OPCODES)


def _insert_opcode(rng: Random, data: bytearray, base: Base, pool: Sequence[Base]) -> None:
    at = _opcode_at(rng, data, base)
    data[at:at] = rng.choices(OPCODES, k=rng.randint(1, 3))


def _delete_opcode(rng: Random, data: bytearray, base: Base, pool: Sequence[Base]) -> None:
    at = rng.randrange(len(base.offsets))
    del data[base.offsets[at] : base.offsets[min(at + rng.randint(1, 3), len(base.offsets) - 1)]]


def _exchange_opcodes(rng: Random, data: bytearray, base: Base, pool: Sequence[Base]) -> None:
    a, b = _opcode_at(rng, data, base), _opcode_at(rng, data, base)
    data[a], data[b] = data[b], data[a]


def _repeat(rng: Random, data: bytearray, base: Base, pool: Sequence[Base]) -> None:
    a, b = sorted((_opcode_at(rng, data, base), _opcode_at(rng, data, base)))
    data[b:b] = data[a:b][:500] * rng.choice((1, 1, 2, 10))


def _splice(rng: Random, data: bytearray, base: Base, pool: Sequence[Base]) -> None:
    other = rng.choice(pool)
    data[_opcode_at(rng, data, base) :] = other.data[rng.choice(other.offsets) :]


def _embed(rng: Random, data: bytearray, base: Base, pool: Sequence[Base]) -> None:
    """A whole other pickle, without its STOP, in the middle of this one."""
    other, at = rng.choice(pool), _opcode_at(rng, data, base)
    data[at:at] = other.data[:-1]


def _truncate(rng: Random, data: bytearray, base: Base, pool: Sequence[Base]) -> None:
    del data[_at(rng, data) :]


def _length(rng: Random, data: bytearray, base: Base, pool: Sequence[Base]) -> None:
    places = [at for at in base.offsets if at < len(data) and data[at] in PREFIXED]
    if places:
        at = rng.choice(places)
        width = PREFIXED[data[at]]
        old = int.from_bytes(data[at + 1 : at + 1 + width], "little")
        new = rng.choice((*LENGTHS, old + 1, old - 1, old + 5, old * 2)) % (1 << 8 * width)
        data[at + 1 : at + 1 + width] = new.to_bytes(width, "little")


def _digit(rng: Random, data: bytearray, base: Base, pool: Sequence[Base]) -> None:
    """Changes a digit, or makes the number next to it long."""
    places = [at for at, byte in enumerate(data[:2000]) if 48 <= byte <= 57]
    if places:
        at = rng.choice(places)
        data[at : at + 1] = rng.choice(
            (b"0", b"9", b"-", b"0x1", b"e", b"9" * 30, b".", b" 1", b"_1", b"\xd9\xa1")
        )


Damage = Callable[[Random, bytearray, Base, Sequence[Base]], None]
DAMAGES: Sequence[Damage] = (
    _flip_bit,
    _flip_bit,
    _set_byte,
    _set_byte,
    _insert,
    _delete,
    _swap_opcode,
    _swap_opcode,
    _insert_opcode,
    _delete_opcode,
    _delete_opcode,
    _exchange_opcodes,
    _repeat,
    _splice,
    _embed,
    _truncate,
    _length,
    _digit,
)
