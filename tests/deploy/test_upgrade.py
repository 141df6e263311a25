"""From Django 2.2 to the current one: rows, files and cookies of the old form, and old logins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.deploy.conftest import sqlite
from tests.deploy.site import DJANGO_REDIS, ENDS, OURS, STOCK, Process, Visitor, django

ENGINES = ("db", "cached_db", "cache", "file", "signed_cookies")
Start = Callable[..., Process]


@pytest.fixture(scope="module", params=ENDS)
def start(
    request: pytest.FixtureRequest, redis: str, tmp_path_factory: pytest.TempPathFactory
) -> Start:
    """Starts a process of the site: of an old Django as it was, or of today's."""
    folder = tmp_path_factory.mktemp("site")
    cache = {**DJANGO_REDIS, "LOCATION": redis}
    stores: dict[str, Any] = {"DATABASES": sqlite(folder), "SESSION_FILE_PATH": str(folder)}

    def process(old: str | None = None, *, upgrade: bool = True) -> Process:
        if old is not None:
            return Process(
                django(old),
                engines={each: f"{STOCK}{each}" for each in ENGINES},
                CACHES={"default": cache},
                SESSION_SERIALIZER="django.contrib.sessions.serializers.PickleSerializer",
                **stores,
            )
        safe = {"SERIALIZER": "plainpickle.django.caches.Serializer"}
        return Process(
            django(request.param),
            engines={each: f"{OURS}{each}" for each in ENGINES},
            CACHES={"default": {**cache, "OPTIONS": safe}},
            SESSION_SERIALIZER="plainpickle.django.SessionSerializer",
            PLAINPICKLE={"UPGRADE_AUTH_HASH": upgrade},
            **stores,
        )

    return process


@pytest.fixture(scope="module")
def visitors(start: Start) -> dict[str, dict[str, Visitor]]:
    """Those of Django 2.2; some came by 3.2. All of its processes have ended."""
    with start("2.2.28") as old:
        old.ask(do="new_database")
        found = {
            kind: {engine: Visitor(old, engine) for engine in ENGINES}
            for kind in ("of 2.2", "by 3.2", "other")
        }
        found["changed"] = {engine: Visitor(old, engine, user="bob") for engine in ENGINES}
        old.ask(do="change_password")
    with start("3.2.25") as between:
        between.ask(do="new_database")
        for visitor in found["by 3.2"].values():
            visitor.adds(between, "one")
    return found


@pytest.fixture(scope="module")
def today(start: Start, visitors: Any) -> Iterator[Process]:
    with start() as process:
        process.ask(do="new_database")
        yield process


@pytest.fixture(scope="module")
def without_the_setting(start: Start, visitors: Any) -> Iterator[Process]:
    with start(upgrade=False) as process:
        yield process


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["of 2.2", "by 3.2"])
def test_nobody_is_logged_out(
    kind: str, engine: str, visitors: Any, today: Process, without_the_setting: Process
) -> None:
    visitor = visitors[kind][engine]
    assert visitor.is_known_to(today)
    assert visitor.is_known_to(today)
    visitor.adds(today, "two")
    assert visitor.is_known_to(without_the_setting)  # it can be switched off again


@pytest.mark.parametrize("engine", ENGINES)
def test_without_the_setting_old_logins_end(
    engine: str, visitors: Any, without_the_setting: Process
) -> None:
    assert not visitors["other"][engine].is_known_to(without_the_setting)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_changed_password_ends_old_logins(engine: str, visitors: Any, today: Process) -> None:
    assert not visitors["changed"][engine].is_known_to(today)
