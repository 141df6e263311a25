"""Hostile texts: what each tries, and the text of it at a given size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

PRIME = 2**61 - 1  # the modulus of CPython's hash of numbers


@dataclass(frozen=True)
class Hostile:
    """A text that grows with `n`. `limit`: the limit that must stop it at the size `large`."""

    name: str
    make: Callable[[int], str | bytes]
    small: int
    large: int
    limit: str | None = None

    def text(self, n: int) -> bytes:
        made = self.make(n)
        return made if isinstance(made, bytes) else made.encode()

    def __str__(self) -> str:
        return self.name


def tagged(tag: str, content: str) -> str:
    """The object of one key that begins with a space."""
    return f'{{" {tag}":{content}}}'


def _repeated(head: str, body: str, tail: str) -> Callable[[int], str]:
    return lambda n: head + ",".join([body] * n) + tail


def _numbered(head: str, body: Callable[[int], str], tail: str) -> Callable[[int], str]:
    return lambda n: head + ",".join(map(body, range(1, n + 1))) + tail


def _nested(opening: str, core: str, closing: str) -> Callable[[int], str]:
    return lambda n: opening * n + core + closing * n


NESTS = {
    "list": ("[", "]"),
    "dict": ('{"a":', "}"),
    "tuple": ('{" t":[', "]}"),
    "di": ('{" di":{" t__":', "}}"),
    "di of di": ('{" di":{" di__":', "}}"),
    "dict value": ('{" dict":[1,', "]}"),
    "ordereddict value": ('{" ordereddict":["a",', "]}"),
    "counter value": ('{" counter":["a",', "]}"),
    "defaultdict value": ('{" defaultdict":["int","a",', "]}"),
    "deque": ('{" deque":[null,', "]}"),
    "namespace": ('{" namespace":["a",', "]}"),
    "key": ('{" dict":[{" t":[', "]},1]}"),
    "tuple as key": ('{" t":[', "]}"),
    "frozenset": ('{" frozenset":[', "]}"),
    "set of frozensets": ('{" set":[{" frozenset":[', "]}]}"),
    "unknown tag": ('{" x":', "}"),
    "object with more keys": ('{" t":1,"a":', "}"),
    "datetime zone": ('{" datetime":["2024-01-01T00:00:00",0,', "]}"),
    "timezone name": ('{" timezone":["+00:00",', "]}"),
    "text": ('{" str":[', "]}"),
    "markup": ('{" m":', "}"),
    "bytes": ('{" b":', "}"),
    "complex": ('{" complex":[0.0,', "]}"),
    "fraction": ('{" fraction":[1,', "]}"),
    "array": ('{" array":["d",', "]}"),
    "struct_time": ('{" struct_time":[1,1,1,1,1,1,1,1,', "]}"),
    "path": ('{" path":["PurePosixPath",', "]}"),
    "reduce": ('{" reduce":["django.utils.safestring.SafeString",', "]}"),
    "white space": (" [ \n", "\t]"),
}


def _nestings() -> Iterator[Hostile]:
    for name, (opening, closing) in NESTS.items():
        yield Hostile(f"nested {name}", _nested(opening, "null", closing), 2000, 30_000)
        yield Hostile(f"nested {name}, never closed", _nested(opening, "", ""), 2000, 30_000)
    yield Hostile("100 kB of [", lambda n: "[" * n, 1001, 100_000, "max_depth")
    yield Hostile("100 kB of {", lambda n: "{" * n, 1001, 100_000)
    yield Hostile(
        "key of a thousand levels",
        lambda n: tagged("set", f"[{_tuples(n)}]"),
        101,
        900,
        "max_key_depth",
    )
    yield Hostile(
        "many keys of 90 levels", lambda n: '{" set":[' + ",".join([_tuples(90)] * n) + "]}", 5, 900
    )


def _tuples(n: int) -> str:
    return '{" t":[' * n + "1" + "]}" * n


COLLIDING: dict[str, Callable[[int], str]] = {
    "integers": lambda k: str(k * PRIME),
    "negative integers": lambda k: str(-k * PRIME),
    "long integers": lambda k: tagged("int", f'"{k * PRIME << 61:#x}"'),
    "floats": lambda k: repr(float(k) * 2.0**40),
    "tuples": lambda k: tagged("t", f"[{k * PRIME}]"),
    "frozensets": lambda k: tagged("frozenset", f"[{k * PRIME}]"),
    "decimals": lambda k: tagged("decimal", f'"{k * PRIME}"'),
    "fractions": lambda k: tagged("fraction", f"[{k * PRIME},1]"),
    "uuids": lambda k: tagged("u", f'"{k * PRIME:032x}"'),
    "complexes": lambda k: tagged("complex", f"[{-1000003.0 * k!r},{float(k)!r}]"),
    "ranges": lambda k: tagged("range", f"[{k * PRIME},{k * PRIME + 1},1]"),
    "minus ones": lambda k: tagged(
        "t", "[" + ",".join("-2" if k >> i & 1 else "-1" for i in range(16)) + "]"
    ),
}
CERTAIN = {*COLLIDING} - {"floats", "fractions"}  # the work for many fractions runs out first
FILLED = {
    "dict": ('{" dict":[', ",0", "]}"),
    "ordereddict": ('{" ordereddict":[', ",0", "]}"),
    "counter": ('{" counter":[', ",0", "]}"),
    "defaultdict": ('{" defaultdict":[null,', ",0", "]}"),
    "set": ('{" set":[', "", "]}"),
    "frozenset": ('{" frozenset":[', "", "]}"),
}


def _collisions() -> Iterator[Hostile]:
    for container, (head, value, tail) in FILLED.items():
        for kind, key in COLLIDING.items():
            if kind == "integers" or container in ("dict", "set"):
                make = _numbered(head, lambda k, key=key, value=value: key(k) + value, tail)  # type: ignore[misc]
                limit = "max_probes" if kind in CERTAIN else None
                yield Hostile(f"colliding {kind} in {container}", make, 100, 20_000, limit)
        few = head + ",".join(f"{k * PRIME}{value}" for k in range(1, 250)) + tail
        yield Hostile(
            f"many small {container}s of colliding keys", _repeated("[", few, "]"), 2, 200
        )
        again = _repeated(head, "1" + value, tail)
        yield Hostile(f"one key over and over in {container}", again, 100, 200_000)


def _numbers() -> Iterator[Hostile]:
    for name, form in {
        "integer": "%s",
        "negative integer": "-%s",
        "float": "%s.5",
        "fraction of a float": "0.%s",
        "float of a large exponent": "%se5",
        "float that its exponent makes small": "%s" + "e-1000000",
        "hexadecimal": '{" int":"0x%s"}',
        "float bits": '{" f":"%s"}',
        "Decimal": '{" decimal":"%s"}',
        "Decimal with a point": '{" decimal":"0.%s"}',
        "NaN payload": '{" decimal":"NaN%s"}',
        "numerator": '{" fraction":[%s,7]}',
        "denominator": '{" fraction":[7,%s]}',
        "range": '{" range":[0,%s,1]}',
        "complex": '{" complex":[%s.0,0.0]}',
        "array item": '{" array":["Q",%s]}',
        "array float": '{" array":["d",%s.0]}',
        "length of a deque": '{" deque":[%s]}',
        "days": '{" timedelta":[%s,0,0]}',
        "year": '{" date":"%s-01-01"}',
        "UUID": '{" u":"%s"}',
        "field of a struct_time": '{" struct_time":[1,1,1,1,1,1,1,1,%s]}',
        "address": '{" ip":["IPv4Address","%s"]}',
        "prefix": '{" ip":["IPv4Network","0.0.0.0/%s"]}',
        "exponent of a float": "1e%s",
        "negative exponent of a float": "1e-%s",
        "exponent of a Decimal": '{" decimal":"1e%s"}',
        "negative exponent of a Decimal": '{" decimal":"1e-%s"}',
    }.items():
        yield Hostile(f"digits: {name}", lambda n, form=form: form % ("7" * n), 5000, 1_000_000)  # type: ignore[misc]
    long = tagged("int", '"0x' + "7" * 1600 + '"')
    many = {
        "integers of 4000 digits": "7" * 4000,
        "Decimals of 4000 digits": '{" decimal":"%s"}' % ("7" * 4000),
        "Decimals of exponent 99999": '{" decimal":"1e99999"}',
        "Fractions of 2000 digits": tagged("fraction", f"[{'7' * 2000},{'3' * 1999}]"),
        "Fractions of long integers": tagged("fraction", f"[{long},{long}]"),
        "integers of 65536 bits": '{" int":"0x%s"}' % ("7" * 16_384),
        "floats of 700 digits": "0." + "123456789" * 77,
        "smallest floats": "5e-324",
        "zeros of large exponents": "0e999999999",
    }
    for name, one in many.items():
        count = max(1_000_000 // len(one), 2)
        yield Hostile(f"many {name}", _repeated("[", one, "]"), 2, count)


PIECES = {
    "NULs": "\\u0000",
    "quotes": '\\"',
    "backslashes": "\\\\",
    "astral characters": "\\ud83d\\ude00",
    "high surrogates": "\\ud83d",
    "low surrogates": "\\ude00",
    "UTF-8": "é",
    "astral UTF-8": "😀",
    "mixed widths": "a\\u00e9€😀\\ud83d",
}


def _text(head: str, piece: str, tail: str) -> Callable[[int], str]:
    return lambda n: head + piece * n + tail


def _texts() -> Iterator[Hostile]:
    for name, piece in PIECES.items():
        size = 1_000_000 // len(piece)
        yield Hostile(f"1 MB of {name}", _text('"', piece, '"'), 100, size)
    for name, head, piece, tail in (
        ("ASCII and an astral character", '"', "a", '😀"'),
        ("escapes as a key", '{"', "\\u00e9", '":1}'),
        ("tag", '{" ', "t", '":1}'),
        ("key in di", '{" di":{" ', "t", '__":1}}'),
        ("white space", "[", " \n", "]"),
        ("base64", '{" b":"', "AAAA", '"}'),
        ("bad base64", '{" b":"', "AAAA", '="}'),
        ("text, never closed", '"', "a", ""),
        ("escapes, never closed", '"', "\\\\", ""),
    ):
        yield Hostile(f"1 MB of {name}", _text(head, piece, tail), 300, 1_000_000 // len(piece))


def _many() -> Iterator[Hostile]:
    from tests.session_format.golden_files import golden

    for each in golden():
        if each.text.startswith(b'{" ') and len(each.text) < 400 and each.profiles == ("plain",):
            one = each.text.decode()
            count = 200_000 // len(one)
            yield Hostile(f"many times {each}", _repeated("[", one, "]"), 20, count)
    for name, one in {
        "empty lists": "[]",
        "empty dicts": "{}",
        "empty sets": '{" set":[]}',
        "nulls": "null",
        "zeros": "0",
        "empty texts": '""',
        "short texts": '"ab"',
    }.items():
        yield Hostile(f"many {name}", _repeated("[", one, "]"), 20, 1_000_000 // len(one))
    for tag, head in {
        "t": "", "set": "", "frozenset": "", "dict": "", "ordereddict": "", "counter": "",
        "deque": "null,", "str": "", "defaultdict": "null,", "path": '"PurePosixPath",',
        "struct_time": "", "array": '"u",', "fraction": "", "range": "", "datetime": "",
        "reduce": '"pytz._UTC",',
    }.items():  # fmt: skip
        make = _repeated(f'{{" {tag}":[{head}', '"a"', "]}")
        yield Hostile(f"many items in {tag}", make, 20, 200_000)
    yield Hostile(
        "one attribute over and over", _repeated('{" namespace":[', '"a",1', "]}"), 20, 200_000
    )
    yield Hostile(
        "many attributes", _numbered('{" namespace":[', lambda k: f'"a{k}",1', "]}"), 20, 100_000
    )
    yield Hostile("many keys", _numbered("{", lambda k: f'"k{k}":1', "}"), 20, 100_000)
    yield Hostile("one key over and over", _repeated("{", '"a":[1]', "}"), 20, 200_000)
    yield Hostile("one tag over and over", _repeated("{", '" t":[1]', "}"), 20, 200_000)
    yield Hostile(
        "many tags in one object", _numbered("{", lambda k: f'" t{k}":[]', "}"), 20, 100_000
    )
    yield Hostile("a bounded deque overrun", _repeated('{" deque":[1,', "[]", "]}"), 20, 250_000)
    yield Hostile(
        "zones that do not exist",
        _numbered("[", lambda k: tagged("zone", f'"Europe/P{k}"'), "]"),
        1,
        50_000,
    )
    yield Hostile(
        "many parts of a path",
        _repeated('{" path":["PureWindowsPath",', '"a/b"', "]}"),
        20,
        200_000,
    )
    yield Hostile(
        "one long part of a path",
        lambda n: '{" path":["PurePosixPath","%s"]}' % ("a/" * n),
        20,
        500_000,
    )


HOSTILE = (*_nestings(), *_collisions(), *_numbers(), *_texts(), *_many())

# A text that is no JSON, or not in the format: refused at once.
NO_JSON = (
    *("", " ", "\n", "{", "[", '"', "-", "t", "[1,]", "[,1]", "[1 2]", "[1][2]", "[1]x", "{,}"),
    *('{"a"}', '{"a":}', '{"a" 1}', '{"a":1,}', "{a:1}", "{1:2}", "{'a':1}", "[1", '{"a":1', "]"),
    *("01", "-01", "1.", "1.e5", "[.5]", "[+1]", "0x10", "1e", "1e+", "1_0", "--1", "-a", "1a"),
    *("nul", "nulll", "true1", "[True]", "[None]", "[nan]", "[-NaN]", "[Inf]", "[+Infinity]"),
    *(
        "[INFINITY]",
        "[NaN1]",
        "[1]//",
        "[1]#",
        "/**/[1]",
        "[\f1]",
        "[\v1]",
        "[\u00a01]",
        "[\u20031]",
    ),
    *(
        "[\ufeff1]",
        "\ufeff[1]",
        "[1]\0",
        "\0[1]",
        "[\0]",
        '"\\x41"',
        '"\\\'"',
        '"\\u12"',
        '"\\u12g4"',
    ),
    *('"\\U00000041"', '"\\u 123"', '"\\u+123"', '"\\ud83d\\"', '"\\ud83d\\u"', '"\\ud83d\\ude0"'),
    *(
        '"\\ud83d\\',
        '"\\ud83d\\ude0',
        '"\\ud83d',
        '"a',
        '"\\"',
        '"a\nb"',
        '"\t"',
        "\u0661",
        "[1\u0662]",
    ),
    *(f'"{chr(code)}"' for code in range(32)),
    *(f'["k",{{"{chr(code)}":1}}]' for code in (0, 9, 10, 31)),
)
NO_UTF_8 = (
    *(b'"\xff"', b'"\x80"', b'"\xc3"', b'"\xc3(', b'"\xe2\x82"', b'"\xf0\x9f\x98"', b'"\xc0\xaf"'),
    *(b'"\xe0\x80\xaf"', b'"\xed\xa0\x80"', b'"\xed\xb0\x80"', b'"\xed\xa0\xbd\xed\xb8\x80"'),
    *(b'"\xf4\x90\x80\x80"', b'"\xf8\x88\x80\x80\x80"', b'{"\xff":1}', b"[\xff]", b"[1]\xff"),
    *(b'{" t\xff":[]}', b'{" b":"\xff"}', b'["\\ud83d\xff"]', b'["\\\xff"]', b'["\xe9"]'),
    *('["é"]'.encode(code) for code in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1")),
    *(
        '{"a":1}'.encode(code)
        for code in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig")
    ),
)
NAMES = (
    *("os.system", "posix.system", "nt.system", "subprocess.Popen", "builtins.eval", "eval"),
    *("builtins.exec", "builtins.getattr", "builtins.open", "__builtin__.eval", "os", "", "."),
    *("builtins.set", "builtins.list", "collections.OrderedDict", "datetime.datetime", "uuid.UUID"),
    *("shop.cart.Cart", "markupsafe.Markup.format", "django.utils.safestring.SafeString.__class__"),
    *(
        "django.utils.safestring.mark_safe",
        "django.http.HttpResponse",
        "flask.Flask",
        "jinja2.Template",
    ),
    *("django.utils.safestring", "pytz.timezone", "pytz.open_resource", "pytz.os.system"),
    *(
        "werkzeug.datastructures.FileStorage",
        "werkzeug.utils.import_string",
        "a" * 300,
        "\ud800.x",
        "é.é",
    ),
    *(
        "os\0.system",
        "os system",
        " os.system",
        "os.system ",
        "OS.SYSTEM",
        "..",
        "plainpickle.Stub",
    ),
)
WRONG = tuple((Path(__file__).parent / "wrong_contents.jsonl").read_text("ascii").splitlines())
