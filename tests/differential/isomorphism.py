"""Strict comparison of two loaded graphs: types, bits, order, sharing, cycles. No recursion.

Identity. Where CPython's result has one object in two places, ours must too, for every type.
The other way round it must hold for containers and for mutable values: an immutable value may be
shared more widely than CPython does (key caches, interning). Not meaningful, and not asked for:
process-wide singletons (None, small ints, one-character strings, the empty tuple, timezone.utc,
cached ZoneInfo: one object in both results), and the attribute names of a SimpleNamespace, which
CPython interns.
"""

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
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Callable

Pairs = Iterable[tuple[str, Any, Any]]


class UnpairedError(Exception):
    """Two sets without a pairing of their members."""


def _no_children(_a: Any, _b: Any) -> Pairs:
    return ()


@dataclass(frozen=True)
class Rule:
    """What makes two values of a type the same: equal facts, and the same children in order."""

    facts: Callable[[Any], Any]
    children: Callable[[Any, Any], Pairs] = _no_children
    mutable: bool = False
    container: bool = False  # sharing is compared both ways, as for mutable values


def _items(a: Any, b: Any) -> Pairs:
    return ((f"[{i}]", x, y) for i, (x, y) in enumerate(zip(a, b)))


def _mapping(a: Any, b: Any) -> Pairs:
    for i, (x, y) in enumerate(zip(a.items(), b.items())):
        yield f"<key {i}>", x[0], y[0]
        yield f"<value {i}>", x[1], y[1]
        if y[0] not in b:
            raise UnpairedError(f"key {i} is in the dict but cannot be looked up")


def _members(a: Any, b: Any) -> Pairs:
    """Pairs equal members; those equal to nothing (NaN inside) pair up in order of their text."""
    by_value = {y: y for y in b}
    rest_a, rest_b = [], dict.fromkeys(b)
    for x in a:
        y = by_value.get(x, UnpairedError)
        if y is UnpairedError:
            rest_a.append(x)
        else:
            rest_b.pop(y, None)
            yield "{}", x, y
    if len(rest_a) != len(rest_b):
        raise UnpairedError(f"{len(rest_a)} members without a partner")
    # Two that read alike could be either: such ones are only counted.
    alike = Counter(map(_text, rest_a))
    for x, y in zip(sorted(rest_a, key=_text), sorted(rest_b, key=_text)):
        if alike[_text(x)] == 1:
            yield "{}", x, y


def _text(value: Any) -> str:
    """What tells members apart, in whatever order a frozenset among them is iterated over."""
    bits = _bits(value).hex() if type(value) is float else ""
    return type(value).__name__ + "".join(sorted(repr(value))) + bits


def _zone_of(a: Any, b: Any) -> Pairs:
    return ((".tzinfo", a.tzinfo, b.tzinfo),)


def _namespace(a: Any, b: Any) -> Pairs:
    return ((f".{n!a}", x, vars(b)[n]) for n, x in vars(a).items())


def _bits(x: float) -> bytes:
    return struct.pack("<d", x)


def _time(x: Any) -> Any:
    return x.hour, x.minute, x.second, x.microsecond, x.fold


def _same(x: Any) -> Any:
    return x


_PATH = Rule(lambda x: (str(x), x.parts))
_IP = Rule(lambda x: (x.version, str(x)))

