"""Codecs: slow ones, expanding ones, and ones whose name is a module to import."""

from __future__ import annotations

from tests.attacks.case import FORBIDDEN, REFUSED, SECRET, Family, Gives
from tests.attacks.ops import glob, pickled, reduced

LATIN1 = "_codecs.encode only with a text and a spelling of latin-1, done in Rust"

family = Family("codec-gadget", "a codec is slow, expands, or is a module to import by its name")
OTHERS = (
    "idna", "punycode", "zlib", "bz2", "hex", "base64", "rot13", "uu", "utf-7", "utf-16",
    "unicode_escape",
    "raw_unicode_escape", "mbcs", "oem", "undefined", "os", "antigravity", "../os", "encodings.os",
    "", "latin1\0",
    "latin\u0131", "x" * 10_000, "latin1,os", "iso-8859-15", "cp1252", "quopri", "palmos",
)  # fmt: skip
family.add(
    "encode-other", "Encodes with another codec than latin-1.", LATIN1, REFUSED,
    {name[:20] or "empty": pickled(reduced("_codecs.encode", "abc", name)) for name in OTHERS},
)  # fmt: skip
family.add(
    "encode-quadratic", "Encodes a long text with punycode or idna, which takes quadratic time.",
    LATIN1, REFUSED,
    {
        name: (lambda n, name=name: pickled(reduced("_codecs.encode", "\u0100" * n, name)))
        for name in ("punycode", "idna")
    },
    (10, 100_000),
)  # fmt: skip
family.add(
    "encode-arguments",
    "Gives encode an error handler, bytes, numbers, or characters beyond latin-1.", LATIN1, REFUSED,
    {
        kind: pickled(reduced("_codecs.encode", *args))
        for kind, args in {
            "three": ("abc", "latin1", "xmlcharrefreplace"),
            "handler": ("\u0100", "latin1", SECRET), "none": (), "int": (5, "latin1"),
            "wide": ("\u0100" + SECRET, "latin1"), "surrogate": ("\udc80", "latin1"),
            "codec-none": ("abc", None), "codec-int": ("abc", 5),
            "codec-list": ("abc", ["latin1"]), "list": (["abc"], "latin1"),
            "global": (glob("os.system"), "latin1"),
        }.items()
    },
)  # fmt: skip
family.add(
    "decode", "Decodes, unpacks or opens with any codec.", "exact name in the policy table",
    FORBIDDEN,
    {
        name: pickled(reduced(name, b"x\x9c", "zlib"))
        for name in (
            "_codecs.decode", "codecs.decode", "codecs.encode", "codecs.open", "zlib.decompress",
            "gzip.decompress", "bz2.decompress", "lzma.decompress", "base64.b64decode"
        )
    },
)  # fmt: skip
family.add(
    "by-constructor", "Reaches a codec through the constructor of bytes, bytearray or str.", LATIN1,
    REFUSED,
    {
        f"{kind}-{codec}": pickled(
            reduced(f"builtins.{kind}", b"abc" if kind == "str" else "abc", codec)
        )
        for kind in ("bytes", "bytearray", "str")
        for codec in ("punycode", "idna", "os", "zlib", "rot13", "undefined", "utf-7")
    },
)  # fmt: skip
family.add(
    "encode-spellings", "Spells latin-1 in ways that no pickler writes, or leaves the codec out.",
    LATIN1, FORBIDDEN,
    {
        kind: pickled(reduced("_codecs.encode", *args))
        for kind, args in {
            "upper": ("\xe9", "LATIN1"), "dash": ("\xe9", "latin-1"), "iso": ("\xe9", "iso-8859-1"),
            "l1": ("\xe9", "L1"), "default": ("\xe9",),
            "bytes": (b"abc", "latin1"), "bytes-codec": ("abc", b"latin1"),
            "utf-8": ("abc", "utf-8"), "ascii": ("abc", "ascii"),
        }.items()
    },
)  # fmt: skip
family.add(
    "encode-honest", "The honest shape, to see that the family's own cases can load.", LATIN1,
    Gives(b"\xe9"),
    pickled(reduced("_codecs.encode", "\xe9", "latin1")),
)  # fmt: skip
