"""The places of an app in which something unpickles, and what takes pickle's place there."""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Any

from flask.sessions import SecureCookieSessionInterface

from plainpickle.flask.caches import cache_hooks, caches, client_hook, is_cache, library_of
from plainpickle.flask.cookies import STORE as COOKIE
from plainpickle.flask.cookies import SessionInterface
from plainpickle.flask.forms import form_of, is_fallback, named
from plainpickle.flask.hook import Hook, Options
from plainpickle.flask.opening import MEMCACHED_BAD_DATA, ServerSide
from plainpickle.flask.serializers import FallbackSerializer, Serializer
from plainpickle.session import SessionSerializer

if TYPE_CHECKING:
    from collections.abc import Iterator


def hooks(app: Any, *, sessions: bool = True) -> Iterator[Hook]:
    """Every place in which the app, as it is set up now, reads sessions or cached values."""
    if sessions:
        yield from _session_hooks(app)
    for cache in caches(app):
        for hook in cache_hooks(cache):
            yield dataclasses.replace(hook, of_sessions=False)


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


def _takes_own_ids_only(interface: Any) -> bool:
    """Flask-Session 0.7 and later."""
    return hasattr(interface, "_retrieve_session_data")


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
    interface.plainpickle_bad_data = MEMCACHED_BAD_DATA if library_of(client) else ()
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
    "Where it calls pickle.loads, let it call plainpickle.loads; then, or where it does not "
    "unpickle at all, say so: Plainpickle(app, sessions=False)"
)


def _unknown(where: str, serializer: Any) -> str:
    what = "which writes neither plain pickles nor JSON, or reads pickles that it does not write"
    return f"{where} is {named(serializer)}, {what}. {_ADVICE}"


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
    if cache is not None and is_cache(cache):
        # From 0.7 on Flask-Session keeps its own format, which is the cache's here.
        yield from cache_hooks(cache, "pickle" if _takes_own_ids_only(interface) else "json")
    if library_of(client):
        yield client_hook(interface, "client", store_of(interface), sessions=True)
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
    if is_fallback(serializer):

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

    is_ours = isinstance(serializer, SessionSerializer) or named(serializer) == "plainpickle"
    if form == "plain" and not is_ours:
        return Hook(where, "plain")
    return Hook(where, "ours" if is_ours else "pickle", replace=replace)
