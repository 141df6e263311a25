"""What is stored, read-only: the payload of each session or cache entry. Nothing is decoded."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.sessions.backends.base import VALID_KEY_CHARS
from django.core import signing
from django.core.cache import caches
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.filebased import FileBasedCache
from django.db import connections, router
from django.utils import timezone

import plainpickle
from plainpickle.django.caches import inflated
from plainpickle.django.checks import engine_of, session_store
from plainpickle.django.sessions import verified

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Entry:
    """One session, or cache entry.

    Attributes:
        place: the store, and the SHA-256 of the session key, as in the events; for entries that
            are no sessions their key.
        payload: what the serializer would get; ``None`` if that can't be told.
        problem: why it can't.
    """

    place: str
    payload: bytes | None
    problem: str = ""


class Store:
    """Where entries are.

    Attributes:
        name: for people.
    """

    name = ""

    def count(self) -> int | None:
        """How many entries there are; ``None`` where counting is as much work as reading."""
        return None

    def entries(self, *, batch: int) -> Iterator[Entry]:
        """All entries, read so many at a time."""
        raise NotImplementedError

    def newest(self, count: int) -> Iterator[Entry] | None:
        """The entries that end last; ``None`` where the store has no order."""
        del count
        return None

    def find(self, session_key: str) -> Entry | None:
        """The entry of one session."""
        raise NotImplementedError


class Unlisted(Exception):
    """A store whose entries can't be listed; it says why."""


def session_stores() -> list[Store]:
    """Where the configured engine keeps sessions: the database before the cache.

    Raises:
        Unlisted: a third party's engine, or one that keeps nothing here.
    """
    store = session_store()
    kind = engine_of(store)
    if kind == "signed_cookies":
        raise Unlisted("the sessions are in the visitors' cookies, and nowhere here")
    if kind is None:
        raise Unlisted(f"SESSION_ENGINE {settings.SESSION_ENGINE!r} is not known here")
    if kind == "file":
        return [Files(store)]
    found: list[Store] = [Rows(store)] if kind != "cache" else []
    if kind != "db":
        found.append(cache_store(settings.SESSION_CACHE_ALIAS, prefix=store.cache_key_prefix))
    return found


def cache_store(alias: str, *, prefix: str = "") -> Store:
    """The entries of a cache; those of one key prefix, where its keys can be seen.

    Raises:
        Unlisted: it has no list of its entries, or is not known.
    """
    try:
        cache: Any = caches[alias]
    except Exception as error:  # the backend's own, of many kinds
        raise Unlisted(f"the cache {alias!r} can't be opened: {error}") from None
    if isinstance(cache, DatabaseCache):
        return CacheRows(alias, cache, prefix)
    if isinstance(cache, FileBasedCache):
        return CacheFiles(alias, cache)
    names = {f"{cls.__module__}.{cls.__name__}" for cls in type(cache).__mro__}
    if "django.core.cache.backends.redis.RedisCache" in names:
        return RedisKeys(alias, cache, prefix)
    if "django_redis.cache.RedisCache" in names:
        return DjangoRedisKeys(alias, cache, prefix)
    if "django.core.cache.backends.locmem.LocMemCache" in names:
        raise Unlisted(f"the cache {alias!r} is in the memory of each process")
    raise Unlisted(f"the cache {alias!r} ({type(cache).__name__}) can't list what it holds")


def hashed(session_key: str) -> str:
    """What stands for a session key in events and reports."""
    return hashlib.sha256(session_key.encode("utf-8", "replace")).hexdigest()


class _Raw:
    """A serializer that hands on the bytes."""

    def loads(self, data: bytes) -> bytes:
        return data


def _payload(session_data: str, store: Any) -> bytes:
    """The payload of a row or file, its signature verified."""
    if ":" not in session_data:
        return verified(session_data, store)
    salt = f"django.contrib.sessions.{store.__qualname__}"
    found: bytes = signing.loads(session_data, salt=salt, serializer=_Raw)
    return found


def _signed(place: str, session_data: str, store: Any) -> Entry:
    try:
        return Entry(place, _payload(session_data, store))
    except Exception as error:  # of base64, zlib and signing
        damaged = not isinstance(error, signing.BadSignature) and "signature" not in str(error)
        return Entry(place, None, "damaged" if damaged else "no valid signature")


