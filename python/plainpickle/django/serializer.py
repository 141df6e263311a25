"""What Django calls: the serializer of sessions, and what a refusal becomes for Django."""

from __future__ import annotations

import functools
import logging
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django.contrib.sessions.exceptions import SuspiciousSession
from django.core.signing import BadSignature

from plainpickle import events, session
from plainpickle.django.configuration import configuration
from plainpickle.exceptions import MalformedPickle, UnpicklingError

if TYPE_CHECKING:
    from collections.abc import Iterator

# What reads the cache entry of a session: "load", or "save", which looks whether it is there.
_reader: ContextVar[str | None] = ContextVar("reader", default=None)


class RefusedSession(UnpicklingError, BadSignature, SuspiciousSession):  # type: ignore[misc]
    """A session that is refused as a whole, as the exceptions that Django makes an empty one of.

    Each one raised is also of the class that says why: a ``MalformedPickle``,
    ``ForbiddenGlobal``, ``LimitExceeded`` or ``UnsupportedOpcode``, with its attributes.
    """

    @classmethod
    def of(cls, error: UnpicklingError) -> RefusedSession:
        """The exception for Django that tells what ``error`` tells."""
        reason: Any = type(error)
        refused: Any = _refused_as(reason)(str(error))
        refused.__dict__.update(error.__dict__)
        found: RefusedSession = refused
        return found


@functools.cache
def _refused_as(cls: Any) -> type[RefusedSession]:
    if cls is UnpicklingError:
        return RefusedSession
    return type(f"Refused{cls.__name__}", (RefusedSession, cls), {})


@contextmanager
def reading(store: str, session_key: str | None, *, by: str = "load") -> Iterator[None]:
    """Tells events and caches that what is read inside is this session.

    A cache entry of a session is salvaged; any other is as good as none if something in it is
    refused. ``by="save"`` reports nothing: loading has.
    """
    token = _reader.set(by)
    try:
        with events.context(store=store, session_key=session_key):
            yield
    finally:
        _reader.reset(token)


class ValueSerializer(session.SessionSerializer):
    """Reads and writes any value as ``PLAINPICKLE`` says."""

    __slots__ = ()

    logger = logging.getLogger("django.security.SuspiciousSession")

    def __init__(self) -> None:
        configured = configuration()
        self.policy = configured.policy
        self.limits = configured.limits
        self.format = configured.format
        self.protocol = configured.protocol
        self.on_forbidden = configured.on_forbidden
        self.read_pickle = configured.read_pickle
        self.store = "django"

    def loads(self, data: Any, /) -> Any:
        """Reads a value: any bytes-like object, or text for JSON.

        Raises:
            UnpicklingError: as :meth:`plainpickle.session.SessionSerializer.loads`; also what a
                registered class raised, which Django would make an empty session of, silently.
        """
        try:
            return super().loads(data)
        except (UnpicklingError, MemoryError):
            raise
        except Exception as error:
            refused = UnpicklingError(
                f"{type(error).__name__} out of a registered class", kind="rebuild"
            )
            self.report([(None, refused)], data, "refused")
            raise refused from error

    def report(
        self, refusals: list[tuple[str | None, UnpicklingError]], payload: Any, action: str
    ) -> None:
        """Reports what was refused, on Django's logger too; but not a second time, at a save."""
        if _reader.get() != "save":
            super().report(refusals, bytes(payload), action)


class SessionSerializer(ValueSerializer):
    """For ``SESSION_SERIALIZER``: reads pickles and JSON, writes JSON; ``PLAINPICKLE`` says how."""

    __slots__ = ()

    def loads(self, data: Any, /) -> Any:
        """Reads a session, a dict.

        Raises:
            RefusedSession: it is damaged, exhausts a limit, or is no dict; with ``ON_FORBIDDEN``
                ``"raise"`` also whatever holds something refused. Django makes it an empty one.
        """
        try:
            return self._dict(super().loads(data), data)
        except UnpicklingError as error:
            raise RefusedSession.of(error) from None

    def _dict(self, value: Any, data: Any) -> dict[Any, Any]:
        """``value``, if it is a dict: of anything else Django makes a 500."""
        if isinstance(value, dict):
            return value
        refused = MalformedPickle("a session is a dict, and this is none", kind="no_session")
        self.report([(None, refused)], data.encode() if isinstance(data, str) else data, "refused")
        raise refused


class CacheSerializer(SessionSerializer):
    """For what caches hold: sessions, and any other value."""

    __slots__ = ()

    MISS = object()
    """What stands for a value that is not read."""

    def loads(self, data: Any, /) -> Any:
        """Reads a value; ``MISS`` for what is refused. Only sessions are salvaged."""
        try:
            if _reader.get() is not None:
                return super().loads(data)
            self.on_forbidden = "raise"
            return ValueSerializer.loads(self, data)
        except UnpicklingError:
            return self.MISS
