"""Caches and clients of memcached: where they unpickle, and what takes pickle's place there."""

from __future__ import annotations

import contextlib
import functools
import sys
from typing import TYPE_CHECKING, Any

from plainpickle.exceptions import UnpicklingError
from plainpickle.flask.forms import form_of, mark_of, named
from plainpickle.flask.hook import Hook, Options
from plainpickle.flask.serializers import CachedValues, CacheSerializer, PickleFace, Serializer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_CLIENTS = frozenset({"memcache", "pymemcache", "libmc", "pylibmc"})
_MODULE_OF = {"pymemcache": "pymemcache.serde", "libmc": "libmc._client"}
_IN_PROCESS = frozenset({"SimpleCache", "NullCache"})


def caches(app: Any) -> list[Any]:
    """The caches of Flask-Caching."""
    extension = getattr(app, "extensions", {}).get("cache")
    return list(filter(is_cache, extension.values())) if isinstance(extension, dict) else []


def is_cache(value: Any) -> bool:
    """Whether it has what a cache has."""
    return callable(getattr(value, "get", None)) and callable(getattr(value, "set", None))


def cache_hooks(cache: Any, sessions: str = "") -> Iterator[Hook]:
    """Of a cache; ``sessions`` is what sessions are written as by default, if it holds sessions."""
    name = type(cache).__qualname__
    classes = type(cache).__mro__
    if {each.__name__ for each in classes} & _IN_PROCESS:
        return  # its values never leave the process
    serializer = getattr(cache, "serializer", None)
    if serializer is not None:
        yield _cache_serializer_hook(cache, serializer, sessions)
        return
    client = getattr(cache, "_client", None)
    modules = [] if library_of(client) and "Spread" not in name else [*_with_pickle(classes)]
    if library_of(client):
        yield client_hook(cache, "_client", name, sessions=bool(sessions))
    elif "Memcached" in name or not modules:
        what = "has neither a serializer, nor a known client of memcached, nor a module with pickle"
        yield Hook(name, "unknown", f"{name} {what}: it may unpickle. {_CACHE_ADVICE}")
    for module in modules:
        yield _module_hook(module, name, sessions=bool(sessions))


_CACHE_ADVICE = (
    "Give it a serializer of cachelib's kind that calls plainpickle.loads, or a client of "
    "memcache, pymemcache, libmc or, without a pool, pylibmc"
)


def _cache_serializer_hook(cache: Any, serializer: Any, sessions: str) -> Hook:
    name = type(cache).__qualname__
    where = f"{name}.serializer"
    if isinstance(serializer, CacheSerializer):
        return Hook(where, "ours")
    form, mark = form_of(serializer), mark_of(serializer)
    if form == "unknown":
        return Hook(
            where, form, f"{where} is {named(serializer)}: it may unpickle. {_CACHE_ADVICE}"
        )
    if form == "plain":
        return Hook(where, form)

    def replace(options: Options) -> None:
        several = "FileSystem" in name and not keeps_time_in_four_bytes(type(cache))
        values: Serializer | CachedValues = options.of_caches(name)
        if sessions:
            arguments = options.of_sessions(name, default=sessions)
            if several:  # of two values one after the other, only pickles tell where they end
                arguments["format"] = "pickle"
            values = Serializer(**arguments)
        cache.serializer = CacheSerializer(values, mark=mark, several=several)

    return Hook(where, "pickle", replace=replace)


def keeps_time_in_four_bytes(cls: type[Any]) -> bool:
    """Whether cachelib keeps the time of a file in four bytes (0.7 and later), not in a pickle."""
    return any("struct" in vars(sys.modules[each.__module__]) for each in cls.__mro__)


def _with_pickle(classes: tuple[type[Any], ...]) -> Iterator[ModuleType]:
    for each in classes:
        module = sys.modules.get(each.__module__)
        if module is not None and hasattr(vars(module).get("pickle"), "loads"):
            yield module


def _module_hook(module: ModuleType, store: str, *, sessions: bool) -> Hook:
    where = f"{module.__name__}.pickle"
    if isinstance(vars(module)["pickle"], PickleFace):
        return Hook(where, "ours")

    def replace(options: Options) -> None:
        vars(module)["pickle"] = _face(options, store, sessions=sessions)

    return Hook(where, "pickle", replace=replace)


def _face(options: Options, store: str, *, sessions: bool) -> PickleFace:
    if sessions:
        return PickleFace(Serializer(**{**options.of_sessions(store), "format": "pickle"}))
    return PickleFace(options.of_caches(store))


def library_of(client: Any) -> str:
    """The package of a client of memcached; empty for anything else."""
    packages = (each.__module__.partition(".")[0] for each in type(client).__mro__)
    return next((each for each in packages if each in _CLIENTS), "")


def client_hook(owner: Any, attribute: str, store: str, *, sessions: bool) -> Hook:
    """The client unpickles by itself what a flag in the server calls a pickle."""
    client: Any = getattr(owner, attribute)
    library = library_of(client)
    where = f"the client of {store} ({library})"
    if library in _MODULE_OF:
        module = sys.modules[_MODULE_OF[library]]
        return _module_hook(module, store, sessions=sessions)
    if library == "memcache":
        if isinstance(getattr(client.unpickler, "__self__", None), PickleFace):
            return Hook(where, "ours")

        def replace(options: Options) -> None:
            face = _face(options, store, sessions=sessions)
            client.pickler, client.unpickler = face.Pickler, face.Unpickler

        return Hook(where, "pickle", replace=replace)
    stock = sys.modules["pylibmc"].Client
    if getattr(type(client), "deserialize", stock.deserialize) is not stock.deserialize:
        return Hook(where, "plain")
    if type(client) is not stock or client.binary:  # whose password can't be read back
        return Hook(where, "unknown", f"{where} unpickles in compiled code. {_PYLIBMC_ADVICE}")

    def another(options: Options) -> None:
        made = _pylibmc_client(client, _face(options, store, sessions=sessions))
        setattr(owner, attribute, made)
        if hasattr(owner, "_client_context"):
            owner._client_context = functools.partial(contextlib.nullcontext, made)  # noqa: SLF001

    return Hook(where, "pickle", replace=another)


_PYLIBMC_ADVICE = (
    "Give it a subclass of pylibmc.Client with a `deserialize` of its own: docs/pickle-face.md"
)


def _pylibmc_client(client: Any, face: PickleFace) -> Any:
    """Another client of the same servers: whether it has `deserialize` counts when it is made."""
    stock: Any = type(client)

    class Client(stock):  # type: ignore[misc]
        def serialize(self, value: Any) -> tuple[bytes, int]:
            stored, flags = super().serialize(value)
            return (face.dumps(value) if flags & 1 else stored), flags

        def deserialize(self, stored: bytes, flags: int) -> Any:
            if not flags & 1:
                return super().deserialize(stored, flags)
            try:
                return face.loads(stored)
            except UnpicklingError:
                return None

    return Client(client.addresses, behaviors=client.behaviors)
