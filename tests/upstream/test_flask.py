"""The own tests of Flask, Flask-Session and cachelib, with plainpickle in place."""

from __future__ import annotations

import shutil
from concurrent.futures import Future
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.upstream.suites import CACHELIB, Ran, at_once, compare, run_pytest, sdist

# Of the newest Flask-Session: its distribution has no tests.
OWN = Path(__file__).with_name("flask_session")
# MongoDB has no server here; and the newest refuses the "null" that was the default.
OLD = [
    "test_session.py",
    "--deselect=test_session.py::FlaskSessionTestCase::test_mongodb_session",
    "--deselect=test_session.py::FlaskSessionTestCase::test_null_session",
]
# It wants an older Werkzeug.
FLASK = ["tests", "--deselect=tests/test_reqctx.py::test_bad_environ_raises_bad_request"]


def test_flask() -> None:
    folder = sdist("flask", version("Flask"))
    compare("flask", *twice(folder, FLASK, "flask_interface"))


def test_the_tests_that_older_versions_of_flask_session_brought(tmp_path: Path) -> None:
    folder = copied(sdist("Flask-Session", "0.5.0"), tmp_path)
    compare("flask_session_0.5", *twice(folder, OLD, "flask_session"))


def test_the_newest_flask_session(tmp_path: Path) -> None:
    folder = copied(OWN, tmp_path)
    compare("flask_session", *twice(folder, ["."], "flask_session"))


def twice(folder: Path, files: list[str], put: str) -> list[Ran]:
    """As it is, and with plainpickle in place."""
    return at_once(partial(run_pytest, folder, files), partial(run_pytest, folder, files, put))


def copied(suite: Path, to: Path) -> Path:
    """Where a suite can write into the current folder, which it does."""
    return Path(shutil.copytree(suite, to / "suite"))


@pytest.mark.parametrize("file", CACHELIB)
def test_cachelib(file: str, cachelib: dict[Any, Future[Any]]) -> None:
    compare("cachelib", cachelib[file, None].result(), cachelib[file, "cachelib"].result())
