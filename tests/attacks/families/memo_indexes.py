"""Memo indexes that make a memo of any size from a few bytes."""

from __future__ import annotations

import struct

from tests.attacks.case import CONTAINED, REFUSED, Family, over
from tests.attacks.ops import Raw, get, pickled, put

BOUND = "a memo index is at most the number of bytes of input"
CHECKS = "explicit checks of stack and memo"

family = Family("memo-index", "a memo index asks for a table of gigabytes")
family.add(
    "large-index", "Stores a value under a huge memo index.", BOUND, over("memo_index"),
    {
        f"{kind}-{index:#x}": b"N" + code + b"."
        for index in (1 << 16, 1 << 24, 0x2E000000, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
        for kind, code in {"long-binput": put(index), "put": b"p%d\n" % index}.items()
    },
)  # fmt: skip
family.add(
    "wide-index", "A PUT or GET index beyond 64 bits, or of a million digits.", BOUND, REFUSED,
    {
        "put": lambda n: b"Np" + b"9" * n + b"\n.", "get": lambda n: b"Ng" + b"9" * n + b"\n.",
        "zeros": lambda n: b"Np" + b"0" * n + b"x\n.",
        "get-missing": lambda n: b"Ng" + b"0" * n + b"7\n.",
    },
    (25, 1_000_000),
)  # fmt: skip
family.add(
    "odd-index", "Spells a PUT or GET index as a negative number, hexadecimal, or no number.",
    CHECKS, REFUSED,
    {
        f"{opcode}-{body.decode('ascii', 'backslashreplace')}": b"N"
            + opcode.encode()
            + body
            + b"\n."
        for opcode in "pg"
        for body in (
            b"-1", b"", b"x", b"0x1", b"1_0", b"1.0", b"\xd9\xa1", b"1L", b"--1", b"1\0",
            b"18446744073709551616"
        )
    },
)  # fmt: skip
family.add(
    "missing", "Fetches what was never stored.", CHECKS, REFUSED,
    {
        "get": b"g0\n.", "binget": b"h\0.", "long-binget": get(0) + b".",
        "long-binget-max": get(2**32 - 1) + b".", "gap": b"N" + put(5) + b"0" + get(3) + b".",
        "before": get(0) + b"Nq\0.", "memoize-next": b"N\x94h\x01."
    },
)  # fmt: skip
family.add(
    "nothing-to-store", "Stores in the memo with nothing on the stack, or a MARK on top.", CHECKS,
    REFUSED,
    {
        f"{kind}-{below}": prefix + code + b"N."
        for kind, code in {
            "put": b"p0\n", "binput": b"q\0", "long-binput": put(0), "memoize": b"\x94"
        }.items()
        for below, prefix in {"empty": b"", "mark": b"(", "value-mark": b"N("}.items()
    },
)  # fmt: skip
family.add(
    "sparse", "Stores at scattered indexes, then lets MEMOIZE choose.", BOUND, CONTAINED,
    {
        "every-third": lambda n: b"N" + b"".join(put(3 * i) for i in range(n)) + b".",
        "descending": lambda n: b"N" + b"".join(put(4 * n - i) for i in range(n)) + b".",
        "same": lambda n: b"N" + put(0) * n + b".",
        "memoize": lambda n: b"N" + put(n) + b"\x94" * n + b".",
        "largest": lambda n: b"N" * n + put(n) + b".",
        "only-memo": lambda n: b"]\x94" + b"]\x94" * n + b".",
        "text-indexes": lambda n: b"N" + b"".join(b"p%d\n" % i for i in range(n)) + b".",
    },
    (10, 200_000),
)  # fmt: skip
family.add(
    "memo-of-popped", "Keeps in the memo what is popped from the stack at once.",
    "what the memo holds is charged", CONTAINED,
    {
        "lists": lambda n: b"]\x940" * n + b"N.", "sets": lambda n: b"\x8f\x940" * n + b"N.",
        "same-slot": lambda n: b"\x8fq\x000" * n + b"N."
    },
    (10, 300_000),
)  # fmt: skip
family.add(
    "flood", "Fetches one text a million times.", "a reference is all that is pushed", CONTAINED,
    lambda n: pickled(
        Raw(b"X" + struct.pack("<I", 1000) + b"a" * 1000 + b"q\x000](" + b"h\0" * n + b"e")
    ),
    (10, 500_000),
)  # fmt: skip
