"""Where sessions are kept: in the Redis of REDIS_URL, else in a file that stands in for one."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLE = "CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value BLOB, until REAL)"


def client() -> Any:
    """A client of Redis, or what stands in for one."""
    if url := os.environ.get("REDIS_URL"):
        return redis.Redis.from_url(url)
    return FileRedis(os.environ.get("SHOP_STORE", Path(__file__).with_name("redis.sqlite3")))


class FileRedis(redis.Redis):  # type: ignore[misc]  # Flask-Session takes no other client
    """As much of a client of Redis as sessions need, in a file of SQLite."""

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._run(TABLE)

    def get(self, name: str) -> bytes | None:
        rows = self._run("SELECT value FROM kept WHERE name = ? AND until > ?", name, time.time())
        return rows[0][0] if rows else None

    def set(self, name: str, value: bytes, ex: int) -> None:
        until = time.time() + ex
        self._run("REPLACE INTO kept VALUES (?, ?, ?)", name, value, until)

    def setex(self, name: str, seconds: int, value: bytes) -> None:
        self.set(name, value, seconds)

    def delete(self, name: str) -> None:
        self._run("DELETE FROM kept WHERE name = ?", name)

    def mget(self, names: list[str]) -> list[bytes | None]:
        return [self.get(name) for name in names]

    def scan_iter(self, match: str, count: int | None = None) -> Iterator[str]:  # noqa: ARG002
        for (name,) in self._run("SELECT name FROM kept WHERE name GLOB ?", match):
            yield name

    def _run(self, statement: str, *values: Any) -> list[Any]:
        with closing(sqlite3.connect(self._path)) as database, database:
            return database.execute(statement, values).fetchall()
