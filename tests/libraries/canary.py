"""What the tests store: a session of plain values, and a canary whose pickle is an attack."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.differential.isomorphism import difference

_LINE = {"sku": ("A1", 3), "price": Decimal("19.99")}
SESSION: dict[str, Any] = {
    "user": "Zoë",
    "since": datetime(2019, 3, 4, 5, 6, 7, 890, tzinfo=timezone.utc),
    "token": b"\x00\xff.",
    "seen": {3, 5},
    "visit": UUID(int=1 << 127),
    "cart": [_LINE, _LINE],
}


def assert_session(actual: Any) -> None:
    """It has the values, types and sharing of `SESSION`."""
    assert difference(SESSION, actual) is None


class Canary:
    """A value whose pickle makes a file, by a shell, when pickle reads it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "canary"

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f": > {shlex.quote(str(self._path))}",)

    def sang(self) -> bool:
        """Whether it was run since it was last asked."""
        with suppress(FileNotFoundError):
            self._path.unlink()
            return True
        return False
