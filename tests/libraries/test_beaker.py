"""Beaker: what a session holds is pickled, and the store pickles once more what it keeps of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import memcache
import pytest
from beaker.cache import Cache
from beaker.ext.memcached import MemcachedNamespaceManager
from beaker.session import CookieSession, Session

import plainpickle
from tests.libraries.canary import SESSION, Canary, assert_session
from tests.libraries.conftest import ATTACK, Refusals
from tests.libraries.memcached import PlainClient

MODULES = ("beaker.util", "beaker.container", "beaker.ext.redisnm")
STORES = ("memory", "file", "dbm", "ext:redis", "ext:memcached")


class Store(Protocol):
    def __call__(self, identity: str | None = None, **options: Any) -> Session: ...


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Opens a session of one store, a new one or the one of that identity."""
    options: dict[str, Any] = {"type": request.param, "data_dir": str(tmp_path / "beaker")}
    if request.param == "ext:redis":
        options["url"] = f"unix://{request.getfixturevalue('redis_socket')}"
    if request.param == "ext:memcached":
        options["url"] = f"unix:{request.getfixturevalue('memcached_socket')}"

    def opened(identity: str | None = None, **more: Any) -> Session:
        return Session({}, id=identity, use_cookies=False, **options, **more)

    yield opened
    forget_clients()


def forget_clients() -> None:
    """Closes the clients of memcached, which Beaker keeps for the process."""
    clients = MemcachedNamespaceManager.clients.dict
    while clients:
        clients.popitem()[1].disconnect_all()


def saved(store: Store, value: Any) -> str:
    session = store()
    session["held"] = value
    session.save()
    return str(session.id)


def test_a_session_of_stock_pickle_reads_under_plainpickle(store: Store) -> None:
    identity = saved(store, SESSION)
    with plainpickle.install(*MODULES):
        assert_session(store(identity)["held"])


def test_a_session_of_plainpickle_reads_under_stock_pickle(store: Store) -> None:
    with plainpickle.install(*MODULES):
        identity = saved(store, SESSION)
    assert_session(store(identity)["held"])


def test_a_canary_in_a_session_sings_under_stock_pickle_only(
    store: Store, canary: Canary, refusals: Refusals
) -> None:
    identity = saved(store, canary)
    with plainpickle.install(*MODULES), pytest.raises(plainpickle.ForbiddenGlobal):
        store(identity)
    assert not canary.sang()
    assert refusals() == ATTACK
    store(identity)
    assert canary.sang()


def test_where_beaker_swallows_the_refusal_it_is_still_on_record(
    store: Store, canary: Canary, refusals: Refusals
) -> None:
    identity = saved(store, canary)
    with plainpickle.install(*MODULES), pytest.warns(match="Invalidating corrupt session"):
        session = store(identity, invalidate_corrupt=True)
    assert "held" not in session
    assert session.id != identity
    assert not canary.sang()
    assert refusals() == ATTACK


@pytest.mark.parametrize("store", STORES[1:-1], indirect=True)
def test_a_canary_around_the_session_sings_under_stock_pickle_only(
    store: Store, canary: Canary, refusals: Refusals
) -> None:
    session = store()
    session.save()
    session.namespace.acquire_write_lock(replace=True)
    session.namespace["session"] = canary
    session.namespace.release_write_lock()
    with plainpickle.install(*MODULES), pytest.raises(plainpickle.ForbiddenGlobal):
        store(session.id)
    assert not canary.sang()
    assert refusals() == ATTACK
    with suppress(AttributeError):  # what the canary leaves is no text
        store(session.id)
    assert canary.sang()


@pytest.mark.parametrize("store", ["ext:memcached"], indirect=True)
def test_a_canary_around_a_session_in_memcached_is_for_the_client_which_makes_a_new_session_of_it(
    store: Store, canary: Canary, refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = store()
    session.save()
    session.namespace["session"] = canary
    with monkeypatch.context() as patch, plainpickle.install(*MODULES):
        patch.setattr(memcache, "Client", PlainClient)
        forget_clients()
        assert store(session.id).is_new
    assert not canary.sang()
    assert refusals() == ATTACK
    forget_clients()
    with suppress(AttributeError):  # what the canary leaves is no text
        store(session.id)
    assert canary.sang()


# ---- sessions that are all in the cookie


def cookie(value: Any, **options: Any) -> str:
    request: dict[str, Any] = {}
    session = CookieSession(request, validate_key="not real", **options)
    session["held"] = value
    session.save()
    return str(request["cookie_out"])


def from_cookie(header: str, **options: Any) -> CookieSession:
    return CookieSession({"cookie": header}, validate_key="not real", **options)


def test_a_cookie_of_either_reads_under_the_other() -> None:
    written = cookie(SESSION)
    with plainpickle.install(*MODULES):
        assert_session(from_cookie(written)["held"])
        written = cookie(SESSION)
    assert_session(from_cookie(written)["held"])


def test_a_canary_in_a_cookie_sings_under_stock_pickle_only(
    canary: Canary, refusals: Refusals
) -> None:
    written = cookie(canary)
    with plainpickle.install(*MODULES):
        with pytest.raises(plainpickle.ForbiddenGlobal):
            from_cookie(written)
        with pytest.warns(match="Invalidating corrupt session"):
            assert "held" not in from_cookie(written, invalidate_corrupt=True)
    assert not canary.sang()
    assert refusals() == ATTACK * 2
    from_cookie(written)
    assert canary.sang()


# ---- the cache


def test_a_canary_in_a_cached_value_sings_under_stock_pickle_only(
    tmp_path: Path, canary: Canary, refusals: Refusals
) -> None:
    def cache() -> Cache:
        return Cache("prices", type="file", data_dir=str(tmp_path / "beaker"))

    cache().set_value("session", SESSION)
    with plainpickle.install(*MODULES):
        assert_session(cache().get("session"))
    cache().set_value("planted", canary)
    with plainpickle.install(*MODULES), pytest.raises(plainpickle.ForbiddenGlobal):
        cache().get("session")
    assert not canary.sang()
    assert refusals() == ATTACK
    cache().get("session")
    assert canary.sang()
