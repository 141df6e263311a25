"""Sessions that Django 1.4 to 4.2 really wrote, read by real session stores of today's Django."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache as cache_forever
from importlib import import_module
from typing import Any

import pytest
from django.contrib import auth
from django.contrib.sessions.backends import db as stock_db
from django.core import signing
from django.core.cache import caches
from django.http import HttpRequest
from django.test import override_settings

from plainpickle import Policy
from plainpickle.django.sessions import LegacySessions, cache, cached_db, db, file, signed_cookies
from plainpickle.inventory import Inventory
from tests.django import stores
from tests.expected import Comparison, kinds
from tests.samples import CORPUS, corpus, manifest

ROWS = {"django-db-legacy", "django-db-signed"}
FILES = {"django-file-legacy", "django-file-signed"}
ALL = [facts for facts in manifest() if facts["storage"].startswith("django-")]
ALL += [facts for facts in manifest() if facts["name"] == "dj111_cache_memcached"]
BY_NAME = {sample.name: sample for sample in corpus()}
NOT_SESSIONS = {"control_djredis_bare_int"}
FOREVER = 10**10


def of(*storages: str) -> list[dict[str, Any]]:
    return [
        facts for facts in ALL if facts["storage"] in storages and facts["name"] not in NOT_SESSIONS
    ]


def name_of(facts: Any) -> str:
    return str(facts["name"])


def raw(facts: dict[str, Any]) -> bytes:
    data: bytes = (CORPUS / (facts.get("raw") or facts["pickle"])).read_bytes()
    return data


@cache_forever
def policy_for(name: str) -> Policy:
    """Profile plain, which the expectations are written for, and what an inventory proposes."""
    inventory = Inventory(policy=Policy())
    if name in BY_NAME:
        inventory.add(BY_NAME[name].data)
    return inventory.proposed_policy()


def settings_for(facts: dict[str, Any], **more: Any) -> Any:
    found = {"PLAINPICKLE": {"POLICY": policy_for(facts["name"])}, "SESSION_COOKIE_AGE": FOREVER}
    if "secret_key" in facts:
        found["SECRET_KEY"] = facts["secret_key"]
    return override_settings(**{**found, **more})


def assert_read(session: Any, facts: dict[str, Any]) -> None:
    expected = facts["expected"]
    if "global" in kinds(expected):  # a class or function as a value: that key is dropped
        refused = {key for key, value in expected.items() if "global" in kinds(value)}
        assert refused
        expected = {key: value for key, value in expected.items() if key not in refused}
    assert list(Comparison().differences(session, expected)) == []


def test_no_sample_of_django_is_left_out() -> None:
    read = of(*ROWS, *FILES, "django-signed-cookie", *CACHES, "memcached")
    assert len(read) + len(NOT_SESSIONS) == len(ALL) == 68


@pytest.mark.parametrize("facts", of(*ROWS), ids=name_of)
def test_rows_are_read(facts: dict[str, Any]) -> None:
    key = facts.get("session_key", "a" * 32)
    stores.plant_row(key, raw(facts).decode())
    with settings_for(facts):
        assert_read(db.SessionStore(key).load(), facts)
        assert_read(cached_db.SessionStore(key).load(), facts)


@pytest.mark.parametrize("facts", of(*FILES), ids=name_of)
def test_files_are_read(facts: dict[str, Any]) -> None:
    stores.plant_file(facts["session_key"], raw(facts).decode())
    with settings_for(facts):
        assert_read(file.SessionStore(facts["session_key"]).load(), facts)


@pytest.mark.parametrize("facts", of("django-signed-cookie"), ids=name_of)
def test_cookies_are_read(facts: dict[str, Any]) -> None:
    with settings_for(facts):
        assert_read(signed_cookies.SessionStore(raw(facts).decode()).load(), facts)


@pytest.mark.parametrize("facts", of(*ROWS, *FILES), ids=name_of)
def test_a_changed_byte_or_another_key_makes_an_empty_session(
    facts: dict[str, Any], reported: list[Any]
) -> None:
    data = raw(facts).decode()
    with settings_for(facts):
        whole = db.SessionStore().decode(data)
        middle = len(data) // 2
        changed = data[:middle] + ("B" if data[middle] == "A" else "A") + data[middle + 1 :]
        del reported[:]
        assert db.SessionStore().decode(changed) == {}
    with settings_for(facts, SECRET_KEY="another"):
        assert db.SessionStore().decode(data) == {}
    with settings_for(facts, SECRET_KEY="another", SECRET_KEY_FALLBACKS=["x", facts["secret_key"]]):
        assert Comparison().same(whole, facts["expected"]) or "global" in kinds(facts["expected"])
        assert repr(db.SessionStore().decode(data)) == repr(whole)
    assert [event["action"] for event in reported if event["action"] == "refused"] == []


@pytest.mark.parametrize("facts", of("django-signed-cookie"), ids=name_of)
def test_a_cookie_is_read_under_its_key_alone_or_a_replaced_one(facts: dict[str, Any]) -> None:
    cookie = raw(facts).decode()
    with settings_for(facts):
        changed = cookie[:5] + ("B" if cookie[5] == "A" else "A") + cookie[6:]
        assert signed_cookies.SessionStore(changed).load() == {}
    with settings_for(facts, SESSION_COOKIE_AGE=60):
        assert signed_cookies.SessionStore(cookie).load() == {}  # it is from years ago
    with settings_for(facts, SECRET_KEY="another"):
        assert signed_cookies.SessionStore(cookie).load() == {}
    with settings_for(facts, SECRET_KEY="another", SECRET_KEY_FALLBACKS=[facts["secret_key"]]):
        assert_read(signed_cookies.SessionStore(cookie).load(), facts)


def test_a_store_of_ones_own_reads_what_its_name_has_signed() -> None:
    facts = of("django-db-legacy")[0]

    class SessionStore(LegacySessions, stock_db.SessionStore):  # type: ignore[misc]
        pass

    class OtherStore(LegacySessions, stock_db.SessionStore):  # type: ignore[misc]
        pass

    with settings_for(facts):
        assert_read(SessionStore().decode(raw(facts).decode()), facts)
        assert OtherStore().decode(raw(facts).decode()) == {}


def test_stock_django_of_today_reads_no_row_of_the_old_form() -> None:
    """Or the engines here would be of no use."""
    facts = of("django-db-legacy")[0]
    with settings_for(facts):
        assert stock_db.SessionStore().decode(raw(facts).decode()) == {}


@pytest.mark.parametrize("facts", of("django-db-legacy", "django-file-legacy"), ids=name_of)
def test_the_next_save_writes_the_new_form(facts: dict[str, Any]) -> None:
    if {"cycle", "global"} & kinds(facts["expected"]):
        pytest.skip("a cycle can't be JSON")
    key = facts["session_key"]
    stores.plant_row(key, raw(facts).decode())
    with settings_for(facts):
        store = db.SessionStore(key)
        store["more"] = 1
        store.save()
        again = stock_db.SessionStore(key).load()
        assert again.pop("more") == 1
        assert_read(again, facts)


# ---- caches


def table(facts: dict[str, Any], _: Any) -> tuple[stores.Place, Callable[[str], None]]:
    return stores.CACHE_TABLE, lambda key: stores.plant_cache_row(key, raw(facts).decode())


def files(facts: dict[str, Any], _: Any) -> tuple[stores.Place, Callable[[str], None]]:
    content = stores.with_expiry(raw(facts)[facts["expiry_pickle_len"] :])
    return stores.CACHE_IN_FILES, lambda key: stores.plant_cache_file(key, content)


def memory(facts: dict[str, Any], _: Any) -> tuple[stores.Place, Callable[[str], None]]:
    return stores.IN_MEMORY, lambda key: stores.plant_in_memory(key, raw(facts))


def redis(facts: dict[str, Any], request: Any) -> tuple[stores.Place, Callable[[str], None]]:
    place = stores.redis_place(request.getfixturevalue("redis_socket"))
    return place, lambda key: place.plant(key, raw(facts))


def django_redis(facts: dict[str, Any], request: Any) -> tuple[stores.Place, Callable[[str], None]]:
    zlib = {"COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"}
    options = zlib if facts["storage"].endswith("+zlib") else {}
    place = stores.django_redis_place(request.getfixturevalue("redis_socket"), **options)
    return place, lambda key: place.plant(key, raw(facts))


def memcached(facts: dict[str, Any], request: Any) -> tuple[stores.Place, Callable[[str], None]]:
    place = stores.pymemcache_place(request.getfixturevalue("memcached_socket"))
    return place, lambda key: place.plant(key, raw(facts))


CACHES = {
    "django-cache-db": table,
    "django-cache-filebased": files,
    "django-cache-locmem": memory,
    "django-cache-redis": redis,
    "django-redis": django_redis,
    "django-redis+zlib": django_redis,
    "memcached": memcached,
}


@pytest.fixture
def within() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("facts", of(*CACHES), ids=name_of)
def test_cache_entries_are_read(
    facts: dict[str, Any], request: pytest.FixtureRequest, within: ExitStack
) -> None:
    place, plant = CACHES[facts["storage"]](facts, request)
    within.enter_context(settings_for(facts, **place.settings))
    key = facts.get("cache_key", "").rpartition(".cache")[2] or "b" * 32
    plant(key)
    assert_read(cache.SessionStore(key).load(), facts)


def test_a_number_in_redis_is_a_number(redis_socket: str) -> None:
    (facts,) = [facts for facts in ALL if facts["name"] in NOT_SESSIONS]
    for place in (stores.redis_place(redis_socket), stores.django_redis_place(redis_socket)):
        with override_settings(**place.settings):
            place.plant("n", raw(facts))
            assert caches["default"].get(f"{stores.CACHE_PREFIX}n") == int(raw(facts))
            assert caches["default"].incr(f"{stores.CACHE_PREFIX}n") == int(raw(facts)) + 1


# ---- logins

LOGINS = [facts for facts in of(*ROWS) if auth.HASH_SESSION_KEY in facts["expected"]]


def as_anna(facts: dict[str, Any], anna: Any) -> bytes:
    """The pickle of a real login, with the hash that its own Django makes of anna's password."""
    recorded = facts["expected"][auth.HASH_SESSION_KEY]
    algorithm = "sha1" if len(recorded) == 40 else "sha256"
    salt = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"
    from django.utils.crypto import salted_hmac

    own = salted_hmac(salt, anna.password, algorithm=algorithm).hexdigest()
    data: bytes = (CORPUS / facts["pickle"]).read_bytes()
    assert data.count(recorded.encode()) == 1
    return data.replace(recorded.encode(), own.encode())


