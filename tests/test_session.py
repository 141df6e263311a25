"""`SessionSerializer`: reads pickle and JSON by their first byte, writes either, and salvages."""

from __future__ import annotations

import base64
import collections
import copyreg
import datetime
import json
import logging
import pickle
import pickletools
import string
import subprocess
import sys
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

import plainpickle
from plainpickle import Limits, Policy, UnreadableValue, events, profiles
from plainpickle.session import SessionSerializer
from tests.differential.graphs import GraphMaker
from tests.differential.isomorphism import RULES, difference
from tests.differential.mutants import mutants
from tests.expected import Comparison, foreign
from tests.samples import Sample, Stored, corpus, not_pickles

HERE = __name__
PROTOCOLS = range(6)
JSON_FIRST = b'{["-tfn' + string.digits.encode() + b" \t\n\r"
SESSION = {
    "_auth_user_id": "5",
    "cart": {"items": [1, 2.5, None, True], "note": "zoé 😀"},
    "seen": [],
}
RICH = {
    **SESSION,
    "price": Decimal("19.99"),
    "at": datetime.datetime(2020, 2, 29, 23, 59, 58, 7, tzinfo=datetime.timezone.utc),
    "pair": (1, "x"),
    "tags": {"a"},
    "blob": b"\x00\xff",
    "id": uuid.UUID(int=5),
    "by_number": {1: "one"},
}


class Money:
    """A class that no policy of these tests admits."""

    def __init__(self, amount: int = 5) -> None:
        self.amount = amount


class Zone(datetime.tzinfo):
    """A zone of the app's own."""

    def utcoffset(self, _: Any) -> datetime.timedelta:
        return datetime.timedelta(0)

    dst = utcoffset

    def tzname(self, _: Any) -> str:
        return "own"


class Cart:
    def __init__(self, **state: Any) -> None:
        vars(self).update(state)


@pytest.fixture
def reported() -> Iterator[list[dict[str, Any]]]:
    found: list[dict[str, Any]] = []
    unsubscribe = events.subscribe(found.append)
    yield found
    unsubscribe()


# ---- two formats, told apart by the first byte


@pytest.mark.parametrize("value", [None, True, False, 0, -1.5, "text", [], [1], {}, {"a": {}}])
@pytest.mark.parametrize("space", ["", " ", "\n", "\t", "\r\n "])
def test_json_of_every_kind_is_read_as_json(value: Any, space: str) -> None:
    for data in (space + json.dumps(value), (space + json.dumps(value, indent=1)).encode()):
        assert SessionSerializer().loads(data) == value


@pytest.mark.parametrize("value", [None, True, 0, -1.5, "text", b"", [], (), {}, set(), SESSION])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pickles_of_every_protocol_are_read_as_pickles(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    for given in (data, bytearray(data), memoryview(data)):
        assert SessionSerializer().loads(given) == value
    if protocol < 3:
        assert SessionSerializer().loads(pickle._dumps(value, protocol)) == value  # type: ignore[attr-defined]


@pytest.mark.parametrize("first", range(256))
def test_the_first_byte_alone_decides(first: int, reported: list[dict[str, Any]]) -> None:
    """What the one cannot read is never handed to the other."""
    for rest in (b"\xff", b"\xff\xff\xff", b"\xff: 1}"):
        with pytest.raises(plainpickle.UnpicklingError) as caught:
            SessionSerializer().loads(bytes([first]) + rest)
        is_json = first in JSON_FIRST
        assert reported.pop()["format"] == ("json" if is_json else "pickle")
        if is_json:
            assert caught.value.opcode is None


def test_no_pickle_begins_with_a_byte_that_json_begins_with() -> None:
    """Such an opcode takes something from the stack, which is empty then."""
    opcodes = [op for op in pickletools.opcodes if op.code.encode("latin1") in JSON_FIRST]
    assert {op.name for op in opcodes} == {"TUPLE", "POP", "POP_MARK", "DUP"}
    assert all(op.stack_before for op in opcodes)


@pytest.mark.parametrize("data", ["N.", "", "\u00e9", '{"a": 1} x', "{'a': 1}"])
def test_text_is_json_and_nothing_else(data: str) -> None:
    with pytest.raises(plainpickle.UnpicklingError):
        SessionSerializer().loads(data)


@pytest.mark.parametrize("wrong", [None, 5, [1], object()])
def test_what_is_neither_bytes_nor_text_is_the_callers_error(wrong: Any) -> None:
    with pytest.raises(TypeError):
        SessionSerializer().loads(wrong)


@pytest.mark.parametrize("stored", not_pickles(), ids=str)
def test_sessions_that_other_software_wrote_as_json_are_read(stored: Stored) -> None:
    raw = stored.raw
    if "signed" in stored.facts["storage"]:  # base64(JSON):timestamp:signature
        payload = raw.split(b":")[0]
        raw = base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4))
    assert SessionSerializer().loads(raw) == stored.facts["expected"]


