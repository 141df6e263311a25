"""Seeded values: those of the differential run, with what is difficult in JSON besides."""

from __future__ import annotations

import array
import datetime as dt
import decimal
import fractions
import ipaddress
import pathlib
import struct
import time
import types
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Hashable, Sequence
from random import Random
from typing import Any, Callable

from tests.differential.graphs import FACTORIES, GraphMaker, _float, _int, _str, _zone

TAGS = (
    *("t", "b", "bytearray", "str", "u", "m", "di", "d", "dict", "ordereddict", "counter"),
    *("defaultdict", "set", "frozenset", "deque", "f", "int", "complex", "fraction", "range"),
    *("decimal", "date", "time", "datetime", "timedelta", "timezone", "zone", "namespace"),
    *("array", "struct_time", "ip", "path", "uuid", "reduce", "stub", "cycle", "t__", "", " ", "x"),
)
PIECES = (
    *("\ud83d", "\ude00", "\ud800", "\udfff", "😀", "\U0010ffff", "\0", "\x1f", "\x7f", "\x80"),
    *('"', "\\", "\\u0041", "\\ud83d", "/", "\u2028", "\ufeff", "\uffff", " ", "é", "a", "nan"),
)
EMPTY: Sequence[Callable[[], Any]] = (
    *(str, bytes, bytearray, list, tuple, dict, set, frozenset, deque, OrderedDict, Counter),
    *(defaultdict, types.SimpleNamespace, lambda: array.array("d"), lambda: range(0)),
)
RANGES = {"b": 8, "B": 8, "h": 16, "H": 16, "i": 32, "I": 32, "l": 32, "L": 32, "q": 64, "Q": 64}


def _text(rng: Random) -> str:
    return "".join(rng.choices(PIECES, k=rng.randint(1, 6)))


def _tag(rng: Random) -> str:
    return " " * rng.choice((1, 1, 1, 1, 0, 2)) + rng.choice(TAGS)


def _long_int(rng: Random) -> int:
    size = rng.choice((8191, 8192, 8193, 8200, 65_534, 65_535))
    value = rng.choice((1 << size - 1, (1 << size) - 1, rng.getrandbits(size)))
    return -value if rng.random() < 0.5 else value


def _nan(rng: Random) -> float:
    quiet = 0x7FF8 << 48 | rng.getrandbits(51) | rng.getrandbits(1) << 63
    return float(struct.unpack("<d", struct.pack("<Q", quiet))[0])


def _decimal(rng: Random) -> decimal.Decimal:
    sign, digits = rng.choice(("", "-")), str(rng.getrandbits(rng.choice((1, 30, 200))))
    if rng.random() < 0.2:
        special = rng.choice(("NaN", "sNaN", "Infinity"))
        return decimal.Decimal(sign + special + (digits if "N" in special else ""))
    point = rng.randint(0, len(digits))
    exponent = rng.choice((0, 1, -1, 40, -40, 99_000, -99_000))
    return decimal.Decimal(f"{sign}{digits[:point]}.{digits[point:]}E{exponent}")


