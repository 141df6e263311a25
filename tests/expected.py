"""Compares a loaded value with the tagged JSON that says what the old software had put in."""

from __future__ import annotations

import array
import collections
import datetime as dt
import decimal
import fractions
import ipaddress
import math
import pathlib
import time
import types
import uuid
import zoneinfo
from collections.abc import Iterable, Iterator
from typing import Any, Callable

from plainpickle import Stub

# Classes that profile plain turns into plain values: by package and name, for modules move.
PLAIN_TEXT = {
    "django": {
        *("SafeText", "SafeUnicode", "SafeString", "SafeBytes"),
        *("EscapeText", "EscapeUnicode", "EscapeString", "EscapeBytes"),
    },
    "markupsafe": {"Markup"},
    "jinja2": {"Markup"},
}
PLAIN_OBJECTS = {
    "django": {"QueryDict", "MultiValueDict", "__proxy__"},
    "werkzeug": {
        "MultiDict",
        "ImmutableMultiDict",
        "OrderedMultiDict",
        "ImmutableOrderedMultiDict",
    },
    "types": {"SimpleNamespace"},
    "ipaddress": {"IPv4Address"},
    "pathlib": {"PurePosixPath"},
}
ATOMS = (type(None), bool, int, float, str)


def _listed(name: str, table: dict[str, set[str]]) -> bool:
    return name.rpartition(".")[2] in table.get(name.partition(".")[0], ())


def foreign(expected: Any) -> set[str]:
    """The names in ``expected`` that profile plain does not know: the app's and the framework's."""
    if isinstance(expected, list):
        return set().union(*map(foreign, expected))
    if not isinstance(expected, dict):
        return set()
    kind, name = expected.get("$t"), expected.get("class", "")
    inside: set[str] = set().union(*map(foreign, expected.values()))
    if kind == "global":
        return {expected["name"], *inside}
    if kind == "strsub" and not _listed(name, PLAIN_TEXT):
        return {name, *inside}
    if kind == "object" and not _listed(name, PLAIN_OBJECTS):
        return {name, *inside}
    return inside


def kinds(expected: Any) -> set[str]:
    """The tags in ``expected``."""
    if isinstance(expected, list):
        return set().union(*map(kinds, expected))
    if not isinstance(expected, dict):
        return set()
    return {expected.get("$t", "plain dict")}.union(*map(kinds, expected.values()))


