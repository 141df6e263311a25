"""The fixtures of the library tests: the servers, the canary, and the records of refusals."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests import servers
from tests.libraries.canary import Canary

# What is on record of one canary that was refused.
ATTACK = [("CRITICAL", "dangerous_global")]


@pytest.fixture(scope="session")
def redis_socket() -> Iterator[str]:
    with servers.redis() as path:
        yield path


@pytest.fixture
def redis_client(redis_socket: str) -> Iterator[redis.Redis]:
    """A client of an empty Redis."""
    with redis.Redis(unix_socket_path=redis_socket) as client:
        client.flushall()
        yield client


@pytest.fixture(scope="session")
def memcached_socket() -> Iterator[str]:
    with servers.memcached() as path:
        yield path


@pytest.fixture
def canary(tmp_path: Path) -> Canary:
    return Canary(tmp_path)


class Refusals:
    """The level and reason of what was logged on `plainpickle.security` since it was last asked."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def __call__(self) -> list[tuple[Any, Any]]:
        found = [
            (record.levelname, record.plainpickle["reason"])  # type: ignore[attr-defined]
            for record in self._caplog.records
            if record.name == "plainpickle.security"
        ]
        self._caplog.clear()
        return found


@pytest.fixture
def refusals(caplog: pytest.LogCaptureFixture) -> Refusals:
    caplog.set_level(logging.WARNING, "plainpickle.security")
    return Refusals(caplog)
