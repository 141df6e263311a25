"""Inside the process of Django's suite: puts plainpickle's engines in place, and keeps outcomes."""

from __future__ import annotations

import json
import os
import unittest
from importlib import import_module
from pathlib import Path
from typing import Any

from django.test.runner import DiscoverRunner

from tests.upstream.asked import Asked

ENGINES = ("db", "cached_db", "cache", "file", "signed_cookies")


class Result(unittest.TextTestResult):
    """How each test ended."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.tests: dict[str, tuple[str, str]] = {}

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802  # unittest's name
        super().addSuccess(test)
        self.tests.setdefault(test.id(), ("passed", ""))

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802
        super().addSkip(test, reason)
        self.tests[test.id()] = ("skipped", "")

    def addExpectedFailure(self, test: unittest.TestCase, error: Any) -> None:  # noqa: N802
        super().addExpectedFailure(test, error)
        self.tests[test.id()] = ("xfailed", "")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().addUnexpectedSuccess(test)
        self.tests[test.id()] = ("failed", "unexpected success")

    def addFailure(self, test: unittest.TestCase, error: Any) -> None:  # noqa: N802
        super().addFailure(test, error)
        self.tests[test.id()] = ("failed", f"{error[0].__name__}: {error[1]}")

    def addError(self, test: unittest.TestCase, error: Any) -> None:  # noqa: N802
        super().addError(test, error)
        self.tests[test.id()] = ("failed", f"{error[0].__name__}: {error[1]}")

    def addSubTest(self, test: Any, subtest: Any, error: Any) -> None:  # noqa: N802
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.tests[test.id()] = ("failed", f"{error[0].__name__}: {error[1]}")


class Runner(DiscoverRunner):  # type: ignore[misc]
    """Django's runner."""

    def build_suite(self, *arguments: Any, **options: Any) -> Any:
        if json.loads(os.environ["IN_PLACE"]).get("engines"):
            put_engines_in_place()
        return super().build_suite(*arguments, **options)

    def get_resultclass(self) -> type[Result]:
        return Result

    def run_suite(self, suite: Any, **options: Any) -> Any:
        asked = Asked()
        result = super().run_suite(suite, **options)
        outcomes = {"tests": result.tests, "asked": asked.times}
        Path(os.environ["OUTCOMES"]).write_text(json.dumps(outcomes), "utf-8")
        return result


def put_engines_in_place() -> None:
    """Gives everybody who names a store of Django's that of plainpickle, which derives from it."""
    ours = {name: import_module(f"plainpickle.django.sessions.{name}") for name in ENGINES}
    for name, engine in ours.items():
        stock: Any = import_module(f"django.contrib.sessions.backends.{name}")
        stock.SessionStore = engine.SessionStore