CORPUS = corpus()
PLAIN = [sample for sample in CORPUS if not foreign(sample.expected)]
REFUSED = [sample for sample in CORPUS if foreign(sample.expected)]


@pytest.mark.parametrize("on_forbidden", ["salvage", "raise"])
def test_where_nothing_is_refused_it_is_loads(
    on_forbidden: Any, reported: list[dict[str, Any]]
) -> None:
    serializer = SessionSerializer(on_forbidden=on_forbidden)
    for sample in PLAIN:
        found = serializer.loads(sample.data)
        assert difference(plainpickle.loads(sample.data), found) is None, str(sample)
    assert reported == []


def test_djangos_own_serializers_and_this_one_read_each_other() -> None:
    serializers: Any = pytest.importorskip("django.contrib.sessions.serializers")
    django = serializers.JSONSerializer()
    assert SessionSerializer().loads(django.dumps(SESSION)) == SESSION
    assert django.loads(SessionSerializer().dumps(SESSION)) == SESSION
    for protocol in PROTOCOLS:  # PickleSerializer: pickle.dumps, at the highest protocol
        assert SessionSerializer().loads(pickle.dumps(RICH, protocol)) == RICH
    with_pickle = SessionSerializer(format="pickle")
    assert pickle.loads(with_pickle.dumps(RICH)) == RICH


# ---- writing


def test_plain_data_is_written_as_plain_json() -> None:
    data = SessionSerializer().dumps(SESSION)
    assert type(data) is bytes
    assert json.loads(data) == SESSION
    assert data == json.dumps(SESSION, separators=(",", ":")).encode()
    assert SessionSerializer().encode(SESSION) == data


@pytest.mark.parametrize("form", ["json", "pickle"])
def test_what_it_writes_it_reads_with_the_same_types(form: Any) -> None:
    serializer = SessionSerializer(format=form)
    for read in (serializer.loads, serializer.decode, SessionSerializer().loads):
        assert difference(RICH, read(serializer.dumps(RICH))) is None
    assert serializer.loads(serializer.dumps({})) == {}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pickles_are_written_at_the_protocol_that_old_readers_know(protocol: int) -> None:
    serializer = SessionSerializer(format="pickle", protocol=protocol)
    assert serializer.dumps(RICH) == pickle.dumps(RICH, protocol)


def test_protocol_2_is_the_default() -> None:
    assert SessionSerializer(format="pickle").dumps(RICH) == pickle.dumps(RICH, 2)


