"""What a place that reads sessions or cached values is, and what its owner wants there."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Callable

from plainpickle.flask.serializers import CachedValues

if TYPE_CHECKING:
    from plainpickle.limits import Limits
    from plainpickle.policy import Policy


class ConfigurationError(RuntimeError):
    """Something stores sessions or cached values in a way that is not known; it says what to do."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What the app's owner wants of every reader and writer."""

    policy: Policy
    limits: Limits | None
    format: str | None
    protocol: int
    on_forbidden: str

    def of_sessions(self, store: str, *, default: str = "json") -> dict[str, Any]:
        """The arguments of a serializer of sessions, and what it writes unless told otherwise."""
        return {
            "policy": self.policy,
            "limits": self.limits,
            "format": self.format or default,
            "protocol": self.protocol,
            "on_forbidden": self.on_forbidden,
            "store": store,
        }

    def of_caches(self, store: str) -> CachedValues:
        """A serializer of cached values, which are as they were or missing."""
        return CachedValues(
            policy=self.policy,
            limits=self.limits,
            format="pickle",
            protocol=4,  # what every cachelib on Python 3 reads, without blowing up bytes
            on_forbidden="raise",
            store=store,
        )


@dataclasses.dataclass(frozen=True)
class Hook:
    """One place, and what reads there.

    Attributes:
        where: the place, as code names it.
        reads: ``"pickle"``, ``"plain"``, ``"ours"`` or ``"unknown"``.
        advice: what to do where it is unknown.
        replace: puts plainpickle there.
        of_sessions: whether sessions are read there.
    """

    where: str
    reads: str
    advice: str = ""
    replace: Callable[[Options], None] | None = None
    of_sessions: bool = True
