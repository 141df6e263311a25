"""The stores that the processes of a site share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import servers


@pytest.fixture(scope="session")
def redis() -> Iterator[str]:
    """The address of a Redis."""
    with servers.redis() as socket:
        yield f"unix://{socket}"


def sqlite(folder: Path) -> dict[str, Any]:
    """The setting of a database in a file."""
    file = str(folder / "database")
    options = {"timeout": 20}
    return {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": file, "OPTIONS": options}}
