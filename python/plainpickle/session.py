"""Sessions: a serializer for any framework. It reads pickle and tagged JSON, and writes either."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, ClassVar

from plainpickle import _core, events
from plainpickle._core import dumps
from plainpickle.exceptions import MalformedPickle, UnpicklingError, UnreadableValue
from plainpickle.limits import Limits
from plainpickle.policy import Policy

if TYPE_CHECKING:
    import logging

FORMATS = ("json", "pickle")
ON_FORBIDDEN = ("salvage", "raise")


class SessionSerializer:
    """Reads sessions of old and new form, and writes the one that it is told to.

    Pickle and JSON are told apart by the first byte. One that holds something refused is read
    without the top-level keys that hold it, since frameworks make an empty session of an
    exception, and then overwrite the old one. Making a serializer costs nothing.

    Args:
        policy: which names may be selected; by default the policy of the process.
        limits: bounds on each session; by default ``Limits()``.
        format: what is written: ``"json"``, or ``"pickle"`` while older processes still read.
        protocol: of what is written with ``format="pickle"``: one that the oldest reader knows.
        on_forbidden: ``"salvage"``, or ``"raise"`` to refuse the session as a whole.
        store: where sessions are, for the events.
        read_pickle: whether pickles are read at all; false is for when none is left.
    """

    __slots__ = ("format", "limits", "on_forbidden", "policy", "protocol", "read_pickle", "store")

    logger: ClassVar[logging.Logger | None] = None
    """A framework's own logger, which gets each event too."""

    def __init__(
        self,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        format: str = "json",
        protocol: int = 2,
        on_forbidden: str = "salvage",
        store: str | None = None,
        read_pickle: bool = True,
    ) -> None:
        if format not in FORMATS:
            raise ValueError(f"format must be one of {', '.join(FORMATS)}, not {format!r}")
        if on_forbidden not in ON_FORBIDDEN:
            raise ValueError(
                f"on_forbidden must be one of {', '.join(ON_FORBIDDEN)}, not {on_forbidden!r}"
            )
        if not 0 <= protocol <= pickle.HIGHEST_PROTOCOL:
            raise ValueError(f"protocol must be 0 to {pickle.HIGHEST_PROTOCOL}, not {protocol}")
        if policy is not None and not isinstance(policy, Policy):
            raise TypeError(f"policy must be a plainpickle.Policy, not {type(policy).__name__}")
        if limits is not None and not isinstance(limits, Limits):
            raise TypeError(f"limits must be plainpickle.Limits, not {type(limits).__name__}")
        self.policy = policy
        self.limits = limits
        self.format = format
        self.protocol = protocol
        self.on_forbidden = on_forbidden
        self.store = store
        self.read_pickle = read_pickle

    def loads(self, data: Any, /) -> Any:
        """Reads a session: any bytes-like object, or text for JSON.

        Each refusal is an event: one for each key that is left out.

        Raises:
            UnpicklingError: it is damaged, exhausts a limit, or is no dict and holds something
                refused; with ``on_forbidden="raise"`` whatever is refused.
        """
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogatepass")
            if _core.format_of(data) != "json":
                raise MalformedPickle("text that is no JSON", kind="json")
        if not self.read_pickle and data and _core.format_of(bytes(data)) == "pickle":
            refused = MalformedPickle("a pickle, where only JSON is read", kind="pickle_not_read")
            self.report([(None, refused)], bytes(data), "refused")
            raise refused
        salvage = self.on_forbidden == "salvage"
        try:
            session, refusals = _core.read_session(data, self.policy, self.limits, salvage)
        except UnpicklingError as error:
            self.report([(None, error)], bytes(data), "refused")
            raise
        if refusals:
            self.report(refusals, bytes(data), "ignored" if refusals[0][0] is None else "dropped")
        return session

    def report(
        self, refusals: list[tuple[str | None, UnpicklingError]], payload: bytes, action: str
    ) -> None:
        """Reports what was refused; as :func:`plainpickle.events.report`."""
        if payload:
            events.report(
                refusals,
                payload,
                action=action,
                format=_core.format_of(payload),
                store=self.store,
                also=self.logger,
            )

    def dumps(self, session: Any, protocol: int | None = None, /) -> bytes:  # noqa: ARG002
        """Writes a session, once it is known that it could be read back.

        ``protocol`` is what callers give that were written for pickle; the serializer's own counts.

        Raises:
            UnreadableValue: a ``PicklingError`` that says which value could not be, and where.
        """
        if self.format == "pickle":
            return dumps(session, self.protocol, policy=self.policy, limits=self.limits)
        written = _core.write_json(session, self.policy, self.limits)
        if isinstance(written, bytes):
            return written
        raise UnreadableValue.of(written)

    def decode(self, data: Any, /) -> Any:
        """Reads a session, as :meth:`loads`."""
        return self.loads(data)

    def encode(self, session: Any, /) -> bytes:
        """Writes a session, as :meth:`dumps`. A framework's own dict is written as a dict."""
        if isinstance(session, dict) and type(session) is not dict:
            session = dict(session)
        return self.dumps(session)
