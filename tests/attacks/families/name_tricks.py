"""Names that reach the decoder by detours, or look like other names."""

from __future__ import annotations

import struct

from tests.attacks.case import (
    FORBIDDEN,
    MALFORMED,
    REFUSED,
    SECRET,
    Family,
    Refused,
    forbidden,
    over,
)
from tests.attacks.ops import Raw, glob, line, pickled, push, reduced, stack_glob, text

MACHINE = "inspect and load are one stack machine, so a detour changes nothing"
EXACT = "exact name in the policy table, compared as bytes: no folding, trimming or normalising"
NO_IMPORT = "no name in the input is ever imported or looked up"
# A name that is no valid text is malformed; any other is forbidden.
NEITHER = Refused(("ForbiddenGlobal", "MalformedPickle"))
CALL = push((f"echo {SECRET}",)) + b"R"

family = Family("name-tricks", "the name comes by a detour, or is dressed up")
family.add(
    "detour", "Brings the two parts of a name together by memo, DUP, POP and junk.", MACHINE,
    forbidden("os.system"),
    {
        "memo": pickled(
            Raw(text("os") + b"q\x05" + text("system") + b"q\x0700h\x05h\x07\x93" + CALL)
        ),
        "memo-overwritten": pickled(
            Raw(
                text("datetime")
                    + b"q\x00"
                    + text("os")
                    + b"q\x000"
                    + text("system")
                    + b"q\x0100h\x00h\x01\x93"
                    + CALL
            )
        ),
        "memoize": pickled(
            Raw(text("system") + b"\x94" + text("os") + b"\x9400h\x01h\x00\x93" + CALL)
        ),
        "put-text": pickled(
            Raw(text("os") + b"p12\n" + text("system") + b"p4\n00g12\ng4\n\x93" + CALL)
        ),
        "pop": pickled(
            Raw(
                text("os")
                    + text("datetime")
                    + b"0"
                    + text("date")
                    + b"0"
                    + text("system")
                    + b"\x93"
                    + CALL
            )
        ),
        "pop-mark": pickled(
            Raw(text("os") + text("system") + b"(" + text("datetime") * 3 + b"1\x93" + CALL)
        ),
        "dup": pickled(Raw(text("os") + text("system") + b"20\x93" + CALL)),
        "text-opcodes": pickled(Raw(b"Vos\nVsystem\n\x93" + CALL)),
        "py2-strings": pickled(Raw(b"S'os'\nU\x06system\x93" + CALL)),
        "unicode-escapes": pickled(Raw(b"V\\u006fs\nVs\\u0079stem\n\x93" + CALL)),
        "long-lengths": pickled(
            Raw(
                b"\x8d"
                    + struct.pack("<Q", 2)
                    + b"os"
                    + b"X"
                    + struct.pack("<I", 6)
                    + b"system\x93"
                    + CALL
            )
        ),
        "frames": pickled(
            Raw(
                b"\x95"
                    + struct.pack("<Q", 4)
                    + text("os")
                    + b"\x95"
                    + struct.pack("<Q", 9)
                    + text("system")
                    + b"\x93"
                    + CALL
            )
        ),
        "global-memoised": pickled(Raw(glob("os.system") + b"q\x000h\x00" + CALL)),
        "dict-value": pickled({"a": Raw(glob("os.system") + b"q\x00" + CALL)}),
    },
)  # fmt: skip
family.add(
    "from-computed", "Makes the name out of a call, not a string.", "a name is two strings",
    REFUSED,
    {
        "encode": pickled(
            Raw(text("os") + reduced("_codecs.encode", "system", "latin1") + b"\x93"), None
        ),
        "str": pickled(Raw(text("os") + reduced("builtins.str", "system") + b"\x93" + CALL)),
        "tuple": pickled(Raw(push(("os", "system")) + b"\x93")),
        "int": pickled(Raw(b"K\x01K\x02\x93")),
        "bytes": pickled(Raw(push(b"os") + push(b"system") + b"\x93")),
        "none": pickled(Raw(b"NN\x93")),
        "bytearray": pickled(
            Raw(b"\x96" + struct.pack("<Q", 2) + b"os" + text("system") + b"\x93")
        ),
        "global": pickled(Raw(glob("builtins.str") + text("system") + b"\x93")),
    },
)  # fmt: skip

