"""Opcodes on a stack that does not hold what they need."""

from __future__ import annotations

import pickletools

from tests.attacks.case import CONTAINED, MALFORMED, REFUSED, Family, Gives, GivesWhere
from tests.attacks.ops import Raw, glob, pickled, push, reduced

CHECKS = "explicit checks: a pop never goes below the bottom or across a MARK"
TARGETS = "each opcode takes the container it is for, and no other"

# An argument for each kind that opcodes take.
ARGUMENTS = {
    "uint1": b"\0", "uint2": b"\0\0", "int4": bytes(4), "uint4": bytes(4), "uint8": bytes(8),
    "stringnl": b"''\n", "string1": b"\0", "string4": bytes(4),
    "stringnl_noescape": b"x\n", "stringnl_noescape_pair": b"os\nsystem\n",
    "unicodestringnl": b"\n", "unicodestring1": b"\0", "unicodestring4": bytes(4),
    "unicodestring8": bytes(8), "bytes1": b"\0", "bytes4": bytes(4), "bytes8": bytes(8),
    "bytearray8": bytes(8), "decimalnl_short": b"0\n",
    "decimalnl_long": b"0L\n", "floatnl": b"0\n", "float8": bytes(8), "long1": b"\0",
    "long4": bytes(4),
}  # fmt: skip
MARK = pickletools.markobject
STACK_SLICE = pickletools.stackslice


def code(opcode: pickletools.OpcodeInfo) -> bytes:
    """The opcode with a harmless argument."""
    return opcode.code.encode("latin1") + (ARGUMENTS[opcode.arg.name] if opcode.arg else b"")


underflow, across, unmarked = {}, {}, {}
for opcode in pickletools.opcodes:
    wanted = opcode.stack_before
    if not wanted or opcode.name in ("STOP", "POP"):
        continue
    plain = [kind for kind in wanted if kind not in (MARK, STACK_SLICE)]
    if MARK in wanted:
        unmarked[opcode.name] = b"N" * len(plain) + code(opcode) + b"."
        if wanted[0] is not MARK:  # a target below the mark
            underflow[opcode.name] = b"(" + code(opcode) + b"."
            across[opcode.name] = b"N((" + code(opcode) + b"."
    else:
        for missing in range(1, len(plain) + 1):
            short = b"N" * (len(plain) - missing)
            underflow[f"{opcode.name}-{missing}"] = short + code(opcode) + b"."
        across[opcode.name] = b"N" * len(plain) + b"(" + code(opcode) + b"."
        if len(plain) > 1:
            across[f"{opcode.name}-between"] = b"N" * len(plain) + b"(N" + code(opcode) + b"."

