"""The system checks: pickle left in the way of a session, and sessions that are set up weakly.

They look at what the settings resolve to, and read no session. `docs/django.md` has a section for
each id.
"""

from __future__ import annotations

import pickle
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from plainpickle.django import caches
from plainpickle.django.configuration import SETTING, Configuration, configuration
from plainpickle.django.serializer import ValueSerializer
from plainpickle.django.sessions import LegacySessions

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = "docs/django.md"

ENGINES = "django.contrib.sessions.backends."
OURS = "plainpickle.django."
KNOWN_ENGINES = ("db", "file", "cache", "cached_db", "signed_cookies")
LONGEST_AGE = 60 * 60 * 24 * 30
"""Seconds after which a session should end; Django's default is half of that."""

# Serializers without pickle that come with Django and django-redis.
_NO_PICKLE = (
    "django.contrib.sessions.serializers.JSONSerializer",
    "django.core.signing.JSONSerializer",
    "django_redis.serializers.json.JSONSerializer",
    "django_redis.serializers.msgpack.MSGPackSerializer",
)


def register() -> None:
    """Registers the checks; those of cookies and ages are for ``check --deploy``."""
    checks.register(check_configuration, checks.Tags.security)
    checks.register(check_sessions, checks.Tags.security)
    checks.register(check_caches, checks.Tags.security)
    checks.register(check_rollout, checks.Tags.security)
    checks.register(check_cookies, checks.Tags.security, deploy=True)


def check_configuration(**_: Any) -> list[Any]:
    """``PLAINPICKLE`` can be read."""
    try:
        configuration()
    except ImproperlyConfigured as error:
        return [_message(checks.Error, "E001", str(error), "Correct the setting.")]
    return []


def check_sessions(**_: Any) -> list[Any]:
    """Nothing that Django's session machinery calls unpickles."""
    return list(_sessions())


def _sessions() -> Iterator[Any]:
    engine = settings.SESSION_ENGINE
    store = session_store()
    if store is None:
        yield _message(
            checks.Error,
            "E002",
            f"SESSION_ENGINE {engine!r} can't be imported, or has no SessionStore.",
            f"Use one of {OURS}sessions.{{{','.join(KNOWN_ENGINES)}}}.",
        )
        return
    kind = engine_of(store)
    if kind is None:
        yield _message(
            checks.Warning,
            "W004",
            f"SESSION_ENGINE {engine!r} is neither Django's nor plainpickle's: whether it "
            "unpickles can't be told from the settings.",
            "Look for pickle in it. If it calls SESSION_SERIALIZER, silence this check; if it "
            f"pickles by itself, use one of {OURS}sessions.",
        )
    yield from _serializer(kind)
    if kind in {"cache", "cached_db"}:
        alias = settings.SESSION_CACHE_ALIAS
        how = unpickles(alias)
        if how is not None:
            yield _message(
                checks.Warning,
                "W003",
                f"SESSION_ENGINE {engine!r} keeps sessions in the cache {alias!r}, and {how} "
                "SESSION_SERIALIZER does not reach it.",
                hint_for(alias),
            )
        elif not issubclass(store, LegacySessions):
            yield _message(
                checks.Warning,
                "W006",
                f"With SESSION_ENGINE {engine!r} a session whose cache entry holds one refused "
                "value is lost as a whole.",
                f"Set SESSION_ENGINE = '{OURS}sessions.{kind}', which drops that key only.",
            )
    try:
        upgrades = configuration().upgrade_auth_hash
    except ImproperlyConfigured:
        return
    if upgrades and not issubclass(store, LegacySessions):
        yield _message(
            checks.Warning,
            "W007",
            f"{SETTING}['UPGRADE_AUTH_HASH'] has no effect with SESSION_ENGINE {engine!r}.",
            f"Set SESSION_ENGINE = '{OURS}sessions.{kind or 'db'}', or put "
            f"{OURS}sessions.LegacySessions in front of your own SessionStore.",
        )


def _serializer(kind: str | None) -> Iterator[Any]:
    path = settings.SESSION_SERIALIZER
    try:
        cls = import_string(path)
    except ImportError:
        yield _message(
            checks.Error,
            "E003",
            f"SESSION_SERIALIZER {path!r} can't be imported"
            + (": Django 5.0 removed it." if path.endswith("PickleSerializer") else "."),
            f"Set SESSION_SERIALIZER = '{OURS}SessionSerializer', which reads its sessions.",
        )
        return
    if _is_ours(cls) or path in _NO_PICKLE or (_is_json(cls) and not _mentions_pickle(cls)):
        return
    what = "unpickles" if _mentions_pickle(cls) else "is not known here, and may unpickle"
    hint = f"Set SESSION_SERIALIZER = '{OURS}SessionSerializer', which reads its sessions."
    if kind == "signed_cookies":
        text = (
            f"SESSION_SERIALIZER {path!r} {what}, and the sessions are cookies: whoever learns "
            "SECRET_KEY runs code here with one request."
        )
        yield _message(checks.Warning, "W002", text, hint)
    else:
        text = (
            f"SESSION_SERIALIZER {path!r} {what}: whoever learns SECRET_KEY and can write the "
            "store runs code here."
        )
        yield _message(checks.Warning, "W001", text, hint)