def legacy_row(payload: bytes) -> str:
    import base64

    from django.utils.crypto import salted_hmac

    salt = "django.contrib.sessionsSessionStore"
    signature = salted_hmac(salt, payload, algorithm="sha1").hexdigest()
    return base64.b64encode(signature.encode() + b":" + payload).decode()


def visited(key: str) -> tuple[Any, Any]:
    """Who a request with this session is, and the session."""
    request = HttpRequest()
    request.session = db.SessionStore(key)
    return auth.get_user(request), request.session


@pytest.mark.parametrize("facts", LOGINS, ids=name_of)
def test_a_login_survives(facts: dict[str, Any], anna: Any) -> None:
    old = facts["storage"] == "django-db-legacy"
    with settings_for(facts):
        payload = as_anna(facts, anna)
        stores.plant_row("k" * 32, legacy_row(payload) if old else stores.signed(payload))
        if old:
            assert visited("k" * 32)[0].is_anonymous
            assert db.SessionStore("k" * 32).load() == {}  # Django has flushed it
            stores.plant_row("k" * 32, legacy_row(payload))
    with settings_for(facts, PLAINPICKLE={"UPGRADE_AUTH_HASH": True}):
        user, session = visited("k" * 32)
        assert user.get_username() == "anna"
        assert session.modified == old
        session.save()
        assert session.session_key == "k" * 32  # requests that run beside this one have it too
    with override_settings(SECRET_KEY=facts["secret_key"], SESSION_ENGINE=stores.STOCK_DB.name):
        request = HttpRequest()
        request.session = stock_db.SessionStore("k" * 32)
        assert auth.get_user(request).get_username() == "anna"


