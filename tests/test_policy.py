"""`Policy`: the three ways to admit an app's own class, what each makes of it, and the profiles."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime
import enum
import pickle
import sys
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

import plainpickle
from plainpickle import Policy, PolicyError, Stub, profiles, safe_loads

HERE = __name__
PROTOCOLS = range(6)
SLOTTED = {"slots": True} if sys.version_info >= (3, 10) else {}


# ---- an app's own classes, in every shape that pickle knows


class Plain:
    def __init__(self, **state: Any) -> None:
        vars(self).update(state)


class Slots:
    __slots__ = ("a", "b")


class Mixed(Slots):
    """Slots of its base, and a dict of its own."""


class Versioned(Plain):
    def __getstate__(self) -> Any:
        return ("v2", vars(self))

    def __setstate__(self, state: Any) -> None:
        vars(self).update(state[1])


class OwnList(list):  # type: ignore[type-arg]
    pass


class OwnDict(dict):  # type: ignore[type-arg]
    pass


class OwnSet(set):  # type: ignore[type-arg]
    pass


class OwnStr(str):  # noqa: SLOT000  # with a dict, as apps write it
    pass


class OwnInt(int):
    pass


class OwnFloat(float):
    pass


class OwnBytes(bytes):
    pass


class OwnTuple(tuple):  # type: ignore[type-arg]  # noqa: SLOT001
    pass


class OwnOrdered(collections.OrderedDict):  # type: ignore[type-arg]
    pass


class OwnDefault(collections.defaultdict):  # type: ignore[type-arg]
    pass


class Colour(enum.Enum):
    RED = "r"


class Level(enum.IntEnum):
    LOW = 1


class Point(NamedTuple):
    x: int
    y: int


class Failed(Exception):  # noqa: N818  # its name is nobody's business
    pass


@dataclasses.dataclass
class Line:
    sku: str
    count: int


@dataclasses.dataclass(frozen=True, **SLOTTED)  # type: ignore[call-overload,unused-ignore]
class Frozen:
    sku: str
    count: int


class Keyword:
    def __new__(cls, *, size: int) -> Keyword:  # noqa: PYI034  # 3.9 has no Self
        made = super().__new__(cls)
        made.size = size
        return made

    size: int

    def __getnewargs_ex__(self) -> Any:
        return (), {"size": self.size}


def rebuilt(sku: str, count: int) -> Line:
    return Line(sku, count)


class ByFunction(Line):
    def __reduce__(self) -> Any:
        return rebuilt, (self.sku, self.count)


def filled(value: Any, **state: Any) -> Any:
    for name, item in state.items():
        setattr(value, name, item)
    return value


#: What it is; what `as_plain` makes of it; the protocols that can write it.
SHAPES: dict[str, tuple[Any, Any, range]] = {
    "object": (Plain(a=1, b=[2]), {"a": 1, "b": [2]}, PROTOCOLS),
    "object without state": (Plain(), {}, PROTOCOLS),
    "slots": (filled(Slots(), a=1, b=[2]), {"a": 1, "b": [2]}, range(2, 6)),
    "slots and a dict": (filled(Mixed(), a=1, c=3), {"c": 3, "a": 1}, range(2, 6)),
    "__getstate__": (Versioned(a=1), ("v2", {"a": 1}), PROTOCOLS),
    "list": (filled(OwnList([1, 2]), extra=5), [1, 2], PROTOCOLS),
    "empty list": (OwnList(), [], PROTOCOLS[:2]),
    "dict": (filled(OwnDict(a=1), extra=5), {"a": 1}, PROTOCOLS),
    "str": (filled(OwnStr("x"), extra=5), "x", PROTOCOLS),
    "int": (filled(OwnInt(7), extra=5), 7, PROTOCOLS),
    "float": (OwnFloat(1.5), 1.5, PROTOCOLS),
    "bytes": (OwnBytes(b"\xff"), b"\xff", PROTOCOLS),
    "tuple": (OwnTuple((1, 2)), (1, 2), PROTOCOLS),
    "tuple of one": (OwnTuple((1,)), (1,), PROTOCOLS),
    "set": (
        OwnSet([1]),
        [1],
        PROTOCOLS,
    ),  # its pickle holds a list, and does not say that it is a set
    "OrderedDict": (OwnOrdered(a=1), {"a": 1}, PROTOCOLS),
    "defaultdict": (OwnDefault(list, a=[1]), {"a": [1]}, PROTOCOLS),
    "Enum": (Colour.RED, "r", PROTOCOLS),
    "IntEnum": (Level.LOW, 1, PROTOCOLS),
    "namedtuple": (Point(1, 2), (1, 2), PROTOCOLS),
    "exception": (Failed("no", 3), ("no", 3), PROTOCOLS),
    "dataclass": (Line("A1", 3), {"sku": "A1", "count": 3}, PROTOCOLS),
    "frozen dataclass with slots": (
        Frozen("A1", 3),
        ["A1", 3] if SLOTTED else {"sku": "A1", "count": 3},
        range(2, 6),
    ),
    "keyword arguments": (Keyword(size=3), {"size": 3}, range(4, 6)),
}


def text(value: str) -> bytes:
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def full_name(value: Any) -> str:
    return f"{HERE}.{type(value).__name__}"


@pytest.mark.parametrize("shape", SHAPES)
def test_as_plain_gives_what_an_object_holds_at_every_protocol(shape: str) -> None:
    value, expected, protocols = SHAPES[shape]
    policy = Policy().as_plain(full_name(value))
    for protocol in protocols:
        for dumps in (pickle.dumps, pickle._dumps):  # type: ignore[attr-defined]
            data = dumps({"held": [value, 1]}, protocol)
            loaded = safe_loads(data, policy=policy)["held"][0]
            assert loaded == expected
            assert type(loaded) is type(expected)
            with pytest.raises(plainpickle.ForbiddenGlobal) as caught:
                safe_loads(data)
            assert caught.value.name == full_name(value)
            assert f'as_plain("{full_name(value)}")' in str(caught.value)


def attributes(value: Any) -> Any:
    return [
        getattr(value, name, "none")
        for cls in type(value).__mro__
        for name in getattr(cls, "__slots__", ())
    ], getattr(value, "__dict__", None)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_registered_class_gives_what_pickle_gives(shape: str) -> None:
    value, _, protocols = SHAPES[shape]
    policy = Policy().register(type(value))
    for protocol in protocols:
        data = pickle.dumps([value], protocol)
        (loaded,), (expected,) = safe_loads(data, policy=policy), pickle.loads(data)
        assert type(loaded) is type(value)
        assert attributes(loaded) == attributes(expected)
        if type(value).__eq__ is not object.__eq__:  # type: ignore[comparison-overlap]
            assert loaded == expected


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_object_in_a_cycle_is_one_object_as_plain_and_registered(protocol: int) -> None:
    cart = Plain(lines=[])
    cart.lines.append({"cart": cart})  # type: ignore[attr-defined]
    plain = safe_loads(pickle.dumps(cart, protocol), policy=Policy().as_plain(f"{HERE}.Plain"))
    assert plain["lines"][0]["cart"] is plain
    own = safe_loads(pickle.dumps(cart, protocol), policy=Policy().register(Plain))
    assert own.lines[0]["cart"] is own
    stub = safe_loads(pickle.dumps(cart, protocol), policy=Policy().stub())
    assert stub.state["lines"][0]["cart"] is stub


# Written by Python 2.7.18 from old-style classes: a `Cart()` with n = 2 that holds itself, and a
# `Line("A1", 3)` with __getinitargs__.
OLD_STYLE = {
    0: (
        b"(ishop\nCart\np1\n(dp2\nS'me'\np3\ng1\nsS'n'\nI2\nsb.",
        b"(S'A1'\np1\nI3\nishop\nLine\np2\n(dp3\nS'sku'\np4\ng1\nsS'count'\np5\nI3\nsb.",
    ),
    1: (
        b"(cshop\nCart\nq\x01oq\x02}q\x03(U\x02meq\x04h\x02U\x01nK\x02ub.",
        (
            b"(cshop\nLine\nq\x01U\x02A1q\x02K\x03oq\x03}q\x04(U\x03skuq\x05h\x02U\x05countq\x06K"
            b"\x03ub."
        ),
    ),
}


@pytest.mark.parametrize("protocol", OLD_STYLE)
def test_an_old_style_python_2_instance_is_read_like_any_other(protocol: int) -> None:
    cart, line = OLD_STYLE[protocol]
    plain = Policy().as_plain("shop.Cart", "shop.Line")
    value = safe_loads(cart, policy=plain)
    assert value["me"] is value
    assert value["n"] == 2
    assert safe_loads(line, policy=plain) == {"sku": "A1", "count": 3}
    own = Policy().register("shop.Cart", build=Plain).register("shop.Line", build=Line)
    value = safe_loads(cart, policy=own)
    assert type(value) is Plain
    assert (value.me is value, value.n) == (True, 2)  # type: ignore[attr-defined]
    assert safe_loads(line, policy=own) == Line("A1", 3)


# Written by Python 2.7.18 and 3.9.18, which give a state of {} to a set or exception without one:
# `Tags([1])` of `class Tags(set)`, and `Err("m", 3)` of `class Err(Exception)`.
EMPTY_STATE = [
    (b"\x80\x02cshop\nTags\nq\x00]q\x01K\x01a\x85q\x02Rq\x03}q\x04b.", [1]),
    (b"\x80\x02cshop\nErr\nq\x00U\x01mq\x01K\x03\x86q\x02Rq\x03}q\x04b.", ("m", 3)),
]


@pytest.mark.parametrize(("data", "expected"), EMPTY_STATE, ids=["set", "exception"])
def test_an_empty_state_does_not_hide_what_an_object_was_made_with(
    data: bytes, expected: Any
) -> None:
    assert safe_loads(data, policy=Policy().as_plain("shop.Tags", "shop.Err")) == expected


# ---- register


def test_a_function_that_rebuilds_is_registered_by_itself_or_under_an_old_name() -> None:
    for protocol in PROTOCOLS:
        assert safe_loads(
            pickle.dumps(ByFunction("A1", 3), protocol), policy=Policy().register(rebuilt)
        ) == Line("A1", 3)
    policy = Policy().register("old.shop.Line", build=lambda *args, **kwargs: (args, kwargs))
    for data, expected in (
        (b"\x80\x02cold.shop\nLine\nK\x01K\x02\x86R.", ((1, 2), {})),
        (b"\x80\x02cold.shop\nLine\nK\x01\x85\x81.", ((1,), {})),
        (b"\x80\x04\x8c\x08old.shop\x8c\x04Line\x93)}\x8c\x01kK\x05s\x92.", ((), {"k": 5})),
        (b"ccopy_reg\n_reconstructor\n(cold.shop\nLine\nc__builtin__\nobject\nNtR.", ((None,), {})),
        (b"(K\x01iold.shop\nLine\n.", ((1,), {})),
    ):
        assert safe_loads(data, policy=policy) == expected


def test_a_moved_class_is_rebuilt_by_the_class_that_took_its_place() -> None:
    data = pickle.dumps(Line("A1", 3), 2).replace(f"{HERE}\nLine".encode(), b"old.shop\nOrderLine")
    loaded = safe_loads(data, policy=Policy().register("old.shop.OrderLine", build=Line))
    assert loaded == Line("A1", 3)


def test_a_nested_class_is_registered_under_its_qualified_name() -> None:
    data = b"\x80\x04\x8c\x04shop\x8c\x0aOuter.Cart\x93)\x81}\x8c\x01aK\x01sb."
    assert vars(safe_loads(data, policy=Policy().register("shop.Outer.Cart", build=Plain))) == {
        "a": 1
    }
    assert safe_loads(data, policy=Policy().as_plain("shop.Outer.Cart")) == {"a": 1}


@pytest.mark.parametrize(
    "policy",
    [Policy(), Policy().as_plain(f"{HERE}.Plain"), Policy().register(Plain)],
    ids=["default", "as_plain", "register"],
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_class_that_is_stored_as_a_value_is_refused_by_name(
    policy: Policy, protocol: int
) -> None:
    with pytest.raises(plainpickle.ForbiddenGlobal) as caught:
        safe_loads(pickle.dumps({"kind": Plain}, protocol), policy=policy)
    assert caught.value.name == f"{HERE}.Plain"


def test_only_the_class_says_how_state_is_set() -> None:
    """A state that brings `__setstate__` or `__class__` along finds them as data, or not at all."""
    policy = Policy().register("shop.Cart", build=Plain)
    for name in ("__setstate__", "__class__", "__init__", "__reduce_ex__"):
        state = b"}(" + text(name) + b"K\x05" + text("a") + b"K\x01u"
        cart = safe_loads(b"\x80\x02cshop\nCart\n)\x81" + state + b"b.", policy=policy)
        assert (type(cart), cart.a) == (Plain, 1)


CART = b"cshop\nCart\n"
MISFITS = {
    "append": CART + b")\x81K\x01a.",
    "set an item": CART + b")\x81K\x01K\x02s.",
    "add": CART + b")\x81(K\x01\x90.",
    "append in the state": CART + b")\x81}" + text("append") + b"K\x05sbK\x01a.",
    "an instance is called": CART + b")\x81)R.",
    "another base": b"ccopy_reg\n_reconstructor\n" + CART + b"c__builtin__\nlist\n]\x87R.",
}


@pytest.mark.parametrize("data", MISFITS.values(), ids=MISFITS)
def test_what_does_not_fit_a_registered_class_is_malformed(data: bytes) -> None:
    with pytest.raises(plainpickle.MalformedPickle):
        safe_loads(data, policy=Policy().register("shop.Cart", build=Plain))


@pytest.mark.parametrize(
    "state",
    [
        b"K\x05",
        b"X\x01\0\0\0x",
        b"N}X\x09\0\0\0__class__K\x05s\x86",
        b"N}X\x08\0\0\0__init__K\x05s\x86",
        b"N}X\x01\0\0\0zK\x05s\x86",
        b"NK\x05\x86",
        b"N}K\x05K\x05s\x86",
    ],
    ids=[
        "int",
        "str",
        "__class__ as a slot",
        "a method as a slot",
        "unknown slot",
        "slots that are no dict",
        "a slot that is no name",
    ],
)
def test_a_state_that_does_not_fit_is_malformed(state: bytes) -> None:
    policy = Policy().register("shop.Cart", build=Mixed)
    with pytest.raises(plainpickle.MalformedPickle):
        safe_loads(b"\x80\x02cshop\nCart\n)\x81" + state + b"b.", policy=policy)


# ---- stub


def test_a_stub_records_arguments_state_and_items_and_runs_nothing() -> None:
    line = safe_loads(pickle.dumps(Line("A1", 3)), policy=Policy().stub())
    assert (type(line), line.name, line.args, line.state, line.items) == (
        Stub,
        f"{HERE}.Line",
        (),
        {"sku": "A1", "count": 3},
        [],
    )
    error = safe_loads(pickle.dumps(Failed("no", 3)), policy=Policy().stub())
    assert (error.args, error.state) == (("no", 3), None)
    table = safe_loads(
        pickle.dumps(filled(OwnDict(a=1, b=[2]), extra=5), 2), policy=Policy().stub()
    )
    assert (table.items, table.state) == ([("a", 1), ("b", [2])], {"extra": 5})
    items = safe_loads(pickle.dumps(OwnList([1, [2]]), 2), policy=Policy().stub())
    assert items.items == [1, [2]]
    added = safe_loads(
        b"\x80\x04\x8c\x04shop\x8c\x01S\x93)\x81(K\x01K\x02\x90.", policy=Policy().stub()
    )
    assert added.items == [1, 2]
    assert repr(line) == f"<plainpickle.Stub {HERE}.Line>"
    assert not callable(line)


def test_a_name_that_is_only_stored_is_a_stub_without_arguments() -> None:
    bare = safe_loads(b"\x80\x02cos\nsystem\n.", policy=Policy().stub())
    assert (bare.name, bare.args, bare.state, bare.items) == ("os.system", None, None, [])


def test_a_stub_shares_and_is_told_apart_as_the_pickle_says() -> None:
    one = Plain()
    first, again, other = safe_loads(pickle.dumps([one, one, Plain()]), policy=Policy().stub())
    assert first is again
    assert first is not other


# ---- rules


def test_a_rule_makes_a_new_policy_and_leaves_the_old_one_as_it_was() -> None:
    data = pickle.dumps(Line("A1", 3))
    policy = Policy()
    steps: list[Callable[[], Policy]] = [
        lambda: policy.as_plain(f"{HERE}.Line"),
        lambda: policy.register(Line),
        policy.stub,
        lambda: policy._with_native({}),
    ]
    for step in steps:
        assert step() is not policy
        with pytest.raises(plainpickle.ForbiddenGlobal):
            safe_loads(data, policy=policy)


def test_rules_add_up_and_an_exact_name_comes_before_the_stub() -> None:
    data = pickle.dumps([Line("A1", 3), Plain(a=1), Failed("no")])
    policy = Policy().stub().as_plain(f"{HERE}.Plain").register(Line)
    line, plain, stub = safe_loads(data, policy=policy)
    assert (line, plain, type(stub)) == (Line("A1", 3), {"a": 1}, Stub)


def test_register_comes_before_as_plain_and_both_before_the_table() -> None:
    data = pickle.dumps(Line("A1", 3))
    for policy in (
        Policy().as_plain(f"{HERE}.Line").register(Line),
        Policy().register(Line).as_plain(f"{HERE}.Line"),
    ):
        assert safe_loads(data, policy=policy) == Line("A1", 3)
    text = b"cmarkupsafe\nMarkup\nX\x03\0\0\0<b>\x85R."
    assert (
        safe_loads(
            text, policy=Policy().register("markupsafe.Markup", build=lambda text: text.upper())
        )
        == "<B>"
    )
    assert safe_loads(text) == "<b>"


def test_as_plain_takes_several_names_and_leaves_known_types_as_they_are() -> None:
    data = pickle.dumps([Line("A1", 3), Plain(when=datetime.date(2020, 2, 29))])
    assert safe_loads(data, policy=Policy().as_plain(f"{HERE}.Line", f"{HERE}.Plain")) == [
        {"sku": "A1", "count": 3},
        {"when": datetime.date(2020, 2, 29)},
    ]


@pytest.mark.parametrize(
    "name",
    [
        "shop.Cart",
        "shop.cart.Cart",
        "shop.Outer.Inner",
        "shop._private.Cart2",
        "boltok.Kosár",
        "__main__.Cart",
        "osier.Basket",
        "builtins_.x",
        "picklejar.Jar",
    ],
)
def test_a_full_name_of_an_apps_own_is_taken(name: str) -> None:
    assert name in repr(Policy().as_plain(name))
    assert name in repr(Policy().register(name, build=Plain))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Cart",
        "shop.*",
        "shop.",
        ".Cart",
        "shop..Cart",
        "shop.cart.",
        "shop.[ab]",
        "shop.C?",
        "shop.1st",
        "shop.Cart()",
        "shop.Cart ",
        "shop:Cart",
        "shop/Cart",
        "shop.<locals>.Cart",
        "builtins.eval",
        "builtins.dict",
        "os.system",
        "posix.system",
        "subprocess.Popen",
        "pickle.loads",
        "functools.partial",
        "operator.attrgetter",
        "importlib.import_module",
        "copyreg._reconstructor",
        "types.CodeType",
    ],
)
def test_a_name_that_is_no_class_of_an_apps_own_is_refused_when_the_policy_is_made(
    name: str,
) -> None:
    makes: list[Callable[[], Policy]] = [
        lambda: Policy().as_plain("shop.Good", name),
        lambda: Policy().register(name, build=Plain),
    ]
    for make in makes:
        with pytest.raises(PolicyError, match=r"\w+ \w+") as caught:
            make()
        assert repr(name) in str(caught.value)
        assert isinstance(caught.value, ValueError)


def test_register_says_what_it_needs() -> None:
    class Local:
        pass

    wrong: list[tuple[Any, Any]] = [
        ("shop.Cart", None),
        ("shop.Cart", 5),
        ("shop.Cart", eval),
        (Plain, Plain),
        (Plain(), None),
        (None, None),
        (Local, None),
        (getattr, None),
    ]
    for name, build in wrong:
        with pytest.raises(PolicyError):
            Policy().register(name, build=build)


# ---- profiles


@pytest.fixture(scope="module")
def django() -> Policy:
    conf: Any = pytest.importorskip("django.conf")
    if not conf.settings.configured:
        conf.settings.configure()
    return profiles.django()


@pytest.fixture(scope="module")
def flask() -> Policy:
    pytest.importorskip("flask")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return profiles.flask()


def writings(value: Any) -> list[bytes]:
    """The pickle of each protocol that can write it."""
    written = []
    for protocol in PROTOCOLS:
        try:
            written.append(pickle.dumps(value, protocol))
        except Exception:
            assert protocol < 2
    return written


def test_profile_plain_is_the_default() -> None:
    assert repr(profiles.plain()) == repr(Policy())


def test_django_safe_text_is_safe_again_and_not_text_alone(django: Policy) -> None:
    from django.utils.safestring import SafeString

    for data in writings(SafeString("<b>")):
        loaded = safe_loads(data, policy=django)
        assert (type(loaded), loaded) == (SafeString, "<b>")
        assert (type(safe_loads(data)), safe_loads(data)) == (str, "<b>")


def test_django_multi_value_dicts_are_the_frameworks_own(django: Policy) -> None:
    from django.http import QueryDict
    from django.utils.datastructures import MultiValueDict

    for data in writings([QueryDict("a=1&a=2&b=%C3%B3"), MultiValueDict({"x": ["1", "2"]})]):
        query, multi = safe_loads(data, policy=django)
        assert (type(query), query.getlist("a"), query["b"]) == (QueryDict, ["1", "2"], "ó")
        assert query.urlencode() == "a=1&a=2&b=%C3%B3"
        with pytest.raises(AttributeError):
            query["a"] = "3"
        assert (type(multi), multi.getlist("x"), multi["x"]) == (MultiValueDict, ["1", "2"], "2")
        assert safe_loads(data) == [{"a": ["1", "2"], "b": ["ó"]}, {"x": ["1", "2"]}]


def test_markup_is_markup_under_both_profiles(django: Policy, flask: Policy) -> None:
    from markupsafe import Markup

    for data in writings(Markup("<b>")):
        for policy in (django, flask):
            loaded = safe_loads(data, policy=policy)
            assert type(loaded) is Markup
            assert loaded + "<" == "<b>&lt;"
        assert type(safe_loads(data)) is str


def test_werkzeug_multi_dicts_are_the_frameworks_own(flask: Policy) -> None:
    from werkzeug.datastructures import ImmutableMultiDict, MultiDict

    for cls in (MultiDict, ImmutableMultiDict):
        for data in writings(cls([("a", "1"), ("a", "2"), ("b", "3")])):
            loaded = safe_loads(data, policy=flask)
            assert type(loaded) is cls
            assert loaded.getlist("a") == ["1", "2"]
            assert list(loaded.items(multi=True)) == [("a", "1"), ("a", "2"), ("b", "3")]
            assert safe_loads(data) == {"a": ["1", "2"], "b": ["3"]}


def test_pytz_zones_are_the_zone_objects_themselves_and_plain_keeps_the_instant(
    django: Policy, flask: Policy
) -> None:
    pytz = pytest.importorskip("pytz")
    zone = pytz.timezone("Europe/Budapest")
    moments = [zone.localize(datetime.datetime(2020, month, 1, 12)) for month in (1, 7)]
    zones = [zone, pytz.utc, pytz.FixedOffset(330)]
    for data in writings([moments, zones]):
        for policy in (django, flask):
            loaded, again = safe_loads(data, policy=policy)
            assert loaded == moments
            assert [moment.tzinfo for moment in loaded] == [moment.tzinfo for moment in moments]
            assert all(one is other for one, other in zip(again, zones))
            assert str(zone.normalize(loaded[0] + datetime.timedelta(days=182)).tzname()) == "CEST"
        plain, plain_zones = safe_loads(data)
        assert [(moment, moment.utcoffset()) for moment in plain] == [
            (moment, moment.utcoffset()) for moment in moments
        ]
        assert not any(type(zone).__module__.startswith("pytz") for zone in plain_zones)


QUERY = b"cdjango.http.request\nQueryDict\n"
HOSTILE = [
    QUERY + b"X\x03\0\0\0a=1\x85R.",
    QUERY + b"X\x03\0\0\0a=1\x85\x81.",
    QUERY + b"K\x05\x85\x81.",
    QUERY + b")\x81K\x05b.",
    QUERY + b")\x81}X\x05\0\0\0_dataK\x05sb.",
    QUERY + b")\x81}X\x05\0\0\0_data}](sb.",
    QUERY + b")\x81X\x01\0\0\0aK\x05s.",
    QUERY + b")\x81X\x01\0\0\0aNs.",
    QUERY + b")\x81K\x05]s.",
    QUERY + b")\x81N]s.",
    QUERY + b")\x81](K\x01K\x02ea.",
    QUERY + b".",
    QUERY + b")\x81" + QUERY + b"b.",
    QUERY + b")\x81}(X\x05\0\0\0_data}X\x01\0\0\0a](X\x01\0\0\0xesX\x09\0\0\0__class__X\x01\0\0\0x"
    b"X\x08\0\0\0_mutable\x88X\x09\0\0\0_encodingX\x05\0\0\0rot13ub.",
    b"cdjango.utils.safestring\nSafeString\nK\x05\x85\x81.",
    b"cdjango.utils.safestring\nSafeString\nX\x01\0\0\0x\x85\x81}X\x08\0\0\0__html__K\x05sb.",
    b"cdjango.utils.safestring\nSafeString\nX\x01\0\0\0xX\x05\0\0\0ascii\x86\x81.",
    b"cdjango.utils.datastructures\nMultiValueDict\n)\x81}X\x05\0\0\0_data](K\x01es.",
    b"cdjango.utils.datastructures\nMultiValueDict\n)\x81]K\x01s.",
    b"cmarkupsafe\nMarkup\nN\x85R.",
    b"cmarkupsafe\nMarkup\n]\x85\x81.",
    b"cmarkupsafe\nMarkup\nX\x01\0\0\0xX\x05\0\0\0asciiX\x06\0\0\0strict\x87R.",
    b"cwerkzeug.datastructures\nMultiDict\n](K\x01K\x02e\x85R.",
    b"cwerkzeug.datastructures\nMultiDict\n)\x81K\x05K\x06s.",
    b"cwerkzeug.datastructures\nMultiDict\n)\x81]K\x06s.",
    b"cwerkzeug.datastructures\nImmutableMultiDict\nX\x02\0\0\0ab\x85R.",
    b"cpytz\n_p\nX\x10\0\0\0../../etc/passwd\x85R.",
    b"cpytz\n_p\nX\x0b\0\0\0/etc/passwd\x85R.",
    b"cpytz\n_p\nK\x05\x85R.",
    b"cpytz\n_p\n(X\x0f\0\0\0Europe/BudapestX\x01\0\0\0xX\x01\0\0\0xX\x01\0\0\0xtR.",
    b"cpytz\n_p\n(X\x0d\0\0\0No/Such_PlaceK\x01K\x02X\x01\0\0\0xtR.",
    b"cpytz\n_p\n)R.",
    b"cpytz\n_UTC\nK\x05\x85R.",
    b"cpytz\n_FixedOffset\nX\x01\0\0\0x\x85R.",
    b"cpytz\n_FixedOffset\nJ\xff\xff\xff\x7f\x85R.",
    b"cpytz\nFixedOffset\nK\x05}\x86R.",
    b"cpytz\n_FixedOffset\nN\x85R.",
]
NATIVE = (
    "django.http.request.QueryDict",
    "django.utils.safestring.SafeString",
    "django.utils.datastructures.MultiValueDict",
    "markupsafe.Markup",
    "werkzeug.datastructures.MultiDict",
    "werkzeug.datastructures.ImmutableMultiDict",
    "pytz._p",
    "pytz._UTC",
    "pytz._FixedOffset",
    "pytz.FixedOffset",
)


@pytest.mark.parametrize("head", [b"", b"\x80\x02"], ids=["0", "2"])
@pytest.mark.parametrize("data", HOSTILE)
def test_a_builder_of_a_framework_only_ever_sees_plain_data(data: bytes, head: bytes) -> None:
    """Text, a dict of lists, or the name and numbers of a zone: whatever the bytes say."""
    seen: list[Any] = []

    def spy(*args: Any) -> Any:
        seen.append(args)
        return args

    with contextlib.suppress(plainpickle.UnpicklingError):
        safe_loads(head + data, policy=Policy()._with_native(dict.fromkeys(NATIVE, spy)))
    for args in seen:
        if b"pytz" in data:
            assert all(type(part) in (int, str, type(None)) for part in args)
            assert not any("/etc" in part for part in args if isinstance(part, str))
        else:
            (value,) = args
            assert type(value) in (str, bytes, dict)
            if type(value) is dict:
                assert all(type(values) in (list, tuple) for values in value.values()), value


@pytest.mark.parametrize("data", HOSTILE)
def test_hostile_state_ends_in_a_refusal_or_a_value_of_the_framework(
    data: bytes, django: Policy, flask: Policy
) -> None:
    for policy in (django, flask):
        try:
            value = safe_loads(data, policy=policy)
        except plainpickle.UnpicklingError:
            continue
        assert getattr(value, "_mutable", False) is False
        assert getattr(value, "encoding", "utf-8") == "utf-8"
        assert "__html__" not in getattr(value, "__dict__", {})


def test_a_framework_s_own_object_takes_no_state_once_something_holds_it() -> None:
    """A QueryDict that is in a list already when its BUILD comes."""
    pytest.importorskip("django")
    data = b"\x80\x02]q\x00cdjango.http.request\nQueryDict\n)\x81q\x01a0h\x01}U\x05_data}sb."
    with pytest.raises(plainpickle.MalformedPickle):
        plainpickle.safe_loads(data, policy=plainpickle.profiles.django())
