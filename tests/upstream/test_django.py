"""Django's own tests of sessions, of three versions, with plainpickle in place."""

from __future__ import annotations

import functools
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.upstream.suites import Ran, at_once, compare, run, sdist

# The first Python that a version runs on.
VERSIONS = {"4.2.30": (3, 8), "5.2.19": (3, 10), "6.1.3": (3, 12)}
NEWER = Path(f"{sys.prefix}-newer", "bin", "python")

SERIALIZER = {"SESSION_SERIALIZER": "plainpickle.django.SessionSerializer"}
WRITING_PICKLE = {**SERIALIZER, "PLAINPICKLE": {"FORMAT": "pickle"}}

# The caches of a site, and what takes their place.
OURS = "plainpickle.django.caches."
STOCK = "django.core.cache.backends."
CACHES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "database": (
        {"BACKEND": f"{STOCK}db.DatabaseCache", "LOCATION": "cached"},
        {"BACKEND": f"{OURS}DatabaseCache", "LOCATION": "cached"},
    ),
    "redis": ({"BACKEND": f"{STOCK}redis.RedisCache"}, {"BACKEND": f"{OURS}RedisCache"}),
}


@functools.cache
def python_for(version: str) -> str:
    """A Python with plainpickle that this Django runs on."""
    if sys.version_info >= VERSIONS[version]:
        return sys.executable
    if not NEWER.exists():
        pytest.skip(f"Django {version} wants a newer Python, and `make test` found none")
    return str(NEWER)


def suite(version: str, in_place: dict[str, Any]) -> Ran:
    folder = sdist("django", version)
    options = ["--settings", "tests.upstream.django_settings", "--parallel", "1"]
    command = [python_for(version), "-W", "ignore", "runtests.py", *options, "sessions_tests"]
    return run(command, folder / "tests", in_place, IN_FRONT=str(folder))


@pytest.mark.parametrize("version", VERSIONS)
def test_sessions_with_the_one_setting(version: str) -> None:
    stock, json, pickle = at_once(
        lambda: suite(version, {}),
        lambda: suite(version, {"settings": SERIALIZER}),
        lambda: suite(version, {"settings": WRITING_PICKLE}),
    )
    compare("django", stock, json)
    compare("django", stock, pickle)


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("version", VERSIONS)
def test_sessions_with_the_engines_and_a_cache(version: str, cache: str) -> None:
    before, after = CACHES[cache]
    with servers.redis() if cache == "redis" else nullcontext() as socket:
        at = {"LOCATION": f"unix://{socket}"} if socket else {}
        stock = {"CACHES": {"default": {**before, **at}}}
        ours = {**SERIALIZER, "CACHES": {"default": {**after, **at}}}
        runs = at_once(
            lambda: suite(version, {"settings": stock}),
            lambda: suite(version, {"engines": True, "settings": ours}),
        )
    compare("django", *runs)


class Forgetful:
    """A serializer that loses what it is given."""

    def dumps(self, session: Any) -> bytes:
        return b"{}"

    def loads(self, data: bytes) -> Any:
        return {}


def test_the_suite_notices_a_serializer_that_forgets() -> None:
    forgetful = {"SESSION_SERIALIZER": f"{__name__}.Forgetful"}
    stock, ran = at_once(
        lambda: suite("4.2.30", {}), lambda: suite("4.2.30", {"settings": forgetful})
    )
    assert ran.passed < stock.passed
