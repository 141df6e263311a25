"""BUILD for the app's own registered classes: what pickle does, for an instance that the app's code made."""

from __future__ import annotations

from types import MemberDescriptorType
from typing import Any

from plainpickle.exceptions import MalformedPickle


def build(instance: Any, state: Any) -> None:
    """Gives ``instance`` its state as pickle does.

    Unlike pickle, ``__setstate__`` is the class's own and never one out of the state, and slots are
    only those that the class declares.
    """
    cls = type(instance)
    if hasattr(cls, "__setstate__"):
        cls.__setstate__(instance, state)
        return
    slots: Any = None
    if type(state) is tuple and len(state) == 2:
        state, slots = state
    if state:
        if type(state) is not dict:
            raise MalformedPickle(f"state for {cls.__name__} is not a dict", kind="invalid_value")
        instance.__dict__.update(state)
    if slots:
        if type(slots) is not dict:
            raise MalformedPickle(f"slots for {cls.__name__} are not a dict", kind="invalid_value")
        for name, value in slots.items():
            if not isinstance(getattr(cls, name, None), MemberDescriptorType):
                raise MalformedPickle(f"{cls.__name__} has no such slot", kind="invalid_value")
            setattr(instance, name, value)