class Session(dict):  # type: ignore[type-arg]
    """As frameworks have them: a dict that knows whether it was changed."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.modified = False
        self.on_update = lambda: None


@pytest.mark.parametrize("form", ["json", "pickle"])
def test_a_session_that_is_a_dict_of_a_subclass_is_written_as_a_dict(form: Any) -> None:
    serializer = SessionSerializer(format=form)
    expected = serializer.dumps(RICH)
    for session in (Session(RICH), collections.OrderedDict(RICH), collections.UserDict(RICH).data):
        assert serializer.encode(session) == expected
    werkzeug: Any = pytest.importorskip("werkzeug.datastructures")
    assert serializer.encode(werkzeug.CallbackDict(RICH)) == expected
    with pytest.raises((UnreadableValue, pickle.PicklingError, AttributeError)):
        serializer.encode({"inner": Session(RICH)})


@pytest.mark.parametrize("form", ["json", "pickle"])
def test_what_could_not_be_read_back_is_an_error_with_its_path(form: Any) -> None:
    serializer = SessionSerializer(format=form)
    for session, path in (
        ({"cart": {"items": [1, 2, 3, {"price": Money()}]}}, "cart.items[3].price"),
        (Session({"price": Money()}), "price"),
        ({"ok": 1, 5: (Money(),)}, "[5][0]"),
        ({"price": {Money(): 1}}, "price{key}"),
    ):
        with pytest.raises(UnreadableValue) as caught:
            serializer.encode(session)
        assert (caught.value.path, caught.value.name) == (path, f"{HERE}.Money")
        assert str(caught.value).startswith(f"{path}: {HERE}.Money ")
        assert isinstance(caught.value, pickle.PicklingError)


def test_a_policy_that_reads_a_class_as_plain_data_writes_it_as_a_pickle() -> None:
    serializer = SessionSerializer(policy=Policy().as_plain(f"{HERE}.Cart"), format="pickle")
    assert serializer.loads(serializer.dumps({"cart": Cart(n=1)})) == {"cart": {"n": 1}}


def test_a_registered_class_cannot_be_written_as_json() -> None:
    policy = Policy().register(Cart)
    with pytest.raises(UnreadableValue) as caught:
        SessionSerializer(policy=policy).dumps({"cart": [Cart(n=1)]})
    assert (caught.value.path, caught.value.name) == ("cart[0]", f"{HERE}.Cart")
    written = SessionSerializer(policy=policy, format="pickle").dumps({"cart": [Cart(n=1)]})
    cart = SessionSerializer(policy=policy).loads(written)["cart"][0]
    assert (type(cart), vars(cart)) == (Cart, {"n": 1})


def test_a_cycle_cannot_be_written_as_json_and_the_error_says_so() -> None:
    loop: list[Any] = [1]
    loop.append({"back": loop})
    session: dict[str, Any] = {"loop": loop}
    with pytest.raises(UnreadableValue, match="cycle") as caught:
        SessionSerializer().dumps(session)
    assert caught.value.path == "loop[1].back"
    again = SessionSerializer().loads(SessionSerializer(format="pickle").dumps(session))
    assert again["loop"][1]["back"] is again["loop"]


def test_limits_hold_for_writing_too() -> None:
    deep = {"a": [[[[[1]]]]]}
    for form in ("json", "pickle"):
        serializer = SessionSerializer(limits=Limits(max_depth=4), format=form)
        with pytest.raises(UnreadableValue, match="max_depth"):
            serializer.dumps(deep)
        assert SessionSerializer(limits=Limits(max_depth=6), format=form).dumps(deep)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"format": "yaml"}, ValueError),
        ({"format": None}, (ValueError, TypeError)),
        ({"protocol": 6}, ValueError),
        ({"protocol": "2"}, (ValueError, TypeError)),
        ({"on_forbidden": "ignore"}, ValueError),
        ({"policy": "django"}, (ValueError, TypeError)),
        ({"polcy": None}, TypeError),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_when_it_is_given(
    wrong: dict[str, Any], error: Any
) -> None:
    with pytest.raises(error):
        SessionSerializer(**wrong)


def test_it_is_free_to_construct_as_django_does_for_each_session() -> None:
    start = time.perf_counter()
    for _ in range(10_000):
        SessionSerializer()
    assert time.perf_counter() - start < 1


def test_one_serializer_serves_many_threads() -> None:
    serializer, found = SessionSerializer(policy=profiles.django()), []

    def serve(n: int) -> None:
        for _ in range(100):
            found.append(serializer.loads(serializer.dumps({"n": n, **RICH}))["n"] == n)

    threads = [threading.Thread(target=serve, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 800


# ---- salvage: what was really stored


@pytest.mark.parametrize("sample", REFUSED, ids=str)
def test_a_session_of_old_software_keeps_each_key_that_holds_no_class_of_the_app(
    sample: Sample, reported: list[dict[str, Any]]
) -> None:
    with pytest.raises(plainpickle.ForbiddenGlobal):
        plainpickle.loads(sample.data)
    reported.clear()
    expected = {key: value for key, value in sample.expected.items() if not foreign(value)}
    dropped = sample.expected.keys() - expected.keys()
    found = SessionSerializer().loads(sample.data)
    assert list(Comparison().differences(found, expected)) == []
    assert {event["key"] for event in reported} == dropped
    assert len(reported) == len(dropped)
    assert {event["action"] for event in reported} == {"dropped"}
    for event in reported:
        assert event["global"] in sample.facts["globals"]
        assert event["global"].partition(".")[0] in {"shopapp", "django", "builtins"}
        dangerous = event["global"].startswith("builtins.")  # a function that was stored
        assert event["reason"] == ("dangerous_global" if dangerous else "unknown_global")
        assert event["length"] == len(sample.data)
    reported.clear()
    with pytest.raises(plainpickle.ForbiddenGlobal):
        SessionSerializer(on_forbidden="raise").loads(sample.data)
    assert [event["action"] for event in reported] == ["refused"]


def test_the_corpus_has_sessions_that_keep_some_keys_and_lose_others() -> None:
    mixed = [
        sample
        for sample in REFUSED
        if {bool(foreign(value)) for value in sample.expected.values()} == {True, False}
    ]
    assert len(mixed) >= 4


# ---- salvage: by kind


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + len(raw).to_bytes(4, "little") + raw


def holding(value: bytes, before: bytes = b"") -> bytes:
    """A session of three keys, of which one holds what these opcodes make."""
    return (
        b"\x80\x04"
        + before
        + b"}(%bK\x01%b%b%b](K\x02eu."
        % (
            text("one"),
            text("bad"),
            value,
            text("two"),
        )
    )


def call(name: str, *arguments: bytes) -> bytes:
    module, _, last = name.rpartition(".")
    return text(module) + text(last) + b"\x93(" + b"".join(arguments) + b"tR"


def moment(zone: bytes) -> bytes:
    return call("datetime.datetime", b"C\x0a\x07\xe4\x02\x1d\x17\x3b\x3a\x00\x00\x07", zone)


MONEY = call("shop.Money", b"K\x05")
BAD_VALUES: dict[str, tuple[bytes, str]] = {
    "a class of nobody's": (MONEY, "unknown_global"),
    "in a list in a dict": (
        b"}" + text("items") + b"](K\x01" + MONEY + b"es",
        "unknown_global",
    ),
    "as a key": (b"}" + MONEY + b"K\x01s", "unknown_global"),
    "in a tuple in a key": (b"}" + MONEY + b"\x85K\x01s", "unknown_global"),
    "in a set": (b"\x8f(K\x01" + MONEY + b"\x90", "unknown_global"),
    "in a frozenset": (b"(K\x01" + MONEY + b"\x91", "unknown_global"),
    "in a set of protocol 2": (call("builtins.set", b"](K\x01" + MONEY + b"e"), "unknown_global"),
    "in a cycle": (b"]q\x03(h\x03" + MONEY + b"e", "unknown_global"),
    "in an OrderedDict": (
        call("collections.OrderedDict") + text("x") + MONEY + b"s",
        "unknown_global",
    ),
    "in a deque": (call("collections.deque") + MONEY + b"a", "unknown_global"),
    "as an argument": (call("decimal.Decimal", MONEY), "unknown_global"),
    "as a state": (
        call("types.SimpleNamespace") + b"}" + text("x") + MONEY + b"sb",
        "unknown_global",
    ),
    "an argument of another refused call": (call("shop.Cart", MONEY), "unknown_global"),
    "with a state": (MONEY + b"}" + text("x") + b"K\x01sb", "unknown_global"),
    "with items": (MONEY + b"(K\x01K\x02e", "unknown_global"),
    "with keys and items": (MONEY + b"(K\x01K\x02u", "unknown_global"),
    "made by NEWOBJ": (text("shop") + text("Money") + b"\x93)\x81", "unknown_global"),
    "made by NEWOBJ_EX": (text("shop") + text("Money") + b"\x93)}\x92", "unknown_global"),
    "made by INST": (b"(K\x01ishop\nMoney\n}b", "unknown_global"),
    "made by OBJ": (b"(cshop\nMoney\nK\x01o}b", "unknown_global"),
    "made by _reconstructor": (
        b"ccopyreg\n_reconstructor\n(cshop\nMoney\ncbuiltins\nobject\nNtR}b",
        "unknown_global",
    ),
    "code": (call("os.system", text("echo vulnerable_to_rce")), "dangerous_global"),
    "a function as a value": (b"cbuiltins\nlen\n", "dangerous_global"),
    "a class as a value": (b"cdecimal\nDecimal\n", "global_as_value"),
    "a class of nobody's as a value": (b"cshop\nMoney\n", "unknown_global"),
    "an argument that no pickler writes": (call("decimal.Decimal", b"N"), "forbidden_use"),
    "an extension code": (b"\x82\x01)R", "extension_code"),
    "a persistent id": (b"Prow\n", "persistent_id"),
    "a binary persistent id": (b"K\x05Q", "persistent_id"),
    "a buffer that is not there": (b"\x97", "out_of_band_buffer"),
    "month 13": (call("datetime.date", b"C\x04\x07\xe4\x0d\x01"), "malformed"),
    "hour 99": (
        call("datetime.datetime", b"C\x0a\x07\xe4\x02\x1d\x63\x3b\x3a\x00\x00\x07"),
        "malformed",
    ),
    "a Decimal bomb": (call("decimal.Decimal", text("1E+999999999")), "limit"),
    "a Fraction bomb": (call("fractions.Fraction", text("1e999999999")), "malformed"),
    "a huge integer": (b"\x8b\x01\x20\0\0" + b"\x01" * 8193, "limit"),
    "a huge integer as text": (b"L" + b"7" * 4301 + b"L\n", "limit"),
    "a zone of nobody's in a datetime": (moment(call("shop.Zone")), "unknown_global"),
    "a refused argument in a zone": (moment(call("pytz._UTC", MONEY)), "unknown_global"),
    "a state for a value without one": (
        call("decimal.Decimal", text("1")) + b"}" + text("x") + b"K\x01sb",
        "malformed",
    ),
    "a UUID of too many bits": (
        text("uuid")
        + text("UUID")
        + b"\x93)\x81}"
        + text("int")
        + b"\x8a\x12"
        + b"\x01" * 18
        + b"sb",
        "malformed",
    ),
}


def parts(value: Any) -> Iterator[Any]:
    """Everything in `value`, each object once."""
    todo, seen = [value], set()
    while todo:
        each = todo.pop()
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            if type(each) in RULES:
                todo.extend(child for _, child, _ in RULES[type(each)].children(each, each))


def inert(value: Any) -> list[Any]:
    """What is no value of profile plain, anywhere in `value`."""
    return [each for each in parts(value) if type(each) not in RULES]


@pytest.mark.parametrize("case", BAD_VALUES)
def test_one_bad_value_costs_its_own_key_and_no_other(
    case: str, reported: list[dict[str, Any]]
) -> None:
    value, reason = BAD_VALUES[case]
    data = holding(value)
    assert SessionSerializer().loads(data) == {"one": 1, "two": [2]}
    (event,) = reported
    assert (event["action"], event["key"], event["reason"]) == ("dropped", "bad", reason)
    assert event["length"] == len(data)
    with pytest.raises(plainpickle.UnpicklingError) as caught:
        SessionSerializer(on_forbidden="raise").loads(data)
    assert event["kind"] == caught.value.kind
    assert event["offset"] == caught.value.offset


@pytest.mark.parametrize("case", BAD_VALUES)
def test_what_a_bad_value_is_shared_with_is_dropped_and_what_it_shares_is_not(
    case: str, reported: list[dict[str, Any]]
) -> None:
    value, _ = BAD_VALUES[case]
    data = (
        b"\x80\x04](K\x01eq\x05"  # a list that all keys share, some beside the bad value
        + value
        + b"q\x06\x30\x30}("
        + text("good")
        + b"h\x05"
        + text("bad")
        + b"h\x06"
        + text("both")
        + b"h\x05h\x06\x86"
        + text("again")
        + b"h\x05u."
    )
    found = SessionSerializer().loads(data)
    assert found == {"good": [1], "again": [1]}
    assert found["good"] is found["again"]
    assert {event["key"] for event in reported} == {"bad", "both"}


def test_nothing_inert_is_left_in_what_is_returned() -> None:
    for value, _ in BAD_VALUES.values():
        assert inert(SessionSerializer().loads(holding(value))) == []
    assert inert([Money()]) != []


@pytest.mark.parametrize("case", BAD_VALUES)
def test_what_was_thrown_away_costs_nothing_and_is_reported_as_ignored_if_it_is_refused_at_all(
    case: str, reported: list[dict[str, Any]]
) -> None:
    value, reason = BAD_VALUES[case]
    for thrown in (value + b"0", b"(" + value + b"1", value + b"q\x09\x30"):
        data = holding(b"K\x05", before=thrown)
        try:
            plainpickle.loads(data)
        except plainpickle.UnpicklingError:
            expected = [("ignored", None, reason)]
        else:
            expected = []
            assert case in {"a class as a value", "a UUID of too many bits"}
        reported.clear()
        assert SessionSerializer().loads(data) == {"one": 1, "bad": 5, "two": [2]}
        found = [(event["action"], event["key"], event["reason"]) for event in reported]
        assert found == expected


def test_a_bad_value_that_a_later_key_replaces_is_reported_and_costs_nothing(
    reported: list[dict[str, Any]],
) -> None:
    data = b"\x80\x04}(" + text("a") + MONEY + text("a") + b"K\x05u."
    assert SessionSerializer().loads(data) == {"a": 5}
    assert [(event["action"], event["key"]) for event in reported] == [("ignored", None)]


def test_a_bad_value_under_a_key_that_is_bad_itself_goes_with_it(
    reported: list[dict[str, Any]],
) -> None:
    data = b"\x80\x04}(" + text("ok") + b"K\x01" + MONEY + b"K\x05" + MONEY + MONEY + b"u."
    assert SessionSerializer().loads(data) == {"ok": 1}
    assert {event["action"] for event in reported} == {"dropped"}


def test_a_session_that_holds_itself_keeps_what_is_good(reported: list[dict[str, Any]]) -> None:
    session: dict[str, Any] = {"ok": 1, "bad": Money()}
    session["self"] = session
    found = SessionSerializer().loads(pickle.dumps(session))
    assert found["ok"] == 1
    assert "bad" not in found
    assert inert(found) == []
    assert "bad" in {event["key"] for event in reported}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_tuple_that_two_keys_share_goes_from_both(
    protocol: int, reported: list[dict[str, Any]]
) -> None:
    shared, kept = (1, Money()), ["kept"]
    session = {"a": shared, "b": [kept, shared], "c": kept, "d": (kept,)}
    found = SessionSerializer().loads(pickle.dumps(session, protocol))
    assert found == {"c": ["kept"], "d": (["kept"],)}
    assert found["c"] is found["d"][0]
    assert [event["key"] for event in reported] == ["a", "b"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_zone_of_the_apps_own_in_a_datetime_costs_the_key(protocol: int) -> None:
    session = {"ok": 1, "at": [datetime.datetime(2020, 1, 1, tzinfo=Zone())]}
    assert SessionSerializer().loads(pickle.dumps(session, protocol)) == {"ok": 1}


@pytest.mark.parametrize("value", [[1, Money()], (Money(),), Money(), {Money()}])
def test_what_is_no_session_of_keys_raises(value: Any, reported: list[dict[str, Any]]) -> None:
    with pytest.raises(plainpickle.ForbiddenGlobal):
        SessionSerializer().loads(pickle.dumps(value))
    assert [event["action"] for event in reported] == ["refused"]


def test_a_session_of_nothing_but_bad_keys_is_empty(reported: list[dict[str, Any]]) -> None:
    data = pickle.dumps({"a": Money(), "b": [Money()]})
    assert SessionSerializer().loads(data) == {}
    assert SessionSerializer().decode(data) == {}
    assert [event["key"] for event in reported] == ["a", "b"] * 2


def test_what_salvage_returns_can_be_written_again() -> None:
    serializer = SessionSerializer()
    for value, _ in BAD_VALUES.values():
        found = serializer.loads(holding(value))
        assert serializer.loads(serializer.dumps(found)) == found


# ---- salvage beside the app's own classes


def test_a_registered_class_is_not_run_for_a_key_that_is_dropped() -> None:
    ran: list[str] = []

    class Own:
        def __init__(self, *args: Any) -> None:
            ran.append("__init__")

        def __setstate__(self, state: Any) -> None:
            ran.append("__setstate__")
            vars(self).update(state)

    def make(*args: Any) -> Any:
        ran.append("make")
        return list(args)

    policy = Policy().register("shop.Own", build=Own).register("shop.make", build=make)
    serializer = SessionSerializer(policy=policy)
    made = text("shop") + text("Own") + b"\x93)\x81}" + text("x")
    assert serializer.loads(holding(made + MONEY + b"sb")) == {"one": 1, "two": [2]}
    assert serializer.loads(holding(call("shop.make", MONEY))) == {"one": 1, "two": [2]}
    assert serializer.loads(holding(call("shop.make", b"](" + MONEY + b"e"))).keys() == {
        "one",
        "two",
    }
    assert ran == []
    assert serializer.loads(holding(call("shop.make", b"K\x05")))["bad"] == [5]
    assert vars(serializer.loads(holding(made + b"K\x05sb"))["bad"]) == {"x": 5}
    assert ran == ["make", "__setstate__"]


def test_registered_objects_of_other_keys_are_kept() -> None:
    session = {"cart": Cart(n=1), "price": Money(), "more": [Cart(n=2), Cart(price=Money())]}
    data = pickle.dumps(session)
    found = SessionSerializer(policy=Policy().register(Cart)).loads(data)
    assert list(found) == ["cart"]
    assert vars(found["cart"]) == {"n": 1}
    plain = SessionSerializer(policy=Policy().as_plain(f"{HERE}.Cart")).loads(data)
    assert plain == {"cart": {"n": 1}}


def test_under_stub_nothing_is_refused_and_nothing_dropped(reported: list[dict[str, Any]]) -> None:
    found = SessionSerializer(policy=Policy().stub()).loads(pickle.dumps({"price": Money()}))
    assert type(found["price"]) is plainpickle.Stub
    assert reported == []


def test_an_exception_of_the_apps_own_code_passes_through() -> None:
    def make(*args: Any) -> Any:
        raise ZeroDivisionError

    policy = Policy().register("shop.make", build=make)
    with pytest.raises(ZeroDivisionError):
        SessionSerializer(policy=policy).loads(holding(call("shop.make", b"K\x05")))


def test_an_extension_code_is_refused_although_it_is_registered() -> None:
    copyreg.add_extension(HERE, "Cart", 0x7E)
    try:
        data = pickle.dumps({"ok": 1, "cart": Cart(n=1)}, 2)
        assert b"\x82\x7e" in data
        assert SessionSerializer(policy=Policy().register(Cart)).loads(data) == {"ok": 1}
    finally:
        copyreg.remove_extension(HERE, "Cart", 0x7E)


# ---- salvage of JSON


def test_a_json_session_with_one_bad_tag_keeps_its_other_keys(
    reported: list[dict[str, Any]],
) -> None:
    for bad, reason in (
        ('{" nope": 1}', "unknown_tag"),
        ('[1, {"x": {" nope": 1}}]', "unknown_tag"),
        ('{" t": [1, {" nope": 1}]}', "unknown_tag"),
        ('{" stub": {}}', "unknown_tag"),
        ('{" decimal": "x"}', "malformed"),
        ('{" decimal": "1E+999999999"}', "limit"),
        ('{" date": "2020-13-01"}', "malformed"),
        ('{" b": "***"}', "malformed"),
        ('{" reduce": ["os.system", "echo"]}', None),
    ):
        data = f'{{"one": 1, "bad": {bad}, "two": {{" t": [2]}}}}'
        for given in (data, data.encode()):
            assert SessionSerializer().loads(given) == {"one": 1, "two": (2,)}
            (event,) = reported
            assert (event["action"], event["key"]) == ("dropped", "bad")
            assert event["format"] == "json"
            assert event["reason"] == reason or reason is None
            assert event["sha256"]
            reported.clear()
        with pytest.raises(plainpickle.UnpicklingError):
            SessionSerializer(on_forbidden="raise").loads(data)
        reported.clear()


def test_a_json_session_that_is_no_dict_raises() -> None:
    for data in ('[{" nope": 1}]', '{" nope": 1}', '{" t": [{" nope": 1}]}'):
        with pytest.raises(plainpickle.UnpicklingError) as caught:
            SessionSerializer().loads(data)
        assert caught.value.kind == "unknown_tag"


# ---- what always raises

DAMAGED: dict[str, bytes] = {
    "cut": holding(MONEY)[:-1],
    "cut inside": holding(MONEY)[:-20],
    "an empty stack": holding(MONEY)[:-1] + b"00.",
    "no mark": holding(MONEY)[:-2] + b"uu.",
    "no memo": holding(MONEY + b"0h\x63"),
    "no opcode": holding(MONEY)[:-1] + b"\xff.",
    "a value too few": holding(MONEY)[:-7] + b"u.",
    "no text": holding(MONEY + b"0X\x02\0\0\0\xff\xff"),
    "JSON that is cut": b'{"one": 1, "bad": {" nope": 1}',
    "JSON with more behind it": b'{"one": 1, "bad": {" nope": 1}} x',
    "JSON without a comma": b'{"one": 1 "bad": {" nope": 1}}',
    "JSON with a lone quote": b'{"bad": {" nope": 1}, "one": "}',
    "JSON of other bytes": b'{"bad": {" nope": 1}, "one": "\xff"}',
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_data_raises_whatever_could_be_saved_of_it(
    case: str, reported: list[dict[str, Any]]
) -> None:
    with pytest.raises(plainpickle.UnpicklingError):
        SessionSerializer().loads(DAMAGED[case])
    (event,) = reported
    assert (event["action"], event["key"]) == ("refused", None)
    assert event["reason"] in {"truncated", "malformed"}


EXHAUSTED: dict[str, tuple[Limits, bytes]] = {
    "max_bytes": (Limits(max_bytes=50), holding(MONEY)),
    "max_memory": (Limits(max_memory=1000), holding(MONEY + b"0(" + b"\x8f" * 1000 + b"l")),
    "max_depth": (Limits(max_depth=50), holding(MONEY + b"0" + b"]" * 51 + b"a" * 50)),
    "max_work": (
        Limits(max_work=1000),
        holding(MONEY + b"0(" + b"K\x01" * 500 + b"tq\x000(" + b"}h\x00Ns" * 100 + b"l"),
    ),
    "max_depth in JSON": (
        Limits(max_depth=50),
        b'{"bad": {" nope": 1}, "one": ' + b"[" * 60 + b"]" * 60 + b"}",
    ),
    "max_bytes in JSON": (Limits(max_bytes=20), b'{"bad": {" nope": 1}, "one": 1}'),
}


@pytest.mark.parametrize("case", EXHAUSTED)
def test_an_exhausted_limit_raises_whatever_could_be_saved(
    case: str, reported: list[dict[str, Any]]
) -> None:
    limits, data = EXHAUSTED[case]
    with pytest.raises(plainpickle.LimitExceeded) as caught:
        SessionSerializer(limits=limits).loads(data)
    assert caught.value.limit == case.partition(" ")[0]
    assert [event["action"] for event in reported] == ["refused"]
    assert SessionSerializer().loads(data)["one"]


# ---- salvage of generated and of damaged sessions


def spoil(rng: Random, value: Any) -> None:
    """Puts a refused value somewhere into `value`, if it has a place for one."""
    places = [each for each in parts(value) if type(each) in (list, deque, dict, defaultdict, set)]
    if not places:
        return
    place, bad = rng.choice(places), Money()
    if isinstance(place, set):
        place.add(bad)
    elif isinstance(place, (list, deque)):
        place.append(rng.choice([bad, (1, bad), {"x": bad}]))
    elif rng.random() < 0.3:
        place[bad] = 1
    else:
        place["bad"] = [bad]


@pytest.mark.filterwarnings("ignore")  # array("u") is deprecated from 3.13 on
def test_of_any_session_exactly_the_keys_that_hold_something_refused_are_dropped(
    reported: list[dict[str, Any]],
) -> None:
    some = 0
    for seed in range(600):
        rng = Random(f"salvage {seed}")
        maker = GraphMaker(rng, size=60)
        session = {f"key{n}": maker.value(0) for n in range(rng.randrange(1, 8))}
        for _ in range(rng.randrange(3)):
            spoil(rng, rng.choice(list(session.values())))
        protocol = rng.randrange(6)
        try:
            data = pickle.dumps(session, protocol)
        except RecursionError:  # a cycle in arguments
            continue
        kept = {
            key: value
            for key, value in session.items()
            if not any(type(each) is Money for each in parts(value))
        }
        found = SessionSerializer().loads(data)
        assert list(found) == list(kept)
        assert difference(pickle.loads(pickle.dumps(kept, protocol)), found) is None
        assert [event["key"] for event in reported] == [key for key in session if key not in kept]
        reported.clear()
        some += 0 < len(kept) < len(session)
    assert some > 50


def test_salvage_of_damaged_sessions_ends_in_a_refusal_or_in_plain_data(
    reported: list[dict[str, Any]],
) -> None:
    salvaged = 0
    for data in mutants("salvage", 0, 5_000):
        reported.clear()
        try:
            found = SessionSerializer().loads(data)
        except plainpickle.UnpicklingError:
            assert [event["action"] for event in reported] == ["refused"] * bool(data)
            continue
        assert inert(found) == []
        assert len({event["action"] for event in reported}) <= 1
        if reported:
            salvaged += 1
            with pytest.raises(plainpickle.UnpicklingError):
                SessionSerializer(on_forbidden="raise").loads(data)
        else:
            strict = SessionSerializer(on_forbidden="raise").loads(data)
            assert difference(strict, found) is None
    assert salvaged > 50


#: A QueryDict that lost a value, and then gets itself as a key of its state.
QUERY_DICT_IN_ITSELF = (
    b"\x80\x04\x8c\x13django.http.request\x8c\tQueryDict\x93)\x81q\x06(\x8c\x04page\x82\x94u"
    b"}(\x8c\x05_data}q\x0b(h\x06]h\x0bauub"
)


def test_a_framework_value_that_lost_a_value_takes_no_state_that_refers_to_it() -> None:
    with pytest.raises(plainpickle.UnpicklingError):
        SessionSerializer().loads(QUERY_DICT_IN_ITSELF)


# ---- salvage at scale


def test_ten_thousand_bad_keys_take_linear_time_and_few_lines_of_log(
    reported: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    def seconds(count: int) -> float:
        data = pickle.dumps({f"key{n}": [n, Money(n)] for n in range(count)} | {"ok": 1})
        best = 60.0
        for _ in range(3):
            reported.clear()
            start = time.perf_counter()
            assert SessionSerializer().loads(data) == {"ok": 1}
            best = min(best, time.perf_counter() - start)
            assert len(reported) == count
        return best

    with caplog.at_level(logging.WARNING, "plainpickle.security"):
        small, large = seconds(1_000), seconds(10_000)
    assert large < 40 * small
    assert large < 3
    assert len(caplog.records) < 300


def test_one_bad_value_among_many_keys_costs_one_event(reported: list[dict[str, Any]]) -> None:
    session: dict[str, Any] = {f"key{n}": [n, {"n": n}] for n in range(10_000)}
    expected = dict(session)
    session["bad"] = Money()
    assert SessionSerializer().loads(pickle.dumps(session)) == expected
    assert [event["key"] for event in reported] == ["bad"]


# ---- in a real framework

WITH_DJANGO = """
import pickle, sys
from decimal import Decimal
from django.conf import settings
settings.configure(SECRET_KEY="not real", SESSION_FILE_PATH=sys.argv[1],
                   SESSION_SERIALIZER="plainpickle.session.SessionSerializer")
