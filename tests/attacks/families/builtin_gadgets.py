"""Innocent-looking builtins that become calls when they are put together."""

from __future__ import annotations

from tests.attacks.case import CONTAINED, FORBIDDEN, REFUSED, SECRET, Family, Gives, forbidden
from tests.attacks.ops import Raw, Value, glob, pickled, push, reduced

EXACT = "none of them is in the policy table"
SYMBOLIC = "getattr only as the symbol pair (zoneinfo.ZoneInfo, '_unpickle'), never as a look-up"
KEYS = "zone keys follow a grammar before any file is opened"

GADGETS = """
builtins.getattr builtins.setattr builtins.delattr builtins.hasattr builtins.map builtins.filter
builtins.type builtins.super builtins.property builtins.classmethod builtins.memoryview
builtins.iter builtins.next builtins.reversed builtins.zip builtins.sorted builtins.max
builtins.help builtins.license builtins.exit __builtin__.reduce __builtin__.intern
functools.partial functools.reduce functools.partialmethod functools.cached_property
operator.attrgetter operator.itemgetter operator.methodcaller operator.call operator.setitem
operator.iconcat _operator.methodcaller itertools.starmap itertools.accumulate itertools.repeat
itertools.cycle pkgutil.resolve_name importlib.import_module weakref.finalize weakref.proxy
re.compile re._compile re.sub re.Scanner string.Formatter string.Template enum.Enum enum.EnumMeta
dataclasses.make_dataclass collections.namedtuple typing._eval_type typing.NamedTuple
inspect.getattr_static contextlib.ExitStack concurrent.futures.Future queue.Queue copy.copy
copy.deepcopy copy._reconstruct unittest.mock._importer unittest.mock.Mock
numpy.testing._private.utils.runstring numpy.f2py.crackfortran.getlincoef statistics.NormalDist
ssl.SSLContext struct.Struct mmap.mmap io.FileIO io.open _io.FileIO io.BytesIO bdb.Breakpoint
sched.scheduler cmd.Cmd optparse.OptionParser json.loads xmlrpc.client.ServerProxy
""".split()  # noqa: SIM905 - a table reads best as lines

family = Family("builtin-gadget", "harmless callables are combined until one of them calls another")
family.add(
    "gadget", "Calls a builtin that can reach or call other things.", EXACT, FORBIDDEN,
    {name: pickled(reduced(name, SECRET, "x")) for name in GADGETS},
)  # fmt: skip
family.add(
    "map-into-deque", "Drives `map(eval, ...)` by an allowed container's constructor.", EXACT,
    FORBIDDEN,
    {
        name: pickled(reduced(name, reduced("builtins.map", glob("builtins.eval"), [SECRET])))
        for name in ("collections.deque", "builtins.list", "builtins.set", "builtins.bytearray",
                     "collections.OrderedDict", "collections.Counter")
    },
)  # fmt: skip

ZONE = glob("zoneinfo.ZoneInfo")
GETATTR = glob("builtins.getattr")


def unpickle(*args: Value) -> Raw:
    """The one allowed shape: getattr(ZoneInfo, "_unpickle"), called."""
    return Raw(reduced(GETATTR, ZONE, "_unpickle") + push(args) + b"R")


