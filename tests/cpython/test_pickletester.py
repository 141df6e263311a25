"""CPython's own tests of pickle, as the interpreter has them, against each face of plainpickle."""

from __future__ import annotations

import pickle
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import plainpickle

from . import faces, test_plain_variants
from .exclusions import CATEGORIES, Exclusion, exclusions, must_fail

WITHOUT = "this Python was packaged without CPython's own tests (test.pickletester)"
pickletester: Any = pytest.importorskip("test.pickletester", reason=WITHOUT)
test_pickle: Any = pytest.importorskip("test.test_pickle", reason=WITHOUT)


class Unpickling:
    """What a damaged pickle must raise: as strict as for the unpickler written in C."""

    bad_stack_errors = truncated_errors = (pickle.UnpicklingError,)


class WithoutUnpickler(Unpickling):
    test_find_class = test_custom_find_class = None  # methods of an unpickler


class Optimized(faces.OfOptimize):
    """Without what `OptimizedPickleTests` leaves out: the exact output of a pickler."""

    test_pickle_to_2x = test_framed_write_sizes_with_delayed_writer = None


class PersistentObjects(test_pickle.PersistentPicklerUnpicklerMixin):  # type: ignore[misc]
    pickler: Any = pickle.Pickler
    unpickler = plainpickle.Unpickler
    persistent_load_error = pickle.UnpicklingError


class OwnPersistentObjects(PersistentObjects):
    pickler = plainpickle.Pickler


class Hooked(plainpickle.Pickler, pickletester.AbstractCustomPicklerClass):  # type: ignore[misc]
    """A pickler with CPython's `reducer_override`."""


class Hook:
    pickler_class = Hooked


# CPython's classes, abstract or made for another pickler, and the faces that take their place.
SUITE: dict[str, dict[str, tuple[type, ...]]] = {
    "AbstractUnpickleTests": {
        "loads": (WithoutUnpickler, faces.Loads),
        "load": (WithoutUnpickler, faces.Load),
        "Unpickler": (Unpickling, faces.Unpickler),
    },
    "AbstractPickleTests": {
        "loads": (faces.Loads,),
        "load": (faces.Load,),
        "Unpickler": (faces.Unpickler,),
        "of_Python": (faces.OfPython,),
        "of_optimize": (Optimized,),
        "dumps": (faces.Dumps,),
        "Pickler": (faces.Pickler,),
    },
    "AbstractPicklingErrorTests": {"dumps": (faces.Dumps,), "Pickler": (faces.Pickler,)},
    "BigmemPickleTests": {"dumps": (faces.Dumps,)},
    "AbstractPersistentPicklerTests": {
        "loads": (faces.PersistentLoads,),
        "load": (faces.PersistentLoad,),
        "Unpickler": (PersistentObjects,),
        "Pickler": (OwnPersistentObjects,),
    },
    "AbstractIdentityPersistentPicklerTests": {
        "loads": (faces.PersistentLoads,),
        "load": (faces.PersistentLoad,),
    },
    "PyIdPersPicklerTests": {
        "Unpickler": (PersistentObjects,),
        "Pickler": (OwnPersistentObjects,),
    },
    "AbstractPickleModuleTests": {"module": (faces.Module,)},
    "CPicklerUnpicklerObjectTests": {
        "Unpickler": (faces.Objects,),
        "Pickler": (faces.OwnObjects,),
    },
    "CDispatchTableTests": {"Pickler": (faces.OwnObjects,)},
    "CChainDispatchTableTests": {"Pickler": (faces.OwnObjects,)},
    "AbstractHookTests": {"Pickler": (Hook,)},
}

# Never asks the face under test: it calls the standard library's pickle.loads, and would hang where
# nothing is imported.
NOT_RUN = {"AbstractUnpickleTests.test_unpickle_module_race"}

EXCLUSIONS = exclusions()


@pytest.fixture(autouse=True, scope="module")
def _in_a_folder_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """CPython's tests write files into the current folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("cpython"))
        yield


@contextmanager
def _sub_test(*_: object, **__: object) -> Iterator[None]:
    """In place of TestCase.subTest: the first that fails fails the test that it is a part of."""
    yield


def case(name: str, face: str, bindings: tuple[type, ...]) -> type[unittest.TestCase]:
    """The tests of a class of CPython's on one face."""
    suite = getattr(test_pickle, name)
    bases = (
        (*bindings, suite)
        if issubclass(suite, unittest.TestCase)
        else (*bindings, suite, unittest.TestCase)
    )
    made = type(f"{name}_{face}", bases, {"subTest": _sub_test, "__module__": __name__})
    for test in unittest.defaultTestLoader.getTestCaseNames(made):
        listed = [row for row in EXCLUSIONS if row.test == f"{name}.{test}" and row.applies(face)]
        if f"{name}.{test}" in NOT_RUN:
            setattr(made, test, None)
        elif listed:
            setattr(made, test, must_fail(listed[0], getattr(made, test)))
    return made


CASES = {
    (name, face): case(name, face, bindings)
    for name, bound in SUITE.items()
    if hasattr(test_pickle, name)
    for face, bindings in bound.items()
}
globals().update({made.__name__: made for made in CASES.values()})


# ---- the list


def test_an_entry_says_what_it_has_to_say() -> None:
    for row in EXCLUSIONS:
        assert row.category in CATEGORIES, row.test
        assert row.reason.endswith("."), row.test
        assert row.faces, row.test
        assert row.variant is None or hasattr(test_plain_variants, row.variant), row.test


def test_an_entry_names_a_test_that_exists() -> None:
    for row in filter(Exclusion.must_exist, EXCLUSIONS):
        name, test = row.test.split(".")
        on = SUITE.get(name, {}) if row.faces == ("all",) else row.faces
        assert on, row.test
        for face in on:
            assert callable(getattr(CASES.get((name, face)), test, None)), (row.test, face)


def test_no_test_has_two_entries() -> None:
    named = [
        (name, test, face)
        for row in EXCLUSIONS
        for name, test in [row.test.split(".")]
        for face in SUITE[name]
        if row.applies(face)
    ]
    assert len(named) == len(set(named))
