"""The scripts in examples/, run as a reader runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_demo_shows_what_was_read_what_was_refused_and_the_attack_on_both() -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "demo.py"], capture_output=True, check=True, timeout=120
    )
    shown = done.stdout.decode()
    assert "Django 1.4.22   Python 2.7" in shown
    assert "shopapp.cart.Cart" in shown
    assert "pickle.loads            ran a shell, which said: vulnerable_to_rce" in shown
    assert "plainpickle.safe_loads  ForbiddenGlobal: os.system is not allowed" in shown
    assert "SessionSerializer().loads  {'total': Decimal('19.99'), 'user': 5}" in shown
    assert "reason=dangerous_global, global=os.system, action=dropped, key=cart" in shown
    assert not done.stderr
    assert "\x1b" not in shown
