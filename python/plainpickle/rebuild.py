"""BUILD for registered classes: what pickle does, for an instance that the app's own code made."""

from __future__ import annotations

from types import MemberDescriptorType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def build(instance: Any, state: Any) -> bool:
    """Gives ``instance`` its state as pickle does; false if the state does not fit the class.

    Unlike pickle, ``__setstate__`` is the class's own and never one out of the state, and slots are
    only those that the class declares.
    """
    cls = type(instance)
    if hasattr(cls, "__setstate__"):
        cls.__setstate__(instance, state)
        return True
    slots: Any = None
    if type(state) is tuple and len(state) == 2:
        state, slots = state
    if state and (type(state) is not dict or not hasattr(instance, "__dict__")):
        return False
    if slots and (type(slots) is not dict or not all(_is_slot(cls, name) for name in slots)):
        return False
    if state:
        instance.__dict__.update(state)
    for name, value in (slots or {}).items():
        setattr(instance, name, value)
    return True


def _is_slot(cls: type, name: Any) -> bool:
    return isinstance(name, str) and isinstance(getattr(cls, name, None), MemberDescriptorType)
