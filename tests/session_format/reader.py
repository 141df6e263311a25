"""A second reader of the session format, from docs/session-format.md alone; it has no limits."""

from __future__ import annotations

import array
import base64
import datetime as dt
import decimal
import fractions
import functools
import ipaddress
import json
import math
import pathlib
import re
import struct
import time
import types
import uuid
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable
from typing import Any, Callable


class RefusedError(ValueError):
    """A text that is not in the format."""


def read(text: bytes | str) -> Any:
    """The value that a text stands for under profile plain.

    Raises:
        RefusedError: whatever is wrong with the text.
    """
    try:
        decoded = text if isinstance(text, str) else text.decode()
        decoded.encode()  # no surrogates outside of escapes
        _need(not decoded.startswith("\ufeff"), "a byte order mark")
        return value_of(json.loads(decoded, object_pairs_hook=_object))
    except RefusedError:
        raise
    except (ValueError, TypeError, ArithmeticError, LookupError, OSError) as error:
        raise RefusedError(f"{type(error).__name__}: {error}") from None


class _Repeated(dict):  # type: ignore[type-arg]
    """An object of one key that is there several times."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    return _Repeated(made) if len(made) == 1 < len(pairs) else made


def value_of(node: Any) -> Any:
    """The value of parsed JSON."""
    kind = type(node)
    if kind is list:
        return [value_of(item) for item in node]
    if kind is not dict and kind is not _Repeated:
        return node
    if len(node) == 1:
        (key,) = node
        if key.startswith(" "):
            form = FORMS.get(key)
            if form is None or kind is _Repeated:
                raise RefusedError(f"unknown or repeated tag {key!a}")
            return form(node[key])
    return {key: value_of(item) for key, item in node.items()}


def _need(condition: object, what: str) -> None:
    if not condition:
        raise RefusedError(what)


def _of(node: Any, kind: type[Any], what: str) -> Any:
    """The node, which has to be of exactly this type: True is no integer."""
    _need(type(node) is kind, what)
    return node


def _match(pattern: str, node: Any) -> re.Match[str]:
    found = re.fullmatch(pattern, _text(node), re.ASCII)
    if found is None:
        raise RefusedError("not in the form")
    return found


def _items(node: Any) -> Any:
    return map(value_of, _of(node, list, "no array"))


def _int(node: Any) -> int:
    return int(_of(value_of(node), int, "no integer"))


def _float(node: Any) -> float:
    return float(_of(value_of(node), float, "no float"))


def _text(node: Any) -> str:
    _need(type(node) is str or (type(node) is dict and " str" in node), "no text")
    return str(_of(value_of(node), str, "no text"))


def _bits(node: Any) -> float:
    text = _match("-?inf|nan|[0-9a-f]{16}", node)[0]
    if len(text) < 16:
        return float(text)
    made = float(struct.unpack(">d", bytes.fromhex(text))[0])
    _need(math.isnan(made), "no NaN")
    return made


def _bytes(node: Any) -> bytes:
    text = _text(node)
    raw = base64.b64decode(text, validate=True)
    _need(base64.b64encode(raw).decode() == text, "base64 of another writer")
    return raw


def _integer(node: Any) -> int:
    return int(_match("-?0x[0-9a-f]+", node)[0], 16)


def _pieces(node: Any) -> str:
    return "".join([_text(piece) for piece in _of(node, list, "no array")])


def _wrapped(node: Any) -> dict[str, Any]:
    _need(type(node) is dict and len(node) == 1, "no object of one key")
    (key,) = node
    _need(key.startswith(" ") and key.endswith("__"), "a key that needs no wrapping")
    return {key[:-2]: value_of(node[key])}


def _pairs(items: Iterable[Any]) -> list[tuple[Any, Any]]:
    flat = list(items)
    _need(len(flat) % 2 == 0, "a key without a value")
    return list(zip(flat[::2], flat[1::2]))


FACTORIES = {each.__name__: each for each in (int, list, set, dict, str, float, tuple)}


def _defaultdict(node: Any) -> Any:
    first, *rest = _of(node, list, "no array")
    factory = None if first is None else FACTORIES[_text(first)]
    return defaultdict(factory, _pairs(map(value_of, rest)))


def _counter(node: Any) -> Any:
    made: Any = Counter()
    made.update(dict(_pairs(_items(node))))
    return made


def _deque(node: Any) -> Any:
    bound, *rest = _of(node, list, "no array")
    return deque(map(value_of, rest), None if bound is None else _int(bound))


def _complex(node: Any) -> complex:
    real, imaginary = _of(node, list, "no array")
    return complex(_float(real), _float(imaginary))


def _fraction(node: Any) -> fractions.Fraction:
    numerator, denominator = _of(node, list, "no array")
    return fractions.Fraction(_int(numerator), _int(denominator))


def _range(node: Any) -> range:
    start, stop, step = _of(node, list, "no array")
    return range(_int(start), _int(stop), _int(step))


NUMBER = r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|(?i:inf(inity)?|s?nan\d*)"


def _decimal(node: Any) -> decimal.Decimal:
    return decimal.Decimal(_match(f"[+-]?({NUMBER})", node)[0])


DATE = r"(?P<Y>\d{4})-(?P<M>\d\d)-(?P<D>\d\d)"
SECONDS = r"(?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d)"
CLOCK = rf"{SECONDS}(\.(?P<us>\d{{6}}))?"
OFFSET = r"(?P<sign>[+-])(?P<oh>\d\d):(?P<om>[0-5]\d)(:(?P<os>[0-5]\d)(\.(?P<ous>\d{6}))?)?"


def _fields(found: re.Match[str], names: str) -> Any:
    return [int(found[name] or 0) for name in names.split()]


def _offset(found: re.Match[str]) -> dt.timedelta:
    hours, minutes, seconds, microseconds = _fields(found, "oh om os ous")
    offset = dt.timedelta(hours=hours, minutes=minutes, seconds=seconds, microseconds=microseconds)
    return -offset if found["sign"] == "-" else offset


def _date(node: Any) -> dt.date:
    return dt.date(*_fields(_match(DATE, node), "Y M D"))


def _moment(node: Any, pattern: str) -> tuple[re.Match[str], dt.tzinfo | None, int]:
    """The clock of a time or datetime, its zone and its fold."""
    if type(node) is not list:
        found = _match(f"{pattern}({OFFSET})?", node)
        return found, dt.timezone(_offset(found)) if found["sign"] else None, 0
    text, fold, zone = node
    fold = _int(fold)
    _need(fold in (0, 1), "no fold")
    tzinfo = _variant(zone) or value_of(zone)
    _need(tzinfo is None or isinstance(tzinfo, dt.tzinfo), "no zone")
    return _match(pattern, text), tzinfo, fold


def _time(node: Any) -> dt.time:
    found, zone, fold = _moment(node, CLOCK)
    clock = dt.time(*_fields(found, "h m s us"))
    return clock.replace(tzinfo=zone, fold=fold)


def _datetime(node: Any) -> dt.datetime:
    found, zone, fold = _moment(node, f"{DATE}T{CLOCK}")
    day, clock = dt.date(*_fields(found, "Y M D")), dt.time(*_fields(found, "h m s us"))
    return dt.datetime.combine(day, clock).replace(tzinfo=zone, fold=fold)


DAYS = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"
MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"


def _http_date(node: Any) -> dt.datetime:
    found = _match(rf"({DAYS}), (?P<D>\d\d) (?P<M>{MONTHS}) (?P<Y>\d{{4}}) {SECONDS} GMT", node)
    year, day = _fields(found, "Y D")
    day = dt.date(year, MONTHS.split("|").index(found["M"]) + 1, day)
    return dt.datetime.combine(day, dt.time(*_fields(found, "h m s")), dt.timezone.utc)


def _timedelta(node: Any) -> dt.timedelta:
    days, seconds, microseconds = _of(node, list, "no array")
    return dt.timedelta(_int(days), _int(seconds), _int(microseconds))


def _timezone(node: Any) -> dt.timezone:
    if type(node) is not list:
        return dt.timezone(_offset(_match(OFFSET, node)))
    offset, name = node
    return dt.timezone(_offset(_match(OFFSET, offset)), _text(name))


zones = functools.lru_cache(maxsize=None)(zoneinfo.available_timezones)


def _zone(node: Any) -> zoneinfo.ZoneInfo:
    key = _text(node)
    _need(key in zones(), "no zone of this system")
    return zoneinfo.ZoneInfo(key)


SAFE = {0: uuid.SafeUUID.safe, -1: uuid.SafeUUID.unsafe}


def _uuid(node: Any, is_safe: uuid.SafeUUID = uuid.SafeUUID.unknown) -> uuid.UUID:
    return uuid.UUID(hex=_match("[0-9a-f]{32}", node)[0], is_safe=is_safe)


def _safe_uuid(node: Any) -> uuid.UUID:
    digits, is_safe = _of(node, list, "no array")
    return _uuid(digits, SAFE[_int(is_safe)])


def _namespace(node: Any) -> types.SimpleNamespace:
    made = types.SimpleNamespace()
    for name, item in _pairs(_of(node, list, "no array")):
        _text(name).encode()
        vars(made)[_text(name)] = value_of(item)
    return made


def _array(node: Any) -> Any:
    code, *rest = _of(node, list, "no array")
    item = _text if code in ("u", "w") else _float if code in ("f", "d") else _int
    return array.array(_match("[bBuwhHiIlLqQfd]", code)[0], [item(each) for each in rest])


def _struct_time(node: Any) -> time.struct_time:
    fields = tuple(_items(node))
    _need(all(type(field) in (int, str, type(None)) for field in fields), "no field")
    _need(all(-(2**63) <= field < 2**63 for field in fields if type(field) is int), "too large")
    [field.encode() for field in fields if type(field) is str]
    return time.struct_time(fields)


def _ip(node: Any) -> Any:
    name, text = map(_text, _of(node, list, "no array"))
    _match("IPv[46](Address|Network|Interface)", name)
    _match("[^/]*(/[0-9]+)?", text)
    return getattr(ipaddress, name)(text)


def _path(node: Any) -> pathlib.PurePath:
    name, *parts = map(_text, _of(node, list, "no array"))
    kind = _match("(Pure)?(Posix|Windows)Path", name)[0]
    foreign = "PosixPath" if isinstance(pathlib.Path(), pathlib.WindowsPath) else "WindowsPath"
    for part in parts:
        part.encode()
    made: pathlib.PurePath = getattr(pathlib, f"Pure{kind}" if kind == foreign else kind)(*parts)
    return made


def _variant(node: Any) -> dt.timezone | None:
    """The variant of a zone of pytz that a time or datetime uses."""
    if type(node) is dict and list(node) == [" reduce"]:
        name, *arguments = _of(node[" reduce"], list, "no array")
        if name == "pytz._p" and len(arguments) == 4:
            _reduce(node[" reduce"])
            return dt.timezone(dt.timedelta(seconds=arguments[1]), _text(arguments[3]))
    return None


def _reduce(node: Any) -> Any:
    name, *arguments = _of(node, list, "no array")
    return REDUCED[_text(name)](*arguments)


def _lists(node: Any) -> dict[Any, Any]:
    made: dict[Any, Any] = _of(value_of(node), dict, "no dict")
    _need(all(type(values) is list for values in made.values()), "no dict of lists")
    return made


def _pytz(key: Any, *variant: Any) -> dt.tzinfo:
    if not variant:
        return _zone(key)
    offset, summer, abbreviation = variant
    _match("[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", key)
    fixed = dt.timezone(dt.timedelta(seconds=_int(offset)), _text(abbreviation))
    _int(summer)
    return _zone(key) if _text(key) in zones() else fixed


REDUCED: dict[str, Callable[..., Any]] = {
    "django.utils.safestring.SafeString": _text,
    "django.utils.datastructures.MultiValueDict": _lists,
    "django.http.request.QueryDict": _lists,
    "werkzeug.datastructures.MultiDict": _lists,
    "pytz._UTC": lambda: dt.timezone.utc,
    "pytz._FixedOffset": lambda minutes: dt.timezone(dt.timedelta(minutes=_int(minutes))),
    "pytz._p": _pytz,
}
FORMS: dict[str, Callable[[Any], Any]] = {
    " t": lambda node: tuple(_items(node)),
    " b": _bytes,
    " bytearray": lambda node: bytearray(_bytes(node)),
    " str": _pieces,
    " m": _text,
    " di": _wrapped,
    " d": _http_date,
    " dict": lambda node: dict(_pairs(_items(node))),
    " ordereddict": lambda node: OrderedDict(_pairs(_items(node))),
    " counter": _counter,
    " defaultdict": _defaultdict,
    " set": lambda node: set(_items(node)),
    " frozenset": lambda node: frozenset(_items(node)),
    " deque": _deque,
    " f": _bits,
    " int": _integer,
    " complex": _complex,
    " fraction": _fraction,
    " range": _range,
    " decimal": _decimal,
    " date": _date,
    " time": _time,
    " datetime": _datetime,
    " timedelta": _timedelta,
    " timezone": _timezone,
    " zone": _zone,
    " u": _uuid,
    " uuid": _safe_uuid,
    " namespace": _namespace,
    " array": _array,
    " struct_time": _struct_time,
    " ip": _ip,
    " path": _path,
    " reduce": _reduce,
}