def check_caches(**_: Any) -> list[Any]:
    """No other cache of a known kind unpickles either."""
    found = []
    for alias in sorted(settings.CACHES):
        if alias == settings.SESSION_CACHE_ALIAS and engine_of(session_store()) in {
            "cache",
            "cached_db",
        }:
            continue
        how = unpickles(alias)
        # What is in the memory of this process, nobody else has written.
        if how is not None and not _in_memory(alias):
            found.append(
                _message(
                    checks.Warning,
                    "W005",
                    f"Whoever can write the store of the cache {alias!r} can run code here: {how}",
                    hint_for(alias),
                )
            )
    return found


def check_rollout(**_: Any) -> list[Any]:
    """The order of a rolling deploy, as far as one process's settings tell."""
    try:
        configured = configuration()
    except ImproperlyConfigured:
        return []
    return list(_rollout(configured))


def _rollout(configured: Configuration) -> Iterator[Any]:
    # Django 3.1 and 3.2 have this setting for the time in which Django 3.0 runs beside them.
    old_readers = getattr(settings, "DEFAULT_HASHING_ALGORITHM", None) == "sha1"
    if old_readers and configured.format == "json" and _uses_ours():
        yield _message(
            checks.Warning,
            "W020",
            "DEFAULT_HASHING_ALGORITHM = 'sha1' says that older processes still read these "
            f"sessions, but {SETTING}['FORMAT'] is 'json', which they take for damaged.",
            f"Set {SETTING}['FORMAT'] = 'pickle' until the last old process is gone.",
        )
    if configured.format == "pickle" and configured.protocol > 4 and _uses_ours():
        yield _message(
            checks.Warning,
            "W021",
            f"{SETTING} writes pickles of protocol {configured.protocol}, which Python before 3.8 "
            "can't read.",
            "Pickles are written for older processes: choose a protocol that the oldest of them "
            "knows: 2 for Python 2, 4 from Python 3.4 on, 5 from 3.8 on.",
        )


def check_cookies(**_: Any) -> list[Any]:
    """Session cookies can't be read on the way or by scripts, and end in time."""
    return list(_cookies())


def _cookies() -> Iterator[Any]:
    if not settings.SESSION_COOKIE_SECURE:
        yield _message(
            checks.Warning,
            "W010",
            "SESSION_COOKIE_SECURE is not True: the session cookie goes over plain HTTP too.",
            "Set SESSION_COOKIE_SECURE = True once the site is served over HTTPS only.",
        )
    if not settings.SESSION_COOKIE_HTTPONLY:
        yield _message(
            checks.Warning,
            "W011",
            "SESSION_COOKIE_HTTPONLY is False: any script in a page can read the session key.",
            "Set SESSION_COOKIE_HTTPONLY = True.",
        )
    if str(settings.SESSION_COOKIE_SAMESITE).lower() not in {"lax", "strict"}:
        yield _message(
            checks.Warning,
            "W012",
            f"SESSION_COOKIE_SAMESITE is {settings.SESSION_COOKIE_SAMESITE!r}: other sites can "
            "send requests with the visitor's session.",
            "Set SESSION_COOKIE_SAMESITE = 'Lax'.",
        )
    if settings.SESSION_COOKIE_AGE > LONGEST_AGE:
        yield _message(
            checks.Warning,
            "W013",
            f"Sessions live {settings.SESSION_COOKIE_AGE // 86400} days: so long a stolen cookie "
            "is good, and so long old pickles have to be read.",
            "Set SESSION_COOKIE_AGE to 30 days or less; Django's default is 14.",
        )
    fallbacks = getattr(settings, "SECRET_KEY_FALLBACKS", ())
    if fallbacks:
        yield _message(
            checks.Warning,
            "W014",
            f"SECRET_KEY_FALLBACKS has {len(fallbacks)} key(s): whoever knows one of them signs "
            "valid sessions.",
            "Remove each one session lifetime after it was replaced.",
        )


# What the settings resolve to; the command `status` asks the same.


def session_store() -> Any:
    """The class of the configured engine; ``None`` if there is none."""
    try:
        return import_module(settings.SESSION_ENGINE).SessionStore
    except (ImportError, AttributeError):
        return None


def engine_of(store: Any) -> str | None:
    """Which of the five kinds a store is; ``None`` for a third party's.

    A subclass that decodes or loads by itself is a third party's, whatever it derives from.
    """
    for cls in getattr(store, "__mro__", ()):
        if cls.__module__.startswith(ENGINES):
            kind: str = cls.__module__[len(ENGINES) :]
            return kind if kind in KNOWN_ENGINES else None
        if not cls.__module__.startswith(OURS) and {"load", "decode", "encode"} & set(vars(cls)):
            return None
    return None


