"""Looking into a pickle without loading it: `inspect`, its `Report`, and `sanitize`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plainpickle import _core
from plainpickle.exceptions import MalformedPickle, UnpicklingError

if TYPE_CHECKING:
    from plainpickle.limits import Limits
    from plainpickle.policy import Policy


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


@dataclass(frozen=True)
class Report:
    """What a pickle consists of, and what loading it under a policy would say.

    Attributes:
        size: bytes of input.
        protocol: the protocol it declares, or the highest that one of its opcodes came with.
        opcodes: how often each opcode occurs.
        globals: what it names, in the order of first use.
        trailing_bytes: bytes after STOP.
        error: what loading would raise first; ``None`` if it would load.
    """

    size: int
    protocol: int
    opcodes: dict[str, int]
    globals: tuple[GlobalUse, ...]
    trailing_bytes: int
    error: UnpicklingError | None

    @property
    def verdict(self) -> str:
        """``"clean"``, ``"refused"`` by the policy or a limit, or ``"malformed"``."""
        if self.error is None:
            return "clean"
        return "malformed" if isinstance(self.error, MalformedPickle) else "refused"

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, ready for JSON."""
        error = self.error
        return {
            "verdict": self.verdict,
            "size": self.size,
            "protocol": self.protocol,
            "opcodes": dict(self.opcodes),
            "globals": [{**vars(use), "offsets": list(use.offsets)} for use in self.globals],
            "trailing_bytes": self.trailing_bytes,
            "error": error
            and {
                "kind": error.kind,
                "offset": error.offset,
                "opcode": error.opcode,
                "message": str(error),
            },
        }


def inspect(data: Any, /, *, policy: Policy | None = None, limits: Limits | None = None) -> Report:
    """Reports what a pickle names, and what loading it would say. Never raises for a bad pickle.

    ``data`` is any contiguous bytes-like object. A refused global is recorded, and decoding goes on
    with an inert placeholder, so that all of them are listed.
    """
    opcodes, found, protocol, size, trailing, error = _core.inspect(data, policy, limits)
    uses = tuple(GlobalUse(m, n, count, tuple(at), ok) for m, n, count, at, ok in found)
    return Report(size, protocol, opcodes, uses, trailing, error)


def sanitize(data: Any, /, *, policy: Policy | None = None, limits: Limits | None = None) -> bytes:
    """Writes what a pickle holds as one that names no global: safe for a stock ``pickle.loads``.

    Only None, bool, int, float, str, bytes, list, tuple and dict are left: a datetime, Decimal or
    UUID becomes its text, a set a list, a timedelta its seconds, other mappings a dict, a
    :class:`plainpickle.Stub` a dict of what it records. What is shared is written again.

    Raises:
        UnpicklingError: as :func:`plainpickle.safe_loads`; also for a cycle.
    """
    return _core.sanitize(data, policy, limits)
