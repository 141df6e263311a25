"""Value types of frameworks and of Python, in each exact shape that a release of theirs writes."""

from __future__ import annotations

import pytest

import plainpickle
from plainpickle import ForbiddenGlobal
from tests.expected import Comparison, kinds
from tests.samples import Sample, framework_values

SAMPLES = framework_values()
REFUSED = [sample for sample in SAMPLES if "refused" in kinds(sample.expected)]
PLAIN = [sample for sample in SAMPLES if sample not in REFUSED]


@pytest.mark.parametrize("sample", PLAIN, ids=str)
def test_each_shape_of_a_value_comes_as_its_plain_equivalent(sample: Sample) -> None:
    value = plainpickle.safe_loads(sample.data)
    assert list(Comparison().differences(value, sample.expected)) == []
    assert plainpickle.inspect(sample.data).verdict == "clean"


@pytest.mark.parametrize("sample", REFUSED, ids=str)
def test_what_has_no_plain_equivalent_is_refused_by_name(sample: Sample) -> None:
    with pytest.raises(ForbiddenGlobal) as caught:
        plainpickle.safe_loads(sample.data)
    report = plainpickle.inspect(sample.data)
    assert caught.value.name in {f"{used.module}.{used.name}" for used in report.globals}
    assert report.verdict == "refused"


@pytest.mark.parametrize("sample", PLAIN, ids=str)
def test_sanitized_values_need_no_global(sample: Sample) -> None:
    sanitized = plainpickle.sanitize(sample.data)
    assert plainpickle.inspect(sanitized).globals == ()
