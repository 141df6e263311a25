"""Starts the tests of `legacy/` in the environment that `make test` makes for old versions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import missing

ROOT = Path(__file__).parents[2]
PYTHON = Path(f"{sys.prefix}-legacy", "bin", "python")
FILES = sorted(Path(__file__).with_name("legacy").glob("[!_]*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda each: each.stem)
def test_old_version(file: Path) -> None:
    if not PYTHON.exists():
        missing("no environment with the old versions beside this one; `make test` makes it")
    # Old libraries are full of what is deprecated by now.
    command = [str(PYTHON), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore"]
    ran = subprocess.run(
        [*command, file], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    if ran.returncode:
        pytest.fail(ran.stdout + ran.stderr, pytrace=False)
    if " skipped" in ran.stdout:
        missing(ran.stdout)
