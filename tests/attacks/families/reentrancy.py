"""The app's own code, called by the decoder, that calls the decoder again or misbehaves."""

from __future__ import annotations

import plainpickle

from tests.attacks.case import CONTAINED, SECRET, Family, forbidden
from tests.attacks.families.demo import ONE_LINE
from tests.attacks.ops import Raw, glob, new, pickled, push

RULE = "no borrow is held across a call of the app's code, and state is handed over finished"

CART = glob("shop.Cart")
ITEM = Raw(new(CART) + push({"a": [1, 2]}) + b"b")


def reentering(*args: object) -> object:
    """Decodes, and fails to decode, inside the build."""
    plainpickle.safe_loads(pickled([1, {"a": 2}]))
    try:
        plainpickle.safe_loads(ONE_LINE)
    except plainpickle.UnpicklingError:
        return len(args)
    raise AssertionError("loaded the demo payload")


def clearing(*args: object) -> object:
    """Empties what it is given."""
    for argument in args:
        if isinstance(argument, (dict, list)):
            argument.clear()
    return None


def registered(build: object) -> plainpickle.Policy:
    return plainpickle.Policy().register("shop.Cart", build=build)  # type: ignore[arg-type]


family = Family("re-entrancy", "code of the app, called while decoding, enters the decoder again")
PAYLOADS = {
    "alone": pickled(ITEM), "many": pickled([ITEM, ITEM, {"a": ITEM}]), "memo": pickled(Raw(new(CART) + b"q\0" + push({"a": Raw(b"h\0")}) + b"b0h\0")),
    "shared-state": pickled(Raw(push({"a": 1}) + b"q\x000" + new(CART) + b"h\0b0h\0")), "no-state": pickled(new(CART, 1, "x")), "items": pickled(Raw(new(CART) + b"(K\x01K\x02e")), "dict-items": pickled(Raw(new(CART) + b"K\x01K\x02s")),
    "twice-built": pickled(Raw(ITEM + push({"b": 1}) + b"b")), "reduce": pickled(Raw(CART + push((1, 2)) + b"R")),
}  # fmt: skip
for build_ in (reentering, clearing):
    family.add(
        build_.__name__, "Registers a build that " + ("decodes again." if build_ is reentering else "empties what it is given."), RULE, CONTAINED,
        PAYLOADS, policy=lambda build_=build_: registered(build_),  # type: ignore[misc]
    )  # fmt: skip
family.add(
    "beside-registered", "Uses a registered class as cover for another name.", "exact name in the policy table",
    forbidden("os.system"), pickled(Raw(new(CART) + push({"a": Raw(glob("os.system") + push((SECRET,)) + b"R")}) + b"b")), policy=lambda: registered(clearing),
)  # fmt: skip
