"""Numbers as text or bytes that are slow to read, or that readers take differently."""

from __future__ import annotations

import struct
from decimal import Decimal

from tests.attacks.case import CONTAINED, MALFORMED, REFUSED, Family, Gives, Refused, over
from tests.attacks.ops import Raw, new, pickled, reduced

DIGITS = "digits are counted before they are read"
GRAMMAR = "one grammar for numbers, no narrower reading elsewhere"
CHECKED = "constructed from parsed fields, with limits on digits and exponent"

family = Family("number-parse", "a number's text or bytes are slow to read or read in two ways")
family.add(
    "long-text", "An integer of a million digits in an opcode of protocol 0.", DIGITS,
    Refused(("LimitExceeded", "MalformedPickle")),
    {
        "long": lambda n: b"L" + b"9" * n + b"L\n.", "int": lambda n: b"I" + b"9" * n + b"\n.",
        "negative": lambda n: b"L-" + b"9" * n + b"L\n.",
        "zeros": lambda n: b"L" + b"0" * n + b"1L\n.",
        "in-list": lambda n: b"](" + (b"I" + b"9" * 10_000 + b"\n") * (n // 10_000 + 1) + b"e.",
    },
    (5000, 1_000_000),
)  # fmt: skip
family.add(
    "allowed-digits", "A thousand integers that each have as many digits as is allowed.", DIGITS,
    CONTAINED,
    lambda n: b"](" + (b"L" + b"9" * 4300 + b"L\n") * n + b"e.", (2, 300),
)  # fmt: skip
family.add(
    "by-call", "Hands a million digits to int, float, complex, Decimal or Fraction.", DIGITS,
    REFUSED,
    {
        "int": lambda n: pickled(reduced("builtins.int", "9" * n)),
        "int-base": lambda n: pickled(reduced("builtins.int", "z" * n, 36)),
        "long": lambda n: pickled(reduced("__builtin__.long", "9" * n), protocol=1),
        "decimal": lambda n: pickled(reduced("decimal.Decimal", "9" * n)),
        "decimal-point": lambda n: pickled(reduced("decimal.Decimal", "0." + "9" * n)),
        "fraction": lambda n: pickled(reduced("fractions.Fraction", "9" * n)),
        "fraction-decimal": lambda n: pickled(reduced("fractions.Fraction", "1." + "9" * n)),
        "decimal-tuple": lambda n: pickled(reduced("decimal.Decimal", (0, [9] * n, 0))),
    },
    (5000, 1_000_000),
)  # fmt: skip
family.add(
    "float-text", "A float of a million digits or with an odd spelling.", GRAMMAR, CONTAINED,
    {
        "digits": lambda n: b"F" + b"9" * n + b"\n.",
        "point": lambda n: b"F0." + b"0" * n + b"1\n.",
        "exponent": lambda n: b"F1e" + b"9" * n + b"\n.",
        "minus": lambda n: b"F1e-" + b"9" * n + b"\n.",
    },
    (10, 1_000_000),
)  # fmt: skip
family.add(
    "int-grammar", "Spells an integer in ways that one reader takes and another refuses.", GRAMMAR,
    REFUSED,
    {
        f"{opcode}{body.decode('ascii', 'backslashreplace')}": opcode.encode() + body + b"\n."
        for opcode, bodies in {
            "I": (
                b"0x10", b"0o17", b"0b1", b"12JUNK", b"1_000", b"", b"-", b"+", b"1.5", b"1e5",
                b"\xd9\xa1", b"1 2", b"--5", b"0x", b"1\0", b"inf", b"12L"
            ),
            "L": (
                b"", b"L", b"-L", b"0x10L", b"1_0L", b"12JUNKL", b"1.5L", b"--5L", b"\xd9\xa1L",
                b"12LL", b"1 2L", b"1\0L"
            ),
        }.items()
        for body in bodies
    },
)  # fmt: skip
family.add(
    "float-grammar", "Spells a float in ways that are none.", GRAMMAR, REFUSED,
    {
        body.decode("ascii", "backslashreplace") or "empty": b"F" + body + b"\n."
        for body in (
            b"", b"1_0.5", b"0x1p3", b"1.5JUNK", b"nane", b"1e", b"1,5", b"--1", b"\xd9\xa1",
            b"1\0", b"1 .5", b"infin"
        )
    },
)  # fmt: skip
family.add(
    "float-overflow", "Floats beyond the range, infinities and NaNs.", GRAMMAR, CONTAINED,
    {
        "1e999": b"F1e999\n.", "-1e999": b"F-1e999\n.", "nan": b"Fnan\n.", "inf": b"Finf\n.",
        "snan": b"G\x7f\xf0\0\0\0\0\0\1.",
        "nan-keys": b"}(" + b"G\x7f\xf8\0\0\0\0\0\0N" * 500 + b"u.", "denormal": b"F5e-324\n.",
        "spaces": b"F 1.5\n.", "int-spaces": b"I 12\n.",
        "int-plus": b"I+5\n.", "minus-zero": b"I-0\n.", "leading-zero": b"I007\n.",
        "bool-like": b"I00\n.", "bool-long": b"I001\n.",
    },
)  # fmt: skip
family.add(
    "long-binary",
    "Integers of a megabyte in LONG4, negative or empty ones, and many of the allowed size.",
    "integers are limited in bits", CONTAINED,
    {
        "megabyte": lambda n: b"\x8b" + struct.pack("<i", n) + b"\x7f" * n + b".",
        "many": lambda n: b"]("
            + (b"\x8b" + struct.pack("<i", 8000) + b"\x7f" * 8000) * (n // 8000)
            + b"e.",
        "ones": lambda n: b"\x8b" + struct.pack("<i", n) + b"\xff" * n + b".",
        "zeros": lambda n: b"\x8b" + struct.pack("<i", n) + bytes(n) + b".",
    },
    (1000, 1_000_000),
)  # fmt: skip
family.add(
    "decimal-exponent", "A Decimal with an exponent that makes int() or format() a bomb later.",
    CHECKED, over("max_decimal_exponent"),
    {
        text: pickled(reduced("decimal.Decimal", text))
        for text in ("1E+999999999999", "1E-999999999999", "1e999999", "-1E+100001", "9.9e+250000")
    },
)  # fmt: skip
family.add(
    "decimal-text",
    "A Decimal of odd text: no number, underscores, spaces, other digits, a huge exponent.",
    CHECKED, REFUSED,
    {
        text or "empty": pickled(reduced("decimal.Decimal", text))
        for text in (
            "", "abc", "1e", "1.2.3", "--1", "0x10", "1E+99999999999999999999999", "sNaN123x",
            "NaN" + "9" * 5000, "1\0", "\udc80", "1/3"
        )
    },
)  # fmt: skip
family.add(
    "decimal-spellings", "A Decimal of text that Python takes and a pickler never writes.", CHECKED,
    CONTAINED,
    {
        text: pickled(reduced("decimal.Decimal", text))
        for text in (
            "1_000", " 1 ", "\u0661", "Inf", "-infinity", "nan", "sNaN", "NaN123", "+1", ".5", "5.",
            "1E-400", "\n1"
        )
    },
)  # fmt: skip
family.add(
    "decimal-kinds", "A Decimal of something else than text.", CHECKED, REFUSED,
    {
        kind: pickled(reduced("decimal.Decimal", *args))
        for kind, args in {
            "list": ([1],), "dict": ({},), "none": (None,), "bytes": (b"\xff",),
            "context": ("1", None), "two": ("1", "2"), "keyword": ({"value": 1},),
            "tuple-short": ((0, (1,)),), "tuple-exponent": ((0, (1,), "F" * 10),),
            "tuple-huge": ((0, (1,), 10**12),), "tuple-digit": ((0, (10,), 0),),
        }.items()
    },
)  # fmt: skip
family.add(
    "signalling-nan-key", "A signalling NaN as a key or member, whose hash raises.",
    "every TypeError is wrapped", REFUSED,
    {
        "dict": pickled({reduced("decimal.Decimal", "sNaN"): 1}),
        "set": pickled(Raw(b"\x8f(" + reduced("decimal.Decimal", "sNaN") + b"\x90")),
        "frozenset": pickled(Raw(b"(" + reduced("decimal.Decimal", "sNaN") + b"\x91")),
        "tuple": pickled({(reduced("decimal.Decimal", "-sNaN7"),): 1}),
        "counter": pickled(reduced("collections.Counter", {reduced("decimal.Decimal", "sNaN"): 1})),
        "newobj": pickled({new("decimal.Decimal", "sNaN"): 1}),
    },
)  # fmt: skip
family.add(
    "fraction-text", "A Fraction whose text stands for an astronomic number, or for none.", CHECKED,
    REFUSED,
    {
        text[:20] or "empty": pickled(reduced("fractions.Fraction", text))
        for text in (
            "1e999999999", "1E-999999999", "1e4301", "1/0", "1/", "/1", "", "abc", "1//2", "1e5/3",
            "0x1/2", "1/1e9", "nan", "inf", "9" * 5000 + "/1", "1/-2", "\udc80", "1\0"
        )
    },
)  # fmt: skip
family.add(
    "fraction-numbers", "A Fraction of two numbers that make none.", CHECKED, REFUSED,
    {
        kind: pickled(reduced("fractions.Fraction", *args))
        for kind, args in {
            "zero": (1, 0), "float": (1.5, 2), "nan": (float("nan"),), "none": (None, 1),
            "text-two": ("1", "2"), "three": (1, 2, 3),
            "list": ([1], 2), "infinite": (reduced("decimal.Decimal", "Infinity"),),
            "bytes": (b"1/2",),
            "exponent": (
                reduced("decimal.Decimal", "1E+99999"), reduced("decimal.Decimal", "1E-99999")
            ),
        }.items()
    },
)  # fmt: skip
family.add(
    "number-calls", "Calls the number types with what they cannot take.",
    "every TypeError, ValueError and OverflowError is wrapped", REFUSED,
    {
        kind: pickled(reduced(name, *args))
        for kind, (name, args) in {
            "float-overflow": ("builtins.float", (10**400,)),
            "int-infinite": ("builtins.int", (float("inf"),)), "int-list": ("builtins.int", ([1],)),
            "int-base": ("builtins.int", ("1", 99)),
            "complex-text": ("builtins.complex", ("1+", 2)),
            "complex-none": ("builtins.complex", (None, 1)),
            "complex-overflow": ("builtins.complex", (10**400, 0)),
            "range-zero": ("builtins.range", (0, 1, 0)), "range-float": ("builtins.range", (1.5,)),
            "range-four": ("builtins.range", (1, 2, 3, 4)),
            "range-none": ("builtins.range", (None,)), "bool-two": ("builtins.bool", (1, 2)),
        }.items()
    },
)  # fmt: skip
family.add(
    "decimal-honest", "The honest shape, to see that the family's own cases can load.", CHECKED,
    Gives(Decimal("1.50")),
    pickled(reduced("decimal.Decimal", "1.50")),
)  # fmt: skip
family.add(
    "lone-minus", "LONG1 and LONG4 with no bytes, a negative length, or too few bytes.", GRAMMAR,
    MALFORMED,
    {
        "long4-negative": b"\x8b\xff\xff\xff\xff.", "long4-minimum": b"\x8b\0\0\0\x80.",
        "long1-short": b"\x8a\xff\x01.", "long4-short": b"\x8b\x10\0\0\0\x01."
    },
)  # fmt: skip
family.add(
    "empty-long",
    "LONG1 and LONG4 with no bytes at all, which are zero.",
    GRAMMAR,
    Gives(0),
    {"long1": b"\x8a\0.", "long4": b"\x8b\0\0\0\0."},
)
