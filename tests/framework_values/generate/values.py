# -*- coding: utf-8 -*-
"""The values: (name, maker, plain equivalent in tagged JSON).  Runs on Python 2.7 and 3.6+.

A maker that fails because a package or a name is absent is left out by record.py.
`expected` may be a function of the made value.
"""
from __future__ import unicode_literals

import array
import collections
import datetime
import decimal
import fractions
import importlib
import sys
import time
import uuid

PY2 = sys.version_info[0] == 2
NAIVE = datetime.datetime(2021, 7, 4, 12, 30, 15, 250)
WINTER = datetime.datetime(2021, 1, 4, 12, 30)
AMBIGUOUS = datetime.datetime(2021, 10, 31, 2, 30)


def get(path):
    """The object at a dotted path, imported as far as it goes."""
    parts = path.split(".")
    for i in range(len(parts), 0, -1):
        try:
            obj = importlib.import_module(str(".".join(parts[:i])))
        except ImportError:
            continue
        for p in parts[i:]:
            obj = getattr(obj, p)
        return obj
    raise ImportError(path)


def dt(v):
    """Tagged JSON of a date, time or datetime; the zone is what the offset says."""
    out = {"$t": "datetime", "v": v.replace(tzinfo=None).isoformat()[:26], "tz": None}
    if v.tzinfo is not None:
        out["utcoffset_s"] = int(v.utcoffset().total_seconds())
        out["tz"] = {"kind": "any", "offset_s": out["utcoffset_s"]}
    if getattr(v, "fold", 0):
        out["fold"] = 1
    return out


def plain_dt(v):
    """The same of a subclass, as a datetime; pendulum does not write a fold."""
    whole = datetime.datetime(*(v.timetuple()[:6] + (v.microsecond,)))
    out = dict(dt(v), v=whole.isoformat())
    out.pop("fold", None)
    return out


def zone(name=None, offset=None):
    """A bare zone: a name, or an offset in seconds, or both where either will do."""
    return {"$t": "tzinfo", "tz": {"kind": "any", "name": name, "offset_s": offset}}


def tag(t, v, **more):
    return dict({"$t": t, "v": v}, **more)


def dec(v):
    return tag("decimal", v)


REFUSED = {"$t": "refused"}  # no plain equivalent: refused by name
CASES = []


def case(name, make, expected):
    CASES.append((name, make, expected))


# --- text that is safe in HTML
for path in ("markupsafe.Markup", "jinja2.utils.Markup", "jinja2._markupsafe.Markup",
             "django.utils.safestring.SafeText", "django.utils.safestring.SafeUnicode",
             "django.utils.safestring.SafeString", "django.utils.safestring.SafeBytes",
             "django.utils.safestring.EscapeText", "django.utils.safestring.EscapeUnicode",
             "django.utils.safestring.EscapeString", "django.utils.safestring.EscapeBytes"):
    def make(path=path):
        cls = get(path)
        return cls(b"<b>ok</b>") if issubclass(cls, bytes) else cls("<b>\u0151k</b>")
    case(path, make, lambda v: v.decode("ascii") if isinstance(v, bytes) and PY2 else
         {"$t": "bytes", "hex": "3c623e6f6b3c2f623e"} if isinstance(v, bytes) else "<b>\u0151k</b>")
case("markupsafe.Markup.with_attribute", lambda: with_attribute(get("markupsafe.Markup")("x")), "x")
case("django.SafeText.with_attribute", lambda: with_attribute(get("django.utils.safestring.SafeText")("x")), "x")


def with_attribute(v):
    v.note = 1
    return v


# --- zones
def zones(name, tz, bare, datetimes=(NAIVE, WINTER)):
    case(name + ".bare", tz, bare)
    for i, d in enumerate(datetimes):
        def make(d=d):
            z = tz()
            return z.localize(d) if hasattr(z, "localize") and not name.endswith("unlocalized") else d.replace(tzinfo=z)
        case("%s.datetime%d" % (name, i), make, dt)


