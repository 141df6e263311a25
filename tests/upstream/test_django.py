"""Django's own tests of sessions, of three versions, with plainpickle in place."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import pytest

from tests import servers
from tests.djangos import VERSIONS, python_for
from tests.upstream.suites import Ran, at_once, compare, run, sdist

SERIALIZER = {"SESSION_SERIALIZER": "plainpickle.django.SessionSerializer"}
WRITING_PICKLE = {**SERIALIZER, "PLAINPICKLE": {"FORMAT": "pickle"}}

# The caches of a site, and what takes their place. Not that in the database: the suite counts
# queries and forbids some, so that a good part of it fails with Django's own, too.
OURS = "plainpickle.django.caches."
STOCK = "django.core.cache.backends."
CACHES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "memory": ({"BACKEND": f"{STOCK}locmem.LocMemCache"}, {"BACKEND": f"{OURS}LocMemCache"}),
    "redis": ({"BACKEND": f"{STOCK}redis.RedisCache"}, {"BACKEND": f"{OURS}RedisCache"}),
}


def suite(version: str, in_place: dict[str, Any]) -> Ran:
    python = python_for(version)
    folder = sdist("django", version)
    options = ["--settings", "tests.upstream.django_settings", "--parallel", "1"]
    command = [python, "-W", "ignore", "runtests.py", *options, "sessions_tests"]
    return run(command, folder / "tests", in_place, IN_FRONT=str(folder))


@functools.cache
def as_it_is(version: str) -> Ran:
    return suite(version, {})


@pytest.mark.parametrize("version", VERSIONS)
def test_sessions_with_the_one_setting(version: str) -> None:
    ours = partial(suite, version, {"settings": SERIALIZER})
    compare("django", *at_once(partial(as_it_is, version), ours))


@pytest.mark.parametrize("version", VERSIONS)
def test_sessions_that_are_written_as_pickle(version: str) -> None:
    ours = partial(suite, version, {"settings": WRITING_PICKLE})
    compare("django", *at_once(partial(as_it_is, version), ours))


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("version", VERSIONS)
def test_sessions_with_the_engines_and_a_cache(version: str, cache: str) -> None:
    stock, ours = CACHES[cache]
    with server_of(cache) as at, server_of(cache) as another:
        before = {"CACHES": {"default": {**stock, **at}}}
        after = {**SERIALIZER, "CACHES": {"default": {**ours, **another}}}
        as_it_was = (  # memory is the cache of who sets none
            partial(as_it_is, version)
            if cache == "memory"
            else partial(suite, version, {"settings": before})
        )
        in_place = partial(suite, version, {"engines": True, "settings": after})
        compare("django", *at_once(as_it_was, in_place))


@contextmanager
def server_of(cache: str) -> Iterator[dict[str, str]]:
    """Where a cache of its own is; what one suite flushes is nothing to another."""
    with servers.redis() if cache == "redis" else nullcontext() as socket:
        yield {"LOCATION": f"unix://{socket}"} if socket else {}


class Forgetful:
    """A serializer that loses what it is given."""

    def dumps(self, session: Any) -> bytes:
        return b"{}"

    def loads(self, data: bytes) -> Any:
        return {}


def test_the_suite_notices_a_serializer_that_forgets() -> None:
    path = f"{__name__}.Forgetful"
    ran = suite("4.2.30", {"settings": {"SESSION_SERIALIZER": path}})
    assert ran.passed < as_it_is("4.2.30").passed
