"""Seeded object graphs of every type of profile plain, with sharing and cycles."""

from __future__ import annotations

import array
import datetime as dt
import decimal
import fractions
import ipaddress
import math
import pathlib
import pickle
import struct
import time
import types
import uuid
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Hashable, Sequence
from random import Random
from typing import Any, Callable

FACTORIES: Sequence[Any] = (None, int, list, set, dict, str, float, tuple)
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC", "Australia/Lord_Howe")
TYPECODES = array.typecodes
EDGES = [
    sign * (1 << bits) + off
    for bits in (7, 8, 15, 16, 31, 32, 63, 64, 127, 2039, 2040, 2048)
    for sign in (1, -1)
    for off in (-1, 0, 1)
]
FLOATS = (
    0.0,
    -0.0,
    1.0,
    -1.5,
    0.1,
    1e16,
    1e-7,
    5e-324,
    1.7976931348623157e308,
    math.inf,
    -math.inf,
    math.nan,
    -math.nan,
)
ALPHABETS = (
    "abcdefgh_0",
    " \t\n\r\\'\"\x00\x1a\x7f",
    "àéîõü\x80\xff",
    "żółć中文д",
    "😀🏳️\U0010ffff",
    "\ud800\udfff\udc80",
    "ab\u2028\x85é😀\ud83d",
)
KEYS = ("id", "user", "name", "price", "items", "_auth_user_id", "csrf_token", "cart", "é", "价格")
ADDRESSES = ("10.0.0.1", "0.0.0.0", "255.255.255.255", "::1", "2001:db8::ff00:42:8329", "fe80::1")
NETWORKS = ("10.0.0.0/8", "192.168.1.0/24", "0.0.0.0/0", "2001:db8::/32", "::/0", "10.1.2.3/32")
NUMBERS = (
    "0",
    "-0",
    "0E+3",
    "1.10",
    "-19.99",
    "1E+50",
    "1E-50",
    "123456789012345678901234567890.1",
    "Infinity",
    "-Infinity",
    "NaN",
    "-NaN7",
    "0.000",
)
FIELD_NAMES = ("a", "b", "name", "price_é", "_x", "id")


def _int(rng: Random) -> int:
    p = rng.random()
    if p < 0.5:
        return rng.randint(-6, 300)
    if p < 0.75:
        return rng.choice(EDGES)
    value = rng.getrandbits(rng.choice((8, 16, 17, 31, 33, 62, 65, 300, 900, 3000)))
    return -value if rng.random() < 0.4 else value


def _float(rng: Random) -> float:
    p = rng.random()
    if p < 0.4:
        return rng.choice(FLOATS)
    if p < 0.8:
        return rng.uniform(-1e6, 1e6)
    if p < 0.9:
        return float(struct.unpack("<d", struct.pack("<Q", rng.getrandbits(64)))[0])
    nan = 0x7FF8 << 48 | rng.getrandbits(51) | rng.getrandbits(1) << 63  # a quiet NaN, payload kept
    return float(struct.unpack("<d", struct.pack("<Q", nan))[0])


def _str(rng: Random) -> str:
    p = rng.random()
    if p < 0.35:
        return rng.choice(KEYS)
    if p < 0.4:
        return ""
    alphabet = rng.choice(ALPHABETS)
    length = rng.randint(1, 12) if p < 0.96 else rng.choice((63, 64, 65, 127, 255, 256, 257, 3000))
    return "".join(rng.choices(alphabet, k=length))


def _bytes(rng: Random) -> bytes:
    p = rng.random()
    length = 0 if p < 0.1 else rng.randint(1, 20) if p < 0.95 else rng.choice((255, 256, 257, 5000))
    return rng.getrandbits(8 * length).to_bytes(length, "little")


def _timedelta(rng: Random) -> dt.timedelta:
    if rng.random() < 0.1:
        return rng.choice(
            (dt.timedelta.min, dt.timedelta.max, dt.timedelta(0), dt.timedelta(-1, 1, 1))
        )
    return dt.timedelta(rng.randint(-999, 9999), rng.randrange(86400), rng.randrange(10**6))