zones("pytz.utc", lambda: get("pytz.utc"), zone("UTC", 0), (NAIVE,))
zones("pytz.fixed", lambda: get("pytz.FixedOffset")(-330), zone(None, -19800), (NAIVE,))
zones("pytz.berlin", lambda: get("pytz.timezone")("Europe/Berlin"), zone("Europe/Berlin"), (NAIVE, WINTER))
zones("pytz.berlin_unlocalized", lambda: get("pytz.timezone")("Europe/Berlin"), zone("Europe/Berlin"), (NAIVE,))
zones("pytz.static", lambda: get("pytz.timezone")("Etc/GMT+5"), zone("Etc/GMT+5", -18000), (NAIVE,))
case("pytz.berlin.variant", lambda: get("pytz.timezone")("Europe/Berlin").localize(WINTER).tzinfo,
     zone("Europe/Berlin", 3600))
for dst in (True, False):
    case("pytz.berlin.ambiguous_dst_%s" % dst,
         lambda dst=dst: get("pytz.timezone")("Europe/Berlin").localize(AMBIGUOUS, is_dst=dst), dt)
case("pytz.time", lambda: datetime.time(9, 30, tzinfo=get("pytz.utc")),
     {"$t": "time", "v": "09:30:00", "tz": {"kind": "any", "offset_s": 0}})
case("pytz.time_berlin", lambda: datetime.time(9, 30, tzinfo=get("pytz.timezone")("Europe/Berlin")),
     lambda v: {"$t": "time", "v": "09:30:00", "tz": {"kind": "any", "offset_s": int(v.tzinfo._utcoffset.total_seconds())}})

zones("dateutil.tzutc", lambda: get("dateutil.tz.tzutc")(), zone("UTC", 0), (NAIVE,))
zones("dateutil.tzoffset", lambda: get("dateutil.tz.tzoffset")(None, 3600), zone(None, 3600), (NAIVE,))
zones("dateutil.tzoffset_named", lambda: get("dateutil.tz.tzoffset")("BRST", -10800), zone(None, -10800), (NAIVE,))


def local(tz):
    """tzlocal as it is on a machine in the zone `tz`."""
    import os
    os.environ["TZ"] = str(tz)
    time.tzset()
    return get("dateutil.tz.tzlocal")()


# dateutil before 2.7 writes nothing of the offset
case("dateutil.tzlocal_no_dst.bare", lambda: local("Asia/Kolkata"), lambda v: zone(None, 19800) if vars(v) else REFUSED)
case("dateutil.tzlocal_no_dst.datetime", lambda: NAIVE.replace(tzinfo=local("Asia/Kolkata")), lambda v: dt(v) if vars(v.tzinfo) else REFUSED)
case("dateutil.tzlocal_dst.bare", lambda: local("America/New_York"), REFUSED)
zones("dateutil.gettz", lambda: get("dateutil.tz.gettz")("Europe/Berlin"), zone("Europe/Berlin"), (NAIVE, WINTER))
zones("dateutil.zoneinfo_gettz", lambda: get("dateutil.zoneinfo.gettz")("Europe/Berlin"), zone("Europe/Berlin"))
zones("dateutil.tzstr", lambda: get("dateutil.tz.tzstr")(str("EST5EDT")), REFUSED, ())
case("dateutil.relativedelta", lambda: get("dateutil.relativedelta.relativedelta")(months=1, days=2), REFUSED)

zones("django.utc", lambda: get("django.utils.timezone.utc"), zone("UTC", 0), (NAIVE,))
zones("django.UTC", lambda: get("django.utils.timezone.UTC")(), zone("UTC", 0), (NAIVE,))
zones("django.FixedOffset", lambda: get("django.utils.timezone.FixedOffset")(90, str("+0130")), zone(None, 5400), (NAIVE,))
zones("django.get_fixed_timezone", lambda: get("django.utils.timezone.get_fixed_timezone")(90), zone(None, 5400), (NAIVE,))
zones("django.tzinfo.FixedOffset", lambda: get("django.utils.tzinfo.FixedOffset")(90), zone(None, 5400), (NAIVE,))


def django_local(path):
    import os
    os.environ["TZ"] = str("Asia/Kolkata")
    time.tzset()
    from django.conf import settings
    if not settings.configured:
        settings.configure(USE_I18N=True, LANGUAGE_CODE="en", DATABASES={}, DEFAULT_CHARSET="utf-8", TIME_ZONE="Asia/Kolkata", USE_TZ=True)
    cls = get(path)
    return cls(NAIVE) if path.startswith("django.utils.tzinfo") else cls()