LOOKALIKES = {
    "upper": "DATETIME:datetime", "title": "Datetime:datetime", "upper-name": "datetime:DATETIME",
    "leading-space": " datetime:datetime", "trailing-space": "datetime :datetime",
    "tab": "datetime\t:datetime", "cyrillic": "d\u0430tetime:datetime",
    "fullwidth": "\uff44atetime:datetime",
    "ligature": "\ufb01ctions:Fraction", "combining": "datetime\u0301:datetime",
    "zero-width": "date\u200btime:datetime", "joiner": "datetime\u200d:datetime",
    "bom": "\ufeffdatetime:datetime",
    "nul": "datetime\0:datetime", "nul-tail": "datetime:datetime\0x",
    "nul-head": "\0datetime:datetime",
    "surrogate": "datetime\udc80:datetime", "surrogate-pair": "datetime:\ud800\udc00",
    "bidi": "\u202edatetime:datetime", "carriage-return": "datetime\r:datetime\r",
    "path": "../datetime:datetime", "path-absolute": "/tmp/datetime:datetime",
    "backslash": "..\\datetime:datetime",
    "url": "http.//x/datetime:datetime", "percent": "date%74ime:datetime",
    "dash": "date-time:datetime",
    "dunder": "__datetime__:datetime", "mangled": "datetime:_datetime__datetime",
    "escape-sequence": "date\\x74ime:datetime", "escape-unicode": "date\\u0074ime:datetime",
    "digits": "\u0660datetime:datetime", "empty": ":", "newlines": "date\ntime:date\ntime",
}  # fmt: skip
family.add(
    "lookalike-stack-global", "Spells an allowed name in a way that only looks the same.", EXACT,
    NEITHER,
    {kind: pickled(reduced(stack_glob(name), SECRET)) for kind, name in LOOKALIKES.items()},
)  # fmt: skip
family.add(
    "lookalike-global", "The same in the line arguments of GLOBAL, where UTF-8 may be broken.",
    EXACT,
    NEITHER,
    {
        kind: pickled(reduced(glob(name), SECRET))
        for kind, name in LOOKALIKES.items()
        if kind != "newlines"
    }
    | {
        "bad-utf8": pickled(Raw(b"cdatetime\xff\ndatetime\n" + CALL)),
        "overlong": pickled(Raw(b"cdatetim\xc1\xa5\ndatetime\n" + CALL)),
        "crlf": pickled(Raw(b"cdatetime\r\ndatetime\r\n" + CALL)),
        "latin1": pickled(Raw(b"cdatetim\xe9\ndatetime\n" + CALL)),
    },
)  # fmt: skip
family.add(
    "side-effect", "Names a module whose mere import has an effect.", NO_IMPORT, FORBIDDEN,
    {
        name: pickled(glob(f"{name}:x"))
        for name in (
            "antigravity", "this", "__main__", "__phello__", "idlelib.idle", "test.autotest",
            "tkinter.__main__", "turtledemo.clock", "lib2to3.__main__", "ensurepip.__main__",
            "site",
            "sitecustomize", "django.conf", "plainpickle._core", "tests.attacks.canary",
        )
    },
)  # fmt: skip

NOISE = {
    "terminal-title": "\x1b]0;gotcha\x07", "clear-screen": "\x1b[2J\x1b[H", "c1-csi": "\x9b31m",
    "backspaces": "evil" + "\b" * 4, "log-line": "x\nINFO:root:all is well", "carriage": "\rok",
    "bidi": "\u202egnp.exe", "line-separator": "a\u2028b", "quotes": 'x").register(eval)  #',
    "format": "{0.__class__} %s %n ${jndi:ldap://x}", "html": "<script>alert(1)</script>",
    "null": "a\0b", "del": "\x7f", "emoji": "\U0001f4a9", "lone-surrogate": "\udcff",
    "tags": "\U000e0041",
}  # fmt: skip
family.add(
    "noisy-message",
    "Plants escape sequences, line breaks or quotes where an error message shows the name.",
    "names in messages are escaped and cut", NEITHER,
    {
        f"{place}-{kind}": pickled(stack_glob(f"{noise}:x" if place == "module" else f"x:{noise}"))
        for kind, noise in NOISE.items()
        for place in ("module", "name")
    },
)  # fmt: skip

LONG_NAME = "name length is limited before the name is kept"
family.add(
    "megabyte-global", "A name of a megabyte in GLOBAL.", LONG_NAME, REFUSED,
    {
        "module": lambda n: b"c" + line("m" * n) + line("x") + b".",
        "name": lambda n: b"c" + line("m") + line("x" * n) + b".",
        "escaped": lambda n: b"c" + line("\x1b" * n) + line("x") + b".",
        "dots": lambda n: b"c" + line("." * n) + line("x") + b".",
    },
    (300, 1_000_000),
)  # fmt: skip
family.add(
    "megabyte-stack-global",
    "A name of a megabyte in STACK_GLOBAL, once or a thousand times by memo.",
    LONG_NAME, over("max_name_bytes"),
    {
        "once": lambda n: pickled(stack_glob(f"{'m' * n}:x")),
        "again": lambda n: pickled(
            Raw(text("m" * n) + b"q\x00" + text("x") + b"q\x0100" + b"h\x00h\x01\x930" * 1000), None
        ),
    },
    (300, 1_000_000),
)  # fmt: skip
family.add(
    "many-names", "Names a hundred thousand different globals.",
    "the first refusal ends a load; inspect charges what it records to the memory budget", REFUSED,
    lambda n: b"".join(b"cm%d\nx\n0" % i for i in range(n)) + b"N.", (10, 100_000),
)  # fmt: skip
family.add(
    "cut-name", "Ends the input inside a name.", "lines end at a newline or the load fails",
    MALFORMED,
    {"module": b"cos", "name": b"cos\nsystem", "none": b"c", "inst": b"(ios\nsyst"},
)  # fmt: skip