import django
django.setup()
from django.contrib.sessions.backends.file import SessionStore
import plainpickle

class PickleSerializer:  # Django's own, up to 4.2
    def dumps(self, obj):
        return pickle.dumps(obj, pickle.HIGHEST_PROTOCOL)

class Cart:
    pass

old = SessionStore()
old.serializer = PickleSerializer
old.update({"_auth_user_id": "5", "price": Decimal("19.99"), "cart": Cart()})
old.save()

reported = []
plainpickle.events.subscribe(reported.append)
session = SessionStore(old.session_key)
assert dict(session.items()) == {"_auth_user_id": "5", "price": Decimal("19.99")}
assert [(event["action"], event["key"]) for event in reported] == [("dropped", "cart")]
session["price"] += 1
session.save()
again = SessionStore(old.session_key)
assert dict(again.items()) == {"_auth_user_id": "5", "price": Decimal("20.99")}
again["cart"] = [Cart()]
try:
    again.save()
except plainpickle.UnreadableValue as error:
    assert error.path == "cart[0]"
else:
    raise AssertionError("saved what cannot be read")
"""


def test_django_reads_old_sessions_with_it_by_its_path_alone(tmp_path: Path) -> None:
    pytest.importorskip("django")
    subprocess.run([sys.executable, "-c", WITH_DJANGO, str(tmp_path)], check=True, timeout=60)


# ---- events of a session


def test_a_dropped_key_is_escaped_and_cut_in_its_event(reported: list[dict[str, Any]]) -> None:
    session = {"a\n\x1b[31m b=c": Money(), "x" * 10_000: Money(), 5: Money(), (1, "s"): Money()}
    assert SessionSerializer().loads(pickle.dumps(session)) == {}
    keys = [event["key"] for event in reported]
    assert len(keys) == 4
    assert all(key is None or (key.isprintable() and len(key) <= 140) for key in keys)
    assert all(not set(key or "") & set(' \n="') for key in keys)


def test_events_name_the_store_of_the_serializer(reported: list[dict[str, Any]]) -> None:
    SessionSerializer(store="django-db").loads(holding(MONEY))
    assert [(event["store"], event["session"]) for event in reported] == [("django-db", None)]


@pytest.mark.parametrize("method", ["loads", "decode"])
def test_loads_and_decode_are_one(method: str, reported: list[dict[str, Any]]) -> None:
    read: Callable[[bytes], Any] = getattr(SessionSerializer(), method)
    assert read(holding(MONEY)) == {"one": 1, "two": [2]}
    assert len(reported) == 1
