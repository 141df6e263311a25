"""Generated values come back exactly: types, order and bits; and a second reader gives the same.

`ROUND_TRIPS=1000000` asks for more of them, `SEED=n` for others.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import time
import types
import uuid
import warnings
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from pathlib import PosixPath
from typing import Any

import pytest

from plainpickle.session import SessionSerializer
from tests.differential.isomorphism import RULES
from tests.differential.shrink import smaller_graph
from tests.session_format.exact import difference
from tests.session_format.reader import FORMS, read
from tests.session_format.values import generated

COUNT = int(os.environ.get("ROUND_TRIPS", "100000"))
SEED = os.environ.get("SEED", "1")
SESSIONS = SessionSerializer(format="json", on_forbidden="raise")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # array("u") is deprecated from 3.13 on
        yield


def problem(value: Any) -> str | None:
    """What is wrong with the round trip of a value."""
    try:
        text = SESSIONS.dumps([value])
        found = difference([value], SESSIONS.loads(text))
        if found is None and not text.isascii():
            found = "not ASCII"
        if found is None:
            found = difference([value], read(text))
            found = found and f"the second reader: {found}"
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
    return found


def test_generated_values_come_back_exactly() -> None:
    for index in range(COUNT):
        value = generated(SEED, index)
        found = problem(value)
        if found is not None:
            least = smaller_graph(value, lambda part: problem(part) is not None)
            pytest.fail(f"SEED={SEED}, value {index}: {found}\nthe smallest part: {least!a:.2000}")


def test_sharing_comes_back_as_copies() -> None:
    shared = [1]
    value = SESSIONS.loads(SESSIONS.dumps({"a": shared, "b": (shared, shared)}))
    assert value == {"a": [1], "b": ([1], [1])}
    assert value["a"] is not value["b"][0] is not value["b"][1]


def test_keys_that_python_holds_for_equal_keep_their_type() -> None:
    for key in (1, 1.0, True, 0, 0.0, -0.0, False, (1, 0.0), (True, 0), frozenset({1.0})):
        assert difference({key: key}, SESSIONS.loads(SESSIONS.dumps({key: key}))) is None


def test_a_value_as_deep_as_the_limit_comes_back() -> None:
    wraps: list[Any] = [
        lambda v: [v],
        lambda v: (v,),
        lambda v: {"k": v},
        lambda v: {" t": v},
        lambda v: {5: v},
        lambda v: OrderedDict(a=v),
        lambda v: types.SimpleNamespace(a=[], b=v),
    ]
    for wrap in wraps:
        value: Any = []
        for _ in range(490 if type(wrap([])) is types.SimpleNamespace else 990):
            value = wrap(value)
        assert difference([value], SESSIONS.loads(SESSIONS.dumps([value]))) is None


def test_the_first_generated_values_have_every_type_and_every_tag() -> None:
    kinds: set[type] = set()
    tags: set[str] = set()
    for index in range(6000):
        todo = [generated(SEED, index)]
        parsed = [json.loads(SESSIONS.dumps(todo))]
        while parsed:
            node = parsed.pop()
            tags.update(node if type(node) is dict and len(node) == 1 else ())
            inside = node.values() if type(node) is dict else node
            parsed.extend(child for child in inside if type(child) in (dict, list))
        while todo:
            value = todo.pop()
            kinds.add(type(value))
            todo.extend(child for _, child, _ in RULES[type(value)].children(value, value))
    assert set(RULES) - kinds <= {memoryview, PosixPath}
    missing = set(FORMS) - tags
    assert missing == {" d", " m", " reduce"}  # the one is only read, the others are frameworks'


DIFFERENT: dict[str, tuple[Any, Any]] = {
    "type": (1, True),
    "subtype": ({}, OrderedDict()),
    "float sign": (0.0, -0.0),
    "nan bits": (math.nan, -math.nan),
    "order": ({1: 1, 2: 2}, {2: 2, 1: 1}),
    "key type": ({1: 0}, {True: 0}),
    "member": ({1, (2, 3)}, {1, (2, 4)}),
    "maxlen": (deque(maxlen=3), deque()),
    "factory": (defaultdict(int), defaultdict(list)),
    "fold": (dt.time(1), dt.time(1, fold=1)),
    "zone name": (dt.timezone(dt.timedelta(0), "UTC"), dt.timezone.utc),
    "is_safe": (uuid.UUID(int=1), uuid.UUID(int=1, is_safe=uuid.SafeUUID.safe)),
    "zone fields": (time.struct_time((1,) * 9), time.struct_time((*(1,) * 9, "CET"))),
    "surrogates": ("\ud83d" + "\ude00", "😀"),
    "count": (Counter(a=1), Counter(a=2)),
}


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_the_comparison_tells_values_apart(one: Any, other: Any) -> None:
    assert difference([one], [other]) is not None


def test_the_comparison_does_not_see_sharing() -> None:
    shared = [1]
    assert difference([shared, shared], [[1], [1]]) is None
    assert difference([[1], [1]], [shared, shared]) is None
