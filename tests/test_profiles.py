"""The profiles of frameworks: their own classes come back where the framework is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import plainpickle
from plainpickle import profiles
from tests.expected import Comparison, foreign, kinds
from tests.samples import Sample, corpus, framework_values

django_conf = pytest.importorskip("django.conf")
pytz = pytest.importorskip("pytz")
http = pytest.importorskip("django.http")
safestring = pytest.importorskip("django.utils.safestring")
django_structures = pytest.importorskip("django.utils.datastructures")
markupsafe = pytest.importorskip("markupsafe")
werkzeug = pytest.importorskip("werkzeug.datastructures")

OWN: dict[
    str, dict[tuple[str, str], Any]
] = {  # profile -> (package, class as written) -> class now
    "django": {
        ("django", "SafeString"): safestring.SafeString,
        ("django", "SafeText"): safestring.SafeString,
        ("django", "SafeUnicode"): safestring.SafeString,
        ("django", "QueryDict"): http.QueryDict,
        ("django", "MultiValueDict"): django_structures.MultiValueDict,
        ("markupsafe", "Markup"): markupsafe.Markup,
    },
    "flask": {
        ("markupsafe", "Markup"): markupsafe.Markup,
        ("werkzeug", "MultiDict"): werkzeug.MultiDict,
        ("werkzeug", "ImmutableMultiDict"): werkzeug.ImmutableMultiDict,
    },
}
PLAIN = [sample for sample in corpus() if not foreign(sample.expected)]
VALUES = [s for s in PLAIN + framework_values() if "refused" not in kinds(s.expected)]


@pytest.fixture(autouse=True)
def settings() -> None:
    """QueryDict looks at Django's settings when it is made."""
    if not django_conf.settings.configured:
        django_conf.settings.configure()


class OwnComparison(Comparison):
    """Expects the framework's class where the profile has one, and pytz's zones as they were."""

    def __init__(self, profile: str) -> None:
        super().__init__()
        self.own = OWN[profile]
        self.met: set[Any] = set()

    def differences(self, value: Any, expected: Any, path: str = "value") -> Iterator[str]:
        zone = expected.get("tz") if isinstance(expected, dict) and "$t" in expected else None
        if zone and zone["kind"].startswith("pytz"):
            self.met.add(pytz)
            found = value if expected["$t"] == "tzinfo" else value.tzinfo
            if not type(found).__module__.startswith("pytz") or found.zone != zone.get("name"):
                yield f"{path}: {found!r}, expected pytz's {zone}"
            if expected["$t"] == "tzinfo":
                return
        cls = self._class_of(expected)
        if cls is None:
            yield from super().differences(value, expected, path)
            return
        self.met.add(cls)
        if type(value) is not cls:
            yield f"{path}: a {type(value).__name__}, expected {cls.__name__}"
        elif expected["$t"] == "strsub":
            yield from super().differences(str.__str__(value), expected, path)
        else:
            yield from self._pairs(dict, dict(value.lists()), expected["v"], path)

    def _class_of(self, expected: Any) -> Any:
        if not isinstance(expected, dict) or expected.get("$t") not in {"strsub", "object"}:
            return None
        name = expected["class"]
        return self.own.get((name.partition(".")[0], name.rpartition(".")[2]))


@pytest.mark.parametrize("profile", OWN)
@pytest.mark.parametrize("sample", PLAIN, ids=str)
def test_a_profile_gives_the_frameworks_own_class(sample: Sample, profile: str) -> None:
    value = plainpickle.safe_loads(sample.data, policy=getattr(profiles, profile)())
    assert list(OwnComparison(profile).differences(value, sample.expected)) == []


@pytest.mark.parametrize("profile", OWN)
def test_the_corpus_holds_each_class_that_a_profile_gives(profile: str) -> None:
    comparison = OwnComparison(profile)
    for sample in PLAIN:
        value = plainpickle.safe_loads(sample.data, policy=getattr(profiles, profile)())
        list(comparison.differences(value, sample.expected))
    assert comparison.met == {*OWN[profile].values(), pytz}


@pytest.mark.parametrize("profile", OWN)
@pytest.mark.parametrize("sample", VALUES, ids=str)
def test_a_profile_reads_whatever_plain_reads(sample: Sample, profile: str) -> None:
    policy = getattr(profiles, profile)()
    plainpickle.safe_loads(sample.data, policy=policy)
    assert plainpickle.inspect(sample.data, policy=policy).verdict == "clean"


def test_a_query_dict_cannot_be_changed() -> None:
    def found(value: Any) -> Iterator[Any]:
        if isinstance(value, http.QueryDict):
            yield value
        elif isinstance(value, dict):
            for item in value.values():
                yield from found(item)

    queries = [
        query
        for sample in PLAIN
        for query in found(plainpickle.safe_loads(sample.data, policy=profiles.django()))
    ]
    assert queries
    for query in queries:
        with pytest.raises(AttributeError):
            query["page"] = "3"
