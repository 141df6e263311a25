"""What goes in the place of pickle in Django's caches. Bad data is a miss, and an event."""

from __future__ import annotations

import base64
import pickle
import zlib
from types import FunctionType
from typing import TYPE_CHECKING, Any

from django.core.cache.backends import db, filebased, locmem, memcached
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.exceptions import ImproperlyConfigured

try:
    from django.core.cache.backends import redis
except ImportError:  # Django before 4.0
    redis = None

import plainpickle
from plainpickle.django.configuration import configuration
from plainpickle.django.serializer import CacheSerializer
from plainpickle.exceptions import LimitExceeded, MalformedPickle, UnpicklingError

if TYPE_CHECKING:
    from collections.abc import Iterable

_MISS: Any = CacheSerializer.MISS


class Serializer:
    """For Django's Redis backend (``OPTIONS``, ``"serializer"``) and django-redis (``SERIALIZER``).

    Writes what ``FORMAT`` says. What is refused is ``None``, as a missing entry is.

    Args:
        options: those of django-redis, of which ``PICKLE_VERSION`` counts.
    """

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        self._protocol = (options or {}).get("PICKLE_VERSION")

    def dumps(self, value: Any) -> Any:
        """Writes a value; an int stays one, so that Redis can count.

        Raises:
            UnreadableValue: it could not be read back.
        """
        if type(value) is int:
            return value
        serializer = CacheSerializer()
        if self._protocol is not None:
            serializer.protocol = int(self._protocol) % (pickle.HIGHEST_PROTOCOL + 1)
        return serializer.dumps(value)

    def loads(self, data: Any) -> Any:
        """Reads a value; ``None`` for what is refused."""
        return data if isinstance(data, int) else _found(CacheSerializer().loads(data), self._miss)

    _miss: Any = None


class Serde:
    """For pymemcache: ``OPTIONS``, ``"serde"``, an instance.

    The flags are pymemcache's own, so that each reads what the other wrote.
    """

    _PICKLE, _INTEGER, _LONG, _TEXT = 1, 2, 4, 16

    def serialize(self, _key: Any, value: Any) -> tuple[bytes, int]:
        """Writes a value.

        Raises:
            UnreadableValue: it could not be read back.
        """
        if type(value) is bytes:
            return value, 0
        if type(value) is str:
            return value.encode(), self._TEXT
        if type(value) is int:
            return b"%d" % value, self._INTEGER
        return CacheSerializer().dumps(value), self._PICKLE

    def deserialize(self, _key: Any, data: bytes, flags: int) -> Any:
        """Reads a value; ``None`` for what is refused."""
        try:
            if flags & self._TEXT:
                return data.decode()
            if flags & (self._INTEGER | self._LONG):
                return int(data)
        except ValueError:
            return self._miss
        return _found(CacheSerializer().loads(data), self._miss) if flags & self._PICKLE else data

    _miss: Any = None


class Unpickler:
    """For python-memcached: ``OPTIONS``, ``"unpickler"``."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def load(self) -> Any:
        """Reads a value; ``None`` for what is refused."""
        return _found(CacheSerializer().loads(self._file.read()), None)


class Pickler:
    """For python-memcached: ``OPTIONS``, ``"pickler"``. The protocol is that of ``PLAINPICKLE``."""

    def __init__(self, file: Any, protocol: int | None = None) -> None:  # noqa: ARG002
        self._file = file

    def dump(self, value: Any) -> None:
        """Writes a value.

        Raises:
            UnreadableValue: it could not be read back.
        """
        self._file.write(CacheSerializer().dumps(value))


class _Pickle:
    """What the methods of Django's caches find under the name ``pickle``."""

    @staticmethod
    def dumps(value: Any, _protocol: int | None = None) -> bytes:
        return CacheSerializer().dumps(value)

    @staticmethod
    def loads(data: bytes) -> Any:
        return CacheSerializer().loads(data)

    @staticmethod
    def load(file: Any) -> float | None:
        """The expiry in front of a file; the exception for an empty file where there is none."""
        configured = configuration()
        start = file.tell()
        try:
            expiry = plainpickle.load(file, policy=configured.policy, limits=configured.limits)
        except UnpicklingError:
            raise EOFError from None
        if expiry is not None and type(expiry) not in (int, float):
            length = file.tell() - start
            file.seek(start)
            _refuse(MalformedPickle("an expiry is a number", kind="no_expiry"), file.read(length))
            raise EOFError
        return float(expiry) if expiry else expiry


class _Base64:
    """What they find under the name ``base64``: nothing of what is none, which reads as a miss."""

    b64encode = staticmethod(base64.b64encode)

    @staticmethod
    def b64decode(data: bytes, **_: Any) -> bytes:
        try:
            return base64.b64decode(data)
        except ValueError:
            _refuse(MalformedPickle("no base64", kind="no_base64"), data)
            return b""


class _Zlib:
    """What they find under the name ``zlib``: nothing of what is none, or is a bomb."""

    compress = staticmethod(zlib.compress)

    @staticmethod
    def decompress(data: bytes) -> bytes:
        try:
            return inflated(data)
        except UnpicklingError as error:
            _refuse(error, data)
            return b""


