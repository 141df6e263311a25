"""The own tests of Flask, Flask-Session and cachelib, with plainpickle in place."""

from __future__ import annotations

import shutil
from concurrent.futures import Future
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.upstream.suites import CACHELIB, compare, run_pytest, sdist

FLASK_SESSION = Path(__file__).with_name("flask_session_0_8")


def test_flask() -> None:
    folder = sdist("flask", version("Flask"))
    files = ["--ignore=tests/test_cli.py", "tests"]
    compare("flask", run_pytest(folder, files), run_pytest(folder, files, "flask_interface"))


def test_flask_session(tmp_path: Path) -> None:
    folder = tmp_path / "suite"  # it writes into the current one
    shutil.copytree(FLASK_SESSION, folder)
    compare("flask_session", run_pytest(folder, ["."]), run_pytest(folder, ["."], "flask_session"))


@pytest.mark.parametrize("file", CACHELIB)
def test_cachelib(file: str, cachelib: dict[Any, Future[Any]]) -> None:
    compare("cachelib", cachelib[file, None].result(), cachelib[file, "cachelib"].result())
