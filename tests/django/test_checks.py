"""The system checks: each one speaks where it should, is silent elsewhere, and is documented."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import django
import pytest
from django.contrib.sessions.backends.cache import SessionStore as CacheStore
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.serializers import JSONSerializer
from django.core import checks
from django.core.management import call_command
from django.core.signing import JSONSerializer as SigningSerializer
from django.test import override_settings
from pymemcache.serde import CompressedSerde

from plainpickle.django import caches

PAGE = Path(__file__).parents[2] / "docs" / "django.md"
STOCK = "django.contrib.sessions.backends."
OURS = "plainpickle.django."
BACKENDS = "django.core.cache.backends."
STRICT: dict[str, Any] = {"SESSION_COOKIE_SECURE": True}


class SessionStore(DatabaseStore):  # type: ignore[misc]
    """An engine of somebody else's."""

    def decode(self, session_data: str) -> Any:
        return pickle.loads(session_data.encode())


class Pickling:
    def loads(self, data: bytes) -> Any:
        return pickle.loads(data)


class Unknown:
    def loads(self, data: bytes) -> Any:
        return data


class Json(JSONSerializer):  # type: ignore[misc]
    def loads(self, data: bytes) -> Any:
        return {**super().loads(data)}


def cache(backend: str, alias: str = "default", **options: Any) -> dict[str, Any]:
    quiet = {"default": {"BACKEND": f"{BACKENDS}dummy.DummyCache"}}
    return {"CACHES": {**quiet, alias: {"BACKEND": backend, "OPTIONS": options}}}


def cached_sessions(backend: str, **options: Any) -> dict[str, Any]:
    return {"SESSION_ENGINE": f"{OURS}sessions.cache", **cache(backend, **options)}


def found(settings: dict[str, Any], *, deploy: bool = False) -> dict[str, Any]:
    with override_settings(**{**STRICT, **settings}):
        messages = checks.run_checks(tags=[checks.Tags.security], include_deployment_checks=deploy)
    return {each.id[12:]: each for each in messages if each.id.startswith("plainpickle.")}


SPEAKS: list[tuple[str, dict[str, Any], str]] = [
    ("E001", {"PLAINPICKLE": {"format": "json"}}, "did you mean 'FORMAT'"),
    ("E002", {"SESSION_ENGINE": "no.such.engine"}, "plainpickle.django.sessions.{db,"),
    ("E002", {"SESSION_ENGINE": "json"}, "plainpickle.django.sessions.{db,"),
    ("E003", {"SESSION_SERIALIZER": "no.such.PickleSerializer"}, f"'{OURS}SessionSerializer'"),
    ("W001", {"SESSION_SERIALIZER": f"{__name__}.Pickling"}, f"'{OURS}SessionSerializer'"),
    ("W001", {"SESSION_SERIALIZER": f"{__name__}.Unknown"}, "may unpickle"),
    (
        "W002",
        {
            "SESSION_SERIALIZER": f"{__name__}.Pickling",
            "SESSION_ENGINE": f"{STOCK}signed_cookies",
        },
        "one request",
    ),
    ("W003", cached_sessions(f"{BACKENDS}db.DatabaseCache"), f"'{OURS}caches.DatabaseCache'"),
    (
        "W003",
        cached_sessions(f"{BACKENDS}filebased.FileBasedCache"),
        f"'{OURS}caches.FileBasedCache'",
    ),
    ("W003", cached_sessions(f"{BACKENDS}locmem.LocMemCache"), f"'{OURS}caches.LocMemCache'"),
    ("W003", cached_sessions(f"{BACKENDS}redis.RedisCache"), f"'{OURS}caches.RedisCache'"),
    (
        "W003",
        cached_sessions("django_redis.cache.RedisCache"),
        f"['SERIALIZER'] = '{OURS}caches.Serializer'",
    ),
    (
        "W003",
        cached_sessions(f"{BACKENDS}memcached.PyMemcacheCache"),
        f"'{OURS}caches.PyMemcacheCache'",
    ),
    (
        "W003",
        cached_sessions(f"{OURS}caches.PyMemcacheCache", serde=CompressedSerde()),
        "pymemcache.serde.PickleSerde",
    ),
    ("W003", cached_sessions("json.JSONDecoder"), "is not known here"),
    ("W003", cached_sessions("no.such.Cache"), "can't be imported"),
    (
        "W003",
        {"SESSION_ENGINE": f"{STOCK}cached_db", "SESSION_CACHE_ALIAS": "gone"},
        "there is no cache 'gone'",
    ),
    (
        "W003",
        cached_sessions(f"{OURS}caches.RedisCache", serializer=Pickling),
        "['serializer'], tests.django.test_checks.Pickling",
    ),
    ("W004", {"SESSION_ENGINE": __name__}, "pickle in it"),
    ("W005", cache(f"{BACKENDS}redis.RedisCache", "pages"), "CACHES['pages']['BACKEND']"),
    (
        "W006",
        {**cache(f"{OURS}caches.LocMemCache"), "SESSION_ENGINE": f"{STOCK}cache"},
        f"'{OURS}sessions.cache'",
    ),
    (
        "W007",
        {"PLAINPICKLE": {"UPGRADE_AUTH_HASH": True}, "SESSION_ENGINE": f"{STOCK}db"},
        f"'{OURS}sessions.db'",
    ),
    ("W010", {"SESSION_COOKIE_SECURE": False}, "SESSION_COOKIE_SECURE = True"),
    ("W011", {"SESSION_COOKIE_HTTPONLY": False}, "SESSION_COOKIE_HTTPONLY = True"),
    ("W012", {"SESSION_COOKIE_SAMESITE": False}, "'Lax'"),
    ("W012", {"SESSION_COOKIE_SAMESITE": "None"}, "'Lax'"),
    ("W013", {"SESSION_COOKIE_AGE": 86400 * 365}, "live 365 days"),
    ("W014", {"SECRET_KEY_FALLBACKS": ["old"]}, "has 1 key(s)"),
    ("W020", {"DEFAULT_HASHING_ALGORITHM": "sha1"}, "'FORMAT'] = 'pickle'"),
    ("W021", {"PLAINPICKLE": {"FORMAT": "pickle", "PROTOCOL": 5}}, "4 from Python 3.4 on"),
]


