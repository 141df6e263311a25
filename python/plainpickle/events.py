"""The events: one record for each refusal, where it happens, and nothing of the payload in it."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from plainpickle._core import hands_over_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from plainpickle.exceptions import UnpicklingError

SCHEMA = 1
"""Version of the records' fields."""

logger = logging.getLogger("plainpickle.security")

_REASONS = {
    "forbidden_global": "unknown_global",
    "forbidden_use": "forbidden_use",
    "global_as_value": "global_as_value",
    "extension_code": "extension_code",
    "persistent_id": "persistent_id",
    "no_buffer": "out_of_band_buffer",
    "limit": "limit",
    "truncated": "truncated",
    "end_of_input": "truncated",
    "unknown_tag": "unknown_tag",
    "pickle_not_read": "pickle_not_read",
    "rebuild": "rebuild",
    "bad_signature": "bad_signature",
    "internal": "internal",
}

# A record for each (reason, global, store): so many at once, then one in so many seconds.
_BURST, _SECONDS = 5, 60.0
# All records together: so many at once, then so many a second.
_BURST_IN_ALL, _RATE_IN_ALL = 200, 10.0
# How many (reason, global, store) are remembered: an attacker chooses the names.
_REMEMBERED = 1024

_context: ContextVar[tuple[str | None, str | None]] = ContextVar("context", default=(None, None))
_hooks: dict[object, Callable[[dict[str, Any]], None]] = {}


@contextmanager
def context(*, store: str | None = None, session_key: str | bytes | None = None) -> Iterator[None]:
    """Tells the events inside which store, and which session, is being read.

    The key is a bearer token: only its SHA-256 goes into a record.
    """
    raw = session_key.encode("utf-8", "replace") if isinstance(session_key, str) else session_key
    token = _context.set((store, None if raw is None else hashlib.sha256(raw).hexdigest()))
    try:
        yield
    finally:
        _context.reset(token)


def subscribe(hook: Callable[[dict[str, Any]], None], /) -> Callable[[], None]:
    """Calls ``hook`` with the fields of each refusal, also of those that the log leaves out.

    An exception of the hook is logged on ``plainpickle`` and changes nothing else.

    Returns:
        A function that ends it.
    """
    subscription = object()
    _hooks[subscription] = hook
    return lambda: _hooks.pop(subscription, None) and None


class _Bucket:
    """Tokens that come back at a rate."""

    __slots__ = ("_burst", "_per_second", "_since", "_tokens")

    def __init__(self, burst: float, per_second: float, now: float) -> None:
        self._burst, self._per_second = burst, per_second
        self._tokens, self._since = burst, now

    def take(self, now: float) -> bool:
        refilled = self._tokens + (now - self._since) * self._per_second
        self._tokens, self._since = min(self._burst, refilled), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class _Rate:
    """Which records are written; its memory is bounded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_all = _Bucket(_BURST_IN_ALL, _RATE_IN_ALL, time.monotonic())
        self._repeats: OrderedDict[tuple[str, ...], _Bucket] = OrderedDict()
        self._suppressed = 0

    def admit(self, key: tuple[str, ...]) -> int | None:
        """How many records were left out since the last one; ``None`` to leave out this one too."""
        with self._lock:
            now = time.monotonic()
            bucket = self._repeats.pop(key, None) or _Bucket(_BURST, 1 / _SECONDS, now)
            self._repeats[key] = bucket
            if len(self._repeats) > _REMEMBERED:
                self._repeats.popitem(last=False)
            if not bucket.take(now) or not self._in_all.take(now):
                self._suppressed += 1
                return None
            suppressed, self._suppressed = self._suppressed, 0
            return suppressed


_rate = _Rate()


def refused(error: UnpicklingError, payload: Any) -> None:
    """Reports that a pickle was refused as a whole. An empty one is the end of a stream."""
    payload = memoryview(payload)
    if payload.nbytes and hasattr(error, "kind"):  # a MemoryError is no refusal
        report([(None, error)], payload, action="refused")


def report(
    refusals: Iterable[tuple[str | None, UnpicklingError]],
    payload: bytes | memoryview,
    *,
    action: str,
    format: str = "pickle",
    store: str | None = None,
    also: logging.Logger | None = None,
) -> None:
    """Reports refusals in one payload: to the hooks, and to the log unless repeats are too many.

    Args:
        refusals: what was refused, where and why; and the session's key that was dropped for it.
        payload: the stored bytes; their length and SHA-256 are reported.
        action: ``"refused"``, ``"dropped"`` for a key of a session that otherwise lives, or
            ``"ignored"`` for what no key of the session holds.
        format: ``"pickle"`` or ``"json"``; ``"msgpack"``, or ``"cookie"`` for one as a whole.
        store: where it comes from, unless a context says so.
        also: a framework's own logger, which gets the same records.
    """
    where, session = _context.get()
    digest = hashlib.sha256(payload).hexdigest()
    for key, error in refusals:
        name = getattr(error, "name", None)
        reason = _REASONS.get(error.kind, "malformed")
        if reason == "unknown_global" and name and hands_over_code(name):
            # Such a name has no use in a session but to run code.
            reason = "dangerous_global"
        dangerous = reason == "dangerous_global"
        fields: dict[str, Any] = {
            "schema": SCHEMA,
            "event": "malicious_attack_tool" if dangerous else "input_validation_fail",
            "reason": reason,
            "global": name,
            "kind": error.kind,
            "limit": getattr(error, "limit", None),
            "offset": error.offset,
            "opcode": error.opcode,
            "format": format,
            "sha256": digest,
            "length": memoryview(payload).nbytes,
            "action": action,
            "key": None if key is None else escaped(key),
            "store": store if where is None else where,
            "session": session,
            "suppressed": 0,
        }
        _tell(fields, logging.CRITICAL if dangerous else logging.WARNING, also)


def _tell(fields: dict[str, Any], level: int, also: logging.Logger | None) -> None:
    for hook in tuple(_hooks.values()):
        try:
            hook(dict(fields))
        except Exception:  # whatever it is, the outcome of the decoding stands
            logging.getLogger("plainpickle").exception("a hook of plainpickle.events failed")
    suppressed = _rate.admit((fields["reason"], fields["global"] or "", fields["store"] or ""))
    if suppressed is None:
        return
    fields["suppressed"] = suppressed
    shown = " ".join(
        f"{field}={escaped(str(value))}"
        for field, value in fields.items()
        if value is not None and field not in ("schema", "event")
    )
    for each in (logger, also):
        if each is not None:
            each.log(level, "%s %s", fields["event"], shown, extra={"plainpickle": fields})


def escaped(text: str) -> str:
    """Text without spaces and control characters, cut at 128 characters."""
    shown = "".join(
        each
        if each.isascii() and each.isprintable() and each not in ' "\\='
        else f"\\u{{{ord(each):x}}}"
        for each in text[:128]
    )
    return shown + ("..." if len(text) > 128 else "")
