"""CPython as oracle: a short run of `tests.differential.fuzz`, and proof that it can fail."""

from __future__ import annotations

import math
import pickle
import pickletools
import sys
from collections import OrderedDict, deque
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import PosixPath
from types import SimpleNamespace
from typing import Any

import pytest

from tests.differential import handmade
from tests.differential.checks import mutant_disagreements, subject
from tests.differential.child import graph_case
from tests.differential.divergences import Divergence, covering, divergences
from tests.differential.fuzz import Result, run
from tests.differential.isomorphism import RULES, difference
from tests.differential.mutants import mutants

GRAPHS = MUTANTS = 5000
LISTED = divergences()


def _report(result: Result) -> str:
    return "\n".join(
        f"{row['ours']} | CPython: {row['cpython']} | {row['hex'][:600]}"
        for row in result.found.values()
    )


def test_generated_graphs_load_as_cpython_loads_them() -> None:
    pytest.importorskip("plainpickle")
    result = run("graphs", "tests", GRAPHS)
    assert not result.found, _report(result)


def test_damaged_pickles_end_in_our_error_or_in_cpythons_value() -> None:
    pytest.importorskip("plainpickle")
    result = run("mutants", "tests", MUTANTS)
    assert not result.found, _report(result)


@pytest.mark.parametrize("row", LISTED, ids=[row.id for row in LISTED])
def test_each_listed_divergence_still_diverges(row: Divergence) -> None:
    pytest.importorskip("plainpickle")
    if sys.version_info < tuple(row.since):
        pytest.skip(f"CPython differs since {row.since}")
    found = mutant_disagreements(subject(), bytes.fromhex(row.example), row.encoding)
    assert row in [covering(f, LISTED) for f in found]


def test_the_hand_made_pickles_use_every_opcode() -> None:
    seen = {op.name for data in handmade.VALID for op, _, _ in pickletools.genops(data)}
    assert seen == {op.name for op in pickletools.opcodes}


@pytest.mark.filterwarnings("ignore")
def test_the_same_seed_gives_the_same_inputs() -> None:
    assert graph_case("s", 3)[1:] == graph_case("s", 3)[1:]  # type: ignore[index]
    assert list(mutants("s", 7, 5)) == list(mutants("s", 0, 20))[7:12]


def _types(graph: Any, types: set[type]) -> None:
    todo, seen = [graph], set()
    while todo:
        value = todo.pop()
        types.add(type(value))
        if id(value) not in seen:
            seen.add(id(value))
            todo.extend(child for _, child, _ in RULES[type(value)].children(value, value))


@pytest.mark.filterwarnings("ignore")  # array("u") is deprecated from 3.13 on
def test_generated_graphs_have_every_type_sharing_and_cycles() -> None:
    types: set[type] = set()
    cyclic = shares = 0
    for case in filter(None, (graph_case("types", n) for n in range(1500))):
        cyclic, shares = cyclic + case[3], shares + case[4]
        first, second = (pickle.loads(case[2].data, buffers=case[2].buffers) for _ in range(2))
        assert difference(first, second, case[2].buffers) is None
        _types(first, types)
    assert types == set(RULES) - {PosixPath}
    assert min(cyclic, shares) > 100


def _self_list(length: int) -> list[Any]:
    made: list[Any] = []
    made.extend([made] * length)
    return made


def _tuples(objects: int) -> list[Any]:
    made = [(*[1],) for _ in range(objects)]
    return [made[0], made[-1]]


def _shared(copies: int) -> list[Any]:
    return [[1]] * copies if copies else [[1], [1]]


DIFFERENT = {
    "type": (1, True),
    "int type": ([1], [1.0]),
    "float sign": (0.0, -0.0),
    "nan bits": (math.nan, -math.nan),
    "fold": (datetime(2024, 1, 1), datetime(2024, 1, 1, fold=1)),
    "exponent": (Decimal("1.0"), Decimal("1.00")),
    "order": ({1: 1, 2: 2}, {2: 2, 1: 1}),
    "ordered order": (OrderedDict(a=1, b=2), OrderedDict(b=2, a=1)),
    "maxlen": (deque(maxlen=3), deque()),
    "zone name": (timezone(timedelta(0), "UTC"), timezone.utc),
    "attribute": (SimpleNamespace(a=1), SimpleNamespace(b=1)),
    "member": ({1, (2, 3)}, {1, (2, 4)}),
    "member type": ({1, 2}, {True, 2}),
    "key type": ({1: 0}, {True: 0}),
    "a share lost": (_shared(2), _shared(0)),
    "a share made": (_shared(0), _shared(2)),
    "cycle": (_self_list(2), [_self_list(2), _self_list(2)]),
    "surrogate": ("\ud800", "\udc00"),
    "bytes": (b"a", bytearray(b"a")),
    "length": ([1], [1, 2]),
    "tuple share lost": (_tuples(1), _tuples(2)),
}


@pytest.mark.parametrize(("a", "b"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_the_comparison_tells_graphs_apart(a: Any, b: Any) -> None:
    assert difference(a, b) is not None


def test_the_comparison_needs_no_recursion_and_finds_nothing_in_equal_graphs() -> None:
    def deep() -> Any:
        made: Any = (float("nan"), {float("nan")}, "x")
        for _ in range(50_000):
            made = [made]
        return made

    a, b = deep(), deep()
    assert difference(a, b) is None
    assert difference(_self_list(3), _self_list(3)) is None


def test_one_mutable_object_in_both_results_is_a_difference() -> None:
    leaked: list[Any] = []
    assert difference([leaked], [leaked]) is not None


@pytest.mark.parametrize(
    "fault",
    [
        "no_maxlen",
        "no_fold",
        "normalised",
        "plus_zero",
        "copies",
        "reorders",
        "strict",
        "panics",
        "leaks",
        "crash",
    ],
)
def test_a_planted_fault_is_found(fault: str) -> None:
    result = run(
        "graphs",
        "planted",
        1200 if fault != "crash" else 300,
        f"tests.differential.planted:{fault}",
    )
    assert result.found


def test_a_loader_that_accepts_more_than_cpython_is_found() -> None:
    result = run("mutants", "planted", 500, "tests.differential.planted:lax")
    assert any(row["side"] == "accepted by us" for row in result.found.values())


def test_a_crash_is_reported_with_the_input_that_caused_it() -> None:
    result = run("mutants", "planted", 300, "tests.differential.planted:crash")
    crashes = [row for row in result.found.values() if row["side"] == "crash"]
    assert crashes
    assert all(bytes.fromhex(row["hex"]).count(b"K") == 3 for row in crashes)


def test_an_honest_loader_passes() -> None:
    for mode in ("graphs", "mutants"):
        result = run(mode, "planted", 500, "tests.differential.planted:honest")
        assert not result.found, _report(result)
