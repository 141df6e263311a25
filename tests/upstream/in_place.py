"""A plugin of pytest, inside the process of a suite: puts plainpickle in place, keeps outcomes.

It also leads the suite's clients to the servers that these tests have started, whose sockets are in
the environment: the suites name ports that may be taken.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from plainpickle.session import SessionSerializer
from tests.upstream.asked import Asked

_tests: dict[str, tuple[str, str]] = {}
_asked = Asked()


def pytest_configure() -> None:
    lead_to_the_sockets()
    put = json.loads(os.environ["IN_PLACE"]).get("put")
    if put is not None:
        PUT[put]()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    xfailed = hasattr(report, "wasxfail") and report.skipped
    if report.failed:
        _tests[report.nodeid] = ("failed", str(report.longrepr))
    elif report.when == "call" or report.skipped:
        how = "xfailed" if xfailed else report.outcome
        _tests.setdefault(report.nodeid, (how, ""))


def pytest_sessionfinish() -> None:
    outcomes = {"tests": _tests, "asked": _asked.times}
    Path(os.environ["OUTCOMES"]).write_text(json.dumps(outcomes), "utf-8")


# ---- what is put in place


def after(cls: type, name: str, then: Callable[..., Any]) -> None:
    """Calls `then` with the same arguments after each call of a method."""
    method: Any = getattr(cls, name)

    @functools.wraps(method)
    def both(*arguments: Any, **options: Any) -> Any:
        result = method(*arguments, **options)
        then(*arguments, **options)
        return result

    setattr(cls, name, both)


def flask_interface() -> None:
    """The interface for signed cookies, for every app that has no other."""
    import flask

    from plainpickle.flask import SessionInterface

    flask.Flask.session_interface = SessionInterface()


def flask_session() -> None:
    """The one line after `Session(app)`."""
    import flask_session

    from plainpickle.flask import Plainpickle

    after(flask_session.Session, "init_app", lambda _, app: Plainpickle(app))


def cachelib() -> None:
    """The one line, for each cache as if Flask-Caching had made it."""
    import cachelib
    import flask

    from plainpickle.flask import Plainpickle

    with suppress(ImportError):
        import pylibmc

        pylibmc.Client = _plain_pylibmc(pylibmc.Client)

    def replace(cache: Any, *_: Any, **__: Any) -> None:
        own = not type(cache).__module__.startswith("cachelib.")  # the suite's, with its serializer
        pooled = type(getattr(cache, "_client", None)).__name__ == "ClientPool"  # of pylibmc
        if not own and not pooled:
            app = flask.Flask("shop")
            app.extensions["cache"] = {cache: cache}
            Plainpickle(app, sessions=False)

    for name in ("FileSystemCache", "MemcachedCache", "RedisCache", "ValkeyCache"):
        if hasattr(cachelib, name):
            after(getattr(cachelib, name), "__init__", replace)


def _plain_pylibmc(stock: Any) -> Any:
    """What docs/pickle-face.md has for pylibmc, whose pool can't be replaced once it is there."""

    class PlainClient(stock):  # type: ignore[misc]
        def deserialize(self, stored: bytes, flags: int) -> Any:
            if flags & 1:
                return SessionSerializer().loads(stored)
            return super().deserialize(stored, flags)

    return PlainClient


PUT = {each.__name__: each for each in (flask_interface, flask_session, cachelib)}


# ---- servers


def lead_to_the_sockets() -> None:
    """Clients that would go to a port of the suite's server go to the socket of ours."""
    import memcache
    import pymemcache
    import redis
    import valkey

    redis_socket, memcached_socket = os.environ["REDIS_SOCKET"], os.environ["MEMCACHED_SOCKET"]
    for client, ports in ((redis.Redis, {6379, 6360}), (valkey.Valkey, {6370})):
        before(client, functools.partial(_redis, redis_socket, ports))
    at = {memcache: "unix:{}", pymemcache: "unix:{}"}
    with suppress(ImportError):
        import pylibmc

        at[pylibmc] = "{}"
    for library, form in at.items():
        before(library.Client, functools.partial(_memcached, form.format(memcached_socket)))


def before(cls: type, change: Callable[..., Any]) -> None:
    """Makes each instance of a class with other arguments."""
    made: Any = cls.__init__  # type: ignore[misc]

    @functools.wraps(made)
    def otherwise(self: Any, *arguments: Any, **options: Any) -> None:
        arguments, options = change(*arguments, **options)
        made(self, *arguments, **options)

    cls.__init__ = otherwise  # type: ignore[misc]


def _redis(socket: str, ports: set[int], *arguments: Any, **options: Any) -> Any:
    if options.get("port", 6379) in ports:
        options = {**options, "unix_socket_path": socket}
    return arguments, options


def _memcached(socket: str, servers: Any, *arguments: Any, **options: Any) -> Any:
    return (socket if isinstance(servers, str) else [socket], *arguments), options


# What cachelib's suite wants of pytest-xprocess, for servers that it need not start.
sys.modules["xprocess"] = ModuleType("xprocess")
setattr(sys.modules["xprocess"], "ProcessStarter", object)  # noqa: B010  # mypy knows no such name


@pytest.fixture(scope="session")
def xprocess() -> None:
    """Not asked, where the environment has CI=true."""
