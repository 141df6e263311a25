"""Werkzeug 0.16: SecureCookie (Flask's sessions before 0.10), its session store and its caches."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from werkzeug.contrib import cache as caches
from werkzeug.contrib import sessions
from werkzeug.contrib.securecookie import SecureCookie

import plainpickle
from tests.libraries.canary import SESSION, Canary, assert_session
from tests.libraries.conftest import ATTACK, Refusals

KEY = b"not real"


class PlainCookie(SecureCookie):  # type: ignore[misc]
    serialization_method = plainpickle


@pytest.mark.parametrize(
    ("writer", "reader"), [(SecureCookie, PlainCookie), (PlainCookie, SecureCookie)]
)
def test_a_cookie_of_either_reads_under_the_other(writer: Any, reader: Any) -> None:
    cookie = reader.unserialize(writer({"held": SESSION}, KEY).serialize(), KEY)
    assert_session(cookie["held"])


@pytest.mark.parametrize("key", ["held", "_expires"])
def test_a_canary_in_a_cookie_sings_under_stock_pickle_only_and_leaves_no_session(
    key: str, canary: Canary, refusals: Refusals
) -> None:
    written = SecureCookie({key: canary, "user": 5}, KEY).serialize()
    assert dict(PlainCookie.unserialize(written, KEY)) == {}
    assert not canary.sang()
    assert refusals() == ATTACK
    SecureCookie.unserialize(written, KEY)
    assert canary.sang()


def test_the_session_store_took_load_by_name_so_its_name_is_replaced(
    tmp_path: Path, canary: Canary, refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="load"):
        plainpickle.install(sessions)
    store = sessions.FilesystemSessionStore(str(tmp_path))
    session = store.session_class({"held": SESSION}, store.generate_key())
    store.save(session)
    with monkeypatch.context() as patch:
        patch.setattr(sessions, "load", plainpickle.load)
        patch.setattr(sessions, "dump", plainpickle.dump)
        assert_session(store.get(session.sid)["held"])
        store.save(session)
    assert_session(store.get(session.sid)["held"])
    store.save(store.session_class({"held": canary}, session.sid))
    with monkeypatch.context() as patch:
        patch.setattr(sessions, "load", plainpickle.load)
        assert dict(store.get(session.sid)) == {}
    assert not canary.sang()
    assert refusals() == ATTACK
    store.get(session.sid)
    assert canary.sang()


@pytest.fixture(params=["SimpleCache", "FileSystemCache", "RedisCache"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "SimpleCache":
        return caches.SimpleCache()
    if request.param == "FileSystemCache":
        return caches.FileSystemCache(str(tmp_path / "cache"))
    return caches.RedisCache(request.getfixturevalue("redis_client"))


def test_a_cached_value_of_either_reads_under_the_other(cache: Any) -> None:
    cache.set("session", SESSION)
    with plainpickle.install(caches):
        assert_session(cache.get("session"))
        cache.set("session", SESSION)
    assert_session(cache.get("session"))


def test_a_cached_canary_sings_under_stock_pickle_only_and_is_a_miss(
    cache: Any, canary: Canary, refusals: Refusals
) -> None:
    cache.set("session", canary)
    with plainpickle.install(caches):
        assert cache.get("session") is None
    assert not canary.sang()
    assert refusals() == ATTACK
    cache.get("session")
    assert canary.sang()


def test_a_canary_in_place_of_the_expiry_in_front_of_a_cached_value_sings_under_stock_pickle_only(
    tmp_path: Path, canary: Canary, refusals: Refusals
) -> None:
    cache = caches.FileSystemCache(str(tmp_path))
    cache.set("session", SESSION)
    file = Path(cache._get_filename("session"))
    file.write_bytes(pickle.dumps(canary) + pickle.dumps(SESSION))
    with plainpickle.install(caches):
        assert cache.get("session") is None
        assert not cache.has("session")
    assert not canary.sang()
    assert refusals() == ATTACK * 2
    cache.get("session")
    assert canary.sang()
