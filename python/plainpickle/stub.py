"""The stub: what stands for an instance of a class that the policy does not know."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Stub:
    """An inert record of what the pickle says about one object. It has no behaviour.

    Attributes:
        name: module and name, escaped, and cut at 128 characters.
        args: the arguments it was made with; ``None`` where the class itself was stored.
        state: its state; ``None`` without one.
        items: what was appended, or set: then pairs of key and value.
    """

    __slots__ = ("args", "items", "name", "state")

    def __init__(self, name: str, args: tuple[Any, ...] | None = None) -> None:
        self.name = name
        self.args = args
        self.state: Any = None
        self.items: list[Any] = []

    def __repr__(self) -> str:
        return f"<plainpickle.Stub {self.name}>"
