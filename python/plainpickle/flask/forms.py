"""What a serializer is, found out by giving it a harmless value."""

from __future__ import annotations

import json
import pickle
from typing import Any, Callable

from plainpickle import _core
from plainpickle.policy import Policy
from plainpickle.session import SessionSerializer

_PROBE = {"plainpickle": [1, "x"]}
_PROBE_PICKLED = pickle.dumps(_PROBE, 2)


def form_of(serializer: Any) -> str:
    """``"pickle"``: reads and writes pickles; ``"plain"``: reads none, and writes JSON or msgpack.

    Anything else is ``"unknown"``. It is found out by giving it a harmless value of each form.
    """
    read = getattr(serializer, "loads", None) or getattr(serializer, "decode", None)
    write = getattr(serializer, "dumps", None) or getattr(serializer, "encode", None)
    if read is None or write is None:
        return "unknown"
    mark = mark_of(serializer)
    unpickles = _tried(read, mark + _PROBE_PICKLED) == _PROBE
    written = _tried(write, _PROBE)
    if isinstance(written, str):
        written = written.encode("utf-8", "surrogatepass")
    if not isinstance(written, bytes):
        return "unknown"
    written = written[len(mark) :]
    if unpickles:
        is_pickle = _core.format_of(written) == "pickle" or isinstance(
            serializer, SessionSerializer
        )
        return "pickle" if is_pickle and _read_back(written) else "unknown"
    return "plain" if _is_json(written) or written[:1] == b"\x81" else "unknown"


def mark_of(serializer: Any) -> bytes:
    """What a cache of cachelib puts before each value in Redis."""
    write = getattr(serializer, "dumps", None)
    written = None if write is None else _tried(write, _PROBE)
    return b"!" if isinstance(written, bytes) and written.startswith(b"!") else b""


def _tried(function: Callable[[Any], Any], value: Any) -> Any:
    try:
        return function(value)
    except Exception:  # noqa: BLE001  # whatever it is, it is the answer
        return None


def _read_back(written: bytes) -> bool:
    read = SessionSerializer(policy=Policy()).loads
    return bool(_tried(read, written) == _PROBE)


def _is_json(written: bytes) -> bool:
    return bool(_tried(json.loads, written) == _PROBE)


def is_fallback(serializer: Any) -> bool:
    """Flask-Session's own of 0.7 and later; a subclass that reads in its own way is none."""
    decode = getattr(type(serializer), "decode", None)
    module = getattr(decode, "__module__", "")
    return module == "flask_session.base" and hasattr(serializer, "encoder")


def named(value: Any) -> str:
    """What a message calls a serializer."""
    if hasattr(value, "__name__"):
        return str(value.__name__)
    return f"{type(value).__module__}.{type(value).__qualname__}"