class Rows(Store):
    """Sessions in the database; expired ones are left out."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._model = store.get_model_class()
        self.name = f"database table {self._model._meta.db_table}"  # noqa: SLF001  # Django's public _meta

    def _rows(self) -> Any:
        live = self._model.objects.filter(expire_date__gt=timezone.now())
        return live.values_list("session_key", "session_data")

    def _entry(self, row: tuple[str, str]) -> Entry:
        return _signed(f"db {hashed(row[0])}", row[1], self._store)

    def count(self) -> int | None:
        """How many rows are live."""
        count: int = self._rows().count()
        return count

    def entries(self, *, batch: int) -> Iterator[Entry]:
        """All live rows, in the order of their keys."""
        rows = list(self._rows().order_by("session_key")[:batch])
        while rows:
            yield from map(self._entry, rows)
            following = self._rows().filter(session_key__gt=rows[-1][0])
            rows = list(following.order_by("session_key")[:batch])

    def newest(self, count: int) -> Iterator[Entry] | None:
        """The rows that expire last."""
        return map(self._entry, self._rows().order_by("-expire_date")[:count])

    def find(self, session_key: str) -> Entry | None:
        """The row of a session."""
        row = self._rows().filter(session_key=session_key).first()
        return None if row is None else self._entry(row)


class Files(Store):
    """Sessions in files."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._folder = Path(store._get_storage_path())  # noqa: SLF001  # Django's own commands use it
        self._prefix: str = settings.SESSION_COOKIE_NAME
        self.name = f"files {self._folder / self._prefix}*"

    def _keys(self) -> Iterator[str]:
        for path in self._folder.iterdir():
            key = path.name[len(self._prefix) :]
            # What Django is about to rename has an underscore in its name.
            if path.name.startswith(self._prefix) and set(key) <= set(VALID_KEY_CHARS):
                yield key

    def count(self) -> int | None:
        """How many files there are."""
        return sum(1 for _ in self._keys())

    def entries(self, *, batch: int) -> Iterator[Entry]:  # noqa: ARG002
        """All files, one at a time."""
        for key in self._keys():
            entry = self.find(key)
            if entry is not None:
                yield entry

    def newest(self, count: int) -> Iterator[Entry] | None:
        """The files that were written last."""
        paths = [self._folder / f"{self._prefix}{key}" for key in self._keys()]
        paths.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        found = (self.find(path.name[len(self._prefix) :]) for path in paths[:count])
        return (entry for entry in found if entry is not None)

    def find(self, session_key: str) -> Entry | None:
        """The file of a session."""
        if not set(session_key) <= set(VALID_KEY_CHARS):
            return None
        try:
            content = (self._folder / f"{self._prefix}{session_key}").read_bytes()
        except OSError:
            return None
        return _signed(f"file {hashed(session_key)}", content.decode("latin-1"), self._store)


class _Cached(Store):
    """Entries of a cache, whose keys begin with a prefix."""

    def __init__(self, alias: str, cache: Any, prefix: str) -> None:
        self._alias, self._cache, self._prefix = alias, cache, prefix
        self.name = f"cache {alias!r}" + (f", keys of {prefix}" if prefix else "")

    def _entry(self, key: str, value: Any) -> Entry:
        """An entry, by the cache's own key and what it stores under it."""
        start = self._cache.make_key(self._prefix) if self._prefix else ""
        session = key.startswith(start) and bool(self._prefix)
        place = f"{self._alias} {hashed(key[len(start) :]) if session else key}"
        try:
            return Entry(place, self._stored(value))
        except Exception:  # of base64, of a compressor
            return Entry(place, None, "damaged")

    def _stored(self, value: Any) -> bytes:
        """The payload in what the cache stores."""
        return bytes(value)


class CacheRows(_Cached):
    """A cache in a table of the database."""

    def _select(self, where: str, values: list[Any], batch: int) -> list[tuple[str, str]]:
        connection = connections[router.db_for_read(self._cache.cache_model_class)]
        quote = connection.ops.quote_name
        key, value, expires = map(quote, ("cache_key", "value", "expires"))
        now = connection.ops.adapt_datetimefield_value(timezone.now().replace(microsecond=0))
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {key}, {value} FROM {quote(self._cache._table)} "  # noqa: S608, SLF001  # all quoted
                f"WHERE {expires} > %s {where.format(key=key)} ORDER BY {key} "
                + connection.ops.limit_offset_sql(0, batch),
                [now, *values],
            )
            process = connection.ops.process_clob
            return [(found, process(stored)) for found, stored in cursor.fetchall()]

    def entries(self, *, batch: int) -> Iterator[Entry]:
        """All live rows of the prefix. Others are read too: the database has its own order."""
        start = self._cache.make_key(self._prefix) if self._prefix else ""
        rows = self._select("", [], batch)
        while rows:
            for key, value in rows:
                if key.startswith(start):
                    yield self._entry(key, value)
            rows = self._select("AND {key} > %s", [rows[-1][0]], batch)

    def find(self, session_key: str) -> Entry | None:
        """The row of a session."""
        key = self._cache.make_key(f"{self._prefix}{session_key}")
        rows = self._select("AND {key} = %s", [key], 1)
        return self._entry(*rows[0]) if rows else None

    def _stored(self, value: Any) -> bytes:
        return base64.b64decode(value)


