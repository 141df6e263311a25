"""Hostile JSON: whatever the text is, it ends in a plain value or an `UnpicklingError`.

What comes out is what the second reader gives, which has no limits: both refuse, or both give the
same value.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Callable

import pytest

import plainpickle
from plainpickle import LimitExceeded, Limits, profiles
from plainpickle.session import SessionSerializer
from tests.attacks.canary import watching
from tests.attacks.check import assert_message, assert_plain, attempt, warm_up
from tests.session_format.exact import difference
from tests.session_format.golden_files import golden
from tests.session_format.hostile import (
    HOSTILE,
    NAMES,
    NO_JSON,
    NO_UTF_8,
    PRIME,
    WRONG,
    Hostile,
    tagged,
)
from tests.session_format.reader import FORMS, RefusedError, read

ROOT = Path(__file__).parents[2]
SESSIONS = SessionSerializer(format="json", on_forbidden="raise")
PLAIN = [each for each in golden() if each.profiles == ("plain",)]
BEGINS = b'{["-tfn0123456789 \t\n\r'
MUTANTS = int(os.environ.get("JSON_MUTANTS", "10000"))


def check(text: bytes | str) -> str | None:
    """What is wrong with what came of a text, or None."""
    ours = attempt(lambda: SESSIONS.loads(text))
    if ours.error is not None:
        assert_message(ours.error)
    else:
        assert_plain(ours.value)
    begins_as_pickle = isinstance(text, bytes) and text[:1] not in BEGINS
    if isinstance(ours.error, LimitExceeded) or begins_as_pickle:
        return None
    try:
        second = read(text)
    except RecursionError:
        return None
    except RefusedError as error:
        # The builders of frameworks' values take more than the page promises.
        as_it_is = ours.error is not None or '" reduce"' in str(text)
        return None if as_it_is else f"gave {ours.value!a:.200}; not so: {error}"
    if ours.error is not None:
        return f"refused: {ours.error!r}; it is {second!a:.200}"
    return difference(second, ours.value)


def problems(texts: Any) -> list[str]:
    found = ((text, check(text)) for text in texts)
    return [f"{text!a:.300}: {problem}" for text, problem in found if problem][:20]


def refused(text: bytes | str) -> bool:
    return attempt(lambda: SESSIONS.loads(text)).error is not None


def test_what_is_no_json_is_refused() -> None:
    assert [text for text in NO_JSON if not refused(text)] == []
    assert [text for text in NO_JSON if not refused(text.encode())] == []
    assert problems(NO_JSON) == []


def test_what_is_no_utf_8_is_refused() -> None:
    assert [data for data in NO_UTF_8 if not refused(data)] == []


def test_surrogates_outside_of_escapes_are_refused() -> None:
    for text in ('"\ud800"', '{"\udc80":1}', "[\ud800]", '"\\ud83d\ude00"'):
        assert refused(text), ascii(text)


@pytest.mark.parametrize("tag", [*(form[1:] for form in FORMS), "stub", "cycle", "x", ""])
def test_any_content_of_any_tag_is_its_value_or_refused(tag: str) -> None:
    texts = [tagged(tag, content) for content in WRONG]
    assert problems(texts) == []
    assert problems(tagged("set", f"[{text}]") for text in texts) == []
    assert problems(tagged("dict", f"[{text},1]") for text in texts) == []


def test_repeated_and_tag_like_keys_are_merged_before_they_count() -> None:
    parts = ('" t":[1]', '" t":[2]', '"t":[1]', '" x":1', '" di":{" t__":1}', '" set":[[]]', '"":0')
    texts = [
        "{" + ",".join((one, two, *more)) + "}"
        for one in parts
        for two in parts
        for more in ((), (one,), ('" t":0',))
    ]
    nested = [tagged(tag, text) for text in texts for tag in ("di", "namespace", "t")]
    assert problems([*texts, *nested]) == []


def test_a_golden_file_cut_anywhere_is_refused_or_a_shorter_number() -> None:
    for each in PLAIN:
        text = each.text
        for end in range(0, len(text), 1 if len(text) < 500 else 97):
            ours = attempt(lambda end=end, text=text: SESSIONS.loads(text[:end]))  # type: ignore[misc]
            whole = text[:end].rstrip() == text.rstrip()
            assert ours.error is not None or whole or type(ours.value) in (int, float), text[:end]
            assert check(text[:end]) is None


def mutants(seed: str, count: int) -> Iterator[bytes]:
    """Golden files with bytes replaced, dropped, doubled and taken over from each other."""
    rng = Random(seed)
    texts = [each.text for each in PLAIN if len(each.text) < 500]
    pieces = [
        b'{" ',
        b'":',
        b"[",
        b"]",
        b"}",
        b",",
        b'"',
        b"\\",
        b"\\ud83d",
        b" ",
        b"0",
        b"9",
        b"-",
        b"e",
    ]
    pieces += [b'{"%s":' % tag.encode() for tag in FORMS] + [b"null", b"NaN", b"__", b"true", b"."]
    for _ in range(count):
        text = rng.choice(texts)
        for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
            at, other = rng.randint(0, len(text)), rng.choice(texts)
            end = min(at + rng.choice((0, 0, 1, 1, 2, 5)), len(text))
            start = rng.randint(0, len(other))
            new = rng.choice(
                (
                    b"",
                    text[at:end] * 2,
                    bytes((rng.randrange(256),)),
                    rng.choice(pieces),
                    other[start : start + rng.randint(1, 12)],
                    other,
                )
            )
            text = text[:at] + new + text[end:]
        yield text


def test_damaged_golden_files_are_refused_or_read_as_the_second_reader_does() -> None:
    assert problems(mutants("1", MUTANTS)) == []


@pytest.mark.parametrize("hostile", HOSTILE, ids=str)
def test_a_small_hostile_text_is_refused_or_read_as_the_second_reader_does(
    hostile: Hostile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert problems([hostile.text(hostile.small)]) == []


@pytest.mark.parametrize("profile", ["plain", "django", "flask"])
def test_a_name_that_the_profile_does_not_give_is_refused_and_runs_nothing(
    profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = SessionSerializer(
        policy=getattr(profiles, profile)(), format="json", on_forbidden="raise"
    )
    warm_up()
    attempt(lambda: sessions.loads('{" reduce":["os.system","x"]}'))
    monkeypatch.chdir(tmp_path)
    arguments: list[list[Any]] = [[], ["echo"], [[]], [{}], ["x", "y"], [{" t": ["x"]}], [5, None]]
    for name in NAMES:
        for args in arguments:
            text = json.dumps({" reduce": [name, *args]})
            with watching(tmp_path):
                error = attempt(lambda text=text: sessions.loads(text)).error  # type: ignore[misc]
            assert error is not None, text
            assert_message(error)


@pytest.mark.parametrize("profile", ["django", "flask"])
def test_odd_arguments_of_a_name_that_the_profile_gives_are_a_value_or_refused(
    profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = SessionSerializer(
        policy=getattr(profiles, profile)(), format="json", on_forbidden="raise"
    )
    own = [each for each in golden() if profile in each.profiles]
    assert own
    sessions.loads('{" zone":"Europe/Paris"}')
    for each in own:
        each.make()
        attempt(lambda each=each: sessions.loads(each.text))  # type: ignore[misc]
    monkeypatch.chdir(tmp_path)
    for name in {
        json.loads(each.text)[" reduce"][0] for each in own if b'{" reduce"' in each.text[:11]
    }:
        for content in (*WRONG, tagged("reduce", f'["{name}"]')):
            for args in (
                f"{content}",
                f"{content},{content}",
                f'"x",{content},0,"CET"',
                f"[{content}]",
            ):
                with watching(tmp_path, reads_zone=True):
                    error = attempt(
                        lambda: sessions.loads(f'{{" reduce":["{name}",{args}]}}')
                    ).error
                if error is not None:
                    assert_message(error)


# ---- limits


def deepest(loads: Callable[[int], Any]) -> int:
    """The greatest depth that is read, between 1 and 1100."""
    low, high = 1, 1100
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (
            (middle, high) if attempt(lambda: loads(middle)).error is None else (low, middle - 1)
        )
    return low


def test_depth_has_the_same_bound_as_in_pickles() -> None:
    as_pickle = deepest(lambda n: plainpickle.safe_loads(b"]" * n + b"a" * (n - 1) + b"."))
    assert 900 < as_pickle < 1100
    for opening, closing in (
        ("[", "]"),
        ('{"a":', "}"),
        ('{" t":[', "]}"),
        ('{" di":{" x__":', "}}"),
    ):
        inner = opening.replace('"a":', "").replace('{" di":{" x__":', "{") + closing.replace(
            "}}", "}"
        )
        as_json = deepest(lambda n: SESSIONS.loads(opening * (n - 1) + inner + closing * (n - 1)))
        assert as_json == as_pickle, opening


def test_keys_have_the_same_bound_as_in_pickles() -> None:
    def key(n: int) -> Any:
        made: Any = 1
        for _ in range(n):
            made = (made,)
        return made

    as_pickle = deepest(lambda n: plainpickle.safe_loads(pickle.dumps({key(n): 1})))
    as_json = deepest(lambda n: SESSIONS.loads('{" set":[%s]}' % ('{" t":[' * n + "1" + "]}" * n)))
    assert 90 < as_json == as_pickle < 110


LIMITED: dict[str, tuple[dict[str, int | None], str]] = {
    "white space": ({"max_bytes": 64}, "[" + " " * 100 + "]"),
    "lists": ({"max_depth": 10}, "[" * 20 + "]" * 20),
    "tuples": ({"max_depth": 10}, '{" t":[' * 20 + "]}" * 20),
    "keys": ({"max_key_depth": 10}, '{" dict":[%s,1]}' % ('{" t":[' * 20 + "]}" * 20)),
    "collisions": (
        {"max_probes": 1, "max_work": None},
        tagged("set", f"{[k * PRIME for k in range(5000)]}"),
    ),
    "digits": ({"max_int_digits": 16}, "1" * 20),
    "negative digits": ({"max_int_digits": 16}, "[-%s]" % ("1" * 20)),
    "bits": ({"max_int_bits": 64}, '{" int":"0x%s"}' % ("1" * 20)),
    "Decimal": ({"max_decimal_digits": 10}, '{" decimal":"%s"}' % ("1" * 20)),
    "Fraction": ({"max_decimal_digits": 10}, '{" fraction":[1,%s]}' % ("1" * 15)),
    "exponent": ({"max_decimal_exponent": 10}, '{" decimal":"1e20"}'),
    "addresses": ({"max_work": 10}, "[0" + ',{" ip":["IPv4Address","1.2.3.4"]}' * 100 + "]"),
}


@pytest.mark.parametrize(("bound", "text"), LIMITED.values(), ids=LIMITED)
def test_each_limit_bounds_json_too(bound: dict[str, int | None], text: str) -> None:
    limit = next(iter(bound))
    with pytest.raises(LimitExceeded) as caught:
        SessionSerializer(format="json", on_forbidden="raise", limits=Limits(**bound)).loads(text)
    assert caught.value.limit == limit
    none = dict.fromkeys(bound)
    unbounded = SessionSerializer(format="json", on_forbidden="raise", limits=Limits(**none))
    assert unbounded.loads(text) is not None


def test_more_bytes_than_the_limit_are_refused_at_once() -> None:
    text = b'"' + b" " * (64 << 20) + b'"'
    with pytest.raises(LimitExceeded) as caught:
        SESSIONS.loads(text)
    assert caught.value.limit == "max_bytes"


@pytest.mark.parametrize(
    ("text", "first"),
    [("[1,x]", 3), ('{"a":{" x":1}}', 5), ('[null,{" t":5}]', 6), ('[1,"ab', 3), ("[1]]", 3)],
)
def test_an_error_says_where_in_the_text_it_is(text: str, first: int) -> None:
    """In the value that is wrong, which begins at `first`."""
    error = attempt(lambda: SESSIONS.loads(text)).error
    assert error is not None
    assert first <= error.offset <= len(text)
    assert error.opcode is None


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="forks, and limits resources as Linux does"
)
def test_the_texts_at_full_size_take_linear_time_and_memory_and_little_stack() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.session_format.confined"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=1800,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads(done.stdout) == {}


def test_ids_are_unique() -> None:
    assert len({each.name for each in HOSTILE}) == len(HOSTILE)
