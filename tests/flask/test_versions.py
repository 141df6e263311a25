"""The tests of Flask-Session's stores, with the older versions that `make test` installs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import missing

ROOT = Path(__file__).parents[2]
PINS = (ROOT / "requirements" / "flask-session.txt").read_text("utf-8")
VERSIONS = re.findall(r"^Flask-Session==([0-9.]+)", PINS, re.MULTILINE)
LEGACY = Path(f"{sys.prefix}-legacy", "bin", "python")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_stores_of_an_older_flask_session(version: str) -> None:
    folder = Path(sys.prefix, "flask-session", version)
    if not folder.exists():
        missing(f"no Flask-Session {version}; `make test` installs it")
    files = ["tests/flask/test_adapters.py"]
    if version == "0.5.0":
        files.append("tests/libraries/flask_session_by_hand.py")
    in_front = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    run(sys.executable, files, PYTHONPATH=in_front)


def test_flask_session_0_3_on_flask_1_1() -> None:
    if not LEGACY.exists():
        missing("no environment with the old versions beside this one; `make test` makes it")
    files = ["test_adapters.py", "test_cookies.py", "test_extension.py", "kvsession.py"]
    run(str(LEGACY), [f"tests/flask/{each}" for each in files])


def run(python: str, files: list[str], **environment: str) -> None:
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", *files]
    ran = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    if ran.returncode or " passed" not in ran.stdout:
        pytest.fail(ran.stdout + ran.stderr, pytrace=False)