def inflated(data: bytes) -> bytes:
    """What zlib had compressed, up to one byte over ``max_bytes`` of the limits.

    Raises:
        UnpicklingError: it is larger, cut off, or something else.
    """
    limits = configuration().limits or plainpickle.Limits()
    inflate = zlib.decompressobj()
    try:
        found = inflate.decompress(data, 0 if limits.max_bytes is None else limits.max_bytes + 1)
    except zlib.error:
        raise MalformedPickle("not compressed by zlib", kind="no_zlib") from None
    if inflate.unconsumed_tail:
        raise LimitExceeded("larger than max_bytes", limit="max_bytes", kind="limit")
    if not inflate.eof:
        raise MalformedPickle("compressed data that is cut off", kind="no_zlib")
    return found


def _refuse(error: UnpicklingError, data: bytes) -> None:
    CacheSerializer().report([(None, error)], data, "refused")


def _found(value: Any, default: Any) -> Any:
    return default if value is _MISS else value


def _rebound(cls: Any, **faces: Any) -> Any:
    """``cls``, with its methods anew, which find ``faces`` in the place of globals of these names.

    Only this class is changed, and not the module, whose other caches go on as before. In a Django
    that does not use these globals there, pickle is somewhere else: then the class can't be used.
    """
    methods: dict[str, Any] = {}
    used: set[str] = set()
    for name, method in vars(cls).items():
        if isinstance(method, FunctionType):
            code, scope = method.__code__, {**method.__globals__, **faces}
            made = FunctionType(code, scope, name, method.__defaults__, method.__closure__)
            made.__kwdefaults__ = method.__kwdefaults__
            methods[name] = made
            used.update(code.co_names)
    if not faces.keys() <= used:

        def refuse(*_: Any) -> None:
            raise ImproperlyConfigured(
                f"plainpickle does not know how this Django's {cls.__name__} unpickles"
            )

        methods["__init__"] = refuse
    return type(cls.__name__, (cls,), methods)


_DatabaseCache = _rebound(db.DatabaseCache, pickle=_Pickle, base64=_Base64)
_FileBasedCache = _rebound(filebased.FileBasedCache, pickle=_Pickle, zlib=_Zlib)
_LocMemCache = _rebound(locmem.LocMemCache, pickle=_Pickle)


class Misses:
    """A mixin for caches whose values may be ``CacheSerializer.MISS``: as good as nothing."""

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """The value, or the default."""
        return _found(super().get(key, default, version=version), default)  # type: ignore[misc]

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        """The values that are there."""
        found = super().get_many(list(keys), version=version)  # type: ignore[misc]
        return {key: value for key, value in found.items() if value is not _MISS}

    def _is_missing(self, key: Any, version: int | None) -> bool:
        return self.get(key, _MISS, version) is _MISS


class DatabaseCache(Misses, _DatabaseCache):  # type: ignore[misc, valid-type]
    """Django's cache in a table, for ``BACKEND``."""


class FileBasedCache(Misses, _FileBasedCache):  # type: ignore[misc, valid-type]
    """Django's cache in files, for ``BACKEND``."""

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Sets the expiry; whether there was a value."""
        return not self._is_missing(key, version) and super().touch(key, timeout, version)

    def _write_content(self, file: Any, timeout: Any, value: Any) -> None:
        """The expiry, always as a pickle, since it has to end by itself, and the value."""
        file.write(pickle.dumps(self.get_backend_timeout(timeout), configuration().protocol))
        file.write(zlib.compress(CacheSerializer().dumps(value)))


class LocMemCache(Misses, _LocMemCache):  # type: ignore[misc, valid-type]
    """Django's cache in memory, for ``BACKEND``."""

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> Any:
        """Adds to a number.

        Raises:
            ValueError: there is none.
        """
        if self._is_missing(key, version):
            raise ValueError(f"Key '{key}' not found")
        return super().incr(key, delta, version=version)


class _MissingSerializer(Serializer):
    _miss = _MISS


class _MissingSerde(Serde):
    _miss = _MISS


if hasattr(memcached, "PyMemcacheCache"):  # from Django 3.2 on

    class PyMemcacheCache(Misses, memcached.PyMemcacheCache):  # type: ignore[misc]
        """Django's cache in memcached by pymemcache, for ``BACKEND``."""

        def __init__(self, server: Any, params: dict[str, Any]) -> None:
            options = {"serde": _MissingSerde(), **(params.get("OPTIONS") or {})}
            super().__init__(server, {**params, "OPTIONS": options})


if redis is not None:

    class RedisCache(Misses, redis.RedisCache):  # type: ignore[misc]
        """Django's cache in Redis, for ``BACKEND``."""

        def __init__(self, server: Any, params: dict[str, Any]) -> None:
            options = {"serializer": _MissingSerializer, **(params.get("OPTIONS") or {})}
            super().__init__(server, {**params, "OPTIONS": options})
