"""What an app's store of sessions holds: each payload and its place, read only."""

from __future__ import annotations

import hashlib
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask.sessions import SecureCookieSessionInterface

from plainpickle import inspect
from plainpickle.flask.caches import keeps_time_in_four_bytes
from plainpickle.flask.serializers import is_msgpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from plainpickle.inventory import Inventory

_BATCH = 500


class NotListable(Exception):  # noqa: N818  # it is no error of the store
    """A store whose sessions can't be listed; it says why."""


def payloads(app: Any) -> Iterator[tuple[str, bytes | None]]:
    """The place of each session, which is never its id, and its bytes; ``None`` if it has none.

    Raises:
        NotListable: the sessions are in the browsers, in memcached, or in an unknown store.
    """
    interface = app.session_interface
    if isinstance(interface, SecureCookieSessionInterface):
        raise NotListable(
            "the sessions are in signed cookies: the browsers have them, not the server"
        )
    prefix = getattr(interface, "key_prefix", getattr(interface, "prefix", ""))
    cache: Any = getattr(interface, "cache", None)
    database = getattr(interface, "redis", getattr(interface, "client", None))
    if hasattr(interface, "sql_session_model"):
        return _of_sql(interface.sql_session_model)
    if hasattr(getattr(interface, "store", None), "find"):
        return _of_mongodb(interface.store)
    if hasattr(app, "kvsession_store"):
        return _of_simplekv(app.kvsession_store)
    if hasattr(cache, "_list_dir"):
        return _of_files(cache)
    if hasattr(cache, "_read_client"):
        own = cache.key_prefix() if callable(cache.key_prefix) else cache.key_prefix
        return _of_redis(cache._read_client, f"{own or ''}{prefix}", mark=b"!")  # noqa: SLF001
    if hasattr(database, "scan_iter"):
        return _of_redis(database, prefix)
    name = type(interface).__qualname__
    if hasattr(database, "get") or hasattr(getattr(cache, "_client", None), "get"):
        raise NotListable(f"{name}: memcached can't list what it holds; watch the events instead")
    raise NotListable(f"{name}: a store that is not known here; watch the events instead")


def count(inventory: Inventory, place: str, payload: bytes | None) -> None:
    """Adds one session to an inventory."""
    if payload is None:
        inventory.add_unreadable("no value")
    elif is_msgpack(payload):
        inventory.add_other(payload, format="msgpack", whole=_is_whole(payload))
    else:
        inventory.add(payload, place=place)


def _is_whole(payload: bytes) -> bool:
    from msgspec.msgpack import decode  # noqa: PLC0415  # comes with what writes msgpack

    try:
        decode(payload)
    except Exception:  # noqa: BLE001  # it has no one error for what it can't read
        return False
    return True


def _of_files(cache: Any) -> Iterator[tuple[str, bytes | None]]:
    in_four_bytes = keeps_time_in_four_bytes(type(cache))
    for name in cache._list_dir():  # noqa: SLF001  # it leaves out what is no value
        try:
            data = Path(name).read_bytes()
        except OSError:
            yield name, None
            continue
        start = 4 if in_four_bytes else len(data) - inspect(data).trailing_bytes
        yield name, data[start:] or None


def _of_redis(client: Any, prefix: str, mark: bytes = b"") -> Iterator[tuple[str, bytes | None]]:
    pattern = "".join(f"\\{each}" if each in "*?[]^-\\" else each for each in prefix) + "*"
    for keys in _batches(client.scan_iter(match=pattern, count=_BATCH)):
        for key, found in zip(keys, client.mget(keys)):
            raw = key.encode() if isinstance(key, str) else key
            value = found.encode() if isinstance(found, str) else found
            if value is not None and value.startswith(mark):
                value = value[len(mark) :]
            # Of an id only the hash is shown, as in events.
            yield f"Redis key of SHA-256 {hashlib.sha256(raw).hexdigest()}", value


def _of_sql(model: Any) -> Iterator[tuple[str, bytes | None]]:
    last = 0
    while True:
        query = model.query.with_entities(model.id, model.data).filter(model.id > last)
        rows = query.order_by(model.id).limit(_BATCH).all()
        for last, data in rows:
            yield f"{model.__tablename__}, row {last}", data
        if not rows:
            return


def _of_mongodb(collection: Any) -> Iterator[tuple[str, bytes | None]]:
    for document in collection.find({}, {"val": 1}):
        yield f"document {document['_id']}", document.get("val")


def _of_simplekv(store: Any) -> Iterator[tuple[str, bytes | None]]:
    for key in store.iter_keys():
        try:
            yield f"key of SHA-256 {hashlib.sha256(key.encode()).hexdigest()}", store.get(key)
        except KeyError:
            continue


def _batches(keys: Iterable[Any]) -> Iterator[list[Any]]:
    remaining = iter(keys)
    while batch := list(islice(remaining, _BATCH)):
        yield batch
