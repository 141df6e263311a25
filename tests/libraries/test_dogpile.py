"""dogpile.cache: a region takes a serializer and a deserializer; memcached's client pickles too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import memcache
import pytest
from dogpile.cache import CacheRegion, make_region
from dogpile.cache.api import (
    NO_VALUE,
    CachedValue,
    CantDeserializeException,
    DefaultSerialization,
)

import plainpickle
from tests.libraries.canary import SESSION, Canary, assert_session
from tests.libraries.conftest import ATTACK, Refusals
from tests.libraries.memcached import PlainClient

PLAIN = {"serializer": plainpickle.dumps, "deserializer": plainpickle.loads}


class Store:
    """One backend, and regions that are opened on it."""

    def __init__(self, name: str, **arguments: Any) -> None:
        self._name, self._arguments = f"dogpile.cache.{name}", arguments
        self.opened: list[CacheRegion] = []

    def region(self, **options: Any) -> CacheRegion:
        region = make_region(**options).configure(self._name, arguments=self._arguments)
        self.opened.append(region)
        return region


@pytest.fixture(params=["memory_pickle", "dbm", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory_pickle":
        return Store("memory_pickle", cache_dict={})
    if request.param == "dbm":
        return Store("dbm", filename=str(tmp_path / "cache.dbm"))
    pool = request.getfixturevalue("redis_client").connection_pool
    return Store("redis", connection_pool=pool)


def test_a_value_of_either_reads_under_the_other(store: Store) -> None:
    store.region().set("session", SESSION)
    assert_session(store.region(**PLAIN).get("session"))
    assert_session(store.region(**PLAIN).get_multi(["session"])[0])
    store.region(**PLAIN).set_multi({"session": SESSION})
    assert_session(store.region().get("session"))


def test_a_canary_sings_under_stock_pickle_only(
    store: Store, canary: Canary, refusals: Refusals
) -> None:
    store.region().set("session", canary)
    region = store.region(**PLAIN)
    reads: list[Callable[[], Any]] = [
        lambda: region.get("session"),
        lambda: region.get_multi(["session"]),
        lambda: region.get_or_create("session", dict),
    ]
    for read in reads:
        with pytest.raises(plainpickle.ForbiddenGlobal):
            read()
    assert not canary.sang()
    assert refusals() == ATTACK * 3
    store.region().get("session")
    assert canary.sang()


def test_a_deserializer_that_says_so_makes_a_refused_value_a_miss(
    store: Store, canary: Canary, refusals: Refusals
) -> None:
    def deserializer(data: bytes) -> Any:
        try:
            return plainpickle.loads(data)
        except plainpickle.UnpicklingError as error:
            raise CantDeserializeException from error

    store.region().set("session", canary)
    region = store.region(serializer=plainpickle.dumps, deserializer=deserializer)
    assert region.get("session") is NO_VALUE
    assert region.get_or_create("session", lambda: SESSION) is SESSION
    assert_session(region.get("session"))
    assert not canary.sang()
    assert set(refusals()) == set(ATTACK)


def test_a_value_that_could_not_be_read_back_is_not_cached(store: Store, canary: Canary) -> None:
    with pytest.raises(plainpickle.UnreadableValue, match="user"):
        store.region(**PLAIN).set("session", {"user": canary})
    assert store.region().get("session") is NO_VALUE


def test_a_region_that_names_no_deserializer_follows_the_default_of_all_backends(
    tmp_path: Path, canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store("dbm", filename=str(tmp_path / "cache.dbm"))
    store.region().set("session", canary)
    monkeypatch.setattr(DefaultSerialization, "deserializer", staticmethod(plainpickle.loads))
    with pytest.raises(plainpickle.ForbiddenGlobal):
        store.region().get("session")
    assert not canary.sang()


# ---- memcached: the client pickles dogpile's own CachedValue


class WithCachedValue(PlainClient):
    policy = plainpickle.Policy().register(CachedValue)


@pytest.fixture
def memcached(memcached_socket: str) -> Iterator[Store]:
    store = Store("memcached", url=f"unix:{memcached_socket}")
    yield store
    for region in store.opened:
        region.backend.client.disconnect_all()


def test_memcached_works_by_a_client_whose_policy_registers_cached_value(
    memcached: Store, canary: Canary, refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    memcached.region().set("session", SESSION)
    with monkeypatch.context() as patch:
        patch.setattr(memcache, "Client", WithCachedValue)
        plain = memcached.region()
        assert_session(plain.get("session"))
        plain.set("session", SESSION)
    assert_session(memcached.region().get("session"))
    memcached.region().set("session", canary)
    assert plain.get("session") is NO_VALUE
    assert not canary.sang()
    assert refusals() == ATTACK
    memcached.region().get("session")
    assert canary.sang()
