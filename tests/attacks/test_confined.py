"""Runs the cases in children at full size: measured, then with a small stack and address space."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="forks, and limits resources as Linux does"
)


@pytest.mark.parametrize("mode", ["measured", "little-room"])
def test_attacks_end_well_at_full_size(mode: str) -> None:
    """Time and memory are linear; 192 KiB of stack and 1 GiB of address space are enough."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.attacks.confined", mode],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=1800,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads(done.stdout) == {}
