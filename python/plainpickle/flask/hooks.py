"""The places of an app in which something unpickles, and what takes pickle's place there."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import json
import pickle
import sys
from typing import TYPE_CHECKING, Any, Callable

from flask.sessions import SecureCookieSessionInterface

from plainpickle import _core
from plainpickle.exceptions import UnpicklingError
from plainpickle.flask.cookies import STORE as COOKIE
from plainpickle.flask.cookies import SessionInterface
from plainpickle.flask.opening import MEMCACHED_BAD_DATA, ServerSide
from plainpickle.flask.serializers import (
    CachedValues,
    CacheSerializer,
    FallbackSerializer,
    PickleFace,
    Serializer,
)
from plainpickle.policy import Policy
from plainpickle.session import SessionSerializer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from plainpickle.limits import Limits

# What is given to a serializer to learn what it is.
_PROBE = {"plainpickle": [1, "x"]}
_PROBE_PICKLED = pickle.dumps(_PROBE, 2)

_CLIENTS = frozenset({"memcache", "pymemcache", "libmc", "pylibmc"})
_MODULE_OF = {"pymemcache": "pymemcache.serde", "libmc": "libmc._client"}
_IN_PROCESS = frozenset({"SimpleCache", "NullCache"})


class ConfigurationError(RuntimeError):
    """Something stores sessions or cached values in a way that is not known; it says what to do."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What the app's owner wants of every reader and writer."""

    policy: Policy
    limits: Limits | None
    format: str | None
    protocol: int
    on_forbidden: str

    def of_sessions(self, store: str, *, default: str = "json") -> dict[str, Any]:
        """The arguments of a serializer of sessions, and what it writes unless told otherwise."""
        return {
            "policy": self.policy,
            "limits": self.limits,
            "format": self.format or default,
            "protocol": self.protocol,
            "on_forbidden": self.on_forbidden,
            "store": store,
        }

    def of_caches(self, store: str) -> CachedValues:
        """A serializer of cached values, which are as they were or missing."""
        return CachedValues(
            policy=self.policy,
            limits=self.limits,
            format="pickle",
            protocol=4,  # what every cachelib on Python 3 reads, without blowing up bytes
            on_forbidden="raise",
            store=store,
        )


@dataclasses.dataclass(frozen=True)
class Hook:
    """One place, and what reads there.

    Attributes:
        where: the place, as code names it.
        reads: ``"pickle"``, ``"plain"``, ``"ours"`` or ``"unknown"``.
        advice: what to do where it is unknown.
        replace: puts plainpickle there.
        of_sessions: whether sessions are read there.
    """

    where: str
    reads: str
    advice: str = ""
    replace: Callable[[Options], None] | None = None
    of_sessions: bool = True


def hooks(app: Any, *, sessions: bool = True) -> Iterator[Hook]:
    """Every place in which the app, as it is set up now, reads sessions or cached values."""
    if sessions:
        yield from _session_hooks(app)
    for cache in caches(app):
        for hook in _cache_hooks(cache):
            yield dataclasses.replace(hook, of_sessions=False)


def caches(app: Any) -> list[Any]:
    """The caches of Flask-Caching."""
    extension = getattr(app, "extensions", {}).get("cache")
    return list(filter(_is_cache, extension.values())) if isinstance(extension, dict) else []


def own_copy(app: Any) -> Any:
    """The app's session interface; a copy of one that its class holds for other apps too."""
    if "session_interface" not in vars(app):
        app.session_interface = copy.copy(app.session_interface)
    return app.session_interface


def store_of(interface: Any) -> str:
    """What events call the store."""
    return type(interface).__qualname__


def full_name(interface: Any) -> str:
    """Where the class of an interface is."""
    return f"{type(interface).__module__}.{type(interface).__qualname__}"


def is_flask_session(interface: Any) -> bool:
    """Whether it is Flask-Session's, of any version."""
    return _comes_from(interface, "flask_session")


