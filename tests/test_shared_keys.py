"""The tables of known keys under attack, and app code that meddles while a pickle is read."""

from __future__ import annotations

import contextlib
import gc
import pickle
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from plainpickle import LimitExceeded, Limits, Policy, safe_loads
from tests.attacks.ops import Raw, get, glob, pickled, push, put, reduced, text

HERE = __name__
WORD = (1 << 64) - 1
FACTOR = 0x9E37_79B9_7F4A_7C15
ROW = {f"key {i}": i for i in range(9)}


def turned(word: int, bits: int) -> int:
    return (word << bits | word >> (64 - bits)) & WORD


def mixed(value: int, word: int) -> int:
    return (turned(value, 23) ^ word) * FACTOR & WORD


def colliding(count: int) -> list[str]:
    """Texts of 16 characters that have one hash in `keys.rs`: of each, half is solved for."""
    rng = Random(1)

    def half() -> int:
        return int.from_bytes(bytes(rng.randrange(97, 123) for _ in range(8)), "little")

    first, second = half(), half()
    wanted = mixed(mixed(mixed(16, first), second), second)
    back = pow(FACTOR, -1, 1 << 64)
    found: list[str] = []
    while len(found) < count:
        second = half()
        value = turned(wanted * back & WORD ^ second, 41)
        value = turned(value * back & WORD ^ second, 41)
        first = value * back & WORD ^ turned(16, 23)
        if not first & 0x8080_8080_8080_8080:
            found.append(b"".join(word.to_bytes(8, "little") for word in (first, second)).decode())
    assert {mixed(mixed(mixed(16, a), b), b) for a, b in map(halves, found)} == {wanted}
    return found


def halves(key: str) -> list[int]:
    raw = key.encode()
    return [int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:], "little")]


def alike(data: bytes, policy: Policy, times: int = 4) -> None:
    for _ in range(times):
        value, expected = safe_loads(data, policy=policy), pickle.loads(data)
        assert repr(value) == repr(expected)
        assert value == expected


# ---- tables


def test_keys_that_have_one_hash_stay_different_keys() -> None:
    policy, keys = Policy(), colliding(40)
    assert len(set(keys)) == 40
    alike(pickle.dumps({key: i for i, key in enumerate(keys)}), policy)
    alike(pickle.dumps([{key: i} for i, key in enumerate(keys * 5)]), policy)
    for i in range(len(keys) - 5):
        alike(pickle.dumps({key: key for key in keys[i : i + 5]}), policy)


def test_one_differing_byte_at_any_place_makes_another_key() -> None:
    policy = Policy()
    for length in range(1, 67):
        for at in range(length):
            keys = ["a" * length, "a" * at + "b" + "a" * (length - at - 1)]
            alike(pickle.dumps([dict.fromkeys(keys), *({key: 1} for key in keys)]), policy, 2)


def test_any_number_of_keys_and_of_sets_of_keys_takes_a_fixed_room() -> None:
    policy = Policy()
    tracemalloc.start()
    try:
        for start in range(0, 30_000, 1000):
            rows = [{f"{i}{key}": i for key in ROW} for i in range(start, start + 1000)]
            safe_loads(pickle.dumps([*rows, *rows]), policy=policy)
            if start == 10_000:
                del rows
                gc.collect()
                before = tracemalloc.get_traced_memory()[0]
        del rows
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 200_000
    finally:
        tracemalloc.stop()


def test_dicts_of_the_same_keys_in_many_orders_are_in_their_own_order() -> None:
    rng, keys = Random(2), [f"key {i}" for i in range(12)]
    data = b"\x80\x04](" + b"".join(text(key) + put(i) for i, key in enumerate(keys))
    for _ in range(300):
        order = rng.choices(range(12), k=rng.randrange(1, 20))
        again = b"}(" + b"".join(get(i) + push(rng.randrange(9)) for i in order) + b"u"
        data += again * rng.randrange(1, 5)
    alike(data + b"e.", Policy())


