"""Payloads before, after and around what a reader looks at."""

from __future__ import annotations

import base64
import gzip
import io
import struct
import zipfile
import zlib

from tests.attacks.case import (
    CONTAINED,
    FORBIDDEN,
    MALFORMED,
    REFUSED,
    SECRET,
    Family,
    Gives,
    forbidden,
)
from tests.attacks.families.demo import ONE_LINE
from tests.attacks.ops import Raw, glob, pickled, push, reduced

WHILE = "the policy decides while the pickle is decoded, at the offset of the name"
NO_SNIFFING = "a pickle is read as it is: no container is opened, no extension looked at"
PROTOCOLS = "protocols 0 to 5"

CALL = reduced("os.system", f"echo {SECRET}")

family = Family(
    "stream-tricks", "the payload is where a scanner stops, does not start, or does not look"
)
family.add(
    "broken-tail", "Puts the payload before a tail that breaks every scanner.", WHILE,
    forbidden("os.system"),
    {
        "unknown-opcode": b"\x80\x04" + CALL + b"\xff\xff", "cut": b"\x80\x04" + CALL,
        "underflow": b"\x80\x04" + CALL + b"0000.", "bad-length": CALL + b"X\xff\xff\xff\xff",
        "bad-memo": CALL + b"g99\n.", "bad-text": CALL + b"V\\ud\n.",
        "bad-protocol": CALL + b"\x80\xff.", "bad-frame": CALL + b"\x95" + b"\xff" * 8,
    },
)  # fmt: skip
family.add(
    "popped", "Calls, drops the result, and ends with honest data.", WHILE, forbidden("os.system"),
    {
        "pop": pickled(Raw(CALL + b"0"), {"cart": 1}),
        "pop-mark": pickled(Raw(b"(" + CALL + b"1"), {"cart": 1}),
        "below": pickled(CALL, {"cart": 1}), "in-memo": pickled(Raw(CALL + b"q\x000"), {"cart": 1})
    },
)  # fmt: skip
family.add(
    "uncalled", "Names a function without calling it, and drops it or keeps it in the memo.", WHILE,
    forbidden("os.system"),
    {
        "pop": pickled(Raw(glob("os.system") + b"0"), None),
        "memo": pickled(Raw(glob("os.system") + b"q\x000"), None),
        "mark": pickled(Raw(b"(" + glob("os.system") + b"1"), None),
        "alone": pickled(glob("os.system"))
    },
)  # fmt: skip
family.add(
    "after-stop", "Puts the payload behind the STOP of an honest pickle.",
    "bytes behind STOP are never decoded, and reported by inspect", Gives({"cart": 1}),
    {
        "demo": pickled({"cart": 1}) + ONE_LINE, "junk": pickled({"cart": 1}) + b"\xff" * 100,
        "second": pickled({"cart": 1}) + pickled(CALL), "zip": pickled({"cart": 1}) + b"PK\x03\x04"
    },
)  # fmt: skip
family.add(
    "protocol-byte", "Announces protocols that do not exist, or changes it midway.", PROTOCOLS,
    MALFORMED,
    {"6": b"\x80\x06N.", "255": b"\x80\xffN.", "midway": b"N\x80\x06.", "cut": b"\x80"},
)  # fmt: skip
family.add(
    "protocol-midway", "Repeats the protocol opcode, or lies about it.", PROTOCOLS, CONTAINED,
    {
        "twice": b"\x80\x04\x80\x02N.", "lower": b"\x80\x02" + push("a") + b"\x940N.",
        "missing": b"\x8c\x01a\x94.", "in-list": b"](\x80\x04N\x80\x00e.", "1": b"\x80\x01N."
    },
)  # fmt: skip


def zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("data.pkl", data)
    return out.getvalue()


family.add(
    "container", "Wraps the payload in a compressed or encoded container.", NO_SNIFFING, REFUSED,
    {
        "zlib": zlib.compress(ONE_LINE), "gzip": gzip.compress(ONE_LINE, mtime=0),
        "zip": zipped(ONE_LINE), "base64": base64.b64encode(ONE_LINE), "json": b'{"a": 1}',
        "xml": b"<?xml version='1.0'?>", "utf-16": ONE_LINE.decode().encode("utf-16"),
        "bom": b"\xef\xbb\xbf" + ONE_LINE, "space": b" " + ONE_LINE,
        "crlf": ONE_LINE.replace(b"\n", b"\r\n"),
        "null": b"\0" * 100, "newlines": b"\n\n" + ONE_LINE, "numpy": b"\x93NUMPY\x01\0",
        "elf": b"\x7fELF",
    },
)  # fmt: skip
family.add(
    "cut", "Cuts the demo payload at every byte.", "every end of input is an error", REFUSED,
    {f"{end}": ONE_LINE[:end] for end in range(len(ONE_LINE))},
)  # fmt: skip
family.add(
    "reordered", "Hides the call by frames, junk opcodes and honest data around it.", WHILE,
    forbidden("os.system"),
    {
        "junk": pickled(Raw(b"N0" * 500 + CALL + b"N0" * 500)),
        "frames": b"\x80\x04" + (b"\x95" + struct.pack("<Q", len(CALL) + 1)) + CALL + b".",
        "deep": b"](" * 50 + CALL + b"e" * 50 + b".",
        "million": b"N0" * 200_000 + CALL + b".", "as-key": pickled({CALL: 1}),
        "as-state": pickled(Raw(reduced("types.SimpleNamespace") + push({"a": CALL}) + b"b")),
    },
)  # fmt: skip
family.add(
    "polyglot", "Starts like another format: JSON, HTML, an image, a script.", NO_SNIFFING,
    FORBIDDEN,
    {
        "script": b"S'#!/bin/sh'\n0" + ONE_LINE, "html": b"V<html>\n0" + ONE_LINE,
        "comment": b"I1\n0" + ONE_LINE
    },
)  # fmt: skip
