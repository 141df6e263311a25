"""The app's own code, called by the decoder, that calls the decoder again or misbehaves."""

from __future__ import annotations

from typing import Any

import plainpickle
from tests.attacks.case import CONTAINED, SECRET, Family, forbidden
from tests.attacks.families.demo import ONE_LINE
from tests.attacks.ops import Raw, built, glob, new, pickled, push, reduced

RULE = "no borrow is held across a call of the app's code, and its results are values like others"

NAME = "shop.Cart"
CART = glob(NAME)


class Plain:
    """A class of the app that takes state as most do."""

    def __init__(self, *args: Any) -> None:
        self.args = args


class Slotted:
    """A class of the app with slots and nothing else."""

    __slots__ = ("a",)

    def __init__(self, *args: Any) -> None:
        pass


class Reentering:
    """Decodes, and fails to decode, in whatever the decoder calls."""

    def __init__(self, *args: Any) -> None:
        self.enter()

    def enter(self, *_: Any) -> None:
        plainpickle.safe_loads(pickled([1, {"a": 2}]))
        try:
            plainpickle.safe_loads(ONE_LINE)
        except plainpickle.UnpicklingError:
            return
        raise AssertionError("loaded the demo payload")

    append = extend = __setitem__ = __setstate__ = enter


class Clearing(list):  # type: ignore[type-arg]
    """Empties whatever it is given, and itself."""

    def __init__(self, *args: Any) -> None:
        super().__init__()
        self.enter(*args)

    def enter(self, *args: Any) -> None:
        for argument in (*args, self):
            if hasattr(argument, "clear"):
                argument.clear()

    append = extend = __setitem__ = __setstate__ = enter


ITEM = built(new(NAME), {"a": [1, 2]})
PAYLOADS = {
    "alone": pickled(ITEM),
    "many": pickled([ITEM, ITEM, {"a": ITEM}]),
    "cycle": pickled(Raw(new(NAME) + b"q\0" + push({"a": Raw(b"h\0")}) + b"b")),
    "shared-state": pickled(Raw(push({"a": 1}) + b"q\x000" + new(NAME) + b"h\0b0h\0")),
    "own-argument": pickled(Raw(push([1, 2]) + b"q\x000](h\0" + CART + b"h\0\x85Rh\0e")),
    "filling-argument": pickled(Raw(b"]q\0(" + b"K\x01" + CART + b"h\0\x85\x81" + b"K\x02eh\0a")),
    "no-state": pickled(new(NAME, 1, "x")),
    "appends": pickled(Raw(new(NAME) + b"(K\x01K\x02e")),
    "append": pickled(Raw(new(NAME) + b"K\x01a")),
    "setitem": pickled(Raw(new(NAME) + b"K\x01K\x02s")),
    "setitems": pickled(Raw(new(NAME) + b"(K\x01K\x02u")),
    "additems": pickled(Raw(new(NAME) + b"(K\x01\x90")),
    "twice-built": pickled(built(ITEM, {"b": 1})),
    "reduce": pickled(reduced(NAME, 1, 2)),
    "planted-setstate": pickled(built(built(new(NAME), {"__setstate__": SECRET}), {"a": 1})),
    "planted-class": pickled(built(new(NAME), {"__class__": 1, "__dict__": {"x": 1}})),
    "slots-class": pickled(built(new(NAME), (None, {"__class__": 1}))),
    "slots-dict": pickled(built(new(NAME), (None, {"__dict__": 1}))),
    "slots": pickled(built(new(NAME), ({"a": 1}, {"a": 2}))),
    "state-list": pickled(built(new(NAME), [1, 2])),
    "state-int-keys": pickled(built(new(NAME), {1: 2})),
    "on-class": pickled(built(CART, {"__init__": SECRET})),
    "on-class-slots": pickled(built(CART, (None, {"__init__": SECRET}))),
    "as-key": pickled({ITEM: 1}),
    "itself": pickled(CART),
    "class-as-argument": pickled(new(NAME, CART)),
    "called-instance": pickled(Raw(ITEM + b")R")),
    "newobj-ex": pickled(Raw(CART + b")" + push({"a": 1}) + b"\x92")),
    "not-a-dict": pickled(Raw(CART + b"]R")),
}


family = Family("re-entrancy", "code of the app, called while decoding, enters the decoder again")
for class_, attempt in (
    (Plain, "Sends hostile arguments, states and items to a registered class."),
    (Slotted, "Sends hostile arguments, states and items to a registered class with slots."),
    (Reentering, "Registers a class that decodes again in everything it does."),
    (Clearing, "Registers a class that empties what it is given."),
):
    family.add(
        class_.__name__.lower(), attempt, RULE, CONTAINED, PAYLOADS,
        policy=lambda class_=class_: plainpickle.Policy().register(NAME, build=class_),  # type: ignore[misc]
    )  # fmt: skip
family.add(
    "beside-registered", "Uses a registered class as cover for another name.",
    "exact name in the policy table", forbidden("os.system"),
    pickled(built(new(NAME), {"a": reduced("os.system", SECRET)})),
    policy=lambda: plainpickle.Policy().register(NAME, build=Plain),
)  # fmt: skip