family.add(
    "getattr-other-attribute", "Asks getattr for another attribute of ZoneInfo, and calls it.",
    SYMBOLIC, REFUSED,
    {
        attribute or "empty": pickled(
            Raw(reduced(GETATTR, ZONE, attribute) + push(("Europe/Paris", 1)) + b"R")
        )
        for attribute in (
            "no_cache", "clear_cache", "from_file", "__init__", "__new__", "__init__.__globals__",
            "mro",
            "__subclasses__", "__reduce__", "_unpickle.__func__", "_unpickle\0", "_Unpickle",
            " _unpickle",
            "", "__class__", "key", "_unpickle\n", "_unp\u0131ckle",
        )
    },
)  # fmt: skip
family.add(
    "getattr-other-object", "Asks getattr for an attribute of anything but ZoneInfo.", SYMBOLIC,
    REFUSED,
    {
        kind: pickled(Raw(reduced(GETATTR, *args) + b")R"))
        for kind, args in {
            "datetime.now": (glob("datetime.datetime"), "now"),
            "decimal": (glob("decimal.Decimal"), "from_float"),
            "uuid": (glob("uuid.UUID"), "_unpickle"),
            "path-cwd": (glob("pathlib.PosixPath"), "cwd"),
            "object": (glob("builtins.object"), "__subclasses__"),
            "str-format": ("{0}", "format"), "list-append": ([], "append"), "int": (1, "real"),
            "none": (None, "__class__"), "itself": (GETATTR, "__call__"), "dict": ({}, "get"),
            "zone-instance": (unpickle("Europe/Paris", True), "_unpickle"),
            "text": ("zoneinfo.ZoneInfo", "_unpickle"),
            "module": (glob("os.system"), "__call__"),
        }.items()
    },
    reads_zone=True,
)  # fmt: skip
family.add(
    "getattr-shape",
    "Calls getattr in other shapes: three arguments, no text, by NEWOBJ, uncalled.",
    SYMBOLIC, REFUSED,
    {
        "default": pickled(
            Raw(reduced(GETATTR, ZONE, "_unpickle", None) + push(("UTC", 1)) + b"R")
        ),
        "one-argument": pickled(reduced(GETATTR, ZONE)),
        "no-argument": pickled(reduced(GETATTR)),
        "bytes-name": pickled(Raw(reduced(GETATTR, ZONE, 5) + push(("UTC", 1)) + b"R")),
        "swapped": pickled(reduced(GETATTR, "_unpickle", ZONE)),
        "newobj": pickled(Raw(GETATTR + push((ZONE, "_unpickle")) + b"\x81")),
        "uncalled": pickled(reduced(GETATTR, ZONE, "_unpickle")),
        "uncalled-in-list": pickled([reduced(GETATTR, ZONE, "_unpickle")]),
        "as-key": pickled({reduced(GETATTR, ZONE, "_unpickle"): 1}),
        "chained": pickled(reduced(GETATTR, reduced(GETATTR, ZONE, "_unpickle"), "__self__")),
        "built": pickled(Raw(reduced(GETATTR, ZONE, "_unpickle") + push({"a": 1}) + b"b")),
    },
)  # fmt: skip
family.add(
    "zone-key", "Uses a time zone's key to reach a file or package outside the zone database.",
    KEYS, REFUSED,
    {
        kind: pickled(unpickle(key, True))
        for kind, key in {
            "parent": "../../../../etc/passwd", "absolute": "/etc/passwd",
            "inside": "Europe/../../../../etc/shadow",
            "backslash": "..\\..\\secret", "drive": "C:\\zone", "nul": "Europe/Paris\0.txt",
            "empty": "", "dot": ".",
            "dots": "..", "slash": "/", "double-slash": "Europe//Paris",
            "trailing-slash": "Europe/Paris/",
            "surrogate": "Europe/\udc80", "newline": "Europe/Paris\n", "space": " UTC",
            "home": "~/zone",
            "device": "/dev/stdin", "proc": "/proc/self/environ", "dotted-package": "os.path",
            "url": "http://x/y",
            "unc": "\\\\host\\share", "non-ascii": "Europe/P\u00e3ris", "current": "./UTC",
        }.items()
    },
)  # fmt: skip
family.add(
    "zone-file",
    "Names a file or folder in the zone database that is not a zone, or does not exist.",
    "every failure of a zone is an UnpicklingError", REFUSED,
    {
        key: pickled(unpickle(key, True))
        for key in ("Europe", "zone.tab", "tzdata.zi", "No/Such_Zone", "leapseconds", "A" * 200)
    },
    reads_zone=True,
)  # fmt: skip
family.add(
    "zone-arguments", "Calls the zone's constructor with arguments of other kinds.", SYMBOLIC,
    REFUSED,
    {
        "none": pickled(unpickle()), "key-only": pickled(unpickle("UTC")),
        "three": pickled(unpickle("UTC", True, 1)),
        "key-none": pickled(unpickle(None, True)), "key-list": pickled(unpickle(["UTC"], True)),
        "key-bytes": pickled(unpickle(b"UTC\xff", True)), "key-int": pickled(unpickle(5, True)),
        "flag-global": pickled(unpickle("UTC", glob("os.system"))),
    },
    reads_zone=True,
)  # fmt: skip
family.add(
    "zone-key-megabyte", "A zone key of a megabyte.", KEYS, REFUSED,
    lambda n: pickled(unpickle("A" * n, True)), (1000, 1_000_000),
)  # fmt: skip
family.add(
    "zone-many", "Loads a thousand zones, and the same one fifty thousand times.",
    "zones are cached by the standard library; keys follow a grammar", CONTAINED,
    lambda n: pickled(
        Raw(unpickle("Europe/Paris", True) + b"0" + reduced(GETATTR, ZONE, "_unpickle") + b"q\x000"
                          + (b"h\x00" + push(("Europe/Paris", True)) + b"R0") * n), None),
    (10, 50_000), reads_zone=True,
)  # fmt: skip
family.add(
    "zone-honest", "The honest shape, to see that the family's own cases can load.", SYMBOLIC,
    Gives(None), pickled(Raw(unpickle("Europe/Paris", True) + b"0"), None), reads_zone=True,
)  # fmt: skip
family.add(
    "subclass-hook", "Makes a class with `type(name, bases, namespace)`.", EXACT,
    forbidden("builtins.type"),
    pickled(reduced("builtins.type", "X", (), {"__del__": SECRET})),
)  # fmt: skip
