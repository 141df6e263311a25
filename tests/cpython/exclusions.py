"""Which of CPython's tests do not pass, and why: `excluded.json`, read and enforced."""

from __future__ import annotations

import functools
import json
import re
import sys
import unittest
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

LIST = Path(__file__).with_name("excluded.json")
CATEGORIES = ("arbitrary class", "deliberate limit", "divergence")


@dataclass(frozen=True)
class Exclusion:
    """An entry: the test, the faces on which it fails, and what it must fail with.

    `failure` is a regular expression, searched in the type and text of the exception: a listed test
    that starts to fail for another reason is a fault.
    """

    test: str
    faces: tuple[str, ...]
    category: str
    failure: str
    reason: str
    variant: str | None = None  # the test in test_plain_variants.py that keeps its intent
    since: str = "3.9"  # The first and the last CPython that surely has the test. Where another has
    until: str = "3.99"  # it too, as patch releases get new tests, it is listed there as well,
    passes_until: str = "3"  # but for the Pythons on which it passes: up to this one.

    def applies(self, face: str) -> bool:
        there = self.faces == ("all",) or face in self.faces
        return there and running() > version(self.passes_until)

    def must_exist(self) -> bool:
        return version(self.since) <= running() <= version(self.until)


def version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def running() -> tuple[int, ...]:
    return sys.version_info[:2]


def exclusions() -> tuple[Exclusion, ...]:
    rows = json.loads(LIST.read_text("utf-8"))
    return tuple(Exclusion(**{**row, "faces": tuple(row["faces"])}) for row in rows)


def must_fail(exclusion: Exclusion, test: Callable[[Any], None]) -> Callable[[Any], None]:
    """The test, as one that has to fail in the way that is listed."""

    @functools.wraps(test)
    def listed(self: Any) -> None:
        outcome = ""
        try:
            test(self)
        except unittest.SkipTest:
            raise
        except Exception as failure:
            outcome = f"{type(failure).__name__}: {failure}"
            if re.search(exclusion.failure, outcome) is None:
                raise
        # Not in the clause above: pytest would format the trace of an exception that is expected.
        if outcome:
            pytest.xfail(f"{exclusion.category}: {exclusion.reason}")
        pytest.fail(f"passes, but excluded.json lists it: {exclusion.reason}")

    return listed
