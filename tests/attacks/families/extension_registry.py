"""The copyreg extension registry, which bypasses every look-up of names."""

from __future__ import annotations

import struct

from tests.attacks.case import SECRET, UNSUPPORTED, Family, forbidden
from tests.attacks.ops import Raw, pickled, push, reduced

RULE = "EXT1, EXT2 and EXT4 are refused, whatever is registered"
CALL = push((SECRET,)) + b"R"
CODES = {
    "ext1-0": b"\x82\x00", "ext1": b"\x82\xf1", "ext1-255": b"\x82\xff", "ext2": b"\x83\xf1\x00",
    "ext2-max": b"\x83\xff\xff", "ext4": b"\x84\xf1\0\0\0", "ext4-zero": b"\x84\0\0\0\0",
    "ext4-negative": b"\x84" + struct.pack("<i", -1),
    "ext4-max": b"\x84" + struct.pack("<i", 2**31 - 1),
}  # fmt: skip

family = Family(
    "ext-registry", "a number stands for a registered global, and cached ones skip every check"
)
family.add(
    "code", "Fetches a global by its registered number, and calls it.", RULE, UNSUPPORTED,
    {kind: pickled(Raw(code + CALL)) for kind, code in CODES.items()},
)  # fmt: skip
family.add(
    "popped", "Fetches a registered global only for the effect of its import, and drops it.", RULE,
    UNSUPPORTED, {kind: pickled(Raw(code + b"0"), None) for kind, code in CODES.items()},
)  # fmt: skip
family.add(
    "self-registration", "Registers os.system under a number first, and then fetches it.",
    "exact name in the policy table", forbidden("copyreg.add_extension"),
    {
        kind: pickled(
            Raw(reduced("copyreg.add_extension", "os", "system", 241) + b"0" + code + CALL)
        )
        for kind, code in {"ext1": b"\x82\xf1", "ext4": b"\x84\xf1\0\0\0"}.items()
    },
)  # fmt: skip
family.add(
    "msgpack", "A msgpack map, whose first byte is that of EXT2.", RULE, UNSUPPORTED,
    b"\x83\xa1a\x01\xa1b\x02\xa1c\x03",
)  # fmt: skip
