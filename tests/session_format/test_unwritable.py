"""What can't be written is refused, with the path to it; nothing is written that can't be read."""

from __future__ import annotations

import array
import contextlib
import decimal
import enum
import fractions
import io
import pickle
import threading
import types
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Callable, NamedTuple

import pytest

import plainpickle
from plainpickle import Limits, Policy, UnreadableValue
from plainpickle.session import SessionSerializer
from tests.attacks.confined import STACK_BYTES

SESSIONS = SessionSerializer(format="json", on_forbidden="raise")
HERE = __name__


@dataclass
class Money:
    amount: int = 5


class Item:
    def __init__(self) -> None:
        self.price = Money()


class Point(NamedTuple):
    x: int = 1


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Text(str):
    __slots__ = ()


class Cart(dict):  # type: ignore[type-arg]
    pass


def refusal(value: Any, **options: Any) -> UnreadableValue:
    sessions = SessionSerializer(format="json", on_forbidden="raise", **options)
    with pytest.raises(UnreadableValue) as caught:
        sessions.dumps(value)
    assert isinstance(caught.value, pickle.PicklingError)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000
    return caught.value


# ---- classes

CLASSES = [
    Money(),
    Item(),
    Point(),
    Colour.RED,
    Level.LOW,
    Text("a"),
    object(),
    Money,
    len,
    int,
    io,
]


@pytest.mark.parametrize("value", CLASSES, ids=lambda value: str(value)[:20])
def test_an_apps_class_is_refused_with_its_path(value: Any) -> None:
    error = refusal({"cart": {"items": [1, 2, 3, value]}})
    assert error.path == "cart.items[3]"
    assert str(error).startswith("cart.items[3]: ")


def test_the_message_names_the_class_and_the_line_that_would_admit_it() -> None:
    error = refusal({"cart": [Money()]})
    assert error.name == f"{HERE}.Money"
    assert str(error) == (
        f"cart[0]: {HERE}.Money is not allowed; if it is a class of yours, "
        f'policy.as_plain("{HERE}.Money") reads its state, and runs nothing of it'
    )


def test_the_value_itself_has_an_empty_path() -> None:
    assert refusal(Money()).path == ""


def test_a_registered_class_cannot_be_written_as_json() -> None:
    assert refusal({"a": Money()}, policy=Policy().register(Money)).path == "a"


@pytest.mark.parametrize(
    "wrap",
    [
        lambda v: [v],
        lambda v: (v,),
        lambda v: {1: v},
        lambda v: {v: 1},
        lambda v: {" t": v},
        lambda v: {v},
        lambda v: frozenset({v}),
        lambda v: deque([v]),
        lambda v: OrderedDict(a=v),
        lambda v: Counter({"a": v}),
        lambda v: defaultdict(int, a=v),
        lambda v: types.SimpleNamespace(a=v),
        lambda v: [[[v]]],
    ],
)
def test_it_is_found_wherever_it_stands(wrap: Callable[[Any], Any]) -> None:
    value = Text("k") if wrap("x") in ({"x": 1}, {"x"}, frozenset({"x"})) else Money()
    error = refusal({"cart": wrap(value)})
    assert error.path.startswith("cart")
    assert error.path != "cart"
    assert error.name == f"{HERE}.{type(value).__name__}"


def test_encode_makes_a_dict_of_a_session_of_the_frameworks_own_class() -> None:
    assert SESSIONS.encode(Cart(a=1)) == SESSIONS.encode(OrderedDict(a=1)) == b'{"a":1}'
    assert SESSIONS.dumps(OrderedDict(a=1)) == b'{" ordereddict":["a",1]}'
    assert refusal(Cart(a=1)).path == ""
    assert refusal({"cart": Cart(a=1)}).path == "cart"


# ---- values of known types that could not be read back


