"""One Django for all these tests, with an empty store for each."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("django")

from django.conf import settings

if not settings.configured:
    from tests.django import shop

    shop.set_up()

from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.test import Client, override_settings

from plainpickle import events
from tests import servers
from tests.libraries.canary import Canary


@pytest.fixture(scope="session")
def tables() -> None:
    call_command("migrate", verbosity=0)
    cached = {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cached"}
    with override_settings(CACHES={"default": cached}):
        call_command("createcachetable", verbosity=0)


@pytest.fixture(autouse=True)
def empty_stores(tables: None) -> None:
    from django.db import connection

    from tests.django import shop

    Session.objects.all().delete()
    get_user_model().objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM cached")
    for folder in (shop.SESSIONS, shop.CACHE_FILES):
        for path in folder.iterdir():
            path.unlink()


@pytest.fixture(scope="session")
def redis_socket() -> Iterator[str]:
    with servers.redis() as path:
        yield path


@pytest.fixture(scope="session")
def memcached_socket() -> Iterator[str]:
    with servers.memcached() as path:
        yield path


@pytest.fixture
def anna() -> Any:
    return get_user_model().objects.create_user("anna", password="pw", id=1)


@pytest.fixture
def client(anna: Any) -> Client:
    """A browser in which anna is not logged in yet."""
    return Client()


@pytest.fixture
def canary(tmp_path: Path) -> Canary:
    return Canary(tmp_path)


@pytest.fixture
def reported() -> Iterator[list[dict[str, Any]]]:
    """The events."""
    found: list[dict[str, Any]] = []
    unsubscribe = events.subscribe(found.append)
    yield found
    unsubscribe()


@pytest.fixture
def django_log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, "django.security.SuspiciousSession")
    return caplog
