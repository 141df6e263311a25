"""cachelib, also below Flask-Caching and Flask-Session: all caches share one module that pickles.

MemcachedCache leaves it to its client (see test_memcached). MongoDbCache and DynamoDbCache need
servers that no package index has; their serializers are in the same module as the others.
"""

from __future__ import annotations

import subprocess
import sysconfig
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cachelib
import memcache
import pytest
import valkey

import plainpickle
from tests.libraries.canary import SESSION, Canary, assert_session
from tests.libraries.conftest import ATTACK, Refusals
from tests.libraries.memcached import PlainClient

ROOT = Path(__file__).parents[2]
MODULE = "cachelib.serializers"


@pytest.fixture(params=["SimpleCache", "FileSystemCache", "RedisCache", "ValkeyCache"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[cachelib.BaseCache]:
    if request.param == "SimpleCache":
        yield cachelib.SimpleCache()
    elif request.param == "FileSystemCache":
        yield cachelib.FileSystemCache(str(tmp_path / "cache"))
    elif request.param == "RedisCache":
        yield cachelib.RedisCache(request.getfixturevalue("redis_client"))
    else:
        with valkey.Valkey(unix_socket_path=request.getfixturevalue("redis_socket")) as client:
            yield cachelib.ValkeyCache(client)


def test_a_value_of_either_reads_under_the_other(cache: cachelib.BaseCache) -> None:
    cache.set("session", SESSION)
    with plainpickle.install(MODULE):
        assert_session(cache.get("session"))
        assert_session(cache.get_many("session")[0])
        cache.set_many({"session": SESSION})
    assert_session(cache.get("session"))


def test_a_canary_sings_under_stock_pickle_only_and_is_a_miss(
    cache: cachelib.BaseCache, canary: Canary, refusals: Refusals
) -> None:
    cache.set("session", canary)
    with plainpickle.install(MODULE):
        assert cache.get("session") is None
        assert cache.get_many("session") == [None]
        assert cache.get_dict("session") == {"session": None}
    assert not canary.sang()
    assert refusals() == ATTACK * 3
    reads: list[Any] = [cache.get, cache.get_many, cache.get_dict]
    for read in reads:
        read("session")
        assert canary.sang()


def test_a_canary_in_the_file_that_counts_files_sings_under_stock_pickle_only(
    tmp_path: Path, canary: Canary, refusals: Refusals
) -> None:
    cache = cachelib.FileSystemCache(str(tmp_path / "cache"))
    plant = partial(cache.set, cache._fs_count_file, canary, mgmt_element=True)
    plant()
    with plainpickle.install(MODULE):
        assert cache.set("session", SESSION)
    assert not canary.sang()
    assert set(refusals()) == set(ATTACK)
    plant()
    cache.set("another", SESSION)
    assert canary.sang()


def test_a_value_that_could_not_be_read_back_is_a_miss_and_no_attack(
    tmp_path: Path, canary: Canary, refusals: Refusals
) -> None:
    cache = cachelib.FileSystemCache(str(tmp_path / "cache"))
    with plainpickle.install(MODULE):
        cache.set("session", {"user": canary})
        assert cache.get("session") is None
    assert refusals() == []


def test_memcached_cache_works_by_a_client_that_is_given_the_unpickler(
    memcached_socket: str, canary: Canary, refusals: Refusals
) -> None:
    stock = memcache.Client([f"unix:{memcached_socket}"])
    plain = PlainClient([f"unix:{memcached_socket}"])
    try:
        before, after = cachelib.MemcachedCache(stock), cachelib.MemcachedCache(plain)
        before.set("session", SESSION)
        assert_session(after.get("session"))
        before.set("session", canary)
        assert after.get("session") is None
        assert not canary.sang()
        assert refusals() == ATTACK
        before.get("session")
        assert canary.sang()
    finally:
        stock.disconnect_all()
        plain.disconnect_all()


def test_uwsgi_cache_within_a_real_uwsgi(canary: Canary, tmp_path: Path) -> None:
    pytest.importorskip("pyuwsgi", reason="pyuwsgi has wheels for Linux and macOS only")
    uwsgi = Path(sysconfig.get_path("scripts")) / "uwsgi"
    script = Path(__file__).with_name("in_uwsgi.py")
    options = f"--pythonpath {ROOT} --cache2 name=cache,items=9 --pyrun {script} --pyargv"
    ran = subprocess.run(
        [uwsgi, *options.split(), tmp_path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=60,
    )
    assert b"as it should be" in ran.stdout, ran.stdout.decode()
