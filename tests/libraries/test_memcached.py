"""The clients of memcached: a flag beside each value says that it is a pickle.

Whoever writes the value sets the flag too. So even where an app stores bytes that it decodes by
itself, the client unpickles what someone else has planted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import memcache
import pymemcache.serde
import pytest

import plainpickle
from tests.libraries.canary import SESSION, Canary, assert_session
from tests.libraries.conftest import ATTACK, Refusals
from tests.libraries.memcached import PlainClient

WHEELS = "libmc has wheels for Linux on x86-64 only, pylibmc until Python 3.11 only"


@contextmanager
def closed_after(client: Any) -> Iterator[Any]:
    try:
        yield client
    finally:
        client.disconnect_all()


class PythonMemcached:
    """Its pickler and unpickler are arguments, so `install` would come too late."""

    @contextmanager
    def stock(self, socket: str) -> Iterator[Any]:
        with closed_after(memcache.Client([f"unix:{socket}"])) as client:
            yield client

    @contextmanager
    def plain(self, socket: str) -> Iterator[Any]:
        with closed_after(PlainClient([f"unix:{socket}"])) as client:
            yield client


class Pymemcache:
    @contextmanager
    def stock(self, socket: str) -> Iterator[Any]:
        serde = pymemcache.serde.pickle_serde
        made = pymemcache.Client(f"unix:{socket}", serde=serde, default_noreply=False)
        with closed_after(made) as client:
            yield client

    @contextmanager
    def plain(self, socket: str) -> Iterator[Any]:
        with plainpickle.install("pymemcache.serde"), self.stock(socket) as client:
            yield client


class Libmc:
    """Compiled, with a global named pickle all the same."""

    @contextmanager
    def stock(self, socket: str) -> Iterator[Any]:
        yield pytest.importorskip("libmc", reason=WHEELS).Client([socket])

    @contextmanager
    def plain(self, socket: str) -> Iterator[Any]:
        pytest.importorskip("libmc", reason=WHEELS)
        with plainpickle.install("libmc._client"), self.stock(socket) as client:
            yield client


class Pylibmc:
    """Compiled, and holds pickle where nothing reaches it: a subclass decodes instead."""

    @contextmanager
    def stock(self, socket: str) -> Iterator[Any]:
        yield pytest.importorskip("pylibmc", reason=WHEELS).Client([socket])

    @contextmanager
    def plain(self, socket: str) -> Iterator[Any]:
        pylibmc: Any = pytest.importorskip("pylibmc", reason=WHEELS)

        class Client(pylibmc.Client):  # type: ignore[misc]
            def serialize(self, value: Any) -> tuple[bytes, int]:
                stored, flags = super().serialize(value)
                return (plainpickle.dumps(value) if flags & 1 else stored), flags

            def deserialize(self, stored: bytes, flags: int) -> Any:
                if flags & 1:
                    return plainpickle.loads(stored)
                return super().deserialize(stored, flags)

        yield Client([socket])


CLIENTS = [PythonMemcached(), Pymemcache(), Libmc(), Pylibmc()]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda each: type(each).__name__)
def test_a_value_of_either_reads_under_the_other(client: Any, memcached_socket: str) -> None:
    with client.stock(memcached_socket) as stock, client.plain(memcached_socket) as plain:
        for writer, reader in ((stock, plain), (plain, stock)):
            assert writer.set("session", SESSION)
            assert_session(reader.get("session"))
            for value in (b"\x00", "ä", 5, [1]):
                assert writer.set("plain", value)
                assert reader.get("plain") == value


@pytest.mark.filterwarnings("ignore:.*libmc:UserWarning")
@pytest.mark.parametrize("client", CLIENTS, ids=lambda each: type(each).__name__)
def test_a_canary_that_is_flagged_as_a_pickle_sings_under_stock_pickle_only(
    client: Any, memcached_socket: str, canary: Canary, refusals: Refusals
) -> None:
    with client.stock(memcached_socket) as stock:
        stock.set("session", canary)
    # Only pylibmc lets the refusal through.
    with client.plain(memcached_socket) as plain, suppress(plainpickle.ForbiddenGlobal):
        assert plain.get("session") is None
    assert not canary.sang()
    assert refusals() == ATTACK
    with client.stock(memcached_socket) as stock:
        stock.get("session")
    assert canary.sang()