@pytest.mark.parametrize(
    "value",
    [
        defaultdict(lambda: 1, a=1),
        defaultdict(bytes),
        memoryview(b"a"),
        PurePosixPath("a\udc80"),
        types.SimpleNamespace(**{"\udc80": 1}),
        array.array("u", "\udc80"),
        1 << 65_536,
        -(1 << 70_000),
        decimal.Decimal("1E+200000"),
        decimal.Decimal("1" * 5000),
        fractions.Fraction(1, 7**6000),
        {1: Money},
        iter([]),
        NotImplemented,
        Ellipsis,
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.filterwarnings("ignore")
def test_what_the_reader_refuses_is_not_written(value: Any) -> None:
    assert refusal({"a": [value]}).path.startswith("a[0]")


def test_a_zone_without_a_key_is_not_written(tmp_path: Path) -> None:
    found = [Path(root) / "Europe" / "Paris" for root in zoneinfo.TZPATH]
    data = next((path for path in found if path.exists()), None)
    if data is None:
        pytest.skip("no zone files")
    with data.open("rb") as file:
        zone = zoneinfo.ZoneInfo.from_file(file)
    assert refusal({"a": zone}).path == "a"
    with data.open("rb") as file:
        unknown = zoneinfo.ZoneInfo.from_file(file, key="Europe/Nowhere")
    assert refusal({"a": unknown}).path == "a"


@pytest.mark.parametrize("kind", [OrderedDict, Counter])
def test_attributes_of_containers_are_not_dropped_in_silence(kind: Any) -> None:
    class_value = kind(a=1)
    class_value.note = 1
    assert refusal({"a": class_value}).path == "a"


# ---- cycles


CYCLES: dict[str, tuple[Callable[[], Any], str]] = {}


def cyclic(name: str, path: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    def register(make: Callable[[], Any]) -> Callable[[], Any]:
        CYCLES[name] = (make, path)
        return make

    return register


@cyclic("list", "cart[0]")
def _list() -> Any:
    made: list[Any] = []
    made.append(made)
    return made


@cyclic("dict", "cart.a.b")
def _dict() -> Any:
    made: dict[str, Any] = {}
    made["a"] = {"b": made}
    return made


@cyclic("dict of one tag-like key", 'cart[" t"]')
def _di() -> Any:
    made: dict[str, Any] = {}
    made[" t"] = made
    return made


@cyclic("dict of an int key", "cart[5]")
def _dict_int() -> Any:
    made: dict[int, Any] = {}
    made[5] = made
    return made


@cyclic("tuple", "cart[0][0]")
def _tuple() -> Any:
    made: Any = ([],)
    made[0].append(made)
    return made


@cyclic("deque", "cart[0]")
def _deque() -> Any:
    made: Any = deque()
    made.append(made)
    return made


@cyclic("namespace", "cart.me")
def _namespace() -> Any:
    made = types.SimpleNamespace()
    made.me = made
    return made


@cyclic("OrderedDict", "cart.a")
def _ordered() -> Any:
    made: Any = OrderedDict()
    made["a"] = made
    return made


@cyclic("defaultdict", "cart.a[1]")
def _default() -> Any:
    made: Any = defaultdict(list)
    made["a"] = [0, made]
    return made


@pytest.mark.parametrize(("make", "path"), CYCLES.values(), ids=CYCLES)
def test_a_cycle_is_refused_with_the_path_to_where_it_closes(
    make: Callable[[], Any], path: str
) -> None:
    error = refusal({"user": 1, "cart": make()})
    assert error.path == path
    assert "cycle" in str(error)


def test_a_session_in_itself_is_a_cycle() -> None:
    session: dict[str, Any] = {"a": 1}
    session["me"] = session
    assert refusal(session).path == "me"


def test_sharing_is_no_cycle() -> None:
    shared = ["é"]
    assert SESSIONS.dumps([shared, (shared,), {"a": shared}]).count(b"u00e9") == 3


# ---- size and depth


def nested(n: int) -> Any:
    made: Any = []
    for _ in range(n):
        made = [made]
    return made


def test_too_deep_is_refused_with_its_path() -> None:
    for depth in (1100, 100_000):
        error = refusal({"a": nested(depth)})
        assert error.path.startswith("a[0][0]")
        assert "depth" in str(error)


def test_a_key_too_deep_is_refused() -> None:
    key: Any = ()
    for _ in range(200):
        key = (key,)
    assert "max_key_depth" in str(refusal({"a": {key: 1}}))


def test_too_many_bytes_are_refused_before_they_are_written() -> None:
    error = refusal({"a": ["x" * 600]}, limits=Limits(max_bytes=500))
    assert "bytes" in str(error)
    refusal({"a": "é" * 100}, limits=Limits(max_bytes=500))  # 600 as escapes


def test_a_value_that_sharing_makes_huge_is_refused_soon() -> None:
    bomb: Any = ["x" * 100]
    for _ in range(100):
        bomb = [bomb, bomb]
    refusal({"a": bomb})
    for _ in range(3):
        bomb = {"a": bomb, "b": (bomb,)}
    refusal(bomb)


def test_a_great_depth_needs_no_stack() -> None:
    values = [nested(990), nested(100_000)]  # freed here: CPython 3.13 does that by recursion
    failures: list[BaseException] = []

    def body() -> None:
        try:
            for value in values:
                with contextlib.suppress(UnreadableValue):
                    SESSIONS.dumps(value)
        except BaseException as error:
            failures.append(error)

    size = threading.stack_size(STACK_BYTES)
    try:
        thread = threading.Thread(target=body)
        thread.start()
    finally:
        threading.stack_size(size)
    thread.join()
    assert not failures


def test_a_refused_value_leaves_the_writer_as_it_was() -> None:
    for value in (Money(), nested(2000), _list()):
        refusal([value])
        assert SESSIONS.dumps({"a": [1, (2,)]}) == b'{"a":[1,{" t":[2]}]}'


def test_the_same_path_as_for_pickles() -> None:
    value = {"cart": {"items": [0, {"price": Money()}]}}
    with pytest.raises(UnreadableValue) as caught:
        plainpickle.dumps(value)
    assert refusal(value).path == caught.value.path == "cart.items[1].price"
