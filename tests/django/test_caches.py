"""Caches: what ours and Django's own write, each reads of the other; and what is odd is a miss."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from typing import Any

import memcache
import pymemcache.serde
import pytest
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from plainpickle import UnreadableValue
from plainpickle.django import caches as caches_module
from plainpickle.django.caches import Pickler, Serde, Serializer, Unpickler
from tests.django import stores
from tests.libraries.canary import SESSION, Canary, assert_session

BACKENDS = "django.core.cache.backends."
STOCK = {
    "cache in a table": f"{BACKENDS}db.DatabaseCache",
    "cache in files": f"{BACKENDS}filebased.FileBasedCache",
    "cache in memory": f"{BACKENDS}locmem.LocMemCache",
    "redis drop-in": f"{BACKENDS}redis.RedisCache",
    "django-redis": "django_redis.cache.RedisCache",
    "pymemcache drop-in": f"{BACKENDS}memcached.PyMemcacheCache",
}
WRITES_PICKLE = {"PLAINPICKLE": {"FORMAT": "pickle", "PROTOCOL": 4}}


@pytest.fixture(params=STOCK)
def both(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Any, ExitStack]]:
    """A cache of ours and Django's own over the same store, and a context."""
    name = request.param
    found = next((each for each in stores.CACHED if each.name == name), None)
    if found is None:
        make, fixture = stores.SERVED[name]
        found = make(request.getfixturevalue(fixture))
    ours = found.settings["CACHES"]["default"]
    options = {"PICKLE_VERSION": 4} if name == "django-redis" else {}
    stock = {**ours, "BACKEND": STOCK[name], "OPTIONS": options}
    with ExitStack() as within:
        within.enter_context(override_settings(CACHES={"default": ours, "stock": stock}))
        yield caches["default"], caches["stock"], within


def test_what_either_writes_the_other_reads_while_pickle_is_written(
    both: tuple[Any, Any, ExitStack],
) -> None:
    ours, stock, within = both
    within.enter_context(override_settings(**WRITES_PICKLE))
    for writer, reader in ((ours, stock), (stock, ours)):
        writer.set("session", SESSION)
        assert_session(reader.get("session"))
        for value in (5, "ä", b"\x00", None, True, 1.5, [1]):
            writer.set("value", value)
            assert reader.get("value", "nothing") == value
            assert type(reader.get("value")) is type(value)


def test_json_is_written_by_default_and_read_back(both: tuple[Any, Any, ExitStack]) -> None:
    cache = both[0]
    values: list[Any] = [{"a": (1, 2)}, [], "text", b"bytes", 7, -7, 2**70, None, False, 2.5]
    for value in values:
        cache.set("value", value)
        assert cache.get("value", "nothing") == value
        assert type(cache.get("value")) is type(value)
    cache.set_many({"a": 1, "b": [2]})
    assert cache.get_many(["a", "b", "c"]) == {"a": 1, "b": [2]}
    cache.delete("c")
    assert cache.add("c", 1)
    assert not cache.add("c", 2)
    assert cache.incr("c", 5) == 6
    assert cache.touch("c", 100)
    assert not cache.touch("nothing")
    assert cache.get_or_set("d", lambda: 9) == 9
    with pytest.raises(ValueError, match="not found"):
        cache.incr("nothing")


def test_what_could_not_be_read_back_is_not_written(
    both: tuple[Any, Any, ExitStack], canary: Canary
) -> None:
    with pytest.raises(UnreadableValue, match=r"^a: "):
        both[0].set("value", {"a": canary})


def test_an_odd_expiry_in_front_of_a_file_is_a_miss(
    canary: Canary, reported: list[dict[str, Any]]
) -> None:
    with override_settings(**stores.CACHE_IN_FILES.settings):
        cache = caches["default"]
        value = zlib.compress(pickle.dumps(5))
        for expiry in (pickle.dumps(canary), pickle.dumps("soon"), b"", b"\xff", pickle.dumps([])):
            stores.plant_cache_file("x", expiry + value)
            assert cache.get(f"{stores.CACHE_PREFIX}x", "none") == "none"
            stores.plant_cache_file("x", expiry + value)
            assert not cache.touch(f"{stores.CACHE_PREFIX}x")
            assert not cache.has_key(f"{stores.CACHE_PREFIX}x")
    assert not canary.sang()
    assert reported


def test_the_event_of_an_odd_expiry_is_about_its_own_bytes(reported: list[dict[str, Any]]) -> None:
    expiry = pickle.dumps("soon")
    with override_settings(**stores.CACHE_IN_FILES.settings):
        stores.plant_cache_file("x", expiry + zlib.compress(pickle.dumps(5)))
        assert caches["default"].get(f"{stores.CACHE_PREFIX}x") is None
    (event,) = reported
    assert event["kind"] == "no_expiry"
    assert (event["length"], event["sha256"]) == (len(expiry), sha256(expiry).hexdigest())


