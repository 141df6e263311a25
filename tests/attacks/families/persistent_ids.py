"""Persistent ids and out-of-band buffers, which ask the caller for objects."""

from __future__ import annotations

from tests.attacks.case import CONTAINED, REFUSED, SECRET, UNSUPPORTED, Family
from tests.attacks.ops import Raw, pickled, push

RULE = "refused unless the caller gives a resolver"

family = Family("persistent-id", "the pickle asks the caller for an object by id")
family.add(
    "id", "Asks for an object by a persistent id.", RULE, UNSUPPORTED,
    {
        "persid": pickled(Raw(b"P" + SECRET.encode() + b"\n"), protocol=0),
        "persid-empty": pickled(Raw(b"P\n"), protocol=0),
        "persid-popped": pickled(Raw(b"Px\n0"), None),
        "binpersid": pickled(Raw(push(SECRET) + b"Q")),
        "binpersid-tuple": pickled(Raw(push(("storage", SECRET, 1)) + b"Q")),
    },
)  # fmt: skip
family.add(
    "odd-id", "Gives an id that is not ASCII, or has no end, or names a global.", RULE, REFUSED,
    {
        "non-ascii": pickled(Raw(b"P\xff\xfe\n"), protocol=0), "no-end": b"Pabc",
        "global": pickled(Raw(b"cos\nsystem\nQ")), "no-value": b"Q.",
    },
)  # fmt: skip
family.add(
    "buffer", "Takes an out-of-band buffer where none was given.", RULE, UNSUPPORTED,
    {
        "next": pickled(Raw(b"\x97")), "next-popped": pickled(Raw(b"\x970"), None),
        "read-only": pickled(Raw(b"\x97\x98"))
    },
)  # fmt: skip
family.add(
    "read-only", "Marks something read-only that is no buffer.", RULE, CONTAINED,
    {
        "bytes": pickled(Raw(push(b"abc") + b"\x98")), "none": pickled(Raw(b"N\x98")),
        "list": pickled(Raw(b"]\x98"))
    },
)  # fmt: skip
family.add(
    "read-only-nothing",
    "READONLY_BUFFER on an empty stack.",
    "explicit stack checks",
    REFUSED,
    b"\x98.",
)
