"""The own tests of Flask, Flask-Session and cachelib, with plainpickle in place."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import Future
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.upstream.suites import CACHELIB, at_once, compare, run_pytest, sdist


def test_flask() -> None:
    folder = sdist("flask", version("Flask"))
    files = ["--ignore=tests/test_cli.py", "tests"]
    stock, ours = at_once(
        lambda: run_pytest(folder, files), lambda: run_pytest(folder, files, "flask_interface")
    )
    compare("flask", stock, ours)


def test_flask_session(tmp_path: Path) -> None:
    checkout = os.environ.get("FLASK_SESSION_TESTS")
    if checkout is None:
        pytest.skip("it is published without its tests: FLASK_SESSION_TESTS names a folder of them")
    folder = tmp_path / "suite"  # it writes into the current one
    shutil.copytree(checkout, folder)
    compare("flask_session", run_pytest(folder, ["."]), run_pytest(folder, ["."], "flask_session"))


@pytest.mark.parametrize("file", CACHELIB)
def test_cachelib(file: str, cachelib: dict[Any, Future[Any]]) -> None:
    compare("cachelib", cachelib[file, None].result(), cachelib[file, "cachelib"].result())