class CacheFiles(Store):
    """A cache in files. Their names are hashes: which ones are sessions can't be told."""

    def __init__(self, alias: str, cache: Any) -> None:
        self._alias, self._cache = alias, cache
        self._folder = Path(cache._dir)  # noqa: SLF001  # its only attribute for it
        self._session_prefix = getattr(session_store(), "cache_key_prefix", "")
        self.name = f"cache {alias!r} in {self._folder}, all entries"

    def _paths(self) -> Iterator[Path]:
        return self._folder.glob(f"*{self._cache.cache_suffix}")

    def count(self) -> int | None:
        """How many files there are."""
        return sum(1 for _ in self._paths())

    def entries(self, *, batch: int) -> Iterator[Entry]:  # noqa: ARG002
        """All files, one at a time."""
        for path in self._paths():
            entry = self._entry(path, f"{self._alias} {path.name}")
            if entry is not None:
                yield entry

    def newest(self, count: int) -> Iterator[Entry] | None:
        """The files that were written last."""
        paths = sorted(self._paths(), key=lambda path: path.stat().st_mtime, reverse=True)
        found = (self._entry(path, f"{self._alias} {path.name}") for path in paths[:count])
        return (entry for entry in found if entry is not None)

    def find(self, session_key: str) -> Entry | None:
        """The file of a session."""
        key = f"{self._session_prefix}{session_key}"
        path = Path(self._cache._key_to_file(key))  # noqa: SLF001  # no other way to it
        return self._entry(path, f"{self._alias} {hashed(session_key)}")

    def _entry(self, path: Path, place: str) -> Entry | None:
        try:
            with path.open("rb") as file:
                plainpickle.Unpickler(file).load()  # the expiry
                return Entry(place, inflated(file.read()))
        except OSError:
            return None
        except Exception:
            return Entry(place, None, "damaged")


class RedisKeys(_Cached):
    """Django's own cache in Redis."""

    def _client(self) -> Any:
        return self._cache._cache.get_client()  # noqa: SLF001  # there is no public way to raw values

    def entries(self, *, batch: int) -> Iterator[Entry]:
        """All keys of the prefix, in the order of SCAN."""
        client = self._client()
        pattern = _literal(self._cache.make_key(self._prefix)) + "*" if self._prefix else "*"
        keys: list[bytes] = []
        for key in client.scan_iter(match=pattern, count=batch):
            keys.append(key)
            if len(keys) == batch:
                yield from self._values(client, keys)
                keys = []
        yield from self._values(client, keys)

    def _values(self, client: Any, keys: list[bytes]) -> Iterator[Entry]:
        # One by one in a pipeline: another type of value than text is an error for its key only.
        with client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.get(key)
            values = pipeline.execute(raise_on_error=False)
        for key, value in zip(keys, values):
            if isinstance(value, bytes):
                yield self._entry(key.decode("utf-8", "replace"), value)

    def find(self, session_key: str) -> Entry | None:
        """The value of a session."""
        key = self._cache.make_key(f"{self._prefix}{session_key}")
        value = self._client().get(key)
        return None if value is None else self._entry(key, value)


class DjangoRedisKeys(RedisKeys):
    """django-redis, whose values may be compressed."""

    def _client(self) -> Any:
        return self._cache.client.get_client(write=False)

    def _stored(self, value: Any) -> bytes:
        from django_redis.exceptions import CompressorError

        try:
            return bytes(self._cache.client._compressor.decompress(value))  # noqa: SLF001  # as it does itself
        except CompressorError:
            return bytes(value)  # short values are stored as they are


def _literal(text: str) -> str:
    """Text in a pattern of Redis."""
    return "".join(f"\\{each}" if each in "*?[]\\^" else each for each in text)
