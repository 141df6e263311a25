"""Each place where the binding reaches into CPython's memory, by what the public API gives."""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import pickle
import sys
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from decimal import Context, Decimal
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from plainpickle import MalformedPickle, Policy, load, safe_loads
from plainpickle.session import SessionSerializer
from tests.attacks.ops import Raw, pickled, push

PROTOCOLS = range(6)
TIMES = 4
"""From the third time on, a dict of known keys is filled in place."""
BATCH = 1000
"""What picklers put into one APPENDS or SETITEMS."""
CHARACTERS = {"ascii": "a", "latin-1": "é", "UCS2": "€", "UCS4": "😀", "surrogate": "\ud800"}


@pytest.fixture
def policy() -> Policy:
    """A policy of its own has tables of its own, which are empty."""
    return Policy()


def named(count: int, prefix: str = "key") -> dict[str, Any]:
    return {f"{prefix} {i}": i for i in range(count)}


def taught(data: bytes, policy: Policy) -> Any:
    """The value of a pickle that was read before, so that its keys are known."""
    for _ in range(TIMES):
        value = safe_loads(data, policy=policy)
    return value


def same_table(value: dict[Any, Any], data: bytes) -> None:
    """The dict is what pickle makes, in content, order and size of its table."""
    expected = pickle.loads(data)
    assert list(value.items()) == list(expected.items())
    assert all(value[key] == item for key, item in expected.items())
    assert sys.getsizeof(value) == sys.getsizeof(expected)


def assert_nothing_stays_behind(data: bytes) -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            safe_loads(data)
        assert tracemalloc.get_traced_memory()[0] - before < 10_000
    finally:
        tracemalloc.stop()


# ---- lists


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9, 64, BATCH, BATCH + 1, 3 * BATCH + 5])
def test_a_list_has_its_items_however_many_batches_bring_them(count: int, protocol: int) -> None:
    for dumps in (pickle.dumps, pickle._dumps):  # type: ignore[attr-defined]
        value = safe_loads(dumps(list(range(count)), protocol))
        assert type(value) is list
        assert value == list(range(count))
        value.append(None)
        value.extend(value)
        assert len(value) == 2 * count + 2
        del value[1:]
        value.insert(0, 1)
        assert value[0] == 1


@pytest.mark.parametrize("sizes", [[1, 0, 1], [1] * 40, [5, 1, 5], [300, 300], [0, 3, 1, 1000, 1]])
def test_a_list_takes_single_items_and_batches_in_any_order(sizes: list[int]) -> None:
    items = iter(range(sum(sizes)))
    batches = [[next(items) for _ in range(size)] for size in sizes]
    data = b"]"
    for batch in batches:
        data += (
            push(batch[0]) + b"a" if len(batch) == 1 else b"(" + b"".join(map(push, batch)) + b"e"
        )
    assert safe_loads(data + b".") == list(range(sum(sizes)))


def test_the_room_that_a_list_keeps_is_small() -> None:
    value = safe_loads(b"](" + b"N" * 100 + b"e(" + b"N" * 100 + b"e" + b"Na" * 100 + b".")
    assert value == [None] * 300
    assert sys.getsizeof(value) < 2 * sys.getsizeof([None] * 300)


def test_a_list_owns_each_of_its_items_once() -> None:
    value = safe_loads(pickle.dumps([[i] for i in range(50)]))
    assert {sys.getrefcount(value[i]) for i in range(50)} == {2}


# ---- dicts of known keys


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_dict_of_known_keys_is_the_dict_that_pickle_makes(protocol: int, policy: Policy) -> None:
    for count in range(1, 71):
        data = pickle.dumps(named(count, f"of {count}"), protocol)
        for _ in range(TIMES):
            same_table(safe_loads(data, policy=policy), data)