family = Family(
    "stack-abuse", "an opcode finds too little, a MARK, or the wrong thing on the stack"
)
family.add(
    "underflow", "Runs each opcode with too few values on the stack.", CHECKS, REFUSED, underflow
)
family.add(
    "across-mark",
    "Runs each opcode with a MARK above the values it needs.",
    CHECKS,
    REFUSED,
    across,
)
family.add(
    "no-mark",
    "Runs each opcode that collects down to a MARK without one.",
    CHECKS,
    REFUSED,
    unmarked,
)
family.add(
    "stop", "Ends with nothing, or only a MARK, on the stack.", CHECKS, REFUSED,
    {
        "empty": b".", "empty-proto": b"\x80\x04.", "mark": b"(.", "value-mark": b"N(.",
        "popped": b"N0.", "popped-twice": b"NN00.", "pop-mark": b"(NN1."
    },
)  # fmt: skip
family.add(
    "pop", "Pops more than there is, or a MARK by POP.", CHECKS, CONTAINED,
    {
        "nothing": b"0N.", "mark": b"(0N.", "mark-twice": b"(00N.", "below-mark": b"N(00N.",
        "all": b"NNN000N.", "memo": b"]q\x000h\x00.", "mark-by-pop": b"N(0."
    },
)  # fmt: skip
family.add(
    "leftover", "Leaves values below the result at the end.",
    "parity with pickle: the top is the value",
    GivesWhere("the top value", lambda value: value in (1, 2)),
    {
        "value": b"NK\x01.", "mark": b"(K\x01.", "many": b"N" * 1000 + b"K\x01.",
        "list": b"](K\x01K\x02."
    },
)  # fmt: skip
TARGET_VALUES = {
    "none": b"N", "int": b"K\x01", "text": push("a"), "bytes": push(b"a"), "tuple": b")",
    "frozenset": b"(\x91", "float": push(1.5),
    "global": glob("builtins.list"), "bytearray": Raw(b"\x96" + bytes(8)),
    "decimal": reduced("decimal.Decimal", "1"), "list": b"]", "dict": b"}", "set": b"\x8f",
}  # fmt: skip
FITTING = {
    "append": ("list",),
    "appends": ("list",),
    "setitem": ("dict",),
    "setitems": ("dict",),
    "additems": ("set",),
}
FILLS = {
    "append": b"K\0a",
    "appends": b"(K\0e",
    "setitem": b"K\0K\0s",
    "setitems": b"(K\0K\0u",
    "additems": b"(K\0\x90",
}
TOLERATED = {
    ("appends", "set"),
    ("append", "bytearray"),
    ("appends", "bytearray"),
    ("setitem", "list"),
    ("append", "set"),
}
family.add(
    "wrong-target", "Appends, sets or adds items to something that is no such container.", TARGETS,
    REFUSED,
    {
        f"{fill}-{kind}": pickled(Raw(value + FILLS[fill]))
        for fill in FILLS
        for kind, value in TARGET_VALUES.items()
        if kind not in FITTING[fill] and (fill, kind) not in TOLERATED
    },
)  # fmt: skip
family.add(
    "odd-target", "Fills a container by an opcode for another, which pickle happens to carry out.",
    TARGETS, MALFORMED,
    {
        f"{fill}-{kind}": pickled(Raw(TARGET_VALUES[kind] + FILLS[fill]))
        for fill, kind in sorted(TOLERATED)
    },
)  # fmt: skip
family.add(
    "empty-fill", "Fills something that is no container with nothing.", TARGETS, CONTAINED,
    {
        f"{fill}-{kind}": pickled(Raw(value + fill_code))
        for fill, fill_code in {"appends": b"(e", "setitems": b"(u", "additems": b"(\x90"}.items()
        for kind, value in TARGET_VALUES.items()
        if kind != "global"
    },
)  # fmt: skip
family.add(
    "odd-items", "Gives a dict an odd number of keys and values.", CHECKS, MALFORMED,
    {"dict": b"(NNNd.", "dict-one": b"(Nd.", "setitems": b"}(NNNu.", "setitems-one": b"}(Nu."},
)  # fmt: skip
family.add(
    "unhashable", "Uses a list, dict, set or bytearray as a key or member.",
    "a key must be hashable", MALFORMED,
    {
        f"{place}-{kind}": pickled(Raw(before + value + after))
        for place, (before, after) in {
            "dict": (b"}", b"Ns"), "set": (b"\x8f(", b"\x90"), "frozenset": (b"(", b"\x91"),
            "tuple": (b"}(", b"tNs"), "dict-opcode": (b"(", b"Nd")
        }.items()
        for kind, value in {
            "list": b"]", "dict": b"}", "set": b"\x8f", "bytearray": b"\x96" + bytes(8)
        }.items()
        if place != "tuple"
    },
)  # fmt: skip
family.add(
    "mark-as-value", "Duplicates, stores or returns a MARK as if it were a value.", CHECKS, REFUSED,
    {
        "dup": b"(2.", "memoize": b"(\x94.", "put": b"(q\0h\0.", "tuple1": b"(\x85.",
        "append": b"](a.", "build": b"N(b.", "reduce": b"N(R.", "binpersid": b"(Q."
    },
)  # fmt: skip
family.add(
    "shrinking-target", "Refers to a container by the memo while it is being filled.", CHECKS,
    CONTAINED,
    {
        "list": pickled(Raw(b"]q\0(h\0h\0(Neh\0e")), "dict": pickled(Raw(b"}q\0(Nh\0(NNuNu")),
        "set": pickled(Raw(b"\x8fq\0(K\x01h\0(K\x02\x900\x90")),
        "tuple-of-filling": pickled(Raw(b"]q\0h\0\x85q\x010h\x01")),
    },
)  # fmt: skip
family.add(
    "million-pops",
    "Pushes, duplicates and pops a million times.",
    "work is linear in the input",
    Gives(None),
    {
        "dup-pop": lambda n: b"N" + b"20" * n + b".",
        "push-pop": lambda n: b"N" + b"N0" * n + b".",
        "mark-pop": lambda n: b"N" + b"(1" * n + b".",
        "dups": lambda n: b"N" + b"2" * n + b".",
    },
    (10, 500_000),
)