def _timezone(rng: Random) -> dt.timezone:
    if rng.random() < 0.3:
        return dt.timezone.utc
    offset = dt.timedelta(seconds=rng.choice((0, 3600, -18000, 20700, 1, -86399, 86399)))
    return dt.timezone(offset, _str(rng)) if rng.random() < 0.3 else dt.timezone(offset)


def _zone(rng: Random) -> zoneinfo.ZoneInfo:
    return zoneinfo.ZoneInfo(rng.choice(ZONES))


def _uncached_zone(rng: Random) -> zoneinfo.ZoneInfo:
    return zoneinfo.ZoneInfo.no_cache(rng.choice(ZONES))  # hashed by identity: never a key here


def _date(rng: Random) -> dt.date:
    return rng.choice(
        (
            dt.date.min,
            dt.date.max,
            dt.date(2024, 2, 29),
            dt.date(2007, 12, 31),
            dt.date(rng.randint(1, 9999), rng.randint(1, 12), rng.randint(1, 28)),
        )
    )


def _decimal(rng: Random) -> decimal.Decimal:
    if rng.random() < 0.5:
        return decimal.Decimal(rng.choice(NUMBERS))
    return decimal.Decimal(rng.randint(-(10**6), 10**6)).scaleb(-rng.randint(0, 4))


def _uuid(rng: Random) -> uuid.UUID:
    value = rng.choice((0, (1 << 128) - 1, rng.getrandbits(128), rng.getrandbits(128)))
    if rng.random() < 0.7:
        return uuid.UUID(int=value)
    return uuid.UUID(int=value, is_safe=rng.choice(tuple(uuid.SafeUUID)))


def _fraction(rng: Random) -> fractions.Fraction:
    return fractions.Fraction(_int(rng), rng.randint(1, 999))


def _range(rng: Random) -> range:
    return range(_int(rng), _int(rng), rng.choice((1, -1, 7, 2**40)))


def _ip(rng: Random) -> Hashable:
    p = rng.random()
    if p < 0.5:
        return ipaddress.ip_address(rng.choice(ADDRESSES))
    if p < 0.6:
        return ipaddress.ip_address("fe80::1%eth0")
    if p < 0.8:
        return ipaddress.ip_network(rng.choice(NETWORKS))
    return ipaddress.ip_interface(rng.choice(("192.168.1.7/24", "2001:db8::7/64", "10.0.0.1")))


def _path(rng: Random) -> pathlib.PurePath:
    kind = rng.choice((pathlib.PurePosixPath, pathlib.PureWindowsPath))
    text = rng.choice(
        ("", ".", "/", "/srv/app/é.txt", "a/../b", "C:\\x\\y", "//host/share/f", "a b/c")
    )
    return kind(text)


def _struct_time(rng: Random) -> time.struct_time:
    stamp = rng.randrange(2**31)
    return (
        rng.choice((time.gmtime, time.localtime))(stamp)
        if rng.random() < 0.7
        else (time.struct_time(tuple(rng.randint(0, 99) for _ in range(9))))
    )


def _array(rng: Random) -> array.array[Any]:
    code = rng.choice(TYPECODES)
    made: array.array[Any] = array.array(code)
    if code in "uw":
        made.extend("".join(c for c in _str(rng) if not 0xD800 <= ord(c) < 0xE000))
    elif code in "fd":
        made.extend(
            _float(rng) if code == "d" else rng.uniform(-9, 9) for _ in range(rng.randrange(6))
        )
    else:
        made.frombytes(
            rng.getrandbits(256).to_bytes(32, "little")[: made.itemsize * rng.randrange(5)]
        )
    return made


def _complex(rng: Random) -> complex:
    return complex(_float(rng), _float(rng))


def _bytearray(rng: Random) -> bytearray:
    return bytearray(_bytes(rng))