def take_over(interface: Any) -> None:
    """Lets an interface that keeps sessions on the server outlive what it can't read."""
    if isinstance(interface, ServerSide):
        return
    interface.plainpickle_store = store_of(interface)
    known = is_flask_session(interface) or _comes_from(interface, "flask_kvsession")
    interface.plainpickle_known = known
    interface.plainpickle_strict = is_flask_session(interface) and not _takes_own_ids_only(
        interface
    )
    client = getattr(interface, "client", None)
    interface.plainpickle_bad_data = MEMCACHED_BAD_DATA if _library_of(client) else ()
    _go_before(interface, ServerSide)


def _takes_own_ids_only(interface: Any) -> bool:
    """Flask-Session 0.7 and later."""
    return hasattr(interface, "_retrieve_session_data")


def _go_before(interface: Any, mixin: type[Any]) -> None:
    cls = type(interface)
    interface.__class__ = type(
        cls.__name__, (mixin, cls), {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    )


def _comes_from(value: Any, package: str) -> bool:
    return any(each.__module__.partition(".")[0] == package for each in type(value).__mro__)


# --- sessions

_ADVICE = (
    "Where it calls pickle.loads, let it call plainpickle.loads; then, or where it does not "
    "unpickle at all, say so: Plainpickle(app, sessions=False)"
)


def _unknown(where: str, serializer: Any) -> str:
    what = "which writes neither plain pickles nor JSON, or reads pickles that it does not write"
    return f"{where} is {_named(serializer)}, {what}. {_ADVICE}"


def _session_hooks(app: Any) -> Iterator[Hook]:
    interface = app.session_interface
    name = type(interface).__qualname__
    if isinstance(interface, SessionInterface):
        yield Hook(name, "ours")
    elif name == "NullSessionInterface":
        yield Hook(name, "plain")
    elif isinstance(interface, SecureCookieSessionInterface):
        yield _cookie_hook(app, interface)
    else:
        found = list(_server_side_hooks(app, interface))
        what = "has none of `serializer`, `serialization_method`, `cache`"
        yield from found or [Hook(name, "unknown", f"{full_name(interface)} {what}. {_ADVICE}")]


def _server_side_hooks(app: Any, interface: Any) -> Iterator[Hook]:
    client, cache = getattr(interface, "client", None), getattr(interface, "cache", None)
    if cache is not None and _is_cache(cache):
        # From 0.7 on Flask-Session keeps its own format, which is the cache's here.
        yield from _cache_hooks(cache, "pickle" if _takes_own_ids_only(interface) else "json")
    if _library_of(client):
        yield _client_hook(interface, "client", store_of(interface), sessions=True)
    for attribute in ("serializer", "serialization_method"):
        serializer = getattr(interface, attribute, None)
        if serializer is not None:
            yield _serializer_hook(app, interface, attribute, serializer)


def _cookie_hook(app: Any, interface: Any) -> Hook:
    where = f"{type(interface).__qualname__}.serializer"
    signing = interface.get_signing_serializer(app)
    serializer = interface.serializer if signing is None else signing.serializer
    form = form_of(serializer)
    if form == "plain":
        return Hook(where, "plain")
    own_way = type(interface).open_session is not SecureCookieSessionInterface.open_session
    if form == "unknown":
        return Hook(where, "unknown", _unknown(where, serializer))
    if own_way:
        what = "opens sessions in its own way"
        return Hook(where, "unknown", f"{full_name(interface)} {what}. {_ADVICE}")

    def replace(options: Options) -> None:
        own = own_copy(app)
        own.serializer = Serializer(**options.of_sessions(COOKIE))
        _go_before(own, SessionInterface)

    return Hook(where, "pickle", replace=replace)


def _serializer_hook(app: Any, interface: Any, attribute: str, serializer: Any) -> Hook:
    where = f"{type(interface).__qualname__}.{attribute}"
    if isinstance(serializer, Serializer):
        return Hook(where, "ours")
    if _is_fallback(serializer):

        def close(options: Options) -> None:
            arguments = options.of_sessions(store_of(interface))
            keep = options.format is None
            closed = FallbackSerializer(serializer, keep_format=keep, **arguments)
            setattr(own_copy(app), attribute, closed)

        return Hook(f"{where} (its fallback to pickle)", "pickle", replace=close)
    form = form_of(serializer)
    if form == "unknown":
        return Hook(where, "unknown", _unknown(where, serializer))

    def replace(options: Options) -> None:
        store = store_of(interface)
        if isinstance(serializer, SessionSerializer):  # the app's own choice of options
            arguments = {name: getattr(serializer, name) for name in SessionSerializer.__slots__}
            arguments["store"] = serializer.store or store
        else:
            arguments = options.of_sessions(store)
        setattr(own_copy(app), attribute, Serializer(**arguments))

    is_ours = isinstance(serializer, SessionSerializer) or _named(serializer) == "plainpickle"
    if form == "plain" and not is_ours:
        return Hook(where, "plain")
    return Hook(where, "ours" if is_ours else "pickle", replace=replace)


# --- what a serializer is


def form_of(serializer: Any) -> str:
    """``"pickle"``: reads and writes pickles; ``"plain"``: reads none, and writes JSON or msgpack.

    Anything else is ``"unknown"``. It is found out by giving it a harmless value of each form.
    """
    read = getattr(serializer, "loads", None) or getattr(serializer, "decode", None)
    write = getattr(serializer, "dumps", None) or getattr(serializer, "encode", None)
    if read is None or write is None:
        return "unknown"
    mark = mark_of(serializer)
    unpickles = _tried(read, mark + _PROBE_PICKLED) == _PROBE
    written = _tried(write, _PROBE)
    if isinstance(written, str):
        written = written.encode("utf-8", "surrogatepass")
    if not isinstance(written, bytes):
        return "unknown"
    written = written[len(mark) :]
    if unpickles:
        is_pickle = _core.format_of(written) == "pickle" or isinstance(
            serializer, SessionSerializer
        )
        return "pickle" if is_pickle and _read_back(written) else "unknown"
    return "plain" if _is_json(written) or written[:1] == b"\x81" else "unknown"


def mark_of(serializer: Any) -> bytes:
    """What a cache of cachelib puts before each value in Redis."""
    write = getattr(serializer, "dumps", None)
    written = None if write is None else _tried(write, _PROBE)
    return b"!" if isinstance(written, bytes) and written.startswith(b"!") else b""


def _tried(function: Callable[[Any], Any], value: Any) -> Any:
    try:
        return function(value)
    except Exception:  # noqa: BLE001  # whatever it is, it is the answer
        return None


def _read_back(written: bytes) -> bool:
    read = SessionSerializer(policy=Policy()).loads
    return bool(_tried(read, written) == _PROBE)


def _is_pickle(written: bytes) -> bool:
    return _core.format_of(written) == "pickle"


def _is_json(written: bytes) -> bool:
    return bool(_tried(json.loads, written) == _PROBE)


def _is_fallback(serializer: Any) -> bool:
    """Flask-Session's own of 0.7 and later; a subclass that reads in its own way is none."""
    decode = getattr(type(serializer), "decode", None)
    module = getattr(decode, "__module__", "")
    return module == "flask_session.base" and hasattr(serializer, "encoder")


def _named(value: Any) -> str:
    if hasattr(value, "__name__"):
        return str(value.__name__)
    return f"{type(value).__module__}.{type(value).__qualname__}"


# --- caches and clients


def _is_cache(value: Any) -> bool:
    return callable(getattr(value, "get", None)) and callable(getattr(value, "set", None))


def _cache_hooks(cache: Any, sessions: str = "") -> Iterator[Hook]:
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
    modules = [] if _library_of(client) and "Spread" not in name else [*_with_pickle(classes)]
    if _library_of(client):
        yield _client_hook(cache, "_client", name, sessions=bool(sessions))
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
            where, form, f"{where} is {_named(serializer)}: it may unpickle. {_CACHE_ADVICE}"
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


def _library_of(client: Any) -> str:
    """The package of a client of memcached; empty for anything else."""
    packages = (each.__module__.partition(".")[0] for each in type(client).__mro__)
    return next((each for each in packages if each in _CLIENTS), "")


def _client_hook(owner: Any, attribute: str, store: str, *, sessions: bool) -> Hook:
    """The client unpickles by itself what a flag in the server calls a pickle."""
    client: Any = getattr(owner, attribute)
    library = _library_of(client)
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
