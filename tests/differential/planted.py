"""Loaders with a planted fault each: checks that do not find them all prove nothing."""

from __future__ import annotations

import json
import os
import pickle
import sys
import time
from collections import deque
from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, Callable

from .checks import Subject
from .reference import reference_loads


def _refusing(call: Callable[..., Any]) -> Callable[..., Any]:
    def loads(data: bytes, *, encoding: Any = None, buffers: Any = None) -> Any:
        try:
            return call(data, encoding or "ASCII", buffers or ())
        except Exception as error:
            raise pickle.UnpicklingError(str(error)) from None

    return loads


def _subject(call: Callable[..., Any]) -> Subject:
    def inspect(data: bytes) -> Any:
        try:
            _refusing(reference_loads)(data)
        except pickle.UnpicklingError as error:
            return SimpleNamespace(
                verdict="refused" if "out-of-band" in str(error) else "malformed"
            )
        return SimpleNamespace(verdict="clean")

    def plain(data: bytes) -> bytes:
        return pickle.dumps(repr(type(_refusing(reference_loads)(data))))

    return Subject(
        _refusing(call),
        inspect,
        plain,
        lambda data: json.dumps(len(plain(data))),
        pickle.UnpicklingError,
        pickle.UnpicklingError,
    )


def _changed(change: Callable[[Any], Any]) -> Callable[..., Any]:
    """Applies `change` to the loaded value, and to the values of a loaded list or dict."""

    def loads(data: bytes, *rest: Any) -> Any:
        loaded = change(reference_loads(data, *rest))
        if type(loaded) is list:
            loaded[:] = map(change, loaded)
        elif type(loaded) is dict:
            loaded.update({key: change(value) for key, value in loaded.items()})
        return loaded

    return loads


def _slow(data: bytes, *rest: Any) -> Any:
    start = time.thread_time()
    while time.thread_time() - start < 1.1:
        pass
    return reference_loads(data, *rest)


def _crash(data: bytes, *rest: Any) -> Any:
    if data.count(b"K") == 3:
        os.abort()
    return reference_loads(data, *rest)


def _hang(data: bytes, *rest: Any) -> Any:
    while data.count(b"K") == 3:
        pass
    return reference_loads(data, *rest)


honest = _subject(reference_loads)
crash, hang = _subject(_crash), _subject(_hang)
slow = _subject(_slow)
strict = _subject(lambda data, *rest: reference_loads(b"" if b"Decimal" in data else data, *rest))
lax = _subject(lambda data, *rest: reference_loads(data + b"N.", *rest))
no_maxlen = _subject(_changed(lambda v: deque(v) if type(v) is deque else v))
no_fold = _subject(_changed(lambda v: v.replace(fold=0) if type(v) is datetime else v))
normalised = _subject(
    _changed(lambda v: v.normalize() if type(v) is Decimal and v.is_finite() else v)
)
plus_zero = _subject(_changed(lambda v: v + 0.0 if type(v) is float else v))
copies = _subject(_changed(lambda v: v[:] if type(v) is list else v))
reorders = _subject(_changed(lambda v: dict(reversed(v.items())) if type(v) is dict else v))
leaks = Subject(lambda data, **_: bytearray(1 << 30), *list(vars(honest).values())[1:])
panics = Subject(
    lambda data, **_: sys.exit("a panic is no Exception"), *list(vars(honest).values())[1:]
)