for path in ("django.utils.timezone.LocalTimezone", "django.utils.tzinfo.LocalTimezone"):
    case(path, lambda path=path: django_local(path), lambda v: zone(None, 19800) if hasattr(v, "STDOFFSET") else REFUSED)
case("django.utils.timezone.LocalTimezone.datetime", lambda: NAIVE.replace(tzinfo=django_local("django.utils.timezone.LocalTimezone")), dt)


def prefer(*paths):
    for p in paths:
        try:
            return get(p)
        except ImportError:
            pass
    raise ImportError(paths)


for module in ("zoneinfo", "backports.zoneinfo"):
    zones(module, lambda module=module: get(module + ".ZoneInfo")("Europe/Berlin"),
          {"$t": "tzinfo", "tz": {"kind": "zoneinfo", "name": "Europe/Berlin"}})
    case(module + ".no_cache", lambda module=module: get(module + ".ZoneInfo").no_cache("Europe/Berlin"),
         {"$t": "tzinfo", "tz": {"kind": "zoneinfo", "name": "Europe/Berlin"}})
    case(module + ".fold", lambda module=module: AMBIGUOUS.replace(fold=1, tzinfo=get(module + ".ZoneInfo")("Europe/Berlin")),
         dt)
case("zoneinfo.available_utc", lambda: get("zoneinfo.ZoneInfo")("UTC"), {"$t": "tzinfo", "tz": {"kind": "zoneinfo", "name": "UTC"}})

# --- pendulum
# Asia/Pyongyang: few transitions (pendulum 2 writes all of them), and +08:30 from 2015 to 2018
zones("pendulum.timezone", lambda: get("pendulum.timezone")("Asia/Pyongyang"), zone("Asia/Pyongyang"), ())
zones("pendulum.UTC", lambda: prefer("pendulum.UTC", "pendulum.tz.UTC"), zone("UTC", 0), ())
case("pendulum.fixed", lambda: prefer("pendulum.tz.fixed_timezone", "pendulum.tz.FixedTimezone", "pendulum.tz.timezone.FixedTimezone")(5400), zone(None, 5400))
case("pendulum.timezone_int", lambda: get("pendulum.timezone")(5400), zone(None, 5400))
case("pendulum.DateTime", lambda: pendulum_datetime("Asia/Pyongyang"), plain_dt)
case("pendulum.DateTime.2016", lambda: pendulum_datetime("Asia/Pyongyang", 2016), plain_dt)
case("pendulum.DateTime.utc", lambda: pendulum_datetime("UTC"), plain_dt)
case("pendulum.DateTime.fixed", lambda: get("pendulum.parse")("2021-07-04T12:30:15+01:30"), plain_dt)
case("pendulum.DateTime.naive", lambda: get("pendulum.naive")(2021, 7, 4, 12, 30), plain_dt)
case("pendulum.Naive", lambda: get("pendulum.Naive")(2021, 7, 4, 12, 30), plain_dt)
case("pendulum.Date", lambda: get("pendulum.Date")(2021, 7, 4), tag("date", "2021-07-04"))
case("pendulum.Time", lambda: get("pendulum.Time")(12, 30, 15), {"$t": "time", "v": "12:30:15", "tz": None})