@pytest.mark.parametrize("count", [3, 5, 6, 10, 11, 21, 22, 42, 43, 64])
def test_a_dict_of_known_keys_can_be_changed_in_every_way(count: int, policy: Policy) -> None:
    data = pickle.dumps(named(count))
    changes: list[Callable[[dict[Any, Any]], Any]] = [
        lambda it: it.update(named(count, "new")),
        lambda it: [it.setdefault(str(i), i) for i in range(1000)],
        lambda it: it.update({1: 2, b"x": 3, None: 4}),
        lambda it: it.pop("key 0"),
        lambda it: [it.pop(f"key {i}") for i in range(count)] and it.update(again=1),
        lambda it: it.popitem(),
        lambda it: it.clear(),
        lambda it: it.update(dict.fromkeys(it)),
        lambda it: it.update(copy=it.copy(), itself=dict(it), **{"key 1": it.keys()}),
    ]
    for change in changes:
        value, expected = taught(data, policy), pickle.loads(data)
        change(value)
        change(expected)
        assert list(map(repr, value.items())) == list(map(repr, expected.items()))
        for made in (value.copy(), dict(value), {**value}):
            assert list(made.values()) == list(value.values())
        same_table(safe_loads(data, policy=policy), data)


def test_a_dict_that_one_load_gave_is_not_seen_by_the_next(policy: Policy) -> None:
    data = pickle.dumps(named(9))
    first, second = taught(data, policy), safe_loads(data, policy=policy)
    first["key 3"] = "changed"
    del first["key 4"]
    assert second == named(9)
    assert safe_loads(data, policy=policy) == named(9)


def test_keys_in_another_order_give_a_dict_in_that_order(policy: Policy) -> None:
    orders = [named(8), dict(reversed(named(8).items())), dict(sorted(named(8).items(), key=repr))]
    for _ in range(TIMES):
        for order in orders:
            data = pickle.dumps(order)
            same_table(safe_loads(data, policy=policy), data)


@pytest.mark.parametrize("count", [3, 20, 64])
def test_of_a_key_that_comes_twice_the_last_value_counts(count: int, policy: Policy) -> None:
    for twin in ("key 0", b"key 0", f"key {count - 2}"):
        pairs = [*named(count - 1).items(), (twin, "last")]
        data = b"}(" + b"".join(push(key) + push(value) for key, value in pairs) + b"u."
        for _ in range(TIMES):
            same_table(safe_loads(data, policy=policy), data)


def test_keys_that_others_drove_out_are_read_again(policy: Policy) -> None:
    data = pickle.dumps(named(12))
    taught(data, policy)
    for i in range(0, 5000, 10):
        safe_loads(pickle.dumps(named(10, f"other {i}")), policy=policy)
    for _ in range(TIMES):
        same_table(safe_loads(data, policy=policy), data)


