"""Every place in which Django keeps sessions: its settings, and how a pickle gets into it.

What is planted is what an attacker with the key, or a Django of old, has put there.
"""

from __future__ import annotations

import base64
import pickle
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import md5
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.core import signing
from django.core.cache import caches
from django.db import connection
from django.utils import timezone

from tests.django import shop

OURS = "plainpickle.django."
COOKIE_SALT = "django.contrib.sessions.backends.signed_cookies"
CACHE_PREFIX = "django.contrib.sessions.cache"


class Raw:
    """A serializer of bytes, which signs what is given."""

    def dumps(self, data: bytes) -> bytes:
        return data

    def loads(self, data: bytes) -> bytes:
        return data


def signed(payload: bytes) -> str:
    """A row as the installed Django writes it."""
    store = db.SessionStore()
    store.serializer = Raw
    return str(store.encode(payload))


def signed_cookie(payload: bytes) -> str:
    return str(signing.dumps(payload, salt=COOKIE_SALT, serializer=Raw, compress=True))


def plant_row(session_key: str, data: str) -> None:
    Session.objects.update_or_create(
        session_key=session_key,
        defaults={"session_data": data, "expire_date": timezone.now() + timedelta(days=1)},
    )


def plant_file(session_key: str, data: str) -> None:
    (shop.SESSIONS / f"{settings.SESSION_COOKIE_NAME}{session_key}").write_text(data, "ascii")


def cached_key(session_key: str) -> str:
    return f":1:{CACHE_PREFIX}{session_key}"


def plant_cache_row(session_key: str, data: str) -> None:
    expires = connection.ops.adapt_datetimefield_value(
        (timezone.now() + timedelta(days=1)).replace(microsecond=0)
    )
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM cached WHERE cache_key = %s", [cached_key(session_key)])
        cursor.execute(
            "INSERT INTO cached (cache_key, value, expires) VALUES (%s, %s, %s)",
            [cached_key(session_key), data, expires],
        )


def plant_cache_file(session_key: str, content: bytes) -> None:
    name = md5(cached_key(session_key).encode()).hexdigest()
    (shop.CACHE_FILES / f"{name}.djcache").write_bytes(content)


def with_expiry(compressed: bytes) -> bytes:
    return pickle.dumps(time.time() + 86400, 2) + compressed


def plant_in_memory(session_key: str, payload: bytes) -> None:
    cache: Any = caches["default"]
    cache._cache[cached_key(session_key)] = payload
    cache._expire_info[cached_key(session_key)] = time.time() + 86400


@dataclass(frozen=True)
class Place:
    """A place for sessions; ``plant(key, payload)`` writes as an attacker with the key can."""

    name: str
    settings: dict[str, Any]
    plant: Callable[[str, bytes], None]

    def __str__(self) -> str:
        return self.name


def _cache(backend: str, location: str = "", **options: Any) -> dict[str, Any]:
    return {
        "SESSION_ENGINE": f"{OURS}sessions.cache",
        "CACHES": {"default": {"BACKEND": backend, "LOCATION": location, "OPTIONS": options}},
    }


DB = Place(
    "db",
    {"SESSION_ENGINE": f"{OURS}sessions.db"},
    lambda key, payload: plant_row(key, signed(payload)),
)
STOCK_DB = Place(
    "stock db",
    {"SESSION_ENGINE": "django.contrib.sessions.backends.db"},
    lambda key, payload: plant_row(key, signed(payload)),
)
FILE = Place(
    "file",
    {"SESSION_ENGINE": f"{OURS}sessions.file"},
    lambda key, payload: plant_file(key, signed(payload)),
)
STOCK_FILE = Place(
    "stock file",
    {"SESSION_ENGINE": "django.contrib.sessions.backends.file"},
    lambda key, payload: plant_file(key, signed(payload)),
)
CACHE_TABLE = Place(
    "cache in a table",
    _cache(f"{OURS}caches.DatabaseCache", "cached"),
    lambda key, payload: plant_cache_row(key, base64.b64encode(payload).decode()),
)
CACHE_IN_FILES = Place(
    "cache in files",
    _cache(f"{OURS}caches.FileBasedCache", str(shop.CACHE_FILES)),
    lambda key, payload: plant_cache_file(key, with_expiry(zlib.compress(payload))),
)
IN_MEMORY = Place("cache in memory", _cache(f"{OURS}caches.LocMemCache", "tests"), plant_in_memory)


def redis_place(socket: str) -> Place:
    serializer = f"{OURS}caches.Serializer"
    backend = "django.core.cache.backends.redis.RedisCache"

    def plant(key: str, payload: bytes) -> None:
        cache: Any = caches["default"]
        cache._cache.get_client().set(cached_key(key), payload)

    return Place("redis", _cache(backend, f"unix://{socket}", serializer=serializer), plant)


def django_redis_place(socket: str, **options: Any) -> Place:
    def plant(key: str, payload: bytes) -> None:
        cache: Any = caches["default"]
        cache.client.get_client(write=True).set(cached_key(key), payload)

    backend = "django_redis.cache.RedisCache"
    serializer = f"{OURS}caches.Serializer"
    found = _cache(backend, f"unix://{socket}?db=1", SERIALIZER=serializer, **options)
    return Place("django-redis", found, plant)


def pymemcache_place(socket: str) -> Place:
    import pymemcache

    from plainpickle.django.caches import Serde

    def plant(key: str, payload: bytes) -> None:
        client = pymemcache.Client(f"unix:{socket}", default_noreply=False)
        client.set(cached_key(key), payload, flags=1)
        client.close()

    backend = "django.core.cache.backends.memcached.PyMemcacheCache"
    return Place("pymemcache", _cache(backend, f"unix:{socket}", serde=Serde()), plant)


CACHED = [CACHE_TABLE, CACHE_IN_FILES, IN_MEMORY]
PLACES = [DB, STOCK_DB, FILE, STOCK_FILE, *CACHED]


def redis_drop_in(socket: str) -> Place:
    found = redis_place(socket)
    return Place(
        "redis drop-in", _cache(f"{OURS}caches.RedisCache", f"unix://{socket}"), found.plant
    )


def pymemcache_drop_in(socket: str) -> Place:
    found = pymemcache_place(socket)
    settings = _cache(f"{OURS}caches.PyMemcacheCache", f"unix:{socket}")
    return Place("pymemcache drop-in", settings, found.plant)


SERVED: dict[str, tuple[Callable[[str], Place], str]] = {
    "redis": (redis_place, "redis_socket"),
    "django-redis": (django_redis_place, "redis_socket"),
    "redis drop-in": (redis_drop_in, "redis_socket"),
    "pymemcache": (pymemcache_place, "memcached_socket"),
    "pymemcache drop-in": (pymemcache_drop_in, "memcached_socket"),
}