def _timezone(rng: Random) -> dt.timezone:
    limit = 86_400 * 10**6 - 1
    step = rng.choice((1, 10**6, 60 * 10**6, 900 * 10**6))
    offset = dt.timedelta(microseconds=rng.randint(-limit, limit) // step * step)
    if abs(offset) >= dt.timedelta(days=1):
        offset = dt.timedelta(0)
    names = ("", "UTC", "CET", str(dt.timezone(offset)), _text(rng))
    return dt.timezone(offset, rng.choice(names)) if rng.random() < 0.3 else dt.timezone(offset)


def _datetime(rng: Random) -> dt.datetime:
    zone = rng.choice((lambda _: None, _zone, _timezone))(rng)
    day = rng.choice((dt.date(2024, 10, 27), dt.date.min, dt.date.max, dt.date(1900, 3, 1)))
    return dt.datetime.combine(day, _time(rng), zone)


def _time(rng: Random) -> dt.time:
    zone = rng.choice((lambda _: None, _zone, _timezone))(rng)
    micro = rng.choice((0, 0, 1, 999_999, rng.randrange(10**6)))
    clock = (rng.choice((0, 2, 23)), rng.choice((0, 30, 59)), rng.randrange(60))
    return dt.time(*clock, micro, tzinfo=zone, fold=rng.randrange(2))


def _struct_time(rng: Random) -> time.struct_time:
    fields: list[Any] = [rng.randint(-9, 2**40) for _ in range(9)]
    fields += rng.choice(((), ("CET",), ("CET", 3600), (None, -3600), ("é😀", None)))
    return time.struct_time(fields)


def _array(rng: Random) -> array.array[Any]:
    code, count = rng.choice(array.typecodes), rng.randrange(5)
    if code in "uw":
        return array.array(code, "".join(rng.choices("aé\0€😀\U0010ffff", k=count)))
    if code in "fd":
        made: Any = [rng.choice((_float, _nan))(rng) for _ in range(count if code == "d" else 0)]
        return array.array(code, made + [0.5, -0.0, 2.0**-140, float("inf")][: count % 5])
    width = RANGES[code]
    signed = code.islower()
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    return array.array(
        code, [rng.choice((low, high, 0, rng.randint(low, high))) for _ in range(count)]
    )


def _ip(rng: Random) -> Any:
    four: Any = rng.getrandbits(32) if rng.random() < 0.8 else rng.choice((0, 2**32 - 1))
    six: Any = (
        rng.getrandbits(128) >> rng.choice((0, 0, 96, 127)) << rng.choice((0, 0, 64))
        & (1 << 128) - 1
    )
    kind = rng.randrange(6)
    if kind < 2:
        return ipaddress.IPv4Address(four) if kind else ipaddress.IPv6Address(six)
    if kind < 4:
        length = rng.randint(0, 32 if kind == 2 else 128)
        made: Any = ipaddress.IPv4Interface if kind == 2 else ipaddress.IPv6Interface
        return made((four if kind == 2 else six, length))
    if kind == 4:
        return ipaddress.IPv4Network((four, rng.randint(0, 32)), strict=False)
    return ipaddress.IPv6Network((six, rng.randint(0, 128)), strict=False)


def _path(rng: Random) -> pathlib.PurePath:
    kinds = (type(pathlib.Path()), pathlib.PurePosixPath, pathlib.PureWindowsPath)
    parts = rng.choices(
        ("/", "a", "é😀", "..", " t", "a b", '"', "C:\\", "x.y"), k=rng.randrange(4)
    )
    return rng.choice(kinds)(*parts)


def _uuid(rng: Random) -> uuid.UUID:
    safe = rng.choice(tuple(uuid.SafeUUID))
    return uuid.UUID(int=rng.choice((0, 5, rng.getrandbits(128))), is_safe=safe)


def _empty(rng: Random) -> Any:
    return rng.choice(EMPTY)()


KEYS: Sequence[Callable[[Random], Any]] = (
    *(_text,) * 4,
    *(_tag,) * 6,
    *(_datetime, _time, _timezone, _uuid, _struct_time, _ip, _path, _nan),
    *(lambda rng: rng.choice((0, 1, 0.0, 1.0, -0.0, True, False, None, "1", "0", b"1", 1j)),) * 3,
)
LEAVES = (*KEYS, *(_decimal, _array, _empty) * 2, _str, _text)


class ValueMaker(GraphMaker):
    """Makes one value without cycles; sharing may be in it, and comes out as copies."""

    def __init__(self, rng: Random, *, size: int) -> None:
        super().__init__(rng, size=size, cycles=False)

    def make(self) -> Any:
        p = self.rng.random()
        if p < 0.001:
            return self._deep()
        return self._long(p) if p < 0.003 else self.value(0)

    def _long(self, p: float) -> Any:
        return self._wide() if p < 0.0012 else _long_int(self.rng)

    def value(self, depth: int) -> Any:
        p = self.rng.random()
        if p < 0.6 or depth > 6:
            return super().value(depth)
        self.left -= 1
        if p < 0.8 or self.left <= 0:
            return self.rng.choice(LEAVES)(self.rng)
        if p < 0.9:
            return {_tag(self.rng): self.value(depth + 1)}
        return self.rng.choice(NESTS)(self, depth + 1)

    def key(self, depth: int) -> Hashable:
        if self.rng.random() < 0.7:
            return super().key(depth)
        key: Hashable = self.rng.choice(KEYS)(self.rng)
        return key

    def _wrapped(self, depth: int) -> Any:
        made = self.value(depth)
        for _ in range(self.rng.randrange(4)):
            made = {self.rng.choice((" di", " di__", " t__", " ")): made}
        return made

    def _tags(self, depth: int) -> Any:
        """Several keys: a plain dict, however much the first one looks like a tag."""
        return {_tag(self.rng): self.value(depth), _tag(self.rng): 1, "x": self.value(depth)}

    def _named(self, depth: int) -> Any:
        return types.SimpleNamespace(
            **{self.rng.choice((" t", "__dict__", "é")): self.value(depth)}
        )

    def _counts(self, depth: int) -> Any:
        made: Any = Counter()
        made.update({self.key(depth): _int(self.rng)})
        made[self.key(depth)] = self.value(depth)
        return made

    def _factory(self, depth: int) -> Any:
        return defaultdict(self.rng.choice(FACTORIES), {self.key(depth): self.value(depth)})

    def _ordered(self, depth: int) -> Any:
        made: Any = OrderedDict((self.key(depth), self.value(depth)) for _ in range(3))
        if made and self.rng.random() < 0.5:
            made.move_to_end(next(iter(made)))
        return made

    def _alike(self, _depth: int) -> Any:
        """Keys that only their types tell apart, and members that are tuples and frozensets."""
        kind = self.rng.choice((int, float, bool, str))
        keys: list[Any] = [kind(0), (kind(1), b"1"), frozenset({(kind(1),)}), "0", "1", b"0"]
        self.rng.shuffle(keys)
        return self.rng.choice((dict.fromkeys, set, frozenset, tuple))(
            keys[: self.rng.randint(1, 6)]
        )

    def _fraction(self, _depth: int) -> Any:
        return fractions.Fraction(_int(self.rng), abs(_int(self.rng)) or 1)


NESTS: Sequence[Callable[[ValueMaker, int], Any]] = (
    *(ValueMaker._wrapped,) * 3,
    *(ValueMaker._tags,) * 2,
    ValueMaker._named,
    ValueMaker._counts,
    ValueMaker._factory,
    ValueMaker._ordered,
    ValueMaker._alike,
    ValueMaker._fraction,
)


def generated(seed: str, index: int) -> Any:
    """Value number `index` of `seed`."""
    rng = Random(f"{seed} {index}")
    return ValueMaker(rng, size=rng.choice((1, 2, 4, 6, 9, 20))).make()


def plain(rng: Random, depth: int = 0) -> Any:
    """What JSON can hold by itself: no tag is needed for it, by us or by Flask."""
    p = rng.random()
    if depth > 4 or p < 0.5:
        return rng.choice((_plain_text, _plain_number, _plain_atom))(rng)
    if p < 0.75:
        return [plain(rng, depth + 1) for _ in range(rng.randrange(5))]
    found = {_plain_text(rng): plain(rng, depth + 1) for _ in range(rng.randrange(5))}
    return {} if len(found) == 1 and next(iter(found)).startswith(" ") else found


def _plain_text(rng: Random) -> str:
    made = _tag(rng) if rng.random() < 0.2 else rng.choice((_text, _str))(rng)
    # Two halves of a character become one wherever JSON is read.
    return made.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _tie(rng: Random) -> float:
    """Often in the middle of two shortest texts, of which Python takes the even one."""
    return rng.getrandbits(53) / rng.choice((2, 4, 8, 2**20))


def _plain_number(rng: Random) -> float:
    made = rng.choice((_int, _float, _tie))(rng)
    return made if made - made == 0 else rng.uniform(-1e300, 1e-300)


def _plain_atom(rng: Random) -> Any:
    return rng.choice((None, True, False))
