"""A hostile row, file, cache entry or cookie, signed with the right key: nothing of it runs."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.test import Client, override_settings

from tests.django import stores
from tests.django.shop import SESSIONS
from tests.django.stores import PLACES, SERVED, Place
from tests.libraries.canary import Canary


@pytest.fixture(params=[*PLACES, *SERVED], ids=str)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with within(request) as found:
        yield found


@pytest.fixture(params=[*stores.CACHED, *SERVED], ids=str)
def cached(request: pytest.FixtureRequest) -> Iterator[Place]:
    with within(request) as found:
        yield found


@contextmanager
def within(request: pytest.FixtureRequest) -> Iterator[Place]:
    if isinstance(request.param, str):
        make, fixture = SERVED[request.param]
        found: Place = make(request.getfixturevalue(fixture))
    else:
        found = request.param
    with override_settings(**found.settings):
        yield found


def key_of(client: Client) -> str:
    return str(client.cookies[settings.SESSION_COOKIE_NAME].value)


def entered(client: Client) -> dict[str, Any]:
    """Logs in, and gives what the session holds then."""
    assert client.get("/enter/").status_code == 200
    return dict(client.session.items())


def seen(client: Client) -> Any:
    response = client.get("/")
    assert response.status_code == 200
    return response.json()


def test_the_key_with_an_attack_is_dropped_and_the_visitor_notices_nothing(
    place: Place,
    client: Client,
    canary: Canary,
    reported: list[dict[str, Any]],
    django_log: pytest.LogCaptureFixture,
) -> None:
    held = entered(client)
    place.plant(key_of(client), pickle.dumps({**held, "evil": canary}, 2))
    assert seen(client) == {"user": "anna", "cart": "three apples", "visits": "1"}
    assert not canary.sang()
    (event,) = reported
    assert (event["reason"], event["action"], event["key"]) == (
        "dangerous_global",
        "dropped",
        "evil",
    )
    assert (event["session"] is None) == place.name.startswith("stock")
    records = [each for each in django_log.records if each.name.startswith("django.security")]
    assert [each.plainpickle for each in records] == [event]  # type: ignore[attr-defined]
    assert seen(client)["visits"] == "2"
    assert len(reported) == 1  # the save has written it without


@pytest.mark.parametrize("payload", ["attack", "cut", "list", "junk", "bad json"])
def test_a_session_that_is_refused_as_a_whole_is_an_empty_one(
    place: Place, client: Client, canary: Canary, reported: list[dict[str, Any]], payload: str
) -> None:
    entered(client)
    data = {
        "attack": pickle.dumps(canary, 2),
        "cut": pickle.dumps({"a": 1, "b": 2}, 2)[:-5],
        "list": pickle.dumps([1, 2], 2),
        "junk": b"\xff\xfe\xfd",
        "bad json": b'{"a": ',
    }[payload]
    place.plant(key_of(client), data)
    assert seen(client) == {"user": "", "visits": "1"}
    assert not canary.sang()
    assert [event["action"] for event in reported] == ["refused"]


@pytest.fixture
def in_cookies() -> Iterator[None]:
    with override_settings(SESSION_ENGINE="plainpickle.django.sessions.signed_cookies"):
        yield


@pytest.mark.usefixtures("in_cookies")
def test_an_attack_in_a_cookie_is_dropped(
    client: Client, canary: Canary, reported: list[dict[str, Any]]
) -> None:
    held = entered(client)
    attack = stores.signed_cookie(pickle.dumps({**held, "evil": canary}, 2))
    client.cookies[settings.SESSION_COOKIE_NAME] = attack
    assert seen(client) == {"user": "anna", "cart": "three apples", "visits": "1"}
    client.cookies[settings.SESSION_COOKIE_NAME] = stores.signed_cookie(pickle.dumps(canary))
    assert seen(client) == {"user": "", "visits": "1"}
    assert not canary.sang()
    assert [event["action"] for event in reported] == ["dropped", "refused"]
    assert [event["store"] for event in reported] == ["django.signed_cookies"] * 2


def cached_db(cache: Place) -> dict[str, Any]:
    return {**cache.settings, "SESSION_ENGINE": "plainpickle.django.sessions.cached_db"}


def test_an_attack_on_the_cached_copy_of_a_row_costs_one_key_or_the_row_is_read(
    client: Client,
    canary: Canary,
    reported: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stores, "CACHE_PREFIX", "django.contrib.sessions.cached_db")
    with override_settings(**cached_db(stores.CACHE_TABLE)):
        held = entered(client)
        key = key_of(client)
        stores.CACHE_TABLE.plant(key, pickle.dumps({**held, "evil": canary}))
        assert seen(client) == {"user": "anna", "cart": "three apples", "visits": "1"}
        stores.CACHE_TABLE.plant(key, pickle.dumps(canary))
        assert seen(client) == {"user": "anna", "cart": "three apples", "visits": "2"}
    assert not canary.sang()
    assert [event["action"] for event in reported] == ["dropped", "refused"]


def test_what_an_attacker_without_the_key_writes_is_not_even_decoded(
    client: Client, canary: Canary, reported: list[dict[str, Any]]
) -> None:
    entered(client)
    with override_settings(SECRET_KEY="another key"):
        row = stores.signed(pickle.dumps(canary))
    stores.plant_row(key_of(client), row)
    assert seen(client) == {"user": "", "visits": "1"}
    assert not canary.sang()
    assert reported == []


@pytest.mark.parametrize(
    "damaged", ["", "no base64!", "AAAA", "é", "a:b", "a:b:c", ":::", "A" * 21]
)
@pytest.mark.parametrize("engine", ["db", "file"])
def test_damaged_text_in_a_store_is_an_empty_session(
    client: Client, engine: str, damaged: str
) -> None:
    with override_settings(SESSION_ENGINE=f"plainpickle.django.sessions.{engine}"):
        entered(client)
        if engine == "db":
            stores.plant_row(key_of(client), damaged)
        else:
            path = SESSIONS / f"{settings.SESSION_COOKIE_NAME}{key_of(client)}"
            path.write_text(damaged, "ascii", "replace")
        assert seen(client) == {"user": "", "visits": "1"}


def test_a_row_is_left_as_it_is_until_the_session_is_saved(client: Client, canary: Canary) -> None:
    held = entered(client)
    row = stores.signed(pickle.dumps({**held, "evil": canary}))
    stores.plant_row(key_of(client), row)
    store = client.session
    assert "evil" not in store
    assert Session.objects.get(session_key=store.session_key).session_data == row


def test_damage_in_a_cache_is_a_miss_with_the_default_that_was_asked_for(
    cached: Place, canary: Canary, reported: list[dict[str, Any]]
) -> None:
    cache, key = caches["default"], f"{stores.CACHE_PREFIX}key"
    ours = cached.settings["CACHES"]["default"]["BACKEND"].startswith("plainpickle")
    for payload in (pickle.dumps({"a": 1, "x": canary}), b"", b"\xff", b"{"):
        cached.plant("key", payload)
        # A serializer in a backend of others can only say that None was stored.
        assert cache.get(key, "default") == ("default" if ours else None)
        assert cache.get_many([key]) == ({} if ours else {key: None})
        assert cache.get(key) is None
    assert not canary.sang()
    assert {event["action"] for event in reported} == {"refused"}