def test_keys_of_other_types_are_compared_as_pickle_compares_them() -> None:
    keys: list[Any] = ["key", b"key", 1, 1.0, True, (1, "key"), None, "é", "\ud800", "k", ""]
    rng, policy = Random(3), Policy()
    for _ in range(200):
        order = rng.choices(keys, k=rng.randrange(1, 9))
        data = b"\x80\x04](" + 3 * (b"}(" + b"".join(push(key) + b"]" for key in order) + b"u")
        alike(data + b"e.", policy, 2)


# ---- app code in the middle


ACTS: list[Callable[[], Any]] = []
"""What an `Inner` does while it is made."""


class Inner:
    """Runs app code while it is made."""

    def __init__(self, *args: Any) -> None:
        for act in ACTS:
            act()

    def __reduce__(self) -> tuple[Any, ...]:
        return Inner, ()


def in_a_thread(load: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        results: list[Any] = []
        threads = [threading.Thread(target=lambda: results.append(load())) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    return run


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    ACTS.clear()
    KEPT.clear()


@pytest.mark.parametrize("protocol", range(6))
def test_a_class_may_load_by_the_same_policy_while_it_is_made(protocol: int) -> None:
    policy = Policy().register(Inner)
    plain, data = pickle.dumps(ROW, protocol), pickle.dumps([ROW, Inner(), dict(ROW)], protocol)
    loads: list[Callable[[], Any]] = [lambda: safe_loads(plain, policy=policy)]
    loads.append(in_a_thread(loads[0]))
    for load in loads:
        ACTS[:] = [load]
        for _ in range(5):
            value = safe_loads(data, policy=policy)
            assert (value[0], value[2]) == (ROW, ROW)
            assert safe_loads(plain, policy=policy) == ROW


def test_an_exception_in_the_middle_leaves_the_tables_usable() -> None:
    policy = Policy().register(Inner)
    data = pickle.dumps({**ROW, "inner": Inner(), "more": [dict(ROW)] * 2})

    def fail() -> None:
        raise KeyboardInterrupt

    for _ in range(4):
        ACTS[:] = [fail]
        with pytest.raises(KeyboardInterrupt):
            safe_loads(data, policy=policy)
        ACTS[:] = [lambda: safe_loads(data[:50], policy=policy)]
        with pytest.raises(pickle.UnpicklingError):
            safe_loads(data, policy=policy)
        alike(pickle.dumps([ROW, ROW]), policy)


def emptied(held: Any) -> None:
    """Leaves a dict without items that once had some."""
    held.update({f"old {i}": [i] for i in range(7)})
    for key in list(held):
        del held[key]


def filled(held: Any) -> None:
    held.update({"key 1": "earlier", "other": []})


def cleared(held: Any) -> None:
    held.update(dict.fromkeys(range(100)))
    held.clear()


def as_attributes(held: Any) -> None:
    """Makes an object of it, which may change how its table is kept."""

    class Empty:
        pass

    made = Empty()
    made.__dict__ = held
    made.attribute = 1  # type: ignore[attr-defined]
    del made.attribute  # type: ignore[attr-defined]


def iterated(held: Any) -> None:
    KEPT.append(iter(held))
    KEPT.append(iter(held.items()))


def extended(held: Any) -> None:
    held.extend([1, 2, 3])
    held.sort()


def shrunk(held: Any) -> None:
    held.extend(range(100))
    del held[3:]


def exhausted(held: Any) -> None:
    KEPT.append(iter(held))
    held += [1]
    held.clear()


KEPT: list[Any] = []


@pytest.mark.parametrize("meddle", [emptied, filled, cleared, as_attributes, iterated])
@pytest.mark.parametrize("count", [3, 5, 6, 9])
def test_a_dict_that_app_code_had_in_hand_takes_its_items_as_in_pickle(
    meddle: Callable[[Any], None], count: int
) -> None:
    policy = Policy().register(meddle)
    row = {key: ROW[key] for key in list(ROW)[:count]}
    items = b"(" + b"".join(push(key) + push(value) for key, value in row.items()) + b"u"
    call = reduced(f"{HERE}.{meddle.__name__}", get(0)) + b"0"
    alike(b"\x80\x04}" + items + b".", policy)
    for data in (call + items, items + call + items, call + items + call):
        alike(b"\x80\x04}" + put(0) + data + b".", policy)
    for iterator in KEPT:
        with contextlib.suppress(RuntimeError):
            list(iterator)


@pytest.mark.parametrize("meddle", [extended, shrunk, exhausted])
def test_a_list_that_app_code_had_in_hand_takes_its_items_as_in_pickle(
    meddle: Callable[[Any], None],
) -> None:
    policy = Policy().register(meddle)
    items = b"(" + b"".join(map(push, range(40))) + b"e"
    call = reduced(f"{HERE}.{meddle.__name__}", get(0)) + b"0"
    for data in (call + items, items + call + items, call + b"K\1a" + call + items + b"K\1a"):
        alike(b"\x80\x04]" + put(0) + data + b".", policy)


def test_a_list_that_is_being_sorted_takes_items_without_harm() -> None:
    """The sort of CPython notices that its list was changed, and says so."""
    held: list[Any] = []

    def take(value: Any) -> None:
        held.append(value)

    def sort() -> None:
        def key(item: Any) -> Any:
            del item
            if not resumed.is_set():
                inside.set()
                resumed.wait(20)
            return 1

        with pytest.raises(ValueError, match="modified"):
            held[0].sort(key=key)
        done.append(True)

    def start() -> None:
        thread.start()
        assert inside.wait(20)

    inside, resumed, done = threading.Event(), threading.Event(), list[bool]()
    thread = threading.Thread(target=sort)
    policy = Policy().register("app.take", build=take).register("app.start", build=start)
    first = b"(" + b"K\1" * 5 + b"e"
    data = b"]" + put(0) + first + reduced("app.take", get(0)) + b"0" + reduced("app.start") + b"0"
    value = safe_loads(b"\x80\x04" + data + b"(" + b"K\2" * 9 + b"e.", policy=policy)
    resumed.set()
    thread.join(20)
    assert done == [True]
    assert value == [1] * 5


# ---- depth

LEVELS = 20


def into_list(item: bytes) -> bytes:
    return item + b"a"


def into_dict(item: bytes) -> bytes:
    return text("key") + item + b"s"


def as_state(item: bytes) -> bytes:
    return b"}" + text("key") + item + b"sb"


class Cart:
    """A registered class with a state."""


ZONE = reduced("pytz._p", "Europe/Berlin")
GROWING: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "list": (b"]", into_list),
    "batch": (b"]", lambda item: b"(N" + item + b"e"),
    "dict": (b"}", into_dict),
    "dict in a batch": (b"}", lambda item: b"(" + text("other") + b"N" + text("key") + item + b"u"),
    "list of a mark": (b"(l", into_list),
    "dict of a mark": (b"(d", into_dict),
    "OrderedDict": (reduced("collections.OrderedDict"), into_dict),
    "defaultdict": (reduced("collections.defaultdict"), into_dict),
    "deque": (reduced("collections.deque"), into_list),
    "SimpleNamespace": (reduced("types.SimpleNamespace"), as_state),
    "registered": (glob("shop.Cart") + b")\x81", as_state),
    "reconstructed": (
        reduced("copy_reg._reconstructor", glob("shop.Cart"), glob("__builtin__.object"), None),
        as_state,
    ),
    "plain": (glob("shop.Plain") + b")\x81", as_state),
    "plain with items": (glob("shop.Plain") + b")\x81", into_dict),
    "reconstructed plain": (
        reduced("copy_reg._reconstructor", glob("shop.Plain"), glob("__builtin__.object"), None),
        as_state,
    ),
    "MultiValueDict": (
        glob("django.utils.datastructures.MultiValueDict") + b")\x81",
        lambda item: text("key") + b"]" + item + b"as",
    ),
}  # fmt: skip


def wrapped(make: bytes, rounds: int) -> dict[str, bytes]:
    """Containers in the memo from 0 on, and from 100 on what holds each of them 15 levels deep."""
    deep, drop = b"\x85" * 15, b"0"
    ways = {
        "memo": lambda i: make + put(i) + deep + put(100 + i) + drop,
        "memo, fetched": lambda i: make + put(i) + drop + get(i) + deep + put(100 + i) + drop,
        "memo twice": lambda i: make + put(200 + i) + put(i) + deep + put(100 + i) + drop,
        "replaced": lambda i: b"N" + put(i) + drop + make + put(i) + deep + put(100 + i) + drop,
        "dup": lambda i: make + b"2" + deep + put(100 + i) + drop + put(i) + drop,
        "dup, memo": lambda i: make + put(i) + b"2" + deep + put(100 + i) + drop + drop,
        "beside a zone": lambda i: make + put(i) + drop + ZONE + get(i) + b"\x86" + put(99)
        + b"\x850" + get(99) + deep[1:] + put(100 + i) + drop,
    }  # fmt: skip
    return {name: b"".join(map(way, range(rounds))) for name, way in ways.items()}


def grown(grow: Callable[[bytes], bytes], rounds: int, order: int) -> bytes:
    """Each container gets what holds the next."""
    steps = [get(i) + grow(get(100 + i + 1)) + b"0" for i in range(rounds - 1)]
    return b"".join(steps[::order])


def children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    if hasattr(value, "__dict__"):
        return [vars(value)]
    return list(value) if isinstance(value, (list, tuple)) or hasattr(value, "popleft") else []


def depth(value: Any) -> int:
    """How many levels a value without cycles has."""
    level, levels = [value], 0
    while level:
        below = {id(child): child for each in level for child in children(each)}
        level, levels = list(below.values()), levels + 1
    return levels - 1


def depth_if_read(data: bytes, policy: Policy) -> int:
    try:
        return depth(safe_loads(data, policy=policy, limits=Limits(max_depth=LEVELS)))
    except LimitExceeded as error:
        if error.limit != "max_depth":
            raise
        return 0


@pytest.mark.parametrize("order", [1, -1], ids=["from above", "from below"])
@pytest.mark.parametrize("kind", GROWING)
def test_what_grows_after_something_held_it_is_as_deep_as_the_limit_has_it_at_most(
    kind: str, order: int
) -> None:
    make, grow = GROWING[kind]
    policy = Policy().register("shop.Cart", build=Cart).as_plain("shop.Plain")
    for rounds in range(1, 9):
        for way, start in wrapped(make, rounds).items():
            data = b"\x80\x02" + start + grown(grow, rounds, order) + get(100) + b"."
            data += b"-" * 300  # no index of the memo may be higher than the input is long
            levels = depth_if_read(data, policy)
            assert rounds > 1 or levels, way
            assert rounds < 4 or not levels, way
            assert levels <= 2 * LEVELS, way


def test_a_state_that_grows_after_it_was_given_is_counted() -> None:
    for name in ("shop.Cart", "shop.Plain"):
        policy = Policy().register("shop.Cart", build=Cart).as_plain("shop.Plain")
        made = reduced("copy_reg._reconstructor", glob(name), glob("__builtin__.object"), None)
        parts: list[bytes] = [made]
        for i in range(8):
            parts.append(put(i) + b"}" + put(50 + i) + b"b" + b"\x85" * 15 + put(100 + i) + b"0")
            parts.append(made)
        for i in range(7):
            parts.append(b"0" + get(50 + i) + into_dict(get(100 + i + 1)))
        data = b"\x80\x02" + b"".join(parts) + b"0" + get(100) + b"." + b"-" * 300
        # A registered class takes the items at BUILD: its own dict does not grow.
        assert depth_if_read(data, policy) <= 2 * LEVELS


def test_arguments_that_are_used_twice_are_as_deep_the_second_time() -> None:
    """A tuple with a zone in it becomes a value when something needs it, and keeps its depth."""
    data = b"\x80\x02)"
    for i in range(8):
        data += put(2 * i) + b"0" + ZONE + get(2 * i) + b"\x86" + put(2 * i + 1)
        data += b"\x850" + get(2 * i + 1) + b"\x85" * 15
    assert depth_if_read(data + b".", Policy()) == 0


def test_what_only_grew_by_leaves_is_not_deep() -> None:
    value = safe_loads(
        pickled(Raw(b"]" + put(0) + b"\x85" + (get(0) + b"Na0") * 501)),
        limits=Limits(max_depth=3),
    )
    assert value == ([None] * 501,)
