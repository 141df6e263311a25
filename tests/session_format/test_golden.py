"""Version 1 of the session format, byte for byte: what is written, and what it reads as."""

from __future__ import annotations

import json
import pickletools
import re
from pathlib import Path
from typing import Any

import pytest

import plainpickle
from plainpickle import profiles
from plainpickle.session import SessionSerializer
from tests.session_format.exact import difference
from tests.session_format.golden_files import FOLDER, Golden, golden
from tests.session_format.reader import FORMS, RefusedError, read

GOLDEN = golden()
CASES = [(each, profile) for each in GOLDEN for profile in each.profiles]
WRITTEN = [(each, profile) for each, profile in CASES if not each.read_only]
PAGE = (Path(__file__).parents[2] / "docs" / "session-format.md").read_text("utf-8")
ROW = re.compile(r"^\|(?: \w+ \|)? `(.+)`( \(read only\))? \| `(.+)` \|$", re.MULTILINE)


def serializer(profile: str = "plain") -> SessionSerializer:
    policy = getattr(profiles, profile)()
    return SessionSerializer(policy=policy, format="json", on_forbidden="raise")


def differs(expected: Any, actual: Any, profile: str) -> str | None:
    if profile == "plain":
        return difference(expected, actual)
    same = type(actual) is type(expected) and actual == expected
    return None if same else f"{actual!r} is not {expected!r}"


@pytest.mark.parametrize(("case", "profile"), WRITTEN, ids=str)
def test_the_writer_gives_exactly_these_bytes(case: Golden, profile: str) -> None:
    # In a list: a session that is itself a subclass of dict would be written as a dict.
    assert serializer(profile).dumps([case.make()]) == b"[" + case.text + b"]"


@pytest.mark.parametrize(("case", "profile"), CASES, ids=str)
def test_the_reader_gives_exactly_this_value(case: Golden, profile: str) -> None:
    assert differs(case.make(), serializer(profile).loads(case.text), profile) is None


@pytest.mark.parametrize(("case", "profile"), CASES, ids=str)
def test_text_reads_as_its_bytes_do(case: Golden, profile: str) -> None:
    assert differs(case.make(), serializer(profile).loads(case.text.decode()), profile) is None


@pytest.mark.parametrize("case", [c for c, p in CASES if p == "plain"], ids=str)
def test_the_reader_written_from_the_page_gives_this_value(case: Golden) -> None:
    assert difference(case.make(), read(case.text)) is None


def test_only_what_nobody_writes_is_not_ascii() -> None:
    assert all(each.text.isascii() for each in GOLDEN if not each.read_only)


def test_every_file_is_in_the_manifest() -> None:
    listed = re.findall(r'"file": "([^"]+)"', (FOLDER / "MANIFEST.json").read_text("utf-8"))
    assert sorted(listed) == sorted(path.name for path in (FOLDER / "golden").iterdir())


def test_every_example_of_the_page_is_a_golden_file() -> None:
    rows = [(row[1], bool(row[2]), row[3].encode()) for row in ROW.finditer(PAGE)]
    assert len(rows) > 55
    missing = set(rows) - {(each.value, each.read_only, each.text) for each in GOLDEN}
    assert not missing


def test_every_tag_of_the_page_has_a_golden_file_and_is_read_by_the_second_reader() -> None:
    named = {f" {tag}" for tag in re.findall(r'`" (\w+)"`', PAGE)} - {" stub", " cycle"}
    shown = {f" {tag}" for each in GOLDEN for tag in re.findall(r'\{" (\w+)":', each.text.decode())}
    assert named == shown & named
    assert named == set(FORMS)


@pytest.mark.parametrize(
    "tag", [" stub", " cycle", " T", " ", "  t", " t ", " str__", " surrogates"]
)
def test_an_unknown_tag_is_refused_as_one_wherever_it_stands(tag: str) -> None:
    for text in (
        '{"%s":[]}',
        '[1,{"a":{"%s":{}}}]',
        '{" t":[{"%s":null}]}',
        '{" dict":[1,{"%s":1}]}',
    ):
        with pytest.raises(plainpickle.UnpicklingError) as caught:
            serializer().loads(text % tag)
        assert caught.value.kind == "unknown_tag"
        with pytest.raises(RefusedError):
            read(text % tag)


@pytest.mark.parametrize("tag", [*FORMS, " stub", " x", " "])
def test_an_object_of_several_keys_is_a_dict_whatever_they_are(tag: str) -> None:
    for content in (1, None, "x", [], [1], {}, {"a": 1}, {"a": 1, "b": 2}, {" t": 1, " b": 2}):
        for value in (
            {tag: content, "a": 2},
            {"a": 2, tag: content},
            {tag: content, f"{tag}__": 1},
        ):
            assert difference(value, serializer().loads(json.dumps(value))) is None
            assert difference(value, serializer().loads(serializer().dumps(value))) is None


def test_no_pickle_begins_with_a_byte_that_begins_json() -> None:
    opcodes = {opcode.code: opcode for opcode in pickletools.opcodes}
    for first in '{["-tfn0123456789 \t\n\r':
        assert first not in opcodes or opcodes[first].stack_before, first


@pytest.mark.parametrize("first", '{["-tfn0123456789 \t\n\r')
def test_what_begins_as_json_is_never_tried_as_a_pickle(first: str) -> None:
    data = first.encode() + b"cos\nsystem\n(S'true'\ntR."
    with pytest.raises(plainpickle.UnpicklingError) as caught:
        serializer().loads(data)
    assert not isinstance(caught.value, plainpickle.ForbiddenGlobal)


@pytest.mark.parametrize("text", ["NaN", "Infinity"])
def test_a_bare_nan_or_infinity_is_no_session_in_bytes(text: str) -> None:
    with pytest.raises(plainpickle.UnpicklingError):
        serializer().loads(text.encode())
