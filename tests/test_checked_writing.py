"""Checked writing: what could not be read back is an error that says where; nothing is written."""

from __future__ import annotations

import collections
import contextlib
import io
import pickle
import re
import sys
import threading
import types
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

import plainpickle
from plainpickle import Limits, Policy, UnreadableValue, dumps, loads
from tests.differential.graphs import GraphMaker
from tests.differential.isomorphism import difference

HERE = __name__
PROTOCOLS = range(6)


class Money:
    """A class that no policy of these tests admits."""

    def __init__(self, amount: int = 0) -> None:
        self.amount = amount


class Cart:
    def __init__(self, **state: Any) -> None:
        vars(self).update(state)


class Slots:
    __slots__ = ("line", "price")


class Own(list):  # type: ignore[type-arg]
    pass


MONEY = f"{HERE}.Money"


def refused(value: Any, protocol: int | None = None, **options: Any) -> UnreadableValue:
    with pytest.raises(UnreadableValue) as caught:
        dumps(value, protocol, **options)
    return caught.value


# ---- where it is

PATHS: dict[str, Callable[[Any], Any]] = {
    "": lambda bad: bad,
    "price": lambda bad: {"name": "x", "price": bad},
    "cart.items[3].price": lambda bad: {"cart": {"items": [1, "2", (3,), {"price": bad}]}},
    "[1]": lambda bad: [1, bad],
    "[0][2]": lambda bad: ((1, 2, bad), 3),
    "seen[0]": lambda bad: {"seen": {bad}},
    "seen[0][0]": lambda bad: {"seen": frozenset([(bad,)])},
    "[5]": lambda bad: {4: 1, 5: bad},
    "[-5].x": lambda bad: {-5: {"x": bad}},
    '["first name"].x': lambda bad: {"first name": {"x": bad}},
    '[""]': lambda bad: {"": bad},
    "[key 1].x": lambda bad: {(1, 2): 1, (1, 3): {"x": bad}},
    "prices{key}": lambda bad: {"prices": {1: 2, bad: 3}},
    "prices{key}[1]": lambda bad: {"prices": {(1, bad): 3}},
    "ordered.x": lambda bad: collections.OrderedDict(ordered=collections.OrderedDict(x=bad)),
    "default.x[0]": lambda bad: {"default": collections.defaultdict(list, x=[bad])},
    "queue[1]": lambda bad: {"queue": collections.deque([1, bad])},
    "space.x": lambda bad: {"space": types.SimpleNamespace(x=bad)},
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("path", PATHS)
def test_the_error_says_where_the_value_is_and_which_line_admits_it(
    path: str, protocol: int
) -> None:
    error = refused(PATHS[path](Money()), protocol)
    assert (error.path, error.name) == (path, MONEY)
    message = (
        f"{MONEY} is not allowed; if it is a class of yours, "
        f'policy.as_plain("{MONEY}") reads its state, and runs nothing of it'
    )
    assert str(error) == (f"{path}: {message}" if path else message)
    assert isinstance(error, pickle.PicklingError)
    assert not isinstance(error, plainpickle.UnpicklingError)


PLAIN = Policy().as_plain(f"{HERE}.Cart", f"{HERE}.Slots", f"{HERE}.Own")


def filled(value: Any, **state: Any) -> Any:
    for name, item in state.items():
        setattr(value, name, item)
    return value


OBJECTS: dict[str, Callable[[Any], Any]] = {
    "price": lambda bad: Cart(name="x", price=bad),
    "cart.items[3].price": lambda bad: {"cart": Cart(items=[1, 2, 3, Cart(price=bad)])},
    "line.price": lambda bad: {"line": filled(Slots(), line=1, price=bad)},
    "own[1]": lambda bad: {"own": Own([1, bad])},
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("path", OBJECTS)
def test_a_path_goes_through_objects_that_are_read_as_plain_data(path: str, protocol: int) -> None:
    error = refused(OBJECTS[path](Money()), protocol, policy=PLAIN)
    assert (error.path, error.name) == (path, MONEY)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_path_leads_to_a_registered_object_at_least(protocol: int) -> None:
    policy = Policy().register(Cart)
    error = refused({"a": 1, "cart": Cart(items=[Money()])}, protocol, policy=policy)
    assert error.name == MONEY
    assert error.path.startswith("cart")


def test_checking_asks_nothing_of_a_registered_class() -> None:
    called: list[str] = []

    class Registered(Cart):
        def __new__(cls, *_: Any, **__: Any) -> Any:
            called.append("__new__")
            return super().__new__(cls)

        def __setstate__(self, state: Any) -> None:
            called.append("__setstate__")

    value = Registered(a=1)
    called.clear()
    name = f"{HERE}.Cart"
    data = dumps(Cart(a=1), 2, policy=Policy().register(name, build=Registered))
    assert data == pickle.dumps(Cart(a=1), 2)
    assert called == []
    assert vars(value) == {"a": 1}


def test_the_first_of_several_is_named() -> None:
    assert refused([1, Cart(), Money()]).path == "[1]"
    assert refused([Cart(a=Money())]).name == f"{HERE}.Cart"


def test_a_value_in_several_places_is_named_at_one_of_them() -> None:
    bad = Money()
    assert refused({"a": [bad], "b": bad}).path in {"a[0]", "b"}


def test_a_path_leads_through_a_cycle() -> None:
    loop: list[Any] = [1]
    loop += [loop, {"back": loop, "price": Money()}]
    assert refused(loop).path == "[2].price"


def test_a_long_path_is_cut_and_a_name_in_it_is_escaped() -> None:
    value: Any = Money()
    for _ in range(200):
        value = {"some_long_name": value}
    error = refused(value, limits=Limits(max_depth=None))
    assert len(error.path) < 300
    assert error.name == MONEY
    error = refused({"a\n\x1b[31m\u202e" + "x" * 10_000: Money()})
    assert str(error).isprintable()
    assert len(str(error)) < 600


STEP = re.compile(r'\.?([A-Za-z_]\w*)|\[(-?\d+)\]|\["([^"\\]*)"\]')


def follow(value: Any, path: str) -> Any:
    """What is at a path, as a reader of the message would find it."""
    while path:
        step = STEP.match(path)
        assert step, path
        name, number, text = step.groups()
        value = value[int(number) if number is not None else name or text]
        path = path[step.end() :]
    return value


def nested(rng: Random, bad: Any) -> Any:
    """Dicts, lists and tuples with `bad` in one place."""
    value = bad
    for _ in range(rng.randrange(1, 8)):
        others = [rng.choice([1, "x", None, (2, [3]), {"y": 1}]) for _ in range(rng.randrange(4))]
        at = rng.randrange(len(others) + 1)
        items = [*others[:at], value, *others[at:]]
        keys = rng.sample(["a", "b_2", "first name", 7, -1, "Z"], len(items))
        value = rng.choice([items, tuple(items), dict(zip(keys, items))])
    return value


def test_the_path_leads_to_the_very_object_in_any_structure() -> None:
    for seed in range(300):
        bad = Money()
        value = nested(Random(seed), bad)
        assert follow(value, refused(value, seed % 6).path) is bad


# ---- what is refused


def test_a_class_or_a_function_as_a_value_is_refused_with_its_path() -> None:
    for value, name in (
        ({"kind": Money}, MONEY),
        ({"kind": len}, "builtins.len"),
        ({"kind": collections.OrderedDict}, "collections.OrderedDict"),
        ({"kind": refused}, f"{HERE}.refused"),
    ):
        error = refused(value, 4)
        assert (error.path, error.name) == ("kind", name)
    assert "as_plain" not in str(refused({"kind": eval}))


def test_what_stub_or_as_plain_or_register_admits_is_written() -> None:
    for policy in (
        Policy().stub(),
        Policy().as_plain(MONEY),
        Policy().register(Money),
        Policy().register(MONEY, build=Cart),
    ):
        for protocol in PROTOCOLS:
            value = {"price": Money(5)}
            assert dumps(value, protocol, policy=policy) == pickle.dumps(value, protocol)


LIMITS: list[tuple[str, Any, Limits]] = [
    ("max_depth", {"a": [[[[[[1]]]]]]}, Limits(max_depth=5)),
    ("max_int_bits", {"a": 1 << 70_000}, Limits()),
    ("max_bytes", {"a": "x" * 100}, Limits(max_bytes=100)),
    ("max_memory", {"a": [set() for _ in range(1000)]}, Limits(max_memory=100)),
    ("max_key_depth", {"a": {((((1,),),),): 1}}, Limits(max_key_depth=2)),
]


@pytest.mark.parametrize(("limit", "value", "limits"), LIMITS, ids=[row[0] for row in LIMITS])
def test_what_a_limit_would_stop_is_not_written_either(
    limit: str, value: Any, limits: Limits
) -> None:
    error = refused(value, limits=limits)
    assert limit in str(error)
    assert error.name is None
    with pytest.raises(plainpickle.LimitExceeded):
        loads(pickle.dumps(value), limits=limits)
    off = Limits(**dict.fromkeys(vars(Limits())))
    assert dumps(value, limits=off) == pickle.dumps(value)


def test_an_integer_beyond_the_limit_is_found_where_it_is() -> None:
    assert refused({"cart": [1, {"n": 1 << 70_000}]}).path.startswith("cart")


def small(rng: Random, made: list[Any]) -> Any:
    """A small value of the types that need no name, with parts in common, and cycles."""
    kind = rng.randrange(12)
    if kind < 5:
        return rng.choice([None, True, -1, 7, 300, 1 << 70, 1 << 2000, 0.5, "a", "é" * 9, b"raw"])
    if kind < 7 and made:
        return rng.choice(made)
    if kind == 7:
        return tuple(small(rng, made) for _ in range(rng.randrange(4)))
    if kind < 10:
        items: list[Any] = []
        made.append(items)
        items += [small(rng, made) for _ in range(rng.randrange(5))]
        return items
    keys = ["a", "b", "c", 1, 2.5, None, b"k", (1, "x"), ((), ())]
    held: dict[Any, Any] = {}
    made.append(held)
    for key in rng.sample(keys, rng.randrange(6)):
        held[key] = small(rng, made)
    return held


def test_a_small_value_is_never_written_that_the_same_limits_do_not_read() -> None:
    """Most of these are known to be readable without being read: not so near a limit."""
    rng, outcomes = Random("small"), {True: 0, False: 0}
    for _ in range(6000):
        value, protocol = small(rng, []), rng.randrange(6)
        bounds = {
            "max_depth": rng.choice([1, 2, 3, 5, 9, 1000]),
            "max_memory": rng.choice([50, 400, 3000, 1 << 26]),
            "max_work": rng.choice([0, 20, 200, 1_000_000]),
            "max_key_depth": rng.choice([0, 1, 2, 100]),
            "max_int_bits": rng.choice([64, 100, 2000, 65_536]),
            "max_bytes": rng.choice([20, 100, 1 << 20]),
        }
        limits = Limits(**{name: bounds[name] for name in rng.sample(list(bounds), 2)})
        data = pickle.dumps(value, protocol)
        try:
            loads(data, limits=limits)
            readable = True
        except plainpickle.LimitExceeded:
            readable = False
        try:
            written = dumps(value, protocol, limits=limits) == data
        except UnreadableValue:
            written = False
        assert not (written and not readable), (data, limits)
        outcomes[written] += 1
    assert min(outcomes.values()) > 500


class Unwilling:
    def __reduce__(self) -> Any:
        raise ZeroDivisionError("mine")


@pytest.mark.parametrize(
    "value",
    [lambda: 0, threading.Lock(), (n for n in [1]), sys, Unwilling(), open],
    ids=["lambda", "lock", "generator", "module", "error", "function"],
)
def test_what_stock_pickle_cannot_write_is_its_own_error(value: Any) -> None:
    def outcome(write: Callable[[], Any]) -> Any:
        try:
            return write()
        except UnreadableValue as error:
            return "refused", error.name
        except Exception as error:
            return type(error), str(error)

    expected = outcome(lambda: pickle.dumps(value))
    if isinstance(expected, bytes):  # a function
        expected = "refused", f"{value.__module__}.{value.__qualname__}"
    assert outcome(lambda: dumps(value)) == expected
    assert outcome(lambda: plainpickle.Pickler(io.BytesIO()).dump(value)) == expected


# ---- nothing is written


class Counting(io.BytesIO):
    """A file that counts how often it is written to."""

    writes = 0

    def write(self, data: Any, /) -> int:
        self.writes += 1
        return super().write(data)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refused_value_leaves_the_file_as_it_was(protocol: int) -> None:
    value = [b"x" * 200_000, "y" * 200_000, Money()]
    writes: list[Callable[[Any], None]] = [
        lambda file: plainpickle.dump(value, file, protocol),
        lambda file: plainpickle.Pickler(file, protocol).dump(value),
    ]
    for write in writes:
        file = Counting(b"before")
        file.seek(6)
        with pytest.raises(UnreadableValue) as caught:
            write(file)
        assert caught.value.path == "[2]"
        assert (file.getvalue(), file.tell(), file.writes) == (b"before", 6, 0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_after_a_refusal_a_pickler_writes_what_can_be_read(protocol: int) -> None:
    """What only the refused pickle had memoized is not referred to afterwards."""
    first, second = ["first"] * 3, {"second": "x" * 20}
    file = io.BytesIO()
    pickler = plainpickle.Pickler(file, protocol)
    pickler.dump([first])
    error = None
    try:
        pickler.dump({"a": [first, second], "b": Money()})
    except UnreadableValue as caught:
        error = caught
    assert error is not None
    assert (error.path, error.name) == ("b", MONEY)
    pickler.dump([first, second])
    pickler.dump([second])
    file.seek(0)
    unpickler = plainpickle.Unpickler(file)
    assert [unpickler.load() for _ in range(3)] == [[first], [first, second], [second]]


def test_a_later_pickle_of_one_pickler_is_checked_with_what_earlier_ones_memoized() -> None:
    file = io.BytesIO()
    pickler = plainpickle.Pickler(file, policy=PLAIN)
    shared = {"cart": Cart(a=1), "rows": [(1, 2)] * 3}
    for value in (shared, [shared], (shared["rows"], shared["cart"])):
        pickler.dump(value)
    with pytest.raises(UnreadableValue) as caught:
        pickler.dump({"shared": shared, "price": Money()})
    assert caught.value.name == MONEY
    file.seek(0)
    unpickler = plainpickle.Unpickler(file, policy=PLAIN)
    first, second, third = (unpickler.load() for _ in range(3))
    assert second[0] is first
    assert third == ([(1, 2)] * 3, {"a": 1})
    assert third[0] is first["rows"]
    with pytest.raises(EOFError):
        unpickler.load()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refusal_leaves_no_trace_in_what_one_pickler_writes_before_and_after(
    protocol: int,
) -> None:
    rng = Random(f"sequence {protocol}")
    refusals = 0
    for _ in range(60):
        parts: list[Any] = [["a", "b"], {"c": 1}, "text" * 5, (1, (2, 3)), Cart(a=1)]
        ours, theirs = io.BytesIO(), io.BytesIO()
        checked = plainpickle.Pickler(ours, protocol, policy=PLAIN)
        stock = pickle.Pickler(theirs, protocol)
        for _ in range(rng.randrange(1, 8)):
            value = rng.choices(parts, k=rng.randrange(4))
            if rng.random() < 0.3:
                at = rng.randrange(len(value) + 1)
                with pytest.raises(UnreadableValue) as caught:
                    checked.dump([*value[:at], Money(), *value[at:]])
                assert (caught.value.path, caught.value.name) == (f"[{at}]", MONEY)
                refusals += 1
            else:
                checked.dump(value)
                stock.dump(value)
                parts.append(value)
        assert ours.getvalue() == theirs.getvalue()
    assert refusals > 20


def test_persistent_ids_are_no_obstacle_but_what_is_refused_beside_them_is() -> None:
    class Writes(plainpickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            return "cart" if isinstance(obj, Cart) else None

    for protocol in PROTOCOLS:
        file = io.BytesIO()
        pickler = Writes(file, protocol)
        pickler.dump([Cart(), 1])
        pickler.dump({"again": Cart()})
        with pytest.raises(UnreadableValue) as caught:
            pickler.dump({"cart": Cart(), "price": Money()})
        assert (caught.value.name, caught.value.path) == (MONEY, "price")
        file.seek(0)
        unpickler = plainpickle.Unpickler(file)
        unpickler.persistent_load = str.upper  # type: ignore[method-assign]
        assert [unpickler.load(), unpickler.load()] == [["CART", 1], {"again": "CART"}]


# ---- buffers


def test_out_of_band_buffers_are_handed_over_and_do_not_stop_the_check() -> None:
    for kept in (bytearray(b"abc"), b"abc"):
        buffers: list[pickle.PickleBuffer] = []
        value = [pickle.PickleBuffer(kept), 1]
        data = dumps(value, 5, buffer_callback=buffers.append)
        assert [bytes(each) for each in buffers] == [b"abc"]
        assert [bytes(part) for part in loads(data, buffers=buffers)[:1]] == [b"abc"]
        file = io.BytesIO()
        plainpickle.dump(value, file, 5, buffer_callback=lambda _: None)
        assert file.getvalue() == data
        file = io.BytesIO()
        plainpickle.Pickler(file, 5, True, lambda _: None).dump(value)
        assert file.getvalue() == data
    error = refused([pickle.PickleBuffer(b"abc"), Money()], 5, buffer_callback=lambda _: None)
    assert (error.path, error.name) == ("[1]", MONEY)


def test_a_buffer_in_band_is_written_as_bytes() -> None:
    for kept in (bytearray(b"abc"), b"abc"):
        value = pickle.PickleBuffer(kept)
        assert dumps(value, 5) == pickle.dumps(value, 5)
        assert loads(dumps(value, 5)) == kept
    with pytest.raises(pickle.PicklingError):
        dumps(pickle.PickleBuffer(b"abc"), 4)
    with pytest.raises(ValueError, match="buffer_callback"):
        dumps([1], 4, buffer_callback=lambda _: None)


# ---- what is written

GRAPHS = 150


@pytest.mark.filterwarnings("ignore")  # array("u") is deprecated from 3.13 on
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_profile_plain_holds_is_written_byte_for_byte_as_pickle_writes_it_and_reads_back(
    protocol: int,
) -> None:
    written = 0
    for seed in range(GRAPHS):
        graph = GraphMaker(Random(f"written {protocol} {seed}")).make()
        try:
            expected = pickle.dumps(graph, protocol)
        except RecursionError:  # a cycle in arguments
            continue
        data = dumps(graph, protocol)
        assert data == expected
        file = io.BytesIO()
        plainpickle.Pickler(file, protocol).dump(graph)
        assert file.getvalue() == expected
        assert difference(pickle.loads(expected), loads(data)) is None
        written += 1
    assert written > GRAPHS * 0.9


def test_dumps_accepts_exactly_what_loads_reads() -> None:
    policies = (Policy(), PLAIN, Policy().register(Cart), Policy().stub())
    for seed in range(400):
        rng = Random(f"accepts {seed}")
        value = nested(rng, rng.choice([Money(), Cart(a=1), Own([1]), len, Cart(a=Money()), 1j]))
        protocol, policy = rng.randrange(6), rng.choice(policies)
        accepted = read = False
        with contextlib.suppress(UnreadableValue):
            accepted = dumps(value, protocol, policy=policy) == pickle.dumps(value, protocol)
        with contextlib.suppress(plainpickle.UnpicklingError):
            loads(pickle.dumps(value, protocol), policy=policy)
            read = True
        assert accepted is read


def test_nothing_is_reported_where_writing_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    found: list[dict[str, Any]] = []
    unsubscribe = plainpickle.events.subscribe(found.append)
    refused({"price": Money()})
    unsubscribe()
    assert found == []
    assert not [record for record in caplog.records if record.name == "plainpickle.security"]
