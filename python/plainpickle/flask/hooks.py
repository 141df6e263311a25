"""The places of an app in which something unpickles, and what takes pickle's place there."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import sys
from typing import TYPE_CHECKING, Any, Callable

from flask.sessions import SecureCookieSessionInterface

from plainpickle import _core
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

    def of_sessions(self, store: str, *, format: str | None = None) -> dict[str, Any]:
        """The arguments of a serializer of sessions."""
        return {
            "policy": self.policy,
            "limits": self.limits,
            "format": format or self.format or "json",
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
        reads: ``"pickle"``, ``"plain"`` or ``"unknown"``.
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
        for hook in _cache_hooks(cache, sessions=False):
            yield dataclasses.replace(hook, of_sessions=False)


def caches(app: Any) -> list[Any]:
    """The caches of Flask-Caching."""
    extension = getattr(app, "extensions", {}).get("cache")
    return list(extension.values()) if isinstance(extension, dict) else []


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
    # From 0.7 on Flask-Session takes no id that it did not give out.
    interface.plainpickle_strict = is_flask_session(interface) and not hasattr(
        interface, "_retrieve_session_data"
    )
    client = getattr(interface, "client", None)
    interface.plainpickle_bad_data = MEMCACHED_BAD_DATA if _library_of(client) else ()
    _go_before(interface, ServerSide)


def _go_before(interface: Any, mixin: type[Any]) -> None:
    cls = type(interface)
    interface.__class__ = type(
        cls.__name__, (mixin, cls), {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    )


def _comes_from(value: Any, package: str) -> bool:
    return any(each.__module__.partition(".")[0] == package for each in type(value).__mro__)


# --- sessions

_ADVICE = (
    "Where it calls pickle.loads, let it call plainpickle.loads; then, or where it does not unpickle "
    "at all, say so: Plainpickle(app, sessions=False)"
)


def _unknown(where: str, serializer: Any) -> str:
    what = "which writes neither plain pickles nor JSON, or reads pickles that it does not write"
    return f"{where} is {_named(serializer)}, {what}. {_ADVICE}"


def _session_hooks(app: Any) -> Iterator[Hook]:
    interface = app.session_interface
    name = type(interface).__qualname__
    if isinstance(interface, SessionInterface) or name == "NullSessionInterface":
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
        yield from _cache_hooks(cache, sessions=True)
    if _library_of(client):
        yield _client_hook(client, store_of(interface), sessions=True)
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
        return Hook(where, "plain")
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
    return Hook(where, "plain" if is_ours else "pickle", replace=replace)


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


def _cache_hooks(cache: Any, *, sessions: bool) -> Iterator[Hook]:
    name = type(cache).__qualname__
    classes = type(cache).__mro__
    client = getattr(cache, "_client", None)
    if {each.__name__ for each in classes} & _IN_PROCESS:
        return  # its values never leave the process
    if _library_of(client):
        yield _client_hook(client, name, sessions=sessions)
    elif "Memcached" in name:
        advice = f"{name} has a client of memcached that is not known; give it one of memcache, "
        yield Hook(name, "unknown", f"{advice}pymemcache, libmc, or pylibmc without a pool")
    serializer = getattr(cache, "serializer", None)
    modules = [] if serializer is not None else [*_with_pickle(classes)]
    if "Spread" in name:
        modules = [*_with_pickle(classes)]
    if serializer is not None:
        yield _cache_serializer_hook(cache, serializer, sessions=sessions)
    for module in modules:
        yield _module_hook(module, name, sessions=sessions)
    if serializer is None and not modules and "Memcached" not in name:
        advice = f"{name} has no `serializer`, and no module of it has `pickle`"
        yield Hook(name, "unknown", advice)


def _cache_serializer_hook(cache: Any, serializer: Any, *, sessions: bool) -> Hook:
    name = type(cache).__qualname__
    where = f"{name}.serializer"
    if isinstance(serializer, CacheSerializer):
        return Hook(where, "plain")
    form, mark = form_of(serializer), mark_of(serializer)
    if form != "pickle":
        advice = f"{where} is {_named(serializer)}, which is not known: it may unpickle"
        return Hook(where, form, advice if form == "unknown" else "")

    def replace(options: Options) -> None:
        several = "FileSystem" in name and not _has_struct(type(cache))
        if sessions:
            form = "pickle" if several else None
            values: Any = Serializer(**options.of_sessions(name, format=form))
        else:
            values = options.of_caches(name)
        cache.serializer = CacheSerializer(values, mark=mark, several=several)

    return Hook(where, "pickle", replace=replace)


def _has_struct(cls: type[Any]) -> bool:
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
        return Hook(where, "plain")

    def replace(options: Options) -> None:
        vars(module)["pickle"] = _face(options, store, sessions=sessions)

    return Hook(where, "pickle", replace=replace)


def _face(options: Options, store: str, *, sessions: bool) -> PickleFace:
    if sessions:
        return PickleFace(Serializer(**options.of_sessions(store, format="pickle")))
    return PickleFace(options.of_caches(store))


def _library_of(client: Any) -> str:
    """The package of a client of memcached; empty for anything else."""
    packages = (each.__module__.partition(".")[0] for each in type(client).__mro__)
    return next((each for each in packages if each in _CLIENTS), "")


def _client_hook(client: Any, store: str, *, sessions: bool) -> Hook:
    """The client unpickles by itself what a flag in the server calls a pickle."""
    library = _library_of(client)
    where = f"the client of {store} ({library})"
    if library in _MODULE_OF:
        module = sys.modules[_MODULE_OF[library]]
        return _module_hook(module, store, sessions=sessions)
    if library == "memcache":
        if isinstance(getattr(client.unpickler, "__self__", None), PickleFace):
            return Hook(where, "plain")

        def replace(options: Options) -> None:
            face = _face(options, store, sessions=sessions)
            client.pickler, client.unpickler = face.Pickler, face.Unpickler

        return Hook(where, "pickle", replace=replace)
    if hasattr(client, "plainpickle_face"):
        return Hook(where, "plain")
    if not hasattr(client, "deserialize"):
        return Hook(where, "unknown", f"{where} is a pool: give it a client of its own")

    def subclass(options: Options) -> None:
        client.__class__ = _pylibmc_client(type(client))
        client.plainpickle_face = _face(options, store, sessions=sessions)

    return Hook(where, "pickle", replace=subclass)


def _pylibmc_client(cls: Any) -> type[Any]:
    class Client(cls):  # type: ignore[misc]
        plainpickle_face: PickleFace

        def serialize(self, value: Any) -> tuple[bytes, int]:
            stored, flags = super().serialize(value)
            return (self.plainpickle_face.dumps(value) if flags & 1 else stored), flags

        def deserialize(self, stored: bytes, flags: int) -> Any:
            if flags & 1:
                return self.plainpickle_face.loads(stored)
            return super().deserialize(stored, flags)

    return Client
