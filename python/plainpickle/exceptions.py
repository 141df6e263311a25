"""The exceptions: one family, which everything that catches pickle's own errors catches too."""

from __future__ import annotations

import _pickle

TYPE_CHECKING = False  # every first load comes here: without typing, and all of pickle
if TYPE_CHECKING:
    from typing import Any


class UnpicklingError(_pickle.UnpicklingError, ValueError):
    """A pickle that is not read. Its message never holds payload bytes.

    Attributes:
        kind: a stable word for what is wrong, such as ``"stack_underflow"``.
        offset: the byte offset of the opcode at which it was found.
        opcode: the name of that opcode; ``None`` outside of one.
    """

    def __init__(
        self, message: str = "", *, kind: str = "", offset: int = 0, opcode: str | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.offset = offset
        self.opcode = opcode


class MalformedPickle(UnpicklingError):
    """Not a pickle, or a damaged one."""


class TruncatedPickle(MalformedPickle, EOFError):
    """The input ended where an opcode was due; pickle raises ``EOFError`` here."""


class ForbiddenGlobal(UnpicklingError):
    """It names something that the policy does not allow, or uses a name in a way that it does not.

    Attributes:
        name: module and name, escaped, and cut at 128 characters.
    """

    def __init__(self, message: str = "", *, name: str = "", **where: Any) -> None:
        super().__init__(message, **where)
        self.name = name


class LimitExceeded(UnpicklingError):
    """Reading it would take more than a limit allows.

    Attributes:
        limit: the field of :class:`plainpickle.Limits`, or ``"memo_index"``.
    """

    def __init__(self, message: str = "", *, limit: str = "", **where: Any) -> None:
        super().__init__(message, **where)
        self.limit = limit


class UnsupportedOpcode(UnpicklingError):
    """An extension code, or a persistent id or buffer for which the caller gave nothing."""


class UnreadableValue(_pickle.PicklingError):
    """What was to be written could not be read back under the policy and the limits.

    Attributes:
        path: where it is inside what was to be written, such as ``"cart.items[3].price"``; empty
            for the value itself.
        name: the full name of its class, where that is what is refused.
    """

    def __init__(self, message: str = "", *, path: str = "", name: str | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.name = name

    @classmethod
    def of(cls, trouble: tuple[UnpicklingError, str, str]) -> UnreadableValue:
        """The exception for what a check found: what reading would raise, where, and why."""
        error, path, message = trouble
        shown = f"{path}: {message}" if path else message
        return cls(shown, path=path, name=getattr(error, "name", None))


class PolicyError(ValueError):
    """A policy that would hand over code, or that does not name its classes one by one."""