def test_a_compressed_bomb_and_what_is_not_compressed_are_misses(
    reported: list[dict[str, Any]],
) -> None:
    bomb = zlib.compress(pickle.dumps(b"\0" * 2_000_000))
    with override_settings(
        **stores.CACHE_IN_FILES.settings, PLAINPICKLE={"LIMITS": {"max_bytes": 1_000_000}}
    ):
        for content in (bomb, b"not zlib", bomb[:-9], b""):
            stores.plant_cache_file("x", stores.with_expiry(content))
            assert caches["default"].get(f"{stores.CACHE_PREFIX}x", "none") == "none"
            assert not caches["default"].touch(f"{stores.CACHE_PREFIX}x")
    reasons = [event["reason"] for event in reported]
    assert reasons == ["limit"] * 2 + ["malformed"] * 2 + ["limit"] * 2  # empty is no refusal


@pytest.mark.parametrize("damaged", ["!!!", "é", "", "AAAA", "A"])
def test_damaged_base64_in_a_table_is_a_miss(damaged: str) -> None:
    with override_settings(**stores.CACHE_TABLE.settings):
        stores.plant_cache_row("x", damaged)
        assert caches["default"].get(f"{stores.CACHE_PREFIX}x", "none") == "none"


def test_only_ours_is_changed_and_djangos_own_class_still_pickles() -> None:
    with override_settings(**stores.CACHE_TABLE.settings):
        caches["default"].set("value", {"a": 1})
        stock = caches["default"].__class__.__mro__[-3]
    from django.core.cache.backends import db

    assert db.pickle is pickle
    assert stock.__module__ == db.__name__


def test_a_django_that_unpickles_in_another_way_is_refused_and_not_believed() -> None:
    class Cache:
        def get(self) -> Any:
            return vars(pickle)["loads"](b"N.")

    assert caches_module._rebound(Cache, pickle=None)
    with pytest.raises(ImproperlyConfigured, match="how this Django's Cache unpickles"):
        caches_module._rebound(Cache, pickle=None, zlib=None)()


def test_the_flags_of_memcached_are_pymemcaches_own(canary: Canary) -> None:
    theirs: Any = pymemcache.serde.PickleSerde(2)
    with override_settings(**WRITES_PICKLE):
        for value in (b"\x00", "ä", 5, [1, "x"], None, True):
            data, flags = theirs.serialize("k", value)
            raw = data if isinstance(data, bytes) else data.encode()
            assert Serde().deserialize("k", raw, flags) == value
            assert Serde().serialize("k", value)[1] == flags
            assert theirs.deserialize("k", *Serde().serialize("k", value)) == value
    for data, flags in ((b"\xff", 16), (b"x", 2), (b"", 1), (pickle.dumps(canary), 1)):
        assert Serde().deserialize("k", data, flags) is None
    assert not canary.sang()


def test_python_memcached_takes_pickler_and_unpickler(
    memcached_socket: str, canary: Canary
) -> None:
    client = memcache.Client(
        [f"unix:{memcached_socket}"], pickler=Pickler, unpickler=Unpickler, pickleProtocol=2
    )
    stock = memcache.Client([f"unix:{memcached_socket}"], pickleProtocol=2)
    for setting in ({}, WRITES_PICKLE):
        with override_settings(**setting):
            client.set("key", {"a": (1, "ä")})
            assert client.get("key") == {"a": (1, "ä")}
    assert stock.get("key") == {"a": (1, "ä")}
    stock.set("key", [canary])
    assert client.get("key") is None
    assert not canary.sang()
    client.disconnect_all()
    stock.disconnect_all()


def test_the_options_of_django_redis_choose_the_protocol() -> None:
    with override_settings(**WRITES_PICKLE):
        assert Serializer().dumps([1])[:2] == b"\x80\x04"
        assert Serializer({"PICKLE_VERSION": 2}).dumps([1])[:2] == b"\x80\x02"
        assert Serializer({"PICKLE_VERSION": "3"}).dumps([1])[:2] == b"\x80\x03"
        newest = pickle.HIGHEST_PROTOCOL
        assert Serializer({"PICKLE_VERSION": -1}).dumps([1])[:2] == bytes([0x80, newest])


def test_a_dict_that_is_no_session_is_never_half_read(canary: Canary) -> None:
    """An app that caches a dict would take it for complete."""
    assert Serializer().loads(pickle.dumps({"a": 1, "b": canary})) is None
    assert not canary.sang()
