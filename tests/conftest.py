"""What every test starts with."""

from __future__ import annotations

import pytest

from plainpickle import events


@pytest.fixture(autouse=True)
def fresh_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit on records of refusals is the process's: other tests are no part of it."""
    monkeypatch.setattr(events, "_rate", events._Rate())
