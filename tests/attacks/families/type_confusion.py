"""Arguments of the wrong kind or range, for every value type that is allowed."""

from __future__ import annotations

import datetime

from tests.attacks.case import CONTAINED, FORBIDDEN, REFUSED, SECRET, Family, Gives
from tests.attacks.families.nesting import stubs
from tests.attacks.ops import Raw, built, glob, new, pickled, reduced

PARSED = (
    "fields are parsed and range-checked; every TypeError, ValueError and OverflowError is wrapped"
)
FACTORIES = "default factories only from a short list of builtins"
ZONES = "zone names follow a grammar; no path in the input is opened"

family = Family(
    "type-confusion", "arguments of the wrong kind or range reach a constructor that trusts them"
)
STATES = {
    "hour": b"\x07\xe8\x01\x01\xc8\0\0\0\0\0", "minute": b"\x07\xe8\x01\x01\0\x3c\0\0\0\0",
    "second": b"\x07\xe8\x01\x01\0\0\x3c\0\0\0",
    "microsecond": b"\x07\xe8\x01\x01\0\0\0\xff\xff\xff",
    "february-31": b"\x07\xe8\x02\x1f\0\0\0\0\0\0", "february-29": b"\x07\xe7\x02\x1d\0\0\0\0\0\0",
    "month-0": b"\x07\xe8\0\x01\0\0\0\0\0\0", "month-13": b"\x07\xe8\x0d\x01\0\0\0\0\0\0",
    "day-0": b"\x07\xe8\x01\0\0\0\0\0\0\0",
    "year-0": b"\0\0\x01\x01\0\0\0\0\0\0", "year-65535": b"\xff\xff\x01\x01\0\0\0\0\0\0",
    "short": b"\x07\xe8\x01\x01\0\0\0\0\0", "long": b"\x07\xe8\x01\x01\0\0\0\0\0\0\0", "empty": b"",
    "fold-255": b"\x07\xe8\xff\x01\0\0\0\0\0\0",
}  # fmt: skip
DAY = b"\x07\xe8\x01\x01\0\0\0\0\0\0"
family.add(
    "datetime-bytes", "A datetime whose bytes are out of range; CPython does not look.", PARSED,
    REFUSED,
    {
        f"{kind}-{form}": pickled(
            reduced(
                "datetime.datetime",
                *(
                    state, reduced("datetime.timezone", reduced("datetime.timedelta", 0))
                )[: 1 + (form == "aware")]
            )
        )
        for kind, state in STATES.items()
        for form in ("naive", "aware")
    }
    | {
        f"{kind}-latin1": pickled(
            reduced(
                "datetime.datetime", reduced("_codecs.encode", state.decode("latin1"), "latin1")
            ),
            protocol=2
        )
        for kind, state in STATES.items()
    }
    | {
        f"{kind}-py2": pickled(
            reduced("datetime.datetime", Raw(b"U" + bytes([len(state)]) + state)), protocol=2
        )
        for kind, state in STATES.items()
    },
)  # fmt: skip
family.add(
    "datetime-arguments", "A datetime, date or time of other arguments than it writes.", PARSED,
    REFUSED,
    {
        kind: pickled(reduced(f"datetime.{name}", *args))
        for kind, (name, args) in {
            "tz-text": ("datetime", (DAY, "UTC")), "tz-int": ("datetime", (DAY, 5)),
            "tz-class": ("datetime", (DAY, glob("datetime.timezone"))),
            "three": ("datetime", (DAY, None, 1)), "list": ("datetime", ([1],)),
            "none": ("datetime", (None,)), "nothing": ("datetime", ()),
            "big": ("datetime", (10**30, 1, 1)), "negative": ("datetime", (-1, 1, 1)),
            "month": ("datetime", (2024, 13, 1)), "float": ("datetime", (2024.5, 1, 1)),
            "wide-text": ("datetime", ("\u0107" * 10,)),
            "global": ("datetime", (glob("os.getcwd"),)),
            "date-short": ("date", (b"\x07\xe8\x01",)),
            "date-month": ("date", (b"\x07\xe8\x0d\x01",)),
            "date-day": ("date", (b"\x07\xe8\x02\x1f",)),
            "date-year": ("date", (b"\xff\xff\x01\x01",)), "date-none": ("date", (None,)),
            "date-tz": ("date", (b"\x07\xe8\x01\x01", None)),
            "time-hour": ("time", (b"\x18\0\0\0\0\0",)),
            "time-minute": ("time", (b"\0\xff\0\0\0\0",)),
            "time-microsecond": ("time", (b"\0\0\0\xff\xff\xff",)),
            "time-long": ("time", (bytes(7),)), "time-tz": ("time", (bytes(6), "x")),
        }.items()
    },
)  # fmt: skip
family.add(
    "timedelta", "A timedelta out of range, or of other kinds.", PARSED, REFUSED,
    {
        kind: pickled(reduced("datetime.timedelta", *args))
        for kind, args in {
            "days": (10**10,), "huge": (10**300,), "seconds": (0, 10**20),
            "sum": (999999999, 86400, 0), "negative": (-(10**10),), "nan": (float("nan"),),
            "infinite": (float("inf"),), "text": ("1",), "none": (None,), "list": ([1],),
            "eight": (1,) * 8
        }.items()
    },
)  # fmt: skip
family.add(
    "timezone", "A timezone of a day or more, of other kinds, or with an odd name.", PARSED,
    REFUSED,
    {
        kind: pickled(reduced("datetime.timezone", *args))
        for kind, args in {
            "day": (reduced("datetime.timedelta", 1),),
            "negative-day": (reduced("datetime.timedelta", -1),), "int": (5,), "none": (None,),
            "nothing": (), "name-int": (reduced("datetime.timedelta", 0), 5),
            "name-bytes": (reduced("datetime.timedelta", 0), b"\xff"),
            "three": (reduced("datetime.timedelta", 0), "a", 1), "text": ("UTC",),
            "huge": (reduced("datetime.timedelta", 999999999),),
        }.items()
    },
)  # fmt: skip
family.add(
    "factory", "A defaultdict whose factory is a function, a class or a value.", FACTORIES, REFUSED,
    {
        name: pickled(reduced("collections.defaultdict", factory))
        for name, factory in {
            "os.system": glob("os.system"), "eval": glob("builtins.eval"),
            "input": glob("builtins.input"), "datetime": glob("datetime.datetime"),
            "ordereddict": glob("collections.OrderedDict"), "getattr": glob("builtins.getattr"),
            "object": glob("builtins.object"), "bytearray": glob("builtins.bytearray"),
            "range": glob("builtins.range"), "defaultdict": glob("collections.defaultdict"),
            "text": "list", "int": 5, "list": [], "instance": reduced("decimal.Decimal", "1"),
            "newobj": glob("copyreg.__newobj__"),
            "zone": reduced("builtins.getattr", glob("zoneinfo.ZoneInfo"), "_unpickle"),
        }.items()
    },
)  # fmt: skip
family.add(
    "factory-arguments", "A defaultdict of odd further arguments.", FACTORIES, CONTAINED,
    {
        "none": pickled(reduced("collections.defaultdict", None)),
        "dict": pickled(reduced("collections.defaultdict", glob("builtins.list"), {"a": 1})),
        "list": pickled(reduced("collections.defaultdict", glob("builtins.list"), [1])),
        "nothing": pickled(reduced("collections.defaultdict"))
    },
)  # fmt: skip
CALLS: dict[str, tuple[str, tuple[object, ...]]] = {
    "deque-negative": ("collections.deque", ((), -1)),
    "deque-huge": ("collections.deque", ((), 2**70)),
    "deque-text": ("collections.deque", ((), "5")), "deque-int": ("collections.deque", (5,)),
    "deque-three": ("collections.deque", ((), 1, 2)),
    "counter-int": ("collections.Counter", (5,)),
    "ordereddict-int": ("collections.OrderedDict", (5,)),
    "ordereddict-pairs": ("collections.OrderedDict", ([1, 2],)),
    "ordereddict-triples": ("collections.OrderedDict", ([(1, 2, 3)],)),
    "set-int": ("builtins.set", (5,)), "set-none": ("builtins.set", (None,)),
    "set-two": ("builtins.set", ([], [])), "set-unhashable": ("builtins.set", ([[]],)),
    "frozenset-int": ("builtins.frozenset", (5,)), "list-int": ("builtins.list", (5,)),
    "tuple-int": ("builtins.tuple", (5,)), "dict-int": ("builtins.dict", (5,)),
    "bytes-none": ("builtins.bytes", (None,)), "bytes-range": ("builtins.bytes", ([256],)),
    "bytes-text": ("builtins.bytes", ("abc",)), "bytearray-text": ("builtins.bytearray", ("abc",)),
    "bytearray-range": ("builtins.bytearray", ([-1],)),
    "str-encoding": ("builtins.str", (b"a", "os")), "uuid-text": ("uuid.UUID", (SECRET,)),
    "uuid-int": ("uuid.UUID", (5,)), "ip-text": ("ipaddress.IPv4Address", ("999.1.1.1",)),
    "ip-int": ("ipaddress.IPv4Address", (2**32,)),
    "ip-negative": ("ipaddress.IPv4Address", (-1,)),
    "ip-bytes": ("ipaddress.IPv4Address", (b"abc",)), "ip-list": ("ipaddress.IPv4Address", ([],)),
    "ip6-text": ("ipaddress.IPv6Address", ("::g",)),
    "ip6-int": ("ipaddress.IPv6Address", (2**128,)),
    "network-bits": ("ipaddress.IPv4Network", ("10.0.0.1/8",)),
    "network-prefix": ("ipaddress.IPv4Network", ("10.0.0.0/99",)),
    "interface": ("ipaddress.IPv4Interface", ("x",)), "path-int": ("pathlib.PurePosixPath", (5,)),
    "path-none": ("pathlib.PurePosixPath", (None,)),
    "path-bytes": ("pathlib.PurePosixPath", (b"\xff",)),
    "path-list": ("pathlib.PurePosixPath", (["a"],)),
    "namespace-text": ("types.SimpleNamespace", ("a",)),
    "namespace-two": ("types.SimpleNamespace", ({}, {})),
    "struct-time-short": ("time.struct_time", ((1, 2),)),
    "struct-time-int": ("time.struct_time", (5,)),
    "struct-time-long": ("time.struct_time", (tuple(range(50)),)),
    "array-code": ("array.array", ("Z", [1])), "array-range": ("array.array", ("b", [1000])),
    "array-text": ("array.array", ("i", ["x"])), "array-float": ("array.array", ("i", [1.5])),
    "array-empty-code": ("array.array", ("", [])), "array-nul": ("array.array", ("\0", [])),
    "array-int": ("array.array", ("i", 5)), "array-none": ("array.array", (None,)),
}  # fmt: skip
family.add(
    "constructors",
    "Calls every allowed constructor with arguments of the wrong kind, range or number.", PARSED,
    REFUSED,
    {kind: pickled(reduced(name, *args)) for kind, (name, args) in CALLS.items()},
)  # fmt: skip
family.add(
    "array-reconstructor", "Rebuilds an array from bytes in a format that does not fit.", PARSED,
    REFUSED,
    {
        kind: pickled(reduced("array._array_reconstructor", *args))
        for kind, args in {
            "format": (glob("array.array"), "i", 99, b"1234"),
            "negative": (glob("array.array"), "i", -1, b"1234"),
            "class": (glob("os.system"), "i", 8, b"1234"),
            "code": (glob("array.array"), "Z", 8, b"1234"),
            "length": (glob("array.array"), "i", 8, b"123"),
            "text": (glob("array.array"), "i", 8, "1234"),
            "surrogates": (glob("array.array"), "u", 20, b"\xff\xff\xff\xff"),
            "known-class": (glob("datetime.datetime"), "i", 8, b"1234"),
            "short": (glob("array.array"), "i"),
            "format-text": (glob("array.array"), "i", "8", b"1234"),
        }.items()
    },
)  # fmt: skip
family.add(
    "odd-paths", "Paths with NULs, parents or of a megabyte, which stay text and are never opened.",
    "a path is a value: nothing is opened", CONTAINED,
    {
        "nul": pickled(reduced("pathlib.PurePosixPath", "a\0b")),
        "parents": pickled(reduced("pathlib.PosixPath", "/", "..", "etc", "passwd")),
        "pure": pickled(reduced("pathlib.PureWindowsPath", "C:\\", "x")),
        "windows": pickled(reduced("pathlib.WindowsPath", "C:\\x")),
        "surrogate": pickled(reduced("pathlib.PurePosixPath", "\udc80"))
    },
)  # fmt: skip
LAZY = "django.utils.functional._lazy_proxy_unpickle"
family.add(
    "lazy-translation",
    "Puts another function into a lazy translation, which calls it when it is printed.",
    "the message id is text, and the function is never called", REFUSED,
    {
        f"{name}-{path}": pickled(
            reduced(
                f"{path}.functional._lazy_proxy_unpickle", glob(name), (f"echo {SECRET}",), {},
                glob("builtins.str")
            )
        )
        for name in (
            "os.system", "builtins.eval", "builtins.getattr",
            "django.utils.module_loading.import_string"
        )
        for path in ("django.utils", "django.utils.encoding")
    }
    | {
        "text": pickled(reduced(LAZY, "os.system", ("a",), {}, glob("builtins.str"))),
        "arguments": pickled(
            reduced(LAZY, glob("django.utils.translation.gettext"), (5,), {}, glob("builtins.str"))
        ),
        "no-arguments": pickled(reduced(LAZY, glob("django.utils.translation.gettext"))),
        "result-class": pickled(
            reduced(LAZY, glob("django.utils.translation.gettext"), ("a",), {}, glob("os.system"))
        )
    },
)  # fmt: skip
SCALARS = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
DTYPE = {
    "object": ("O8", False, True),
    "void": ("V8", False, True),
    "unknown": ("Z9", False, True),
    "text": ("U4294967295", False, True),
    "global": (glob("os.system"), False, True),
    "list": ([("a", "O")],),
}
family.add(
    "numpy-scalar", "A numpy scalar of objects, of unknown types, or of too few bytes.",
    "only plain numeric dtypes, with exactly their number of bytes", REFUSED,
    {
        f"{name}-{kind}": pickled(reduced(name, reduced("numpy.dtype", *args), push_bytes))
        for name in SCALARS
        for kind, args in DTYPE.items()
        for push_bytes in (b"12345678",)
    }
    | {
        f"{name}-length-{len(data)}": pickled(
            reduced(name, reduced("numpy.dtype", "i8", False, True), data)
        )
        for name in SCALARS
        for data in (b"", b"1234567", b"123456789")
    }
    | {
        "no-dtype": pickled(reduced(SCALARS[0], "i8", b"12345678")),
        "pickled": pickled(
            reduced(SCALARS[0], reduced("numpy.dtype", "O8", False, True), b"cos\nsystem\n.")
        ),
        "dtype-alone": pickled(reduced("numpy.dtype", "O8", False, True))
    },
)  # fmt: skip
family.add(
    "array-objects", "A numpy array, also of objects.", "arrays are not in the default policy",
    FORBIDDEN,
    {
        name: pickled(reduced(name, glob("numpy.ndarray"), (0,), b"b"))
        for name in ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
    },
)  # fmt: skip
family.add(
    "zone-paths", "Zones of other libraries with a path, a file's content or a nonsense offset.",
    ZONES, REFUSED,
    {
        kind: pickled(value)
        for kind, value in {
            "pytz-path": reduced("pytz._p", "../../etc/passwd"),
            "pytz-offset": reduced("pytz._p", "Europe/Paris", 10**12, 0, "CET"),
            "pytz-int": reduced("pytz._p", 5), "pytz-none": reduced("pytz._p"),
            "pytz-fixed": reduced("pytz._FixedOffset", 10**6),
            "pytz-fixed-text": reduced("pytz._FixedOffset", "60"),
            "pytz-list": reduced("pytz._p", ["Europe/Paris"]),
            "dateutil-path": reduced("dateutil.tz.tz.tzfile", None, "/etc/passwd"),
            "dateutil-file": reduced("dateutil.tz.tz.tzfile", "/etc/passwd"),
            "dateutil-offset": reduced("dateutil.tz.tz.tzoffset", None, 10**9),
            "pendulum": reduced("pendulum.tz.timezone.Timezone", "../../etc/passwd"),
            "zoneinfo-direct": reduced("zoneinfo.ZoneInfo", "/etc/passwd"),
        }.items()
    },
)  # fmt: skip
family.add(
    "zone-offsets", "Zones of other libraries with a path beside an offset, or an odd offset.",
    ZONES, CONTAINED,
    {
        "pytz-path": pickled(reduced("pytz._p", "/etc/passwd", 0, 0, "X")),
        "dateutil-swapped": pickled(reduced("dateutil.tz.tz.tzoffset", 5, "x")),
        "django-int": pickled(
            built(new("django.utils.timezone.FixedOffset"), {"_FixedOffset__offset": 5})
        ),
        "ip6-scope": pickled(reduced("ipaddress.IPv6Address", "::1%\0")),
    },
)  # fmt: skip
family.add(
    "zone-unbuilt", "Zones of other libraries without or with odd state.", ZONES, CONTAINED,
    {
        f"{name}-{kind}": pickled(value)
        for name in (
            "dateutil.tz.tz.tzutc", "dateutil.tz.tz.tzlocal", "dateutil.tz.tz.tzfile",
            "dateutil.tz.tz.tzoffset", "django.utils.timezone.FixedOffset",
            "django.utils.timezone.UTC", "pytz._UTC", "pytz._FixedOffset"
        )
        for kind, value in {
            "new": new(name), "called": reduced(name),
            "state": built(new(name), {"_filename": "/etc/passwd", "_offset": SECRET}),
            "state-list": built(reduced(name), [1])
        }.items()
    },
    reads_zone=True,
)  # fmt: skip
FRAMEWORK = (
    "django.utils.safestring.SafeString",
    "django.utils.safestring.SafeText",
    "markupsafe.Markup",
    "werkzeug.datastructures.MultiDict",
    "werkzeug.datastructures.structures.MultiDict",
    "django.http.request.QueryDict",
    "django.utils.datastructures.MultiValueDict",
    "django.utils.datastructures.SortedDict",
    "moneyed.classes.Money",
    "djmoney.money.Money",
    "werkzeug.datastructures.ImmutableMultiDict",
)
ODD = {
    "int": (5,),
    "none": (None,),
    "list": ([1],),
    "nested": ({"a": {"b": [1]}},),
    "pairs": ([[1, [2]]],),
    "bytes": (b"\xff",),
    "three": (1, 2, 3),
    "nothing": (),
    "huge-text": ("x" * 10_000,),
    "query": ("a=1&b=%00&" + "c&" * 1000,),
    "own": (Raw(b"]2a"),),
}
family.add(
    "framework-values", "Framework values of odd arguments or states.", PARSED, CONTAINED,
    {
        f"{name}-{form}-{kind}": pickled(call(name, *args))
        for name in FRAMEWORK
        for kind, args in ODD.items()
        for form, call in (("reduce", reduced), ("newobj", new))
    }
    | {
        f"{name}-state-{kind}": pickled(built(new(name), state))
        for name in FRAMEWORK
        for kind, state in {
            "list": [1],
            "planted": {"__class__": 1, "_mutable": 5, "encoding": "os", "_encoding": []},
            "data": {"_data": {1: 2}}, "money": {"amount": SECRET, "currency": []},
            "slots": (None, {"a": 1}), "int": 5
        }.items()
    },
)  # fmt: skip
family.add(
    "framework-global", "Framework values with a function as an argument or in their state.",
    "a global is not a value", FORBIDDEN,
    {
        f"{name}-{form}": pickled(value)
        for name in FRAMEWORK
        for form, value in {
            "argument": reduced(name, glob("os.system")),
            "state": built(new(name), {"a": glob("os.system")})
        }.items()
    },
)  # fmt: skip
family.add(
    "stub-policy", "Sends hostile shapes to a policy that makes stubs of unknown names.",
    "a stub holds values, and calls nothing", CONTAINED,
    {
        name: pickled(value)
        for name, value in {
            "system": reduced("os.system", f"echo {SECRET}"),
            "eval": reduced("builtins.eval", SECRET),
            "getattr": reduced("builtins.getattr", glob("os.system"), "__call__"),
            "newobj": built(new("os.system", 1), {"__class__": 1}), "alone": glob("os.system"),
            "chain": reduced(reduced("functools.partial", glob("os.system"), SECRET)),
            "factory": reduced("collections.defaultdict", glob("os.system")),
            "key": {reduced("shop.Key", 1): 1}, "items": Raw(new("shop.Cart") + b"(K\x01K\x02u"),
            "dict-opcode": Raw(new("shop.Cart") + b"K\x01a"),
            "dotted": reduced("shop:Cart.__init__.__globals__"),
            "type": reduced("builtins.type", "X", (), {}),
            "state-twice": built(built(new("shop.Cart"), {"a": 1}), {"b": 2}),
            "inst": Raw(b"(K\x01ios\nsystem\n"),
            "reconstructor": reduced(
                "copyreg._reconstructor", glob("os.system"), glob("builtins.object"), None
            ),
            "set-member": Raw(b"\x8f(" + reduced("shop.Key", 1) + b"\x90"),
            "terminal": reduced("sh\x1b[2Jop:C\x07art"),
            "zone": Raw(reduced("builtins.getattr", glob("shop.Zone"), "_unpickle") + b")R"),
        }.items()
    },
    policy=stubs,
)  # fmt: skip
family.add(
    "datetime-honest", "The honest shape, to see that the family's own cases can load.", PARSED,
    Gives(datetime.datetime(2024, 1, 1)), pickled(reduced("datetime.datetime", DAY)),
)  # fmt: skip