@pytest.mark.parametrize(("number", "settings", "says"), SPEAKS)
def test_a_check_speaks_and_says_what_to_do(
    number: str, settings: dict[str, Any], says: str
) -> None:
    messages = found(settings, deploy=True)
    message = messages[number]
    assert says in f"{message.msg} {message.hint}"
    assert message.hint.endswith(f"See docs/django.md#{number.lower()}")
    assert isinstance(message, checks.Error if number[0] == "E" else checks.Warning)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        *({"SESSION_ENGINE": f"{OURS}sessions.{kind}"} for kind in ("file", "signed_cookies")),
        {"SESSION_ENGINE": f"{STOCK}db"},
        *(
            cached_sessions(f"{OURS}caches.{name}")
            for name in (
                "DatabaseCache",
                "FileBasedCache",
                "LocMemCache",
                "RedisCache",
                "PyMemcacheCache",
            )
        ),
        cached_sessions(f"{BACKENDS}redis.RedisCache", serializer=f"{OURS}caches.Serializer"),
        cached_sessions(f"{BACKENDS}redis.RedisCache", serializer=caches.Serializer()),
        cached_sessions(f"{BACKENDS}redis.RedisCache", serializer=SigningSerializer),
        cached_sessions("django_redis.cache.RedisCache", SERIALIZER=f"{OURS}caches.Serializer"),
        cached_sessions(
            "django_redis.cache.RedisCache",
            SERIALIZER="django_redis.serializers.json.JSONSerializer",
        ),
        cached_sessions(f"{BACKENDS}memcached.PyMemcacheCache", serde=caches.Serde()),
        cached_sessions(
            f"{BACKENDS}memcached.PyMemcacheCache", serde=CompressedSerde(serde=caches.Serde())
        ),
        {"SESSION_SERIALIZER": "django.contrib.sessions.serializers.JSONSerializer"},
        {"SESSION_SERIALIZER": f"{__name__}.Json"},
        cache(f"{BACKENDS}locmem.LocMemCache", "pages"),
        {"PLAINPICKLE": {"FORMAT": "pickle", "PROTOCOL": 4}},
        {"PLAINPICKLE": {"UPGRADE_AUTH_HASH": True}},
        {
            "DEFAULT_HASHING_ALGORITHM": "sha1",
            "PLAINPICKLE": {"FORMAT": "pickle"},
        },
    ],
)
def test_they_are_silent_where_nothing_is_wrong(settings: dict[str, Any]) -> None:
    assert found(settings, deploy=True) == {}


def test_those_of_cookies_are_for_a_deployment_only() -> None:
    settings = {"SESSION_COOKIE_SECURE": False, "SESSION_COOKIE_HTTPONLY": False}
    assert found(settings) == {}
    assert set(found(settings, deploy=True)) == {"W010", "W011"}


def test_djangos_own_pickle_serializer_is_named_or_known_to_be_gone() -> None:
    path = "django.contrib.sessions.serializers.PickleSerializer"
    messages = found({"SESSION_SERIALIZER": path})
    if django.VERSION < (5, 0):
        assert set(messages) == {"W001"}
    else:
        assert "Django 5.0 removed it" in messages["E003"].msg


def test_an_engine_that_only_stores_otherwise_is_what_it_derives_from() -> None:
    from plainpickle.django.checks import engine_of

    class Own(CacheStore):  # type: ignore[misc]
        cache_key_prefix = "own"

    assert engine_of(Own) == "cache"
    assert engine_of(SessionStore) is None
    assert engine_of(None) is None


def test_manage_py_check_runs_them(capsys: pytest.CaptureFixture[str]) -> None:
    with override_settings(SESSION_ENGINE=__name__):
        call_command("check", "--tag", "security")
    assert "plainpickle.W004" in capsys.readouterr().err


def test_each_check_is_tested_and_has_its_place_in_the_documentation() -> None:
    source = Path(caches.__file__).with_name("checks.py").read_text("utf-8")
    numbers = set(re.findall(r'"([EW]\d{3})"', source))
    assert numbers == {number for number, _, _ in SPEAKS}
    anchors = re.findall(r'<a id="([ew]\d{3})"></a>', PAGE.read_text("utf-8"))
    assert sorted(anchors) == sorted(number.lower() for number in numbers)