def span(v):
    """A duration of whole days: some releases do not write the months."""
    return {"$t": "timedelta", "days": int(v.total_seconds()) // 86400, "seconds": 0, "us": 0}


DURATION = {"$t": "timedelta", "days": 1, "seconds": 7200, "us": 3}
case("pendulum.Duration", lambda: get("pendulum.Duration")(days=1, hours=2, microseconds=3), DURATION)
case("pendulum.Duration.months", lambda: get("pendulum.Duration")(months=1, days=2), span)
case("pendulum.Period", lambda: get("pendulum.period")(get("pendulum").datetime(2021, 1, 1), get("pendulum").datetime(2021, 1, 2)),
     REFUSED)
case("pendulum.difference", lambda: get("pendulum").datetime(2021, 1, 2) - get("pendulum").datetime(2021, 1, 1),
     REFUSED)


def pendulum_datetime(tz, year=2021):
    p = get("pendulum")
    return (p.create if hasattr(p, "create") else p.datetime)(year, 7, 4, 12, 30, 15, 250, tz=tz)


# --- dicts of lists
PAIRS = [("a", "1"), ("b", "2"), ("a", "3")]
LISTS = collections.OrderedDict([("a", ["1", "3"]), ("b", ["2"])])


def setup_django():
    from django.conf import settings
    if not settings.configured:
        settings.configure(USE_I18N=True, LANGUAGE_CODE="en", DATABASES={}, DEFAULT_CHARSET="utf-8", TIME_ZONE="UTC", USE_TZ=True)


def query(mutable=False):
    setup_django()
    return get("django.http.QueryDict")("a=1&b=2&a=3", mutable=mutable)


case("django.QueryDict", query, LISTS)
case("django.QueryDict.mutable", lambda: query(True), LISTS)
case("django.QueryDict.empty", lambda: (setup_django(), get("django.http.QueryDict")(""))[1], {})
case("django.MultiValueDict", lambda: get("django.utils.datastructures.MultiValueDict")(LISTS), LISTS)
case("django.MultiValueDict.empty", lambda: get("django.utils.datastructures.MultiValueDict")(), {})
case("django.SortedDict", lambda: get("django.utils.datastructures.SortedDict")([("b", 1), ("a", 2)]), {"b": 1, "a": 2})
case("django.MergeDict", lambda: get("django.utils.datastructures.MergeDict")({"a": 1}, {"b": 2}), {"a": 1, "b": 2})
case("django.MergeDict.querydicts", lambda: get("django.utils.datastructures.MergeDict")(query(), get("django.utils.datastructures.MultiValueDict")({"c": ["9"]})), dict(LISTS, c=["9"]))
case("django.ImmutableList", lambda: get("django.utils.datastructures.ImmutableList")([1, 2]), tag("tuple", [1, 2]))
case("django.DotExpandedDict", lambda: get("django.utils.datastructures.DotExpandedDict")({"a.b": [1]}), {"a": {"b": [1]}})
case("django.CaseInsensitiveMapping", lambda: get("django.utils.datastructures.CaseInsensitiveMapping")({"A": 1}), REFUSED)
W = "werkzeug.datastructures."
for cls in ("MultiDict", "ImmutableMultiDict", "OrderedMultiDict", "ImmutableOrderedMultiDict"):
    case("werkzeug." + cls, lambda cls=cls: get(W + cls)(PAIRS), LISTS)
    case("werkzeug.%s.empty" % cls, lambda cls=cls: get(W + cls)(), {})
case("werkzeug.CombinedMultiDict", lambda: get(W + "CombinedMultiDict")([get(W + "MultiDict")(PAIRS), get(W + "MultiDict")({"b": "4", "c": "5"})]),
     {"a": ["1", "3"], "b": ["2", "4"], "c": ["5"]})
for cls in ("ImmutableDict", "TypeConversionDict", "ImmutableTypeConversionDict"):
    case("werkzeug." + cls, lambda cls=cls: get(W + cls)({"a": 1}), {"a": 1})
case("werkzeug.ImmutableList", lambda: get(W + "ImmutableList")([1, 2]), [1, 2])
case("werkzeug.CallbackDict", lambda: get(W + "CallbackDict")({"a": 1}), {"a": 1})
case("werkzeug.Headers", lambda: get(W + "Headers")([("A", "1"), ("a", "2")]), REFUSED)


# --- lazy translations
def lazy(name, *args):
    setup_django()
    return get("django.utils.translation." + name)(*args)


for name in ("gettext_lazy", "ugettext_lazy"):
    case("django." + name, lambda name=name: lazy(name, "Your cart" if name[0] == "u" or not PY2 else b"Your cart"), "Your cart")
case("django.ugettext_lazy.accent", lambda: lazy("ugettext_lazy", "Kos\u00e1r"), "Kos\u00e1r")
case("django.pgettext_lazy", lambda: lazy("pgettext_lazy", "month", "May"), "May")
case("django.ngettext_lazy", lambda: lazy("ngettext_lazy", str("%d item"), str("%d items"), 2), "%d items")
case("django.ungettext_lazy", lambda: lazy("ungettext_lazy", "%d item", "%d items", 1), "%d item")
case("django.ngettext_lazy.deferred", lambda: lazy("ngettext_lazy", "%(n)d item", "%(n)d items", "n"), "%(n)d items")
case("django.npgettext_lazy", lambda: lazy("npgettext_lazy", "ctx", "%d item", "%d items", 2), "%d items")
case("django.string_concat", lambda: lazy("string_concat", "a", "b"), REFUSED)
case("django.format_lazy", lambda: (setup_django(), get("django.utils.text.format_lazy")("{}-{}", "a", "b"))[1], REFUSED)
case("django.mark_safe_lazy", lambda: get("django.utils.safestring.mark_safe")(lazy("gettext_lazy", "x")), "x")
case("django.reverse_lazy", lambda: (setup_django(), prefer("django.urls.reverse_lazy", "django.core.urlresolvers.reverse_lazy")("home"))[1], REFUSED)

# --- money
EUR = {"amount": dec("9.90"), "currency": "EUR"}
M = "moneyed.Money"
case("moneyed.Money", lambda: get(M)("9.90", "EUR"), EUR)
case("moneyed.Currency", lambda: get("moneyed.EUR"), "EUR")
case("djmoney.MoneyPatched", lambda: (setup_django(), get("django.setup")(), get("djmoney.models.fields.MoneyPatched"))[2]("9.90", "EUR"), EUR)
case("djmoney.Money", lambda: (setup_django(), prefer("djmoney.money.Money"))[1]("9.90", "EUR"), EUR)

# --- numpy
for path, arg, exp in (("float64", 1.5, 1.5), ("float32", 1.5, 1.5), ("int64", -7, -7), ("int32", 7, 7), ("uint8", 7, 7),
                       ("bool_", True, True), ("str_", "\u0151k", "\u0151k"), ("unicode_", "\u0151k", "\u0151k"),
                       ("bytes_", b"ok", {"$t": "bytes", "hex": "6f6b"}), ("complex128", 1 + 2j, {"$t": "complex", "re": 1.0, "im": 2.0}),
                       ("datetime64", "2021-07-04T12:30:15", {"$t": "datetime", "v": "2021-07-04T12:30:15", "tz": None})):
    case("numpy." + path, lambda path=path, arg=arg: get("numpy." + path)(arg), exp)
case("numpy.datetime64.day", lambda: get("numpy.datetime64")("2021-07-04"), tag("date", "2021-07-04"))
case("numpy.datetime64.us", lambda: get("numpy.datetime64")("2021-07-04T12:30:15.000250"), {"$t": "datetime", "v": "2021-07-04T12:30:15.000250", "tz": None})
case("numpy.datetime64.ns", lambda: get("numpy.datetime64")("2021-07-04T12:30:15.000250000"), 1625401815000250000)
case("numpy.timedelta64", lambda: get("numpy.timedelta64")(90, "s"), {"$t": "timedelta", "days": 0, "seconds": 90, "us": 0})
case("numpy.array_1d", lambda: get("numpy.array")([1.5, 2.5]), REFUSED)

# --- Python's own
UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")
case("uuid.UUID", lambda: UUID, tag("uuid", str(UUID)))
case("uuid.is_safe", lambda: uuid.UUID(int=UUID.int, is_safe=uuid.SafeUUID.safe), tag("uuid", str(UUID)))
case("HTTPStatus", lambda: get("http.HTTPStatus.NOT_FOUND"), 404)
case("HTTPMethod", lambda: get("http.HTTPMethod.GET"), "GET")
for cls in ("PurePosixPath", "PureWindowsPath", "PosixPath"):
    case("pathlib." + cls, lambda cls=cls: get("pathlib." + cls)("a/b.txt"), tag("path", "a/b.txt", cls=cls))
    case("pathlib2." + cls, lambda cls=cls: get("pathlib2." + cls)("a/b.txt"), tag("path", "a/b.txt", cls=cls))
case("pathlib.absolute", lambda: get("pathlib.PurePosixPath")("/srv/a"), tag("path", "/srv/a", cls="PurePosixPath"))
for fn, arg in (("ip_address", "192.0.2.7"), ("ip_address", "2001:db8::1"), ("ip_network", "192.0.2.0/24"), ("ip_network", "2001:db8::/32"),
                ("ip_interface", "192.0.2.7/24"), ("ip_interface", "2001:db8::1/64"), ("ip_address", "fe80::1%eth0")):
    case("ipaddress.%s.%s" % (fn, arg), lambda fn=fn, arg=arg: get("ipaddress." + fn)(arg), lambda v, fn=fn: tag("ipaddress", "%s" % v, fn=fn))
case("struct_time", lambda: time.struct_time((2021, 7, 4, 12, 30, 15, 6, 185, 0)), tag("struct_time", [2021, 7, 4, 12, 30, 15, 6, 185, 0]))
case("gmtime", lambda: time.gmtime(0), tag("struct_time", [1970, 1, 1, 0, 0, 0, 3, 1, 0]))
for code, items in (("i", [1, -2]), ("d", [1.5]), ("B", [255]), ("u", "ok"), ("q", [2 ** 40])):
    case("array." + code, lambda code=code, items=items: array.array(str(code), items),
         {"$t": "array", "typecode": code, "v": list(items)})
case("array.c", lambda: array.array(str("c"), str("ok")), REFUSED)
case("array.empty", lambda: array.array(str("i")), {"$t": "array", "typecode": "i", "v": []})
case("OrderedDict", lambda: collections.OrderedDict([("b", 1), ("a", 2)]), tag("odict", [["b", 1], ["a", 2]]))
case("OrderedDict.empty", lambda: collections.OrderedDict(), tag("odict", []))
case("Counter", lambda: collections.Counter("abca"), tag("counter", [["a", 2], ["b", 1], ["c", 1]]))
case("deque", lambda: collections.deque([1, 2]), tag("deque", [1, 2], maxlen=None))
case("deque.maxlen", lambda: collections.deque([1, 2], 3), tag("deque", [1, 2], maxlen=3))
case("deque.empty", lambda: collections.deque(), tag("deque", [], maxlen=None))
case("deque.empty_maxlen", lambda: collections.deque((), 3), tag("deque", [], maxlen=3))
case("defaultdict", lambda: collections.defaultdict(list, {"a": [1]}), tag("defaultdict", [["a", [1]]], factory="builtins.list"))
case("defaultdict.none", lambda: collections.defaultdict(None, {"a": 1}), tag("defaultdict", [["a", 1]], factory=None))
case("SimpleNamespace", lambda: get("types.SimpleNamespace")(a=1), {"$t": "object", "class": "types.SimpleNamespace", "state": {"a": 1}})
case("Fraction", lambda: fractions.Fraction(1, 3), tag("fraction", "1/3"))
for v in ("1.50", "-0", "NaN", "Infinity", "1E+10"):
    case("Decimal." + v, lambda v=v: decimal.Decimal(v), dec(v))
case("complex", lambda: 1 + 2j, {"$t": "complex", "re": 1.0, "im": 2.0})
case("bytearray", lambda: bytearray(b"a\xff"), {"$t": "bytearray", "hex": "61ff"})
case("bytearray.empty", lambda: bytearray(), {"$t": "bytearray", "hex": ""})
if not PY2:
    case("bytes", lambda: b"a\xff", {"$t": "bytes", "hex": "61ff"})
    case("bytes.empty", lambda: b"", {"$t": "bytes", "hex": ""})
case("set", lambda: set([1]), tag("set", [1]))
case("frozenset", lambda: frozenset([1]), tag("frozenset", [1]))
case("range", lambda: (xrange if PY2 else range)(2, 9, 3), tag("range", "range(2, 11, 3)" if PY2 else "range(2, 9, 3)"))
case("timezone.utc", lambda: get("datetime.timezone.utc"), zone("UTC", 0))
case("timezone", lambda: get("datetime.timezone")(datetime.timedelta(hours=1)), zone(None, 3600))
case("timezone.named", lambda: get("datetime.timezone")(datetime.timedelta(hours=1), "CET"), zone(None, 3600))
case("datetime", lambda: NAIVE, dt)
case("datetime.timezone", lambda: NAIVE.replace(tzinfo=get("datetime.timezone.utc")), dt)
case("datetime.fold", lambda: NAIVE.replace(fold=1), dt)
case("date", lambda: NAIVE.date(), tag("date", "2021-07-04"))
case("time", lambda: NAIVE.time(), {"$t": "time", "v": "12:30:15.000250", "tz": None})
case("timedelta", lambda: datetime.timedelta(1, 2, 3), {"$t": "timedelta", "days": 1, "seconds": 2, "us": 3})
