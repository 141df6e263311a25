"""The README of this folder says what the cases say."""

from __future__ import annotations

from tests.attacks.table import README, readme


def test_readme_is_up_to_date() -> None:
    """If it is not: `python -m tests.attacks.table`."""
    assert README.read_text("utf-8") == readme()
