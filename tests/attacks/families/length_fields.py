"""Length fields that lie."""

from __future__ import annotations

import struct

from tests.attacks.case import CONTAINED, REFUSED, TOO_LONG, Family
from tests.attacks.ops import Raw, pickled, push

REMAINING = "a length is compared with the remaining input before anything is allocated"

# name: (opcode, struct format of the length, the largest length)
LENGTHS = {
    "binstring": (b"T", "<i", 2**31 - 1), "short-binstring": (b"U", "<B", 255),
    "binbytes": (b"B", "<I", 2**32 - 1),
    "short-binbytes": (b"C", "<B", 255), "binbytes8": (b"\x8e", "<Q", 2**64 - 1),
    "bytearray8": (b"\x96", "<Q", 2**64 - 1),
    "binunicode": (b"X", "<I", 2**32 - 1), "short-binunicode": (b"\x8c", "<B", 255),
    "binunicode8": (b"\x8d", "<Q", 2**64 - 1),
    "long1": (b"\x8a", "<B", 255), "long4": (b"\x8b", "<i", 2**31 - 1),
    "frame": (b"\x95", "<Q", 2**64 - 1),
}  # fmt: skip

family = Family(
    "length-field", "a length says more than is there, so that memory is reserved for it"
)
lies = {}
for kind, (opcode, form, largest) in LENGTHS.items():
    for length in (5, largest, 2**31 - 1, 2**31, 2**32 - 1, 2**36, 2**62, 2**63 - 1, 2**63):
        if length <= largest:
            lies[f"{kind}-{length:#x}"] = b"\x80\x05" + opcode + struct.pack(form, length) + b"abc."
    for missing in range(struct.calcsize(form)):
        lies[f"{kind}-cut-{missing}"] = b"\x80\x05" + opcode + b"\x01" * missing
family.add(
    "lie",
    "Announces more bytes than are there, up to the largest number that fits, or is cut.",
    REMAINING,
    TOO_LONG,
    lies,
)
family.add(
    "lie-after-data", "Announces just one byte more than a megabyte that is there.", REMAINING,
    TOO_LONG,
    {
        kind: (
            lambda n, opcode=opcode, form=form: b"\x80\x05"
                + opcode
                + struct.pack(form, n + 2)
                + b"a" * n
                + b"."
        )
        for kind, (opcode, form, largest) in LENGTHS.items()
        if largest > 255
    },
    (300, 1_000_000),
)  # fmt: skip
family.add(
    "negative", "Announces a negative length.", REMAINING, TOO_LONG,
    {
        f"{kind}{length}": b"\x80\x05" + LENGTHS[kind][0] + struct.pack("<i", length) + b"abc."
        for kind in ("binstring", "long4")
        for length in (-1, -(2**31))
    },
)  # fmt: skip
family.add(
    "frame", "Frames that are empty, too short, nested, or end inside an opcode.",
    "in memory a FRAME is only a length check", CONTAINED,
    {
        "empty": pickled(Raw(b"\x95" + bytes(8)), None),
        "short": pickled(Raw(b"\x95" + struct.pack("<Q", 1) + push("abc"))),
        "inside-opcode": pickled(Raw(b"\x95" + struct.pack("<Q", 3) + push("abcdef"))),
        "nested": pickled(Raw((b"\x95" + struct.pack("<Q", 12)) * 2), "abc"),
        "only-stop": b"\x80\x04\x95" + struct.pack("<Q", 1) + b"N.",
        "beyond-stop": b"\x80\x04\x95" + struct.pack("<Q", 4) + b"N.NN",
        "protocol-0": b"\x95" + struct.pack("<Q", 2) + b"N.",
    },
)  # fmt: skip
family.add(
    "many-lies", "A megabyte of empty frames or strings.", REMAINING, CONTAINED,
    {
        "frames": lambda n: b"\x80\x04" + (b"\x95" + bytes(8)) * n + b"N.",
        "texts": lambda n: b"](" + b"\x8c\0" * n + b"e.",
        "bytes": lambda n: b"](" + b"C\0" * n + b"e.",
        "bytearrays": lambda n: b"](" + (b"\x96" + bytes(8)) * n + b"e.",
    },
    (10, 100_000),
)  # fmt: skip
family.add(
    "over-max-bytes",
    "An input longer than the limit for inputs.",
    "input bytes are limited",
    REFUSED,
    lambda n: b"C\0" + b"." * n,
    (10, (64 << 20) + 1),
)
