"""Sessions that real old software wrote, in `corpus`: each is read as it was meant, or refused."""

from __future__ import annotations

import json
import pickle
import re
from typing import Any

import pytest

import plainpickle
from plainpickle import ForbiddenGlobal, MalformedPickle, Policy, PolicyError
from tests.differential.isomorphism import difference
from tests.expected import Comparison, foreign, kinds
from tests.samples import Sample, Stored, containers, corpus, not_pickles

CORPUS = corpus()
PLAIN = [sample for sample in CORPUS if not foreign(sample.expected)]
REFUSED = [sample for sample in CORPUS if foreign(sample.expected)]
WITH_GLOBALS = [sample for sample in REFUSED if "global" in kinds(sample.expected)]
BARE = [sample for sample in CORPUS if "pickle" in sample.facts]
AS_PICKLE = [  # what pickle reads with the standard library alone, and has no plain equivalent
    sample
    for sample in BARE
    if sample.facts["cpython311_bare"] == "ok"
    and (sample.category == "stdlib-value" or not {"strsub", "object"} & kinds(sample.expected))
]


def ids(sample: Any) -> str:
    return str(sample)


def problems(value: Any, expected: Any, *, stubs: bool = False) -> list[str]:
    return list(Comparison(stubs=stubs).differences(value, expected))


def written(sample: Sample) -> str:
    """What is expected, but for what a zone is called: an offset is an offset."""
    return re.sub(r'\{"kind": [^}]*\}', "zone", json.dumps(sample.expected, sort_keys=True))


def admitted(sample: Sample) -> Policy:
    """Profile plain with `as_plain` for each name that stands in the way, as an operator would."""
    policy = Policy()
    for _ in sample.facts["globals"]:
        try:
            plainpickle.safe_loads(sample.data, policy=policy)
        except ForbiddenGlobal as error:
            policy = policy.as_plain(error.name)
    return policy


@pytest.mark.parametrize("sample", PLAIN, ids=ids)
def test_values_load_as_they_were_put_in(sample: Sample) -> None:
    assert problems(plainpickle.safe_loads(sample.data), sample.expected) == []


def test_the_comparison_tells_every_two_sessions_apart() -> None:
    found = [plainpickle.safe_loads(sample.data) for sample in PLAIN]
    alike = [
        (str(one), str(other))
        for value, one in zip(found, PLAIN)
        for other in PLAIN
        if written(one) != written(other) and Comparison().same(value, other.expected)
    ]
    assert alike == []


def test_only_classes_of_apps_and_objects_of_frameworks_are_refused() -> None:
    plain = {sample.category for sample in PLAIN}
    assert plain == {"builtin", "stdlib-value", "framework-value", "framework-object"}
    assert {sample.category for sample in REFUSED} == {"app-object", "framework-object"}


@pytest.mark.parametrize("sample", REFUSED, ids=ids)
def test_an_unknown_class_is_refused_by_its_name(sample: Sample) -> None:
    with pytest.raises(ForbiddenGlobal) as caught:
        plainpickle.safe_loads(sample.data)
    assert caught.value.name in sample.facts["globals"]
    assert caught.value.name in str(caught.value)


@pytest.mark.parametrize("sample", [s for s in REFUSED if s not in WITH_GLOBALS], ids=ids)
def test_an_admitted_class_comes_as_its_state(sample: Sample) -> None:
    value = plainpickle.safe_loads(sample.data, policy=admitted(sample))
    assert problems(value, sample.expected) == []


@pytest.mark.parametrize("sample", WITH_GLOBALS, ids=ids)
def test_a_class_or_function_left_as_a_value_stays_refused(sample: Sample) -> None:
    with pytest.raises((ForbiddenGlobal, PolicyError)):
        plainpickle.safe_loads(sample.data, policy=admitted(sample))


@pytest.mark.parametrize("sample", REFUSED, ids=ids)
def test_an_unknown_class_comes_as_a_stub_with_its_state(sample: Sample) -> None:
    value = plainpickle.safe_loads(sample.data, policy=Policy().stub())
    assert problems(value, sample.expected, stubs=True) == []


@pytest.mark.parametrize("sample", BARE, ids=ids)
def test_the_report_names_what_the_manifest_names(sample: Sample) -> None:
    report = plainpickle.inspect(sample.data)
    assert {f"{used.module}.{used.name}" for used in report.globals} == set(sample.facts["globals"])
    assert set(report.opcodes) == set(sample.facts["opcodes"])
    assert report.protocol == sample.facts["protocol"]
    assert report.size == sample.facts["pickle_size"]
    assert report.verdict == ("refused" if foreign(sample.expected) else "clean")


@pytest.mark.parametrize("sample", AS_PICKLE, ids=ids)
def test_what_pickle_reads_comes_out_the_same_with_the_same_sharing(sample: Sample) -> None:
    assert difference(pickle.loads(sample.data), plainpickle.safe_loads(sample.data)) is None


@pytest.mark.parametrize("stored", containers(), ids=ids)
def test_a_store_with_an_expiry_or_one_pickle_for_each_key_is_read_whole(stored: Stored) -> None:
    found = {key: plainpickle.safe_loads(data) for key, data in stored.pickles().items()}
    expiry = {found.pop(key) for key in ("<expiry>", "_expires") if key in found}
    assert all(type(when) in (int, float) for when in expiry)
    value = found.pop("<value>", found)
    expected = dict(stored.facts["expected"])
    expected.pop("_expires", None)  # the cookie's own
    assert problems(value, expected) == []


@pytest.mark.parametrize("stored", not_pickles(), ids=ids)
def test_what_is_no_pickle_is_malformed(stored: Stored) -> None:
    with pytest.raises(MalformedPickle):
        plainpickle.safe_loads(stored.raw)
    assert plainpickle.inspect(stored.raw).verdict == "malformed"