def test_the_samples_have_logins_of_both_kinds() -> None:
    assert {facts["software"]["django"][:3] for facts in LOGINS} == {"1.1", "2.2", "4.2"}


@pytest.mark.parametrize("why", ["password changed", "user gone", "backend gone", "own hash"])
def test_an_old_login_that_old_django_would_refuse_is_refused(
    anna: Any, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = next(facts for facts in LOGINS if facts["storage"] == "django-db-legacy")
    more: dict[str, Any] = {}
    with settings_for(facts):
        stores.plant_row("k" * 32, legacy_row(as_anna(facts, anna)))
    if why == "password changed":
        user = type(anna).objects.get()
        user.set_password("another")
        user.save()
    elif why == "user gone":
        type(anna).objects.all().delete()
    elif why == "backend gone":
        more = {"AUTHENTICATION_BACKENDS": ["django.contrib.auth.backends.RemoteUserBackend"]}
    else:
        monkeypatch.setattr(type(anna), "get_session_auth_hash", lambda self: "f" * 64)
    with settings_for(facts, PLAINPICKLE={"UPGRADE_AUTH_HASH": True}, **more):
        user, session = visited("k" * 32)
        assert user.is_anonymous
        assert why != "backend gone" or not session.modified


@pytest.mark.parametrize("engine", ["file", "cache", "cached_db", "signed_cookies"])
def test_a_login_is_renewed_by_every_engine(anna: Any, engine: str) -> None:
    facts = next(facts for facts in LOGINS if facts["storage"] == "django-db-legacy")
    with settings_for(facts, **stores.CACHE_TABLE.settings, PLAINPICKLE={}):
        payload, key = as_anna(facts, anna), "k" * 32
        stores.plant_file(key, legacy_row(payload))
        stores.plant_row(key, legacy_row(payload))
        stores.CACHE_TABLE.plant(key, payload)
        cookie = signing.TimestampSigner(salt=stores.COOKIE_SALT, algorithm="sha1").sign_object(
            payload, serializer=stores.Raw, compress=True
        )
    with settings_for(
        facts, **stores.CACHE_TABLE.settings, PLAINPICKLE={"UPGRADE_AUTH_HASH": True}
    ):
        request = HttpRequest()
        make = import_module(f"plainpickle.django.sessions.{engine}").SessionStore
        request.session = make(cookie if engine == "signed_cookies" else key)
        assert auth.get_user(request).get_username() == "anna"
        assert request.session.modified
        request.session.save()
        stock = import_module(f"django.contrib.sessions.backends.{engine}").SessionStore
        request.session = stock(request.session.session_key)
        assert auth.get_user(request).get_username() == "anna"


def test_an_asynchronous_request_keeps_its_login(anna: Any) -> None:
    if not hasattr(db.SessionStore, "aget"):
        pytest.skip("sessions are asynchronous since Django 5.1")
    facts = next(facts for facts in LOGINS if facts["storage"] == "django-db-legacy")

    async def visit() -> Any:
        request = HttpRequest()
        request.session = db.SessionStore("k" * 32)
        return await auth.aget_user(request)

    with settings_for(facts, PLAINPICKLE={"UPGRADE_AUTH_HASH": True}):
        stores.plant_row("k" * 32, legacy_row(as_anna(facts, anna)))
        assert asyncio.run(visit()).get_username() == "anna"


def test_a_key_that_was_replaced_still_renews_a_login(anna: Any) -> None:
    facts = next(facts for facts in LOGINS if facts["storage"] == "django-db-legacy")
    with settings_for(facts):
        stores.plant_row("k" * 32, legacy_row(as_anna(facts, anna)))
    renewed = {"UPGRADE_AUTH_HASH": True}
    keys = {"SECRET_KEY": "today's", "SECRET_KEY_FALLBACKS": [facts["secret_key"]]}
    with settings_for(facts, PLAINPICKLE=renewed, **keys):
        assert visited("k" * 32)[0].get_username() == "anna"


def test_the_pickles_are_the_recorded_ones() -> None:
    """What stands in the rows is what the manifest's pickles are."""
    for facts in of(*ROWS):
        if "pickle" in facts and facts["cpython311_bare"] == "ok" and facts["plain"]:
            assert isinstance(pickle.loads((CORPUS / facts["pickle"]).read_bytes()), dict)
