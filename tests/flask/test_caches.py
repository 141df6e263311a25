"""Flask-Caching, on every cache that leaves the process: a hostile entry is a miss and an event."""

from __future__ import annotations

import pickle
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import pytest
from flask_caching import Cache

import plainpickle.flask
from tests.libraries.canary import SESSION, Canary, assert_session

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries, about each other
KEY = "view//"
CLIENTS: list[Any] = []


class Files:
    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self.config = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(folder / "cache")}

    def plant(self, cache: Any, data: bytes) -> None:
        file = Path(cache.cache._get_filename(KEY))
        file.write_bytes(struct.pack("I", int(time.time()) + 1000) + data)


class Redis:
    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        request.getfixturevalue("redis_client")
        socket = request.getfixturevalue("redis_socket")
        self.config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": f"unix://{socket}"}

    def plant(self, cache: Any, data: bytes) -> None:
        cache.cache._write_client.set(f"flask_cache_{KEY}", b"!" + data)


class Memcached:
    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        import memcache

        socket = request.getfixturevalue("memcached_socket")
        self.client = memcache.Client([f"unix:{socket}"])
        self.client.flush_all()
        CLIENTS.append(self.client)
        self.config: dict[str, Any] = {
            "CACHE_TYPE": "MemcachedCache",
            "CACHE_MEMCACHED_SERVERS": self.client,
        }

    def plant(self, cache: Any, data: bytes) -> None:
        server, key = self.client._get_server(f"flask_cache_{KEY}".encode())
        server.send_cmd(b"set %s 1 0 %d\r\n%s" % (key, len(data), data))
        server.expect(b"STORED", raise_exception=True)


class Pylibmc(Memcached):
    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        super().__init__(request, folder)
        pylibmc: Any = pytest.importorskip("pylibmc")
        socket = request.getfixturevalue("memcached_socket")
        self.config["CACHE_MEMCACHED_SERVERS"] = pylibmc.Client([socket])


class Shop:
    """A view that is cached, and counts how often it ran."""

    def __init__(self, store: Any, *, safe: bool) -> None:
        self.app = flask.Flask("shop")
        self.app.config.update(store.config, SECRET_KEY="not real")
        self.cache = Cache(self.app)
        self.runs = 0
        self.answer: Any = "fresh"
        self.app.add_url_rule("/", "index", self.cache.cached()(self._index))
        if safe:
            plainpickle.flask.Plainpickle(self.app)
        with self.app.app_context():
            for name in ("_client", "_write_client", "_read_client"):
                CLIENTS.append(getattr(self.cache.cache, name, None))
        self._client = self.app.test_client()

    def _index(self) -> Any:
        self.runs += 1
        return self.answer

    def get(self) -> str:
        response = self._client.get("/")
        assert response.status_code == 200
        return response.get_data(as_text=True)


@pytest.fixture(params=[Files, Redis, Memcached, Pylibmc], ids=lambda each: each.__name__)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return request.param(request, tmp_path)


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    for client in CLIENTS:
        for name in ("close", "disconnect_all"):
            getattr(client, name, dict)()
    CLIENTS.clear()


def test_what_either_cached_the_other_reads(store: Any) -> None:
    for first, second in ((False, True), (True, False)):
        writer, reader = Shop(store, safe=first), Shop(store, safe=second)
        with writer.app.app_context():
            writer.cache.clear()
            writer.cache.set("basket", SESSION)
        with reader.app.app_context():
            assert_session(reader.cache.get("basket"))
        assert writer.get() == reader.get() == "fresh"
        assert (writer.runs, reader.runs) == (1, 0)


def test_a_hostile_entry_is_a_miss_and_one_event_and_runs_under_stock_only(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    store: Any,
    canary: Canary,
    reported: list[dict[str, Any]],
) -> None:
    shop = Shop(store, safe=True)
    with shop.app.app_context():
        store.plant(shop.cache, pickle.dumps(canary))
    assert shop.get() == "fresh"
    assert (shop.get(), shop.runs) == ("fresh", 1)
    assert not canary.sang()
    assert [event["reason"] for event in reported] == ["dangerous_global"]
    stock = Shop(type(store)(request, tmp_path), safe=False)
    with stock.app.app_context():
        store.plant(stock.cache, pickle.dumps(canary))
    stock._client.get("/")
    assert canary.sang()


@pytest.mark.parametrize("data", [b"junk", b"", b"\x80\x04\x95", b"Nr\x00\x00\x00\x2e."])
def test_a_damaged_entry_is_a_miss(store: Any, data: bytes, reported: list[Any]) -> None:
    shop = Shop(store, safe=True)
    with shop.app.app_context():
        store.plant(shop.cache, data)
    assert shop.get() == "fresh"
    assert len(reported) == bool(data)  # an empty one is the end of a stream


def test_part_of_an_entry_is_never_given_for_the_whole(
    store: Any, canary: Canary, reported: list[dict[str, Any]]
) -> None:
    shop = Shop(store, safe=True)
    with shop.app.app_context():
        store.plant(shop.cache, pickle.dumps({"price": 5, "evil": canary}))
        assert shop.cache.get(KEY) is None
    assert not canary.sang()
    assert [event["action"] for event in reported] == ["refused"]


def test_what_could_not_be_read_back_is_not_cached_and_the_log_names_it(
    store: Any, canary: Canary, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop(store, safe=True)
    with shop.app.app_context():
        shop.cache.set("basket", {"lines": [canary]})
        assert shop.cache.get("basket") is None
    assert "not cached: lines[0]: " in caplog.text


def test_counters_in_redis_stay_numbers(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    shop = Shop(Redis(request, tmp_path), safe=True)
    with shop.app.app_context():
        shop.cache.set("visits", 5)
        backend: Any = shop.cache.cache
        assert backend.inc("visits") == 6
        assert shop.cache.get("visits") == 6


def test_a_cache_inside_of_the_process_is_left_alone() -> None:
    app = flask.Flask("shop")
    app.config["CACHE_TYPE"] = "SimpleCache"
    cache = Cache(app)
    plainpickle.flask.Plainpickle(app)
    with app.app_context():
        cache.set("function", len)
        assert cache.get("function") is len


def test_a_serializer_that_reads_no_pickles_is_left_alone(tmp_path: Path) -> None:
    serializers: Any = pytest.importorskip("cachelib.serializers")
    if not hasattr(serializers, "JSONSerializer"):
        pytest.skip("cachelib has a serializer for JSON since 0.15")
    app = flask.Flask("shop")
    app.config.update(CACHE_TYPE="FileSystemCache", CACHE_DIR=str(tmp_path))
    app.config["CACHE_SERIALIZER"] = serializers.JSONSerializer
    cache = Cache(app)
    plainpickle.flask.Plainpickle(app)
    with app.app_context():
        assert type(cache.cache.serializer) is serializers.JSONSerializer
