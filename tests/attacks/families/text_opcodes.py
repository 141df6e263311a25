"""Text opcodes with broken quotes, escapes and encodings."""

from __future__ import annotations

from tests.attacks.case import CONTAINED, MALFORMED, SECRET, Family, Gives
from tests.attacks.ops import pickled

RULES = "CPython's rules for quotes and escapes, and no others"

family = Family("text-opcode", "quotes, escapes or encodings that readers take differently")
family.add(
    "quotes", "Leaves a quote out, mixes quotes, or puts one in the middle.", RULES, MALFORMED,
    {
        name: b"S" + body + b"\n."
        for name, body in {
            "none": SECRET.encode(), "open": b"'" + SECRET.encode(),
            "close": SECRET.encode() + b"'", "mixed": b"'abc\"", "single": b"'", "empty": b"",
            "double": b'"', "prefix": b"u'abc'", "tail": b"'abc' x",
        }.items()
    },
)  # fmt: skip
family.add(
    "inner-quotes", "Puts quotes, line ends and NULs inside a quoted text.", RULES, CONTAINED,
    {
        name: b"S'" + body + b"'\n."
        for name, body in {
            "quote": b"a'b", "triple": b"''abc''", "nul": b"a\0b", "return": b"a\rb",
            "high": b"a\xffb", "utf-8": "\xe9".encode()
        }.items()
    }
        | {"spaces": b"S 'abc' \n.", "crlf": b"S'abc'\r\n."},
)  # fmt: skip
family.add(
    "escapes", "Ends a text in the middle of an escape.", RULES, MALFORMED,
    {
        "hex": b"S'\\x'\n.", "hex-short": b"S'\\x4'\n.", "hex-wrong": b"S'\\xzz'\n.",
        "unicode": b"V\\u12\n.", "unicode-long": b"V\\U0011\n.",
        "unicode-range": b"V\\U00110000\n.", "unicode-wrong": b"V\\uzzzz\n.",
        "backslash": b"S'\\'\n."
    },
)  # fmt: skip
family.add(
    "odd-escapes", "Uses escapes that only some readers know.", RULES, CONTAINED,
    {
        "octal": b"S'\\777'\n.", "named": b"S'\\N{BULLET}'\n.", "named-unicode": b"V\\N{BULLET}\n.",
        "unknown": b"S'\\q'\n.", "unicode-in-string": b"S'\\u0041'\n.", "newline": b"S'\\\n'\n.",
        "surrogate": b"V\\ud800\n.", "pair": b"V\\ud83d\\ude00\n.", "nul": b"V\\u0000\n.",
        "backslash-end": b"Vabc\\\n.", "latin1": b"V\xe9\n."
    },
)  # fmt: skip
family.add(
    "utf-8", "Gives a text that is no UTF-8.", RULES, MALFORMED,
    {
        f"{opcode.hex()}-{name}": opcode + len(body).to_bytes(width, "little") + body + b"."
        for opcode, width in ((b"X", 4), (b"\x8c", 1), (b"\x8d", 8))
        for name, body in {
            "overlong": b"\xc0\x80", "high": b"\xff", "cut": b"a\xe2\x82",
            "beyond": b"\xf4\x90\x80\x80", "tail": b"\x80"
        }.items()
    },
)  # fmt: skip
family.add(
    "surrogates", "Gives a text with a lone surrogate, as pickle may write.",
    "surrogates are kept, as pickle does", Gives("a\udc80"), pickled("a\udc80"),
)  # fmt: skip
family.add(
    "surrogate-key", "Uses lone surrogates where text goes on to JSON, names or attributes.",
    "written output is valid text", CONTAINED,
    {
        "key": pickled({"\udc80": 1}), "value": pickled(["\ud800\udfff"]),
        "pair": pickled("\ud83d\ude00"), "set": pickled(["a", "\udfff" * 100])
    },
)  # fmt: skip
family.add(
    "no-newline", "Never ends a line argument.", "lines end at a newline or the load fails",
    MALFORMED,
    {opcode: lambda n, opcode=opcode: opcode.encode() + b"a" * n for opcode in "cSVILFpgP"},
    (10, 1_000_000),
)  # fmt: skip
family.add(
    "megabyte-escapes", "A megabyte of escapes, which shrink or grow as they are read.",
    "reading is linear and output is bounded by input", CONTAINED,
    {
        "hex": lambda n: b"S'" + b"\\x41" * n + b"'\n.",
        "octal": lambda n: b"S'" + b"\\1" * n + b"'\n.",
        "unicode": lambda n: b"V" + b"\\u0041" * n + b"\n.",
        "wide": lambda n: b"V" + b"a" * n + b"\\U0001f4a9\n.",
        "control": lambda n: pickled("\x01" * n), "quotes": lambda n: pickled('"' * n),
        "bytes": lambda n: pickled(b"\xff" * n),
        "keys": lambda n: b"}(" + b"".join(b"\x8c\x03%03xN" % (i % 4096) for i in range(n)) + b"u."
    },
    (10, 200_000),
)  # fmt: skip
family.add(
    "py2-mixed", "Mixes Python 2 strings that are text, broken text and bytes as keys.",
    "Python 2 strings depend on context, never on trial and error", CONTAINED,
    {
        "keys": b"(dU\x01a" + b"NsU\x01\xffNsX\x01\0\0\0aNs.", "high": b"U\x02\xc3\xa9.",
        "broken": b"U\x01\xc3.", "empty": b"U\0.", "nul": b"U\x03a\0b."
    },
)  # fmt: skip
