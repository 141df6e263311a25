"""dogpile.cache before 1.1, which pickles each value inside a CachedValue, a class of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dogpile.cache import make_region
from dogpile.cache.api import NO_VALUE, CachedValue

import plainpickle
from tests.libraries.canary import SESSION, Canary, assert_session
from tests.libraries.conftest import ATTACK, Refusals

MODULES = (
    "dogpile.util.compat",  # the backend of files takes it from there
    "dogpile.cache.backends.memory",
    "dogpile.cache.backends.redis",
)
# No place for an argument is left here, so the class is admitted for the process.
plainpickle.set_default_policy(plainpickle.Policy().register(CachedValue))


@pytest.fixture(params=["memory_pickle", "dbm", "redis"])
def region(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    arguments: dict[str, Callable[[], Any]] = {
        "memory_pickle": dict,
        "dbm": lambda: {"filename": str(tmp_path / "cache.dbm")},
        "redis": lambda: {
            "connection_pool": request.getfixturevalue("redis_client").connection_pool
        },
    }
    return make_region().configure(
        f"dogpile.cache.{request.param}", arguments=arguments[request.param]()
    )


def test_a_value_of_either_reads_under_the_other(region: Any) -> None:
    region.set("session", SESSION)
    with plainpickle.install(*MODULES):
        assert_session(region.get("session"))
        assert_session(region.get_multi(["session"])[0])
        region.set("session", SESSION)
    assert_session(region.get("session"))


def test_a_canary_sings_under_stock_pickle_only(
    region: Any, canary: Canary, refusals: Refusals
) -> None:
    region.set("session", canary)
    with plainpickle.install(*MODULES):
        with pytest.raises(plainpickle.ForbiddenGlobal):
            region.get("session")
        with pytest.raises(plainpickle.ForbiddenGlobal):
            region.get_or_create("session", dict)
    assert not canary.sang()
    assert refusals() == ATTACK * 2
    assert region.get("session") is not NO_VALUE
    assert canary.sang()


def test_without_a_policy_for_it_the_refusal_names_the_class(redis_client: Any) -> None:
    make_region().configure(
        "dogpile.cache.redis", arguments={"connection_pool": redis_client.connection_pool}
    ).set("session", SESSION)
    data = redis_client.get("session")
    with pytest.raises(plainpickle.ForbiddenGlobal, match=r"dogpile\.cache\.api\.CachedValue"):
        plainpickle.loads(data, policy=plainpickle.Policy())
    policy = plainpickle.Policy().as_plain("dogpile.cache.api.CachedValue")
    payload, metadata = plainpickle.loads(data, policy=policy)
    assert_session(payload)
    assert set(metadata) == {"ct", "v"}
