"""Django's, Flask's and Python's own JSON: they read what we wrote, we read what they wrote."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Callable

import pytest

from plainpickle import profiles
from plainpickle.session import SessionSerializer
from tests.differential.graphs import _bytes, _float
from tests.differential.isomorphism import RULES, Rule
from tests.session_format.exact import difference
from tests.session_format.golden_files import golden
from tests.session_format.values import TAGS, plain

signing = pytest.importorskip("django.core.signing")
tag = pytest.importorskip("flask.json.tag")
markupsafe = pytest.importorskip("markupsafe")

COUNT = 3000
DJANGO = signing.JSONSerializer()
FLASK = tag.TaggedJSONSerializer()
OURS = SessionSerializer(format="json", on_forbidden="raise")
OURS_IN_FLASK = SessionSerializer(policy=profiles.flask(), format="json", on_forbidden="raise")
WITH_MARKUP = {**RULES, markupsafe.Markup: Rule(str)}
ANY_TAGS = [f" {name}" for name in TAGS]
FLASK_TAGS = sorted(FLASK.tags)


def values(make: Callable[[Random], Any]) -> Iterator[Any]:
    for index in range(COUNT):
        yield make(Random(f"{make.__name__} {index}"))


def flask_value(rng: Random, depth: int = 0, tags: Sequence[str] = ANY_TAGS) -> Any:
    """What Flask's serializer holds without loss; one-key dicts have a key of `tags`."""
    p = rng.random()
    if p < 0.3 or depth > 4:
        return plain(rng, 3)
    if p < 0.4:
        return _bytes(rng)
    if p < 0.5:
        return uuid.UUID(int=rng.getrandbits(128))
    if p < 0.6:
        return markupsafe.Markup(rng.choice(("<b>", "", "é€😀", "\0", '"&amp;\\')))
    if p < 0.7:
        return {rng.choice(tags): flask_value(rng, depth + 1, tags)}
    made = [flask_value(rng, depth + 1, tags) for _ in range(rng.randrange(4))]
    if p < 0.8:
        return tuple(made)
    return made if p < 0.9 or len(made) == 1 else {f"k {i}": each for i, each in enumerate(made)}


def flask_session(rng: Random) -> Any:
    """What Flask's serializer writes and reads again: only its own tags are wrapped."""
    return flask_value(rng, tags=FLASK_TAGS)


def nan_too(rng: Random) -> Any:
    """What Python's json writes, with NaN, infinities and one-key dicts that are no tags."""
    return {"a": [plain(rng), _float(rng)], rng.choice(("t", "", "t ")): _float(rng)}


def test_plain_data_is_written_as_django_writes_it_and_read_by_it() -> None:
    for value in values(plain):
        text = OURS.dumps(value)
        assert text == DJANGO.dumps(value)
        assert difference(value, DJANGO.loads(text)) is None


def test_plain_data_is_read_by_flask() -> None:
    for value in values(plain):
        assert difference(value, FLASK.loads(OURS.dumps(value).decode())) is None


def test_flasks_own_types_are_read_by_flask() -> None:
    for value in values(flask_value):
        text = OURS_IN_FLASK.dumps(value).decode()
        assert difference(value, FLASK.loads(text), WITH_MARKUP) is None
        assert difference(value, OURS_IN_FLASK.loads(text), WITH_MARKUP) is None


def test_we_read_what_django_wrote() -> None:
    for value in values(plain):
        assert difference(value, OURS.loads(DJANGO.dumps(value))) is None


def test_we_read_what_flask_wrote() -> None:
    for value in values(flask_session):
        text = FLASK.dumps(value)
        assert (
            difference(FLASK.loads(text), OURS_IN_FLASK.loads(text.encode()), WITH_MARKUP) is None
        )
        assert OURS_IN_FLASK.loads(text) == value


@pytest.mark.parametrize(
    "moment",
    [
        dt.datetime(2024, 2, 29, 23, 59, 58, 7),
        dt.datetime(1000, 1, 1),
        dt.datetime(9999, 12, 31, 23, 59, 59),
        dt.datetime(2024, 5, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        dt.datetime(2024, 5, 1, 12, tzinfo=dt.timezone.utc),
    ],
    ids=str,
)
def test_we_read_a_datetime_of_flask_as_flask_does(moment: dt.datetime) -> None:
    text = FLASK.dumps({"seen": moment})
    assert '" d"' in text
    found = OURS.loads(text.encode())
    assert difference(FLASK.loads(text), found) is None
    assert found["seen"].tzinfo is dt.timezone.utc


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ensure_ascii": False},
        {"indent": 2},
        {"sort_keys": True},
        {"separators": (" , ", " : ")},
    ],
    ids=str,
)
def test_we_read_what_pythons_json_wrote(options: dict[str, Any]) -> None:
    for value in values(nan_too):
        text = json.dumps(value, **options)
        try:
            data = text.encode()
        except UnicodeEncodeError:  # a lone surrogate that was not escaped
            continue
        assert difference(json.loads(text), OURS.loads(data)) is None


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ({1}, {" set": [1]}),
        ({1: 2}, {" dict": [1, 2]}),
        (dt.date(2024, 2, 29), {" date": "2024-02-29"}),
        (float("inf"), {" f": "inf"}),
        (2**8192, {" int": hex(2**8192)}),
        ("\ud83d" + "\ude00", {" str": ["\ud83d", "\ude00"]}),
    ],
    ids=["set", "int key", "date", "infinity", "long int", "surrogates"],
)
def test_other_values_are_seen_as_a_dict_of_one_key(value: Any, seen: Any) -> None:
    text = OURS.dumps({"k": value})
    assert DJANGO.loads(text) == FLASK.loads(text.decode()) == {"k": seen}


def test_django_and_flask_read_every_text_that_we_write() -> None:
    for each in golden():
        if not each.read_only:
            DJANGO.loads(each.text)
            FLASK.loads(each.text.decode())