class Comparison:
    """Walks value and expectation side by side; `differences` says where they part.

    ``stubs``: whether classes that profile plain does not know came as stubs, or as their state.
    """

    def __init__(self, *, stubs: bool = False) -> None:
        self.stubs = stubs
        self.parents: list[Any] = []

    def differences(self, value: Any, expected: Any, path: str = "value") -> Iterator[str]:
        if isinstance(expected, ATOMS):
            if type(value) is not type(expected) or value != expected:
                yield f"{path}: {value!r}, expected {expected!r}"
            return
        kind = "list" if isinstance(expected, list) else expected.get("$t", "plain dict")
        if kind in LEAVES:
            for problem in LEAVES[kind](value, expected):
                yield f"{path}: {value!r}, expected {expected!r}: {problem}"
            return
        if kind == "cycle":
            if value is not self.parents[-expected["depth"]]:
                yield f"{path}: not the container {expected['depth']} levels up"
            return
        self.parents.append(value)
        yield from getattr(self, "_" + kind.replace(" ", "_"))(value, expected, path)
        self.parents.pop()

    def same(self, value: Any, expected: Any) -> bool:
        return not any(self.differences(value, expected))

    # --- containers

    def _sequence(self, cls: type[Any], value: Any, items: list[Any], path: str) -> Iterator[str]:
        if type(value) is not cls or len(value) != len(items):
            yield f"{path}: {value!r}, expected a {cls.__name__} of {len(items)}"
            return
        for i, (x, y) in enumerate(zip(value, items)):
            yield from self.differences(x, y, f"{path}[{i}]")

    def _members(self, cls: type[Any], value: Any, items: list[Any], path: str) -> Iterator[str]:
        if type(value) is not cls or len(value) != len(items):
            yield f"{path}: {value!r}, expected a {cls.__name__} of {len(items)}"
        for item in items:
            if not any(self.same(x, item) for x in value):
                yield f"{path}: {item!r} is not in {value!r}"

    def _pairs(self, cls: type[Any], value: Any, pairs: Iterable[Any], path: str) -> Iterator[str]:
        expected = list(pairs)
        if type(value) is not cls or len(value) != len(expected):
            yield f"{path}: {value!r}, expected a {cls.__name__} of {len(expected)}"
            return
        for key, item in expected:
            found = [k for k in value if self.same(k, key)]
            if len(found) != 1:
                yield f"{path}: no key {key!r} in {list(value)!r}"
            for k in found:
                yield from self.differences(value[k], item, f"{path}[{k!r}]")

    def _list(self, value: Any, expected: list[Any], path: str) -> Iterator[str]:
        yield from self._sequence(list, value, expected, path)

    def _tuple(self, value: Any, expected: dict[str, Any], path: str) -> Iterator[str]:
        yield from self._sequence(tuple, value, expected["v"], path)

    def _deque(self, value: Any, expected: dict[str, Any], path: str) -> Iterator[str]:
        yield from self._sequence(collections.deque, value, expected["v"], path)
        yield from self.differences(value.maxlen, expected["maxlen"], f"{path}.maxlen")

    def _set(self, value: Any, expected: dict[str, Any], path: str) -> Iterator[str]:
        yield from self._members(set, value, expected["v"], path)

    def _frozenset(self, value: Any, expected: dict[str, Any], path: str) -> Iterator[str]:
        yield from self._members(frozenset, value, expected["v"], path)

    def _plain_dict(self, value: Any, expected: dict[str, Any], path: str) -> Iterator[str]:
        yield from self._pairs(dict, value, expected.items(), path)

    def _dict(self, value: Any, expected: dict[str, Any], path: str) -> Iterator[str]:
        yield from self._pairs(dict, value, expected["v"], path)

    def _odict(self, value: Any, expected: dict[str, Any], path: str) -> Iterator[str]:
        yield from self._pairs(collections.OrderedDict, value, expected["v"], path)
        keys = [key for key, _ in expected["v"]]
        yield from self._sequence(list, list(value), keys, f"{path}.keys()")

    def _counter(self, value: Any, expected: dict[str, Any], path: str) -> Iterator[str]:
        yield from self._pairs(collections.Counter, value, expected["v"], path)

    def _defaultdict(self, value: Any, expected: dict[str, Any], path: str) -> Iterator[str]:
        yield from self._pairs(collections.defaultdict, value, expected["v"], path)
        factory = value.default_factory
        name = None if factory is None else f"{factory.__module__}.{factory.__name__}"
        yield from self.differences(name, expected["factory"], f"{path}.default_factory")

    # --- classes

    def _strsub(self, value: Any, expected: dict[str, Any], path: str) -> Iterator[str]:
        if self.stubs and not _listed(expected["class"], PLAIN_TEXT):
            yield from self._stub(value, expected["class"], path)
            yield from self._sequence(tuple, value.args, [expected["v"]], f"{path}.args")
        else:
            yield from self.differences(value, expected["v"], path)

    def _global(self, value: Any, expected: dict[str, Any], path: str) -> Iterator[str]:
        yield from self._stub(value, expected["name"], path)
        if value.args is not None:
            yield f"{path}: args {value.args!r} for what was not called"

    def _object(self, value: Any, expected: dict[str, Any], path: str) -> Iterator[str]:
        name, base, state = expected["class"], expected.get("base"), expected.get("state", {})
        if name == "types.SimpleNamespace":
            if type(value) is not types.SimpleNamespace:
                yield f"{path}: {value!r}, expected a SimpleNamespace"
            yield from self._state(vars(value), state, path)
        elif name.startswith("ipaddress."):
            made = getattr(ipaddress, name.rpartition(".")[2])(state["_ip"])
            yield from _unequal(value, made, path)
        elif name.startswith("pathlib."):
            made = getattr(pathlib, name.rpartition(".")[2])(*state["_parts"])
            yield from _unequal(value, made, path)
        elif name == "django.utils.functional.__proxy__":  # a lazy translation: (context, text)
            yield from self.differences(value, state["_proxy____args"]["v"][-1], path)
        elif self.stubs and not _listed(name, PLAIN_OBJECTS):
            yield from self._stub_object(value, expected, path)
        elif base == "enum":
            yield from self.differences(value, expected["value"], path)
        elif base in {"namedtuple", "tuple"}:
            yield from self._sequence(tuple, value, expected["v"], path)
        elif base == "list":
            yield from self._sequence(list, value, expected["v"], path)
        elif base == "dict":
            yield from self._pairs(dict, value, expected["v"], path)
        else:
            yield from self._state(value, state, path)

    def _state(self, value: Any, state: dict[str, Any], path: str) -> Iterator[str]:
        """A state: all of it, or what both have where the class writes a state of its own.

        That is so where an ``object()`` is in the live state: nobody pickles that.
        """
        replaced = [k for k, v in state.items() if v == {"$t": "object", "class": _OBJECT}]
        if replaced and type(value) is dict:
            state = {k: v for k, v in state.items() if k not in replaced}
            value = {k: v for k, v in value.items() if k in state}
        yield from self._pairs(dict, value, state.items(), path)

    def _stub(self, value: Any, name: str, path: str) -> Iterator[str]:
        if type(value) is not Stub or value.name != name:
            yield f"{path}: {value!r}, expected a stub of {name}"

    def _stub_object(self, value: Any, expected: dict[str, Any], path: str) -> Iterator[str]:
        if type(value) is not Stub:
            yield f"{path}: {value!r}, expected a stub of {expected['class']}"
            return
        base = expected.get("base")
        if "_django_version" in expected.get("state", {}):  # a model: made by a function
            yield from self._stub(value, "django.db.models.base.model_unpickle", path)
        else:
            yield from self._stub(value, expected["class"], path)
        if base == "enum":
            yield from self._sequence(tuple, value.args, [expected["value"]], f"{path}.args")
        elif base in {"namedtuple", "tuple"}:
            yield from self._sequence(tuple, value.args, expected["v"], f"{path}.args")
        elif base == "list":
            yield from self._sequence(list, value.items, expected["v"], f"{path}.items")
        elif base == "dict":
            yield from self._pairs(dict, dict(value.items), expected["v"], f"{path}.items")
        else:
            state = value.state
            if type(state) is tuple:  # (state, slots)
                state = {**(state[0] or {}), **state[1]}
            yield from self._state(state, expected.get("state", {}), f"{path}.state")


