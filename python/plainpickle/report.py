"""Looking into a pickle without loading it: `inspect`, its `Report`, and `sanitize`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plainpickle import _core
from plainpickle._core import Report, inspect

if TYPE_CHECKING:
    from plainpickle.limits import Limits
    from plainpickle.policy import Policy


__all__ = ["GlobalUse", "Report", "inspect", "sanitize"]


@dataclass(frozen=True)
class GlobalUse:
    """One global that a pickle names.

    Attributes:
        module: the module, escaped and cut.
        name: the name, escaped and cut.
        count: how often the bytes name it.
        offsets: byte offsets of the opcodes that name it; the first 16.
        allowed: whether the policy allows it.
    """

    module: str
    name: str
    count: int
    offsets: tuple[int, ...]
    allowed: bool


def sanitize(data: Any, /, *, policy: Policy | None = None, limits: Limits | None = None) -> bytes:
    """Writes what a pickle holds as one that names no global: safe for a stock ``pickle.loads``.

    Only None, bool, int, float, str, bytes, list, tuple and dict are left: a datetime, Decimal or
    UUID becomes its text, a set a list, a timedelta its seconds, other mappings a dict, a
    :class:`plainpickle.Stub` a dict of what it records. What is shared is written again.

    Raises:
        UnpicklingError: as :func:`plainpickle.safe_loads`; also for a cycle.
    """
    return _core.sanitize(data, policy, limits)