@pytest.mark.parametrize(
    "value", [[], {}, (), ([],), {1}, Decimal(1), uuid.UUID(int=1), datetime(2020, 1, 1)]
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_collector_tracks_a_dict_that_pickle_would_have_it_track(
    value: Any, protocol: int, policy: Policy
) -> None:
    plain = pickle.dumps(named(5), protocol)
    assert gc.is_tracked(taught(plain, policy)) is gc.is_tracked(pickle.loads(plain))
    data = pickle.dumps({**named(5), "key 2": value}, protocol)
    if gc.is_tracked(pickle.loads(data)):
        assert gc.is_tracked(taught(data, policy))


def test_a_cycle_through_a_dict_of_known_keys_is_collected(policy: Policy) -> None:
    value: dict[str, Any] = {**named(4), "items": []}
    value["items"].append(value)
    data = pickle.dumps(value)
    taught(data, policy)
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            loaded = safe_loads(data, policy=policy)
            assert loaded["items"][0] is loaded
        del loaded
        assert gc.collect() >= 20
    finally:
        gc.enable()


def test_a_collection_in_between_sees_dicts_that_are_complete(policy: Policy) -> None:
    rows = [{**named(6), "own": [i], "more": {"x": 1, "y": [], "z": ()}} for i in range(300)]
    data = pickle.dumps(rows)
    held = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        assert taught(data, policy) == rows
    finally:
        gc.set_threshold(*held)


def test_values_of_known_keys_are_owned_once_by_each_dict(policy: Policy) -> None:
    row = {"first": ["x"], "second": None, "third": "text of its own", "fourth": 1 << 70}
    shared: list[str] = ["shared"]
    data = pickle.dumps([{**row, "shared": shared}, {**row, "shared": shared}, dict(row)])
    for _ in range(TIMES):
        value, expected = safe_loads(data, policy=policy), pickle.loads(data)
        for one, other in zip(value, expected):
            for key in one.keys() & {"first", "shared"}:
                assert sys.getrefcount(one[key]) == sys.getrefcount(other[key])
        del one, other
        assert sys.getrefcount(value[0]["third"]) <= sys.getrefcount(expected[0]["third"])
        assert sys.getrefcount(value[0]["fourth"]) <= sys.getrefcount(expected[0]["fourth"])


def test_none_and_other_singletons_keep_their_references(policy: Policy) -> None:
    rows = [
        dict.fromkeys(named(count), item) for count in (2, 3, 30, 64) for item in (None, True, ())
    ]
    data = pickle.dumps(rows)
    taught(data, policy)
    before = [sys.getrefcount(item) for item in (None, True, ())]
    for _ in range(300):
        safe_loads(data, policy=policy)
    after = [sys.getrefcount(item) for item in (None, True, ())]
    assert all(abs(one - other) < 100 for one, other in zip(before, after))


def test_a_known_key_is_owned_by_those_that_hold_it(policy: Policy) -> None:
    data = pickle.dumps(named(10, "one of ten"))
    key = next(iter(taught(data, policy)))
    before = sys.getrefcount(key)
    held = [safe_loads(data, policy=policy) for _ in range(50)]
    assert sys.getrefcount(key) == before + 50
    del held
    assert sys.getrefcount(key) == before


def test_more_keys_than_one_batch_brings_are_all_there(policy: Policy) -> None:
    for count in (64, 65, BATCH - 1, BATCH, BATCH + 3, BATCH + 64, 2 * BATCH + 1):
        data = pickle.dumps(named(count, "large"))
        for _ in range(TIMES):
            same_table(safe_loads(data, policy=policy), data)


@pytest.mark.parametrize("first", [1, 3, 5, 40, 64])
@pytest.mark.parametrize("second", [1, 3, 5, 40, 64])
def test_a_dict_that_has_keys_already_takes_more(first: int, second: int, policy: Policy) -> None:
    def batch(count: int, start: int, value: Any) -> bytes:
        pairs = (push(f"key {i}") + push(value) for i in range(start, start + count))
        return b"(" + b"".join(pairs) + b"u"

    known = b"}" + batch(second, 0, None) + b"."
    for start in (0, 1, first):
        data = b"}" + batch(first, 0, [1]) + batch(second, start, "new") + b"."
        for _ in range(TIMES):
            same_table(safe_loads(known, policy=policy), known)
            same_table(safe_loads(data, policy=policy), data)


def test_a_subclass_of_str_that_equals_a_key_finds_it_and_never_is_one(policy: Policy) -> None:
    class Own(str):
        __slots__ = ()

    value = taught(pickle.dumps(named(5)), policy)
    assert value[Own("key 3")] == 3
    value[Own("key 3")] = "changed"
    again = taught(pickle.dumps(named(5)), policy)
    assert again == named(5)
    assert {type(key) for key in [*value, *again]} == {str}


# ---- UUIDs


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_uuid_is_the_uuid_that_pickle_makes(protocol: int) -> None:
    for number in (0, 1, 127, 128, 255, 1 << 63, 1 << 64, (1 << 127) - 1, 1 << 127, (1 << 128) - 1):
        for safe in uuid.SafeUUID:
            value = uuid.UUID(int=number, is_safe=safe)
            made = safe_loads(pickle.dumps(value, protocol))
            assert type(made) is uuid.UUID
            assert (made, hash(made), str(made)) == (value, hash(value), str(value))
            assert (made.int, made.is_safe) == (number, safe)
            assert type(made.int) is int
            assert pickle.loads(pickle.dumps(made)) == value
            with pytest.raises(TypeError):
                made.int = 5  # type: ignore[misc]


def test_uuids_are_freed_with_what_they_hold() -> None:
    data = pickle.dumps([uuid.UUID(int=(1 << 100) + i) for i in range(20)])
    kind = sys.getrefcount(uuid.UUID)
    made = safe_loads(data)
    assert {sys.getrefcount(one.int) for one in made} == {2}
    assert gc.is_tracked(made[0]) is gc.is_tracked(uuid.UUID(int=5))
    assert sys.getrefcount(uuid.UUID) >= kind
    for _ in range(100):
        safe_loads(data)
    del made
    assert abs(sys.getrefcount(uuid.UUID) - kind) < 20


# ---- Decimals

DECIMALS = [
    *("0", "-0", "0.00", "-0.000", "1", "-1", "007", "-007.50", "5.", ".5", "-.5", "0.1", "123.45"),
    *(
        "9" * 18,
        "9" * 19,
        "9" * 20,
        "-" + "9" * 19,
        "1" + "0" * 18,
        "1" + "0" * 19,
        "0" * 19,
        "0" * 20,
    ),
    *(
        "0." + "0" * 17 + "1",
        "0." + "0" * 18 + "1",
        "0." + "9" * 18,
        "0." + "9" * 19,
        "18446744073709551616",
    ),
    *("NaN", "-sNaN123", "Infinity", "-Infinity", "1E+5", "1e-400", "+7"),
]


def decimal_pickle(text: str, protocol: int) -> bytes:
    """The text as it is, which pickling a Decimal would make another of."""
    if protocol == 0:
        return b"cdecimal\nDecimal\np0\n(V" + text.encode() + b"\np1\ntp2\nRp3\n."
    put = b"\x94" if protocol >= 4 else b""
    raw = text.encode()
    return (
        bytes([0x80, protocol])
        + (b"\x8c\x07decimal\x8c\x07Decimal\x93" if protocol >= 4 else b"cdecimal\nDecimal\n")
        + (b"\x8c" + bytes([len(raw)]) if protocol >= 4 else b"X" + len(raw).to_bytes(4, "little"))
        + raw
        + put
        + b"\x85"
        + put
        + b"R."
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("text", DECIMALS)
def test_a_decimal_is_the_one_that_its_class_makes(text: str, protocol: int) -> None:
    data = decimal_pickle(text, protocol)
    made, expected = safe_loads(data), pickle.loads(data)
    assert type(made) is Decimal
    assert (str(made), made.as_tuple()) == (str(expected), expected.as_tuple())
    assert made.__sizeof__() == expected.__sizeof__()
    assert pickle.dumps(made) == pickle.dumps(expected)
    assert str(made.copy_negate()) == str(expected.copy_negate())
    assert f"{made:.3e}" == f"{expected:.3e}"
    if not made.is_nan():
        assert (made, hash(made)) == (expected, hash(expected))
        assert str(made + 1) == str(expected + 1)
        assert str(made * made) == str(expected * expected)
        assert {made: 1}[expected] == 1
    session = SessionSerializer()
    assert str(session.loads(session.dumps({"d": made}))["d"]) == str(expected)


def calculated() -> Iterator[Decimal]:
    """Decimals of any size and sign, as their class makes them and as calculations leave them."""
    for text in DECIMALS:
        yield Decimal(text)
    for digits in range(45):
        for exponent in range(-25, 4):
            number = Decimal(int("123456789" * 5) % 10**digits).scaleb(exponent)
            yield from (number, -number, number * 0, -number * 0, number + 1, number.normalize())
    yield Context(prec=99).subtract(Decimal(10**60), Decimal(10**60 - 7))


def test_a_decimal_is_written_as_python_writes_it() -> None:
    dumps = SessionSerializer().dumps
    for number in calculated():
        assert dumps(number) == b'{" decimal":"%s"}' % str(number).encode()


def test_decimals_are_freed_and_are_nobody_elses() -> None:
    values = [Decimal(number).scaleb(-2) for number in range(-500, 500)]
    data = pickle.dumps(values)
    kept = safe_loads(data)
    for _ in range(50):
        safe_loads(data)
    other = safe_loads(data)
    assert kept == other == values
    assert all(one is not another for one, another in zip(kept, other))
    assert gc.is_tracked(kept[0]) is gc.is_tracked(values[0])
    assert_nothing_stays_behind(data)


# ---- datetimes

MOMENTS = [
    datetime.min,
    datetime.max,
    datetime(2024, 2, 29, 23, 58, 57, 799_830),
    datetime(1, 2, 3, 4, 5, 6, 7, fold=1),
    datetime(256, 12, 31, 0, 0, 0, 65_536),
]
ZONES = [None, timezone.utc, timezone(timedelta(hours=-5, minutes=-30)), ZoneInfo("Europe/Berlin")]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_a_datetime_is_the_one_that_its_class_makes(zone: Any, protocol: int) -> None:
    data = pickle.dumps([moment.replace(tzinfo=zone) for moment in MOMENTS * 2], protocol)
    made = safe_loads(data)
    for one, other in zip(made, pickle.loads(data)):
        assert type(one) is datetime
        assert (one, hash(one), one.fold) == (other, hash(other), other.fold)
        assert (repr(one), one.timetuple()) == (repr(other), other.timetuple())
        assert one.replace(tzinfo=None) == other.replace(tzinfo=None)
        assert one.__sizeof__() == other.__sizeof__()
        assert gc.is_tracked(one) is gc.is_tracked(other)
        assert pickle.dumps(one, protocol) == pickle.dumps(other, protocol)
    assert len({id(one.tzinfo) for one in made}) == 1


def test_a_datetime_is_a_datetime_though_its_module_calls_another_class_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Frozen(datetime):
        __slots__ = ()

    data = pickle.dumps(MOMENTS)
    monkeypatch.setattr("datetime.datetime", Frozen)
    assert {type(moment) for moment in safe_loads(data, policy=Policy())} == {datetime}


@pytest.mark.parametrize("zone", [None, timezone(timedelta(hours=1))], ids=str)
def test_datetimes_are_freed_with_the_zone_that_they_hold(zone: Any) -> None:
    data = pickle.dumps([moment.replace(tzinfo=zone) for moment in MOMENTS * 200])
    made = safe_loads(data)
    count, held = len(made), made[0].tzinfo
    references = sys.getrefcount(held)
    del made
    freed = references - sys.getrefcount(held)
    assert freed == (0 if zone is None else count)
    assert_nothing_stays_behind(data)


# ---- text


@pytest.mark.parametrize("character", CHARACTERS.values(), ids=CHARACTERS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_text_of_any_kind_and_length_is_what_was_written(
    character: str, protocol: int, policy: Policy
) -> None:
    for length in range(71):
        for at in {0, length // 2, length}:
            text = "x" * at + character + "y" * (length - at)
            for value in (text, character * length):
                data = pickle.dumps([value, {value: value}], protocol)
                made, expected = taught(data, policy), pickle.loads(data)
                assert made == [value, {value: value}]
                assert hash(made[0]) == hash(value)
                assert sys.getsizeof(made[0]) <= sys.getsizeof(expected[0])
                assert made[1][value] == value


@pytest.mark.parametrize(
    "alphabet", ["aé", "éü", "дa ", "語", "語a😀", "😀", "é語", "\x80ÿ", "a\ud800"]
)
def test_long_text_takes_the_room_that_its_widest_character_needs(alphabet: str) -> None:
    rng = Random(1)
    for length in (2, 7, 30, 64, 65, 66, 130, 1000, 70_000):
        text = "".join(rng.choices(alphabet, k=length))
        made = safe_loads(pickle.dumps([text, text + "x"], 4))
        assert made == [text, text + "x"]
        assert sys.getsizeof(made[0]) == sys.getsizeof(
            text.encode(errors="surrogatepass").decode(errors="surrogatepass")
        )


@pytest.mark.parametrize("letter", ["a", "é", "д", "語", "😀"])
def test_what_is_no_utf_8_is_refused_wherever_it_stands(letter: str) -> None:
    for times in (1, 9, 40, 100):
        whole = (letter * times).encode()
        for at in {0, 1, len(whole) // 2, len(whole) - 1}:
            for wrong in (b"a", b"\x80", b"\xc1", b"\xc3", b"\xe0", b"\xed", b"\xf4", b"\xff", b""):
                raw = whole[:at] + wrong + whole[at + 1 :]
                data = b"X" + len(raw).to_bytes(4, "little") + raw + b"."
                try:
                    expected = pickle.loads(data)
                except UnicodeDecodeError:
                    with pytest.raises(MalformedPickle):
                        safe_loads(data)
                else:
                    assert safe_loads(data) == expected


@pytest.mark.parametrize(
    "text", ["", "\0", "\x7f", "\x80", "\xff", "a\0b", "\n\r\\", "\\u0041", "€\\\n😀\x1a"]
)
def test_raw_unicode_escape_gives_what_was_written(text: str, policy: Policy) -> None:
    for repeat in (1, 5, 40):
        data = pickle.dumps([text * repeat, {text * repeat: 1}], 0)
        assert taught(data, policy) == pickle.loads(data) == [text * repeat, {text * repeat: 1}]


@pytest.mark.parametrize(
    "raw", [b"\xff", b"a\x80", b"\xed\xa0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80", b"abcdefgh\xff"]
)
@pytest.mark.parametrize("key", [False, True])
def test_text_that_is_no_utf8_is_refused_as_pickle_refuses_it(raw: bytes, key: bool) -> None:
    text = b"\x8c" + bytes([len(raw)]) + raw
    data = b"}" + text + b"Ns." if key else text + b"."
    try:
        expected = pickle.loads(data)
    except UnicodeDecodeError:
        with pytest.raises(pickle.UnpicklingError):
            safe_loads(data)
    else:
        assert safe_loads(data) == expected


# ---- other values


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("length", [*range(12), 255, 256, 257, 70_000])
def test_bytes_and_tuples_and_sets_have_what_was_written(length: int, protocol: int) -> None:
    raw = bytes(i % 251 for i in range(length))
    items = tuple(range(length))
    value = [raw, bytearray(raw), items, set(items), frozenset(items)]
    made = safe_loads(pickle.dumps(value, protocol))
    assert made == value
    assert list(map(type, made)) == list(map(type, value))


@pytest.mark.parametrize(
    "number", [0, -1, 255, 256, -(2**31), 2**63 - 1, -(2**63), 2**63, 2**200, -(2**200)]
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numbers_are_what_was_written(number: int, protocol: int) -> None:
    value = [number, float(number), -0.0, 1e308]
    assert list(map(repr, safe_loads(pickle.dumps(value, protocol)))) == list(map(repr, value))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_integer_is_read_wherever_the_input_ends_behind_it(protocol: int) -> None:
    for bits in range(80):
        for number in (1 << bits, (1 << bits) - 1, -(1 << bits), -(1 << bits) - 1):
            for value in (number, [number], [number, number], {number: number}):
                data = pickle.dumps(value, protocol)
                assert safe_loads(data) == value
                assert safe_loads(data + b"\xff" * 9) == value
                assert type(next(iter([value]))) is type(safe_loads(data))


def jsonable(character: str) -> Iterator[Any]:
    for length in (0, 1, 2, 7, 8, 9, 63, 64, 65, 300):
        text = character * length
        yield {
            "text": text,
            text + "k": [text, (text, length)],
            "more": {text + str(i): i for i in range(9)},
        }
    yield {
        character: {1: (1, 2), None: []},
        " tag": character,
        "big": [2**63 - 1, 2**63, -(2**63), 2**80],
    }
    yield {" " + character: 1}


@pytest.mark.parametrize("character", CHARACTERS.values(), ids=CHARACTERS)
def test_json_of_text_numbers_and_containers_comes_back(character: str) -> None:
    serializer = SessionSerializer(format="json")
    for session in jsonable(character):
        assert serializer.loads(serializer.dumps(session)) == session


# ---- memory


def sessions() -> list[bytes]:
    """Varied pickles, each with known keys, lists, late memo entries and refusals."""
    text = "a text that is fetched again"
    values: list[Any] = [
        named(3), named(64), named(65), [named(5)] * 3, [named(7), named(7)],
        [text, text, {text: text}], [Decimal("1.50")] * 3, [uuid.uuid4(), uuid.uuid4()],
        [datetime(2020, 1, i + 1, 5) for i in range(20)], list(range(3000)),
        {1: {2: {3: set("abc")}}}, {"é€": "😀", "\ud800": b"\xff"},
    ]  # fmt: skip
    cycle: dict[str, Any] = {**named(5), "list": []}
    cycle["list"].append(cycle)
    made = [pickle.dumps(value, protocol) for value in [*values, cycle] for protocol in PROTOCOLS]
    made += [data[: len(data) // 2] for data in made]
    made.append(pickled({**named(20), "bad": Raw(b"cos\nsystem\n")}))
    return made


def test_many_loads_of_varied_sessions_do_not_grow_memory(
    policy: Policy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL + 1, "plainpickle.security")
    made = sessions()

    def load_all() -> None:
        for data in made:
            with contextlib.suppress(pickle.UnpicklingError):
                safe_loads(data, policy=policy)

    tracemalloc.start()
    try:
        for _ in range(TIMES):
            load_all()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            load_all()
        gc.collect()
        # What the tables hold comes and goes; a word lost in each load would be more.
        grown = tracemalloc.get_traced_memory()[0] - before
        assert grown < 8 * 100 * len(made)
    finally:
        tracemalloc.stop()


def test_what_a_policy_remembers_is_freed_with_it() -> None:
    data = [pickle.dumps(named(20, f"some {i}")) for i in range(100)]

    def teach() -> None:
        policy = Policy()
        for each in data:
            taught(each, policy)

    def clear() -> None:
        # CPython's own cache of attributes keeps their names.
        getattr(sys, "_clear_internal_caches", sys._clear_type_cache)()
        gc.collect()

    teach()  # and import what is imported once
    clear()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(5):
            teach()
        clear()
        assert tracemalloc.get_traced_memory()[0] - before < 8_192
    finally:
        tracemalloc.stop()


def test_long_keys_do_not_stay_behind(policy: Policy) -> None:
    def load(number: int) -> None:
        keys = [str(number) + character * 100_000 for character in "abc"]
        safe_loads(pickle.dumps([dict.fromkeys(keys) for _ in range(4)]), policy=policy)

    load(-1)
    tracemalloc.start()
    try:
        for number in range(30):
            load(number)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()


# ---- files


LARGE = [bytes([number]) * size for number, size in enumerate((10, 70_000, 40_000, 300_000) * 6)]
"""Frames, and bytes outside of them, that a buffer has to grow for more than once."""


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("buffering", [0, 1000, -1])
def test_a_large_pickle_is_read_as_a_whole_and_the_file_stands_behind_it(
    tmp_path: Path, buffering: int, protocol: int
) -> None:
    path = tmp_path / "large"
    path.write_bytes(pickle.dumps(LARGE, protocol) * 2 + b"the rest")
    with path.open("rb", buffering) as file:
        assert load(file) == LARGE
        assert load(file) == LARGE
        assert file.read() == b"the rest"


class Lent(io.RawIOBase):
    """Keeps every piece of memory that it is told to write into."""

    def __init__(self, data: bytes, fails_after: int = 1000) -> None:
        super().__init__()
        self._file = io.BytesIO(data)
        self._left = fails_after
        self.kept: list[memoryview] = []

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def readinto(self, buffer: Any) -> int:
        self.scribble()
        self.kept.append(buffer)
        self._left -= 1
        if self._left < 0:
            raise ZeroDivisionError
        return self._file.readinto(buffer)

    def scribble(self, _: Any = None) -> None:
        for view in self.kept:
            view[:] = b"\xff" * len(view)


def test_who_keeps_the_memory_that_a_file_was_read_into_can_not_change_what_was_read() -> None:
    for protocol in (3, 4):
        file = Lent(pickle.dumps([*LARGE, b""], protocol)[:-1] + b"X\1\0\0\0aQ\x86.")
        assert load(file, persistent_load=file.scribble) == ([*LARGE, b""], None)
        assert len(file.kept) > 5


def test_memory_that_a_failing_file_keeps_stays_where_it_is() -> None:
    file = Lent(pickle.dumps(LARGE, 4), fails_after=3)
    with pytest.raises(ZeroDivisionError):
        load(file)
    file.scribble()
    assert all(view.tobytes() == b"\xff" * len(view) for view in file.kept)


@pytest.mark.parametrize("left", [0, 10, 100_000])
def test_a_file_that_shortens_the_memory_that_it_was_lent_is_an_error(left: int) -> None:
    class Shortening(Lent):
        def readinto(self, buffer: Any) -> int:
            owner, size = buffer.obj, self._file.readinto(buffer)
            buffer.release()
            del owner[left:]
            return size

    for protocol in (3, 4):
        with pytest.raises(BufferError):
            load(Shortening(pickle.dumps(LARGE, protocol)))


def test_a_file_that_only_says_that_it_wrote_gives_zeros_and_not_what_was_in_memory() -> None:
    class Idle(Lent):
        def readinto(self, buffer: Any) -> int:
            data = self.read(len(buffer))
            buffer[-1:] = data[-1:]  # the opcode behind the bytes
            return len(data)

    data = pickle.dumps([b"x" * 300_000, b"y" * 300_000], 3)
    for _ in range(3):
        safe_loads(data)
        assert load(Idle(data)) == [bytes(300_000)] * 2