RULES: dict[type, Rule] = {
    type(None): Rule(_same),
    bool: Rule(_same),
    int: Rule(_same),
    str: Rule(_same),
    bytes: Rule(_same),
    float: Rule(_bits),
    complex: Rule(lambda x: _bits(x.real) + _bits(x.imag)),
    range: Rule(lambda x: (x.start, x.stop, x.step)),
    bytearray: Rule(bytes, mutable=True),
    memoryview: Rule(lambda x: (x.readonly, x.format, x.shape, x.tobytes())),
    array.array: Rule(lambda x: (x.typecode, x.tobytes()), mutable=True),
    list: Rule(len, _items, mutable=True),
    tuple: Rule(len, _items, container=True),
    dict: Rule(len, _mapping, mutable=True),
    OrderedDict: Rule(lambda x: (len(x), vars(x)), _mapping, mutable=True),
    Counter: Rule(lambda x: (len(x), vars(x)), _mapping, mutable=True),
    defaultdict: Rule(lambda x: (len(x), x.default_factory), _mapping, mutable=True),
    set: Rule(len, _members, mutable=True),
    frozenset: Rule(len, _members, container=True),
    deque: Rule(lambda x: (len(x), x.maxlen), _items, mutable=True),
    types.SimpleNamespace: Rule(lambda x: list(vars(x)), _namespace, mutable=True),
    decimal.Decimal: Rule(decimal.Decimal.as_tuple),
    fractions.Fraction: Rule(lambda x: (x.numerator, x.denominator)),
    uuid.UUID: Rule(lambda x: (x.int, type(x.int), x.is_safe)),
    dt.timedelta: Rule(lambda x: (x.days, x.seconds, x.microseconds)),
    dt.timezone: Rule(lambda x: (x is dt.timezone.utc, x.__getinitargs__())),
    dt.date: Rule(lambda x: (x.year, x.month, x.day)),
    dt.time: Rule(_time, _zone_of),
    dt.datetime: Rule(lambda x: (x.year, x.month, x.day, *_time(x)), _zone_of),
    zoneinfo.ZoneInfo: Rule(lambda x: x.key),
    time.struct_time: Rule(lambda x: x.__reduce__()[1]),
    pathlib.PurePosixPath: _PATH,
    pathlib.PureWindowsPath: _PATH,
    type(pathlib.Path()): _PATH,
    ipaddress.IPv4Address: _IP,
    ipaddress.IPv6Address: _IP,
    ipaddress.IPv4Network: _IP,
    ipaddress.IPv6Network: _IP,
    ipaddress.IPv4Interface: _IP,
    ipaddress.IPv6Interface: _IP,
}


def difference(expected: Any, actual: Any, buffers: Sequence[Any] = ()) -> str | None:
    """The first difference of `actual` from `expected` as "path: what", or None.

    `buffers` are the caller's own objects, which may be one and the same in both graphs.
    """
    given = {id(b) for b in buffers}
    ours_of: dict[int, Any] = {}  # id in expected -> object in actual
    theirs_of: dict[int, int] = {}  # id in actual -> id in expected, where sharing counts both ways
    todo: list[tuple[Any, Any, Any]] = [(expected, actual, None)]
    while todo:
        a, b, path = todo.pop()
        kind = type(a)
        if kind is not type(b):
            return f"{_path(path)}: {kind.__qualname__} came out as {type(b).__qualname__}"
        rule = RULES.get(kind)
        if a is b:
            if rule is not None and rule.mutable and id(a) not in given:
                return f"{_path(path)}: one mutable {kind.__qualname__} in two results"
            continue
        if rule is None:
            return f"{_path(path)}: no rule for {kind.__qualname__}"
        # Short text, and the bytes of a moment, are made again when they are fetched: equal, not
        # always identical.
        again = kind is str or (kind is bytes and len(a) <= 10)
        if id(a) in ours_of and not again:
            if ours_of[id(a)] is not b:
                return f"{_path(path)}: a shared {kind.__qualname__} was copied"
            continue
        ours_of[id(a)] = b
        if (rule.mutable or rule.container) and theirs_of.setdefault(id(b), id(a)) != id(a):
            return f"{_path(path)}: two {kind.__qualname__}s became one"
        fact_a, fact_b = rule.facts(a), rule.facts(b)
        if fact_a != fact_b:
            return (
                f"{_path(path)}: {kind.__qualname__} {_short(fact_a)} came out as {_short(fact_b)}"
            )
        if rule.children is not _no_children:
            try:
                todo.extend([(x, y, (path, step)) for step, x, y in rule.children(a, b)])
            except UnpairedError as error:
                return f"{_path(path)}: {error}"
    return None


def _path(linked: Any) -> str:
    steps: list[str] = []
    while linked is not None:
        linked, step = linked
        steps.append(step)
    return "graph" + "".join(reversed(steps))


def _short(fact: Any) -> str:
    text = ascii(fact)
    return text if len(text) < 200 else text[:200] + "..."
