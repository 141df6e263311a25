"""The fixtures of the Flask tests: servers and canary as in the libraries', and all events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from plainpickle import events
from tests.libraries.conftest import canary, memcached_socket, redis_client, redis_socket

__all__ = ["canary", "memcached_socket", "redis_client", "redis_socket", "reported"]


@pytest.fixture
def reported() -> Iterator[list[dict[str, Any]]]:
    """Every event since the start of the test, also those that the log would leave out."""
    found: list[dict[str, Any]] = []
    unsubscribe = events.subscribe(found.append)
    yield found
    unsubscribe()