def unpickles(alias: str) -> str | None:
    """A sentence on how a cache unpickles what it holds; ``None`` if it does not."""
    entry = settings.CACHES.get(alias)
    if entry is None:
        return f"there is no cache {alias!r}."
    try:
        backend = import_string(entry["BACKEND"])
    except ImportError:
        return f"its BACKEND {entry['BACKEND']!r} can't be imported."
    return _how(backend, entry["BACKEND"], entry.get("OPTIONS") or {})


def _how(backend: type, path: str, options: dict[str, Any]) -> str | None:
    ours = issubclass(backend, caches.Misses)
    for cls in backend.__mro__:
        name = f"{cls.__module__}.{cls.__name__}"
        if name in _OPTIONS:
            key, default = _OPTIONS[name]
            if ours and key not in options:
                return None
            return _by_option(path, key, options.get(key, default))
        if name in _BY_THEMSELVES:
            return None if ours else f"{path} unpickles every value that it reads."
        if name == f"{_BACKENDS}dummy.DummyCache":
            return None
    return f"{path} is not known here: it may unpickle."


_BACKENDS = "django.core.cache.backends."
# Backends that can be told by what to read, the name of that option, and its default.
_OPTIONS: dict[str, tuple[str, Any]] = {
    f"{_BACKENDS}redis.RedisCache": ("serializer", f"{_BACKENDS}redis.RedisSerializer"),
    "django_redis.cache.RedisCache": (
        "SERIALIZER",
        "django_redis.serializers.pickle.PickleSerializer",
    ),
    f"{_BACKENDS}memcached.PyMemcacheCache": ("serde", "pymemcache.serde.pickle_serde"),
    f"{_BACKENDS}memcached.MemcachedCache": ("unpickler", pickle.Unpickler),
}
_BY_THEMSELVES = {
    f"{_BACKENDS}db.DatabaseCache",
    f"{_BACKENDS}filebased.FileBasedCache",
    f"{_BACKENDS}locmem.LocMemCache",
}


def _by_option(backend: str, key: str, given: Any) -> str | None:
    if isinstance(given, str):
        if given in _NO_PICKLE:
            return None
        try:
            given = import_string(given)
        except ImportError:
            return f"{backend} has OPTIONS['{key}'] = {given!r}, which can't be imported."
    given = getattr(given, "_serde", given)  # what pymemcache's CompressedSerde compresses
    cls = given if isinstance(given, type) else type(given)
    if _is_ours(cls):
        return None
    name = f"{cls.__module__}.{cls.__qualname__}"
    if name in _NO_PICKLE:
        return None
    return f"{backend} reads with OPTIONS['{key}'], {name}, which unpickles or may do so."


def hint_for(alias: str) -> str:
    """What to write into the settings so that a cache does not unpickle."""
    backend = str(settings.CACHES.get(alias, {}).get("BACKEND"))
    where = f"CACHES['{alias}']"
    if backend.startswith("django_redis."):
        return f"Set {where}['OPTIONS']['SERIALIZER'] = '{OURS}caches.Serializer'."
    if backend == f"{_BACKENDS}memcached.MemcachedCache":
        return (
            f"Set {where}['OPTIONS'] = {{'pickler': {OURS}caches.Pickler, "
            f"'unpickler': {OURS}caches.Unpickler}}."
        )
    name = backend.rpartition(".")[2]
    if backend.startswith(_BACKENDS) and hasattr(caches, name):
        return f"Set {where}['BACKEND'] = '{OURS}caches.{name}'."
    return f"Use a backend that {OURS}caches has something for, or keep sessions elsewhere."


def _in_memory(alias: str) -> bool:
    return str(settings.CACHES[alias].get("BACKEND", "")).endswith(".locmem.LocMemCache")


def _is_ours(cls: Any) -> bool:
    kinds = (ValueSerializer, caches.Serializer, caches.Serde, caches.Unpickler)
    return isinstance(cls, type) and issubclass(cls, kinds)


def _uses_ours() -> bool:
    try:
        return _is_ours(import_string(settings.SESSION_SERIALIZER))
    except ImportError:
        return False


def _mentions_pickle(cls: Any) -> bool:
    """Whether a class, or a function behind it, uses a module named pickle."""
    for each in getattr(cls, "__mro__", ()):
        for method in vars(each).values():
            code = getattr(getattr(method, "__func__", method), "__code__", None)
            if code is not None and any("pickle" in name.lower() for name in code.co_names):
                return True
    return False


def _is_json(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, import_string(_NO_PICKLE[0]))


def _message(kind: Any, number: str, text: str, hint: str) -> Any:
    name = f"plainpickle.{number}"
    return kind(text, hint=f"{hint} See {DOCS}#{number.lower()}", id=name)
