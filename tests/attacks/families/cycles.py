"""Values that contain themselves."""

from __future__ import annotations

from tests.attacks.case import CONTAINED, REFUSED, Family, GivesWhere
from tests.attacks.families.nesting import stubs
from tests.attacks.ops import Raw, glob, pickled, push, reduced

KEPT = "cycles through lists, dicts and sets are kept, as pickle does; walks count and share"
HASHED = "a key must be hashable, and is walked within a budget before it is hashed"

family = Family("cycle", "a value contains itself, so a walk never ends")
family.add(
    "in-itself", "Puts a container into itself.", KEPT,
    GivesWhere("the same cycle that pickle builds", lambda value: value is not None),
    {
        "list": pickled(Raw(b"]q\x00h\x00a")), "dict": pickled(Raw(b"}q\x00K\x01h\x00s")),
        "tuple-through-list": pickled(Raw(b"]q\x00h\x00\x85a")),
        "two-lists": pickled(Raw(b"]q\x00]q\x01h\x00ah\x01a0h\x00")),
    },
)  # fmt: skip
family.add(
    "standard-containers", "Puts a container of the standard library into itself.", KEPT, CONTAINED,
    {
        "deque": pickled(Raw(reduced("collections.deque", ()) + b"q\x00h\x00a")),
        "ordereddict": pickled(Raw(reduced("collections.OrderedDict") + b"q\x00K\x01h\x00s")),
        "defaultdict": pickled(Raw(reduced("collections.defaultdict") + b"q\x00K\x01h\x00s")),
        "counter": pickled(Raw(reduced("collections.Counter", {}) + b"q\x00K\x01h\x00s")),
        "namespace": pickled(
            Raw(reduced("types.SimpleNamespace") + b"q\x00" + push({"a": Raw(b"h\x00")}) + b"b")
        ),
        "ordereddict-state": pickled(
            Raw(reduced("collections.OrderedDict") + b"q\x00" + push({"a": Raw(b"h\x00")}) + b"b")
        ),
    },
)  # fmt: skip
family.add(
    "own-key", "Uses a container as its own key or member.", HASHED, REFUSED,
    {
        "dict": pickled(Raw(b"}q\x00h\x00Ns")), "dict-in-tuple": pickled(Raw(b"}q\x00h\x00\x85Ns")),
        "set": pickled(Raw(b"\x8fq\x00(h\x00\x90")),
        "set-in-tuple": pickled(Raw(b"\x8fq\x00(h\x00\x85\x90")),
        "list-in-tuple": pickled(Raw(b"]q\x00h\x00\x85q\x01a0}h\x01Ns")),
        "ordereddict": pickled(Raw(reduced("collections.OrderedDict") + b"q\x00h\x00Ns")),
        "namespace": pickled(
            Raw(reduced("types.SimpleNamespace") + b"q\x00" + push({"a": 1}) + b"b0}h\x00Ns")
        ),
        "frozenset-of-set": pickled(Raw(b"\x8fq\x00(h\x00\x91")),
        "state": pickled(Raw(b"}q\x00h\x00h\x00s")),
    },
)  # fmt: skip
family.add(
    "own-argument", "Uses a container as an argument that copies it into itself.", HASHED,
    CONTAINED,
    {
        "list": pickled(Raw(b"]q\x00" + glob("builtins.list") + b"h\x00\x85Ra")),
        "deque": pickled(Raw(b"]q\x00" + glob("collections.deque") + b"h\x00\x85Ra")),
        "dict": pickled(Raw(b"}q\x00N" + glob("collections.OrderedDict") + b"h\x00\x85Rs")),
    },
)  # fmt: skip
family.add(
    "stub", "Makes stubs that contain themselves, also as keys.", HASHED, CONTAINED,
    {
        "state": pickled(
            Raw(glob("shop.Cart") + b")\x81q\x00" + push({"a": Raw(b"h\x00")}) + b"b")
        ),
        "items": pickled(Raw(glob("shop.Cart") + b")\x81q\x00h\x00a")),
        "key": pickled(Raw(glob("shop.Cart") + b")\x81q\x00" + push({Raw(b"h\x00"): 1}) + b"b")),
        "own-key": pickled(Raw(glob("shop.Cart") + b")\x81q\x00h\x00Ns")),
    },
    policy=stubs,
)  # fmt: skip