def _atom(rng: Random) -> Hashable:
    return rng.choice((None, True, False))


def _signalling(_: Random) -> decimal.Decimal:
    return decimal.Decimal("sNaN")


# Plain values come up about as often as in sessions; the rarer types fill the rest.
HASHABLE_LEAVES: Sequence[Callable[[Random], Any]] = (
    *(_int,) * 6,
    *(_str,) * 9,
    *(_float,) * 3,
    *(_bytes,) * 2,
    *(_atom,) * 3,
    _complex,
    _timedelta,
    _timezone,
    _date,
    _decimal,
    _decimal,
    _uuid,
    _fraction,
    _range,
    _ip,
    _path,
    _struct_time,
    _zone,
)
LEAVES: Sequence[Callable[[Random], Any]] = (
    *HASHABLE_LEAVES,
    *(_bytearray,) * 2,
    *(_array,) * 2,
    _signalling,
    _uncached_zone,
)


class GraphMaker:
    """Makes one graph from `rng`; `size` is about the number of values in it.

    `buffers` admits `PickleBuffer` values (protocol 5); `stable` keeps to sets of ints, whose order
    is the same in each process; `cycles` lets containers hold themselves. After `make()`, `cyclic`
    and `shares` tell whether a container does, and whether one sits in more than one place.
    """

    def __init__(
        self,
        rng: Random,
        *,
        size: int = 40,
        buffers: bool = False,
        stable: bool = False,
        cycles: bool = True,
    ) -> None:
        self.rng, self.left, self.buffers, self.stable = rng, size, buffers, stable
        self.cycles = cycles
        self.cyclic = self.shares = False
        self._made: list[Any] = []  # finished values, to be met again
        self._keys: list[Any] = []  # the hashable ones
        self._zones: list[dt.tzinfo] = []
        self._open: list[Any] = []  # containers being filled: using one makes a cycle

    def make(self) -> Any:
        p = self.rng.random()
        if p < 0.004:
            return self._wide()
        if p < 0.01:
            return self._deep()
        return self._container(0) if p < 0.9 else self.value(0)

    def value(self, depth: int) -> Any:
        p = self.rng.random()
        if p < 0.1 and self._made:
            made = self.rng.choice(self._made)
            self.shares |= type(made) in CONTAINERS
            return made
        if p < 0.13 and self._open and self.cycles:
            self.cyclic = True
            return self.rng.choice(self._open)
        self.left -= 1
        if p > 0.6 and self.left > 0 and depth < 7:
            return self._container(depth)
        if p < 0.25:
            return self._moment()
        if p < 0.27 and self.buffers:
            raw: Any = self.rng.choice((_bytes, _bytearray))(self.rng)
            return pickle.PickleBuffer(raw)
        leaf = self.rng.choice(LEAVES)(self.rng)
        if p < 0.45:
            self._made.append(leaf)
        return leaf

    def key(self, depth: int) -> Hashable:
        p = self.rng.random()
        if p < 0.1 and self._keys:
            key: Hashable = self.rng.choice(self._keys)
            self.shares |= type(key) in CONTAINERS
            return key
        self.left -= 1
        if p < 0.5:
            key = _str(self.rng)
        elif p < 0.55:
            key = self._moment()
        elif p < 0.7 and depth < 5 and self.left > 0:
            kind = tuple if self.rng.random() < 0.7 else frozenset
            member = self._member if kind is frozenset else self.key
            key = kind([member(depth + 1) for _ in range(self.rng.randrange(5))])
        else:
            key = self.rng.choice(HASHABLE_LEAVES)(self.rng)
        if p < 0.6 or p > 0.9:
            self._keys.append(key)
            self._made.append(key)
        return key

    def _member(self, depth: int) -> Hashable:
        return _int(self.rng) if self.stable else self.key(depth)

    def _moment(self) -> Any:
        rng = self.rng
        tz: Any = None
        if rng.random() < 0.6:
            if not self._zones or rng.random() < 0.5:
                self._zones.append(rng.choice((_timezone, _zone))(rng))
            tz = rng.choice(self._zones)
        fold = rng.randrange(2)
        clock = dt.time(
            rng.randrange(24),
            rng.randrange(60),
            rng.randrange(60),
            rng.choice((0, rng.randrange(10**6))),
            tz,
            fold=fold,
        )
        if rng.random() < 0.25:
            return clock
        day = dt.date(rng.randint(2, 9998), rng.randint(1, 12), rng.randint(1, 28))
        return dt.datetime.combine(day, clock)

    def _container(self, depth: int) -> Any:
        made = self.rng.choice(MAKERS)(self, depth + 1)
        self._made.append(made)
        return made

    def _count(self) -> int:
        return min(int(self.rng.expovariate(0.25)), 20)

    def _list(self, depth: int) -> Any:
        return self._fill([], depth)

    def _deque(self, depth: int) -> Any:
        return self._fill(deque(maxlen=self.rng.choice((None, None, 0, 2, 9, 1000))), depth)

    def _fill(self, made: Any, depth: int) -> Any:
        self._open.append(made)
        for _ in range(self._count()):
            made.append(self.value(depth))
        self._open.pop()
        return made

    def _dict(self, depth: int) -> Any:
        return self._fill_map({}, depth)

    def _ordered(self, depth: int) -> Any:
        return self._fill_map(OrderedDict(), depth)

    def _default(self, depth: int) -> Any:
        return self._fill_map(defaultdict(self.rng.choice(FACTORIES)), depth)

    def _fill_map(self, made: Any, depth: int) -> Any:
        self._open.append(made)
        for _ in range(self._count()):
            made[self.key(depth)] = self.value(depth)
        self._open.pop()
        return made

    def _counter(self, depth: int) -> Any:
        return Counter({self.key(depth): _int(self.rng) for _ in range(self._count())})

    def _namespace(self, depth: int) -> Any:
        made = types.SimpleNamespace()
        self._open.append(made)
        for _ in range(self._count() % 5):
            setattr(made, self.rng.choice(FIELD_NAMES), self.value(depth))
        self._open.pop()
        return made

    def _tuple(self, depth: int) -> Any:
        return tuple([self.value(depth) for _ in range(self._count())])

    def _set(self, depth: int) -> Any:
        return {self._member(depth) for _ in range(self._count())}

    def _frozenset(self, depth: int) -> Any:
        return frozenset([self._member(depth) for _ in range(self._count())])

    def _wide(self) -> Any:
        """More items than a pickler's batch of 1000."""
        count, kind = self.rng.randint(999, 2100), self.rng.randrange(4)
        keys = [
            self.rng.getrandbits(40) if kind % 2 or self.stable else f"key {i}"
            for i in range(count)
        ]
        return (keys, dict.fromkeys(keys, 1), set(keys), frozenset(keys))[kind]

    def _deep(self) -> Any:
        made: Any = _str(self.rng)
        for _ in range(self.rng.randint(30, 90)):
            made = self.rng.choice(
                (lambda v: [v], lambda v: {"k": v}, lambda v: (1, v), lambda v: deque([v]))
            )(made)
        return made


MAKERS: Sequence[Callable[[GraphMaker, int], Any]] = (
    *(GraphMaker._list,) * 4,
    *(GraphMaker._dict,) * 6,
    *(GraphMaker._tuple,) * 4,
    GraphMaker._deque,
    GraphMaker._ordered,
    GraphMaker._default,
    GraphMaker._counter,
    GraphMaker._namespace,
    *(GraphMaker._set,) * 2,
    GraphMaker._frozenset,
)
CONTAINERS = frozenset(
    (
        list,
        dict,
        tuple,
        deque,
        OrderedDict,
        defaultdict,
        Counter,
        set,
        frozenset,
        types.SimpleNamespace,
    )
)