_OBJECT = "__builtin__.object"


def _unequal(value: Any, wanted: Any, path: str) -> Iterator[str]:
    if type(value) is not type(wanted) or value != wanted:
        yield f"{path}: {value!r}, expected {wanted!r}"


# --- values without children: each gives what is wrong

Problems = Iterator[str]
Leaf = Callable[[Any, dict[str, Any]], Problems]


def _typed(cls: type[Any], written: Callable[[Any], Any]) -> Leaf:
    """A value of exactly this class, which gives ``v`` when written out."""

    def check(value: Any, expected: dict[str, Any]) -> Problems:
        if type(value) is not cls:
            yield f"is a {type(value).__name__}"
        elif written(value) != expected["v"]:
            yield f"writes itself {written(value)!r}"

    return check


def _hex(cls: type[Any]) -> Leaf:
    def check(value: Any, expected: dict[str, Any]) -> Problems:
        if type(value) is not cls or value.hex() != expected["hex"]:
            yield "other bytes"

    return check


def _py2str(value: Any, expected: dict[str, Any]) -> Problems:
    """8-bit str of Python 2: text where it is UTF-8, else bytes."""
    raw = bytes.fromhex(expected["hex"])
    try:
        wanted: str | bytes = raw.decode()
    except UnicodeDecodeError:
        wanted = raw
    if type(value) is not type(wanted) or value != wanted:
        yield f"not {wanted!r}"


