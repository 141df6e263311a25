"""The stores of Flask-Session, of any version: how an app is set up, and how bytes get into it."""

from __future__ import annotations

import pickle
import sqlite3
import struct
import sys
import time
from contextlib import suppress
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import flask
import pytest

VERSION = tuple(int(each) for each in version("Flask-Session").split("."))
PREFIX = "session:"


class Redis:
    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self.client = request.getfixturevalue("redis_client")
        self.config = {"SESSION_TYPE": "redis", "SESSION_REDIS": self.client}

    def plant(self, sid: str, data: bytes) -> None:
        self.client.set(PREFIX + sid, data)

    def stored(self, sid: str) -> bytes | None:
        found: bytes | None = self.client.get(PREFIX + sid)
        return found


class Memcached:
    """By python-memcached."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        import memcache

        socket = request.getfixturevalue("memcached_socket")
        self.client = memcache.Client([f"unix:{socket}"])
        self._planter = memcache.Client([f"unix:{socket}"])
        self._planter.flush_all()
        self.config = {"SESSION_TYPE": "memcached", "SESSION_MEMCACHED": self.client}

    def plant(self, sid: str, data: bytes) -> None:
        assert self._planter.set(PREFIX + sid, data)

    def stored(self, sid: str) -> bytes | None:
        found: bytes | None = self._planter.get(PREFIX + sid)
        return found

    def close(self) -> None:
        self.client.disconnect_all()
        self._planter.disconnect_all()


class Files:
    """By cachelib."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self.folder = folder / "sessions"
        self.config = {"SESSION_TYPE": "filesystem", "SESSION_FILE_DIR": str(self.folder)}

    def _file(self, sid: str) -> Path:
        from cachelib.file import FileSystemCache

        return Path(FileSystemCache(str(self.folder))._get_filename(PREFIX + sid))

    def _time(self) -> bytes:
        later = int(time.time()) + 1000
        in_four_bytes = "struct" in vars(sys.modules["cachelib.file"])
        return struct.pack("I", later) if in_four_bytes else pickle.dumps(later, 1)

    def plant(self, sid: str, data: bytes) -> None:
        file = self._file(sid)
        file.write_bytes(self._time() + data)

    def stored(self, sid: str) -> bytes | None:
        with suppress(FileNotFoundError):
            return self._file(sid).read_bytes()[len(self._time()) :]
        return None


class CachelibRedis:
    """cachelib's RedisCache, with a mark before each value."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        from cachelib import RedisCache

        self.client = request.getfixturevalue("redis_client")
        self.config = {"SESSION_TYPE": "cachelib", "SESSION_CACHELIB": RedisCache(self.client)}

    def plant(self, sid: str, data: bytes) -> None:
        self.client.set(PREFIX + sid, b"!" + data)

    def stored(self, sid: str) -> bytes | None:
        found: bytes | None = self.client.get(PREFIX + sid)
        return None if found is None else found[1:]


class SqlAlchemy:
    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self.path = folder / "sessions.db"
        self.config = {
            "SESSION_TYPE": "sqlalchemy",
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{self.path}",
            "SQLALCHEMY_TRACK_MODIFICATIONS": False,
        }
        self.used: list[tuple[flask.Flask, Any]] = []

    def close(self) -> None:
        for app, database in self.used:
            with app.app_context():
                database.session.remove()
                database.engine.dispose()

    def plant(self, sid: str, data: bytes) -> None:
        later = (datetime.now() + timedelta(days=9)).isoformat(" ")
        with sqlite3.connect(self.path) as database:
            row = (PREFIX + sid, data, later)
            database.execute("DELETE FROM sessions WHERE session_id = ?", row[:1])
            database.execute(
                "INSERT INTO sessions (session_id, data, expiry) VALUES (?, ?, ?)", row
            )
        database.close()

    def stored(self, sid: str) -> bytes | None:
        with sqlite3.connect(self.path) as database:
            query = "SELECT data FROM sessions WHERE session_id = ?"
            row = database.execute(query, (PREFIX + sid,)).fetchone()
        database.close()
        return None if row is None else row[0]


class MongoDb:
    """A stand-in for the server, which no package index has."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        import pymongo

        documents: dict[str, dict[str, Any]] = {}

        class Collection:
            def create_index(self, *_: Any, **__: Any) -> None: ...

            def find_one(self, query: dict[str, str]) -> dict[str, Any] | None:
                return documents.get(query["id"])

            def find(self, *_: Any) -> list[dict[str, Any]]:
                return [{**each, "_id": n} for n, each in enumerate(documents.values())]

            def delete_one(self, query: dict[str, str]) -> None:
                documents.pop(query["id"], None)

            def update_one(self, query: Any, change: Any, upsert: bool) -> None:
                self.update(query, change["$set"], upsert)

            def update(self, query: Any, document: Any, upsert: bool) -> None:
                at = document["expiration"]
                naive = at and at.replace(tzinfo=None)  # as the server gives it
                documents[query["id"]] = {**document, "expiration": naive}

            remove = delete_one

        class Client(pymongo.MongoClient):  # type: ignore[type-arg]
            def __getitem__(self, name: str) -> Any:
                return {"sessions": Collection()}

        self.documents = documents
        self.client: Any = Client(connect=False)
        self.config = {"SESSION_TYPE": "mongodb", "SESSION_MONGODB": self.client}

    def plant(self, sid: str, data: bytes) -> None:
        later = datetime.now() + timedelta(days=9)
        self.documents[PREFIX + sid] = {"id": PREFIX + sid, "val": data, "expiration": later}

    def stored(self, sid: str) -> bytes | None:
        return self.documents.get(PREFIX + sid, {}).get("val")

    def close(self) -> None:
        self.client.close()


STORES: list[type[Any]] = [Redis, Memcached, Files, CachelibRedis, SqlAlchemy, MongoDb]


def made(cls: type[Any], request: pytest.FixtureRequest, folder: Path) -> Any:
    """The store, or a skip where this version of Flask-Session has none of its kind."""
    if cls is CachelibRedis and VERSION < (0, 7):
        pytest.skip("Flask-Session takes a cache since 0.7")
    if cls is SqlAlchemy:
        pytest.importorskip("flask_sqlalchemy")
    if cls is MongoDb:
        pytest.importorskip("pymongo")
    store = cls(request, folder)
    request.addfinalizer(getattr(store, "close", lambda: None))
    return store


def set_up(app: flask.Flask, store: Any) -> flask.Flask:
    """What an app does by itself: `Session(app)`."""
    from flask_session import Session

    app.config.update(store.config)
    for name in ("cachelib.file", "pymemcache.serde"):
        if hasattr(sys.modules.get(name), "pickle"):  # another app's Plainpickle was here
            setattr(sys.modules[name], "pickle", pickle)  # noqa: B010  # mypy knows no such name
    if isinstance(store, SqlAlchemy):
        import flask_sqlalchemy

        app.config["SESSION_SQLALCHEMY"] = database = flask_sqlalchemy.SQLAlchemy(app)
        Session(app)
        store.used.append((app, database))
        with app.app_context():
            database.create_all()
    else:
        Session(app)
    return app
