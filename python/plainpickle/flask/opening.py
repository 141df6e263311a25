"""Opening a session: what is noted meanwhile, and how an interface goes on after a refusal."""

from __future__ import annotations

import re
import zlib
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from plainpickle import _core, events
from plainpickle.exceptions import MalformedPickle, UnpicklingError

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a session id may be: memcached takes keys of up to 250 such characters, prefix included.
_SESSION_ID = re.compile(r"[!-~]{1,200}")

MEMCACHED_BAD_DATA: tuple[type[Exception], ...] = (ValueError, zlib.error)
"""What clients of memcached raise where a flag is not true of the value: digits, text, zlib."""


class Opening:
    """What became of the one session that is being opened.

    Attributes:
        dicts_only: whether the interface asks for one value, which must be a dict.
        read: whether something was read.
        refused: whether something was refused as a whole.
        odd: whether what was read last is no dict.
    """

    __slots__ = ("dicts_only", "odd", "read", "refused")

    def __init__(self, *, dicts_only: bool) -> None:
        self.dicts_only = dicts_only
        self.read = self.refused = self.odd = False


_opening: ContextVar[Opening | None] = ContextVar("opening", default=None)


def opening() -> Opening | None:
    """The session that is being opened in this thread or task."""
    return _opening.get()


@contextmanager
def noting(*, dicts_only: bool) -> Iterator[Opening]:
    """Notes what becomes of the session that is opened inside."""
    noted = Opening(dicts_only=dicts_only)
    token = _opening.set(noted)
    try:
        yield noted
    finally:
        _opening.reset(token)


def report(
    what: str,
    payload: bytes,
    *,
    kind: str,
    format: str | None = None,
    store: str | None = None,
) -> MalformedPickle:
    """Reports what no decoder came to see, and gives the exception for it."""
    error = MalformedPickle(what, kind=kind)
    found = format or (_core.format_of(payload) if payload else "pickle")
    events.report([(None, error)], payload, action="refused", format=found, store=store)
    return error


class ServerSide:
    """Goes before the class of an interface that keeps its sessions on the server.

    A session that is refused as a whole stays stored as it is, and its visitor gets a new one under
    a new id: many interfaces would go on under the old id, and overwrite what is stored there.
    """

    plainpickle_store: str
    plainpickle_known: bool  # how the interface reads: a session is one value
    plainpickle_strict: bool  # an id is taken only if a session was read under it
    plainpickle_bad_data: tuple[type[Exception], ...]

    def open_session(self, app: Any, request: Any) -> Any:
        """The session, or a new one in place of what can't be read."""
        opened: Any = super()
        cookie = request.cookies.get(app.config["SESSION_COOKIE_NAME"])
        with (
            events.context(store=self.plainpickle_store, session_key=cookie),
            noting(dicts_only=self.plainpickle_known) as noted,
        ):
            if cookie and _SESSION_ID.fullmatch(cookie) is None:
                payload = cookie.encode("utf-8", "surrogatepass")
                report("no session id", payload, kind="session_id", format="cookie")
            else:
                try:
                    session = opened.open_session(app, request)
                except UnpicklingError:
                    pass
                except Exception as error:
                    if not self._is_bad_data(error, noted):
                        raise
                    report("no session", b"", kind="stored_value")
                else:
                    lost = self.plainpickle_known and noted.refused
                    unknown = cookie and self.plainpickle_strict and not noted.read
                    if session is None or not (lost or unknown):
                        return session
        return opened.open_session(app, _WithoutCookies(request))

    def _is_bad_data(self, error: Exception, noted: Opening) -> bool:
        """Whether it failed over what is stored, and not over something else."""
        if noted.odd and isinstance(error, (TypeError, ValueError)):
            return True
        if isinstance(error, self.plainpickle_bad_data):
            return True
        return type(error).__name__ == "ResponseError" and str(error).startswith("WRONGTYPE")


class _WithoutCookies:
    """A request of a visitor who comes for the first time."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self.cookies: dict[str, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)