def _surrogates(value: Any, expected: dict[str, Any]) -> Problems:
    wanted = bytes.fromhex(expected["utf8_surrogatepass_hex"]).decode(errors="surrogatepass")
    if type(value) is not str or value != wanted:
        yield "other text"


def _float(value: Any, expected: dict[str, Any]) -> Problems:
    wanted = float(expected["v"])
    if type(value) is not float or not (
        value == wanted or (math.isnan(value) and math.isnan(wanted))
    ):
        yield "other number"


def _complex(value: Any, expected: dict[str, Any]) -> Problems:
    if type(value) is not complex or value != complex(expected["re"], expected["im"]):
        yield "other number"


def _offset(value: Any) -> float | None:
    offset = value.utcoffset()
    return None if offset is None else offset.total_seconds()


def _datetime(value: Any, expected: dict[str, Any]) -> Problems:
    """The same wall clock and the same offset, so the same instant; fold where it decides."""
    if type(value) is not dt.datetime:
        yield f"is a {type(value).__name__}"
        return
    if value.replace(tzinfo=None, fold=0).isoformat() != expected["v"]:
        yield "another wall clock"
    if _offset(value) != expected.get("utcoffset_s"):
        yield f"another offset: {_offset(value)}"
    if expected["tz"] is None and value.fold != expected.get("fold", 0):
        yield "another fold"


def _time(value: Any, expected: dict[str, Any]) -> Problems:
    if type(value) is not dt.time:
        yield f"is a {type(value).__name__}"
    elif value.replace(tzinfo=None).isoformat() != expected["v"]:
        yield "another wall clock"
    elif (expected["tz"] is None) != (value.tzinfo is None):
        yield "another zone"
    elif expected["tz"] is not None and _offset(value) != expected["tz"]["offset_s"]:
        yield f"another offset: {_offset(value)}"


def _timedelta(value: Any, expected: dict[str, Any]) -> Problems:
    wanted = dt.timedelta(expected["days"], expected["seconds"], expected["us"])
    if type(value) is not dt.timedelta or value != wanted:
        yield "another span"


def _tzinfo(value: Any, expected: dict[str, Any]) -> Problems:
    """The named zone, or, but for zoneinfo's own, the fixed offset."""
    zone = expected["tz"]
    offset = 0 if zone.get("name") == "UTC" else zone.get("offset_s")
    if type(value) is zoneinfo.ZoneInfo:
        if value.key != zone.get("name"):
            yield "another zone"
    elif type(value) is not dt.timezone or zone["kind"] == "zoneinfo":
        yield f"is a {type(value).__name__}"
    elif value.utcoffset(None).total_seconds() != offset:
        yield "another offset"


def _array(value: Any, expected: dict[str, Any]) -> Problems:
    if type(value) is not array.array or value.typecode != expected["typecode"]:
        yield "another array"
    elif value.tolist() != expected["v"]:
        yield "other items"


def _path(value: Any, expected: dict[str, Any]) -> Problems:
    if type(value) is not getattr(pathlib, expected["cls"]) or value.as_posix() != expected["v"]:
        yield "another path"


def _ipaddress(value: Any, expected: dict[str, Any]) -> Problems:
    wanted = getattr(ipaddress, expected["fn"])(expected["v"])
    if type(value) is not type(wanted) or value != wanted:
        yield "another address"


LEAVES: dict[str, Leaf] = {
    "array": _array,
    "bytearray": _hex(bytearray),
    "bytes": _hex(bytes),
    "complex": _complex,
    "date": _typed(dt.date, dt.date.isoformat),
    "datetime": _datetime,
    "decimal": _typed(decimal.Decimal, str),
    "float": _float,
    "fraction": _typed(fractions.Fraction, str),
    "ipaddress": _ipaddress,
    "path": _path,
    "py2str": _py2str,
    "range": _typed(range, repr),
    "str": _surrogates,
    "struct_time": _typed(time.struct_time, list),
    "time": _time,
    "timedelta": _timedelta,
    "tzinfo": _tzinfo,
    "uuid": _typed(uuid.UUID, str),
}
