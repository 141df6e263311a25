"""Flask-Session 0.5, whose `serializer` is a module like pickle, set by hand.

Run by `tests/flask/test_versions.py`, which puts that version in front of the newest.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask_session.sessions
import memcache
import pytest

import plainpickle
from plainpickle.session import SessionSerializer
from tests.libraries.canary import SESSION, Canary, assert_session
from tests.libraries.conftest import ATTACK, Refusals
from tests.libraries.shop import Visit

EMPTY = {"_permanent": True}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # theirs, of each other


@pytest.fixture(params=["redis", "memcached"])
def visit(request: pytest.FixtureRequest) -> Iterator[Visit]:
    if request.param == "redis":
        client = request.getfixturevalue("redis_client")
        yield Visit(flask_session.Session, SESSION_TYPE="redis", SESSION_REDIS=client)
    else:
        client = memcache.Client([f"unix:{request.getfixturevalue('memcached_socket')}"])
        yield Visit(flask_session.Session, SESSION_TYPE="memcached", SESSION_MEMCACHED=client)
        client.disconnect_all()


def swap(monkeypatch: pytest.MonkeyPatch, serializer: Any = plainpickle) -> None:
    for name in ("Redis", "Memcached", "MongoDB", "SqlAlchemy"):
        interface = getattr(flask_session.sessions, f"{name}SessionInterface")
        monkeypatch.setattr(interface, "serializer", serializer)


def test_install_refuses_it_and_says_where_it_keeps_pickle_too() -> None:
    with pytest.raises(ValueError, match=r"RedisSessionInterface\.serializer"):
        plainpickle.install("flask_session.sessions")
    assert flask_session.sessions.pickle is pickle


def test_a_session_of_either_reads_under_the_other(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit.write(SESSION)
    with monkeypatch.context() as patch:
        swap(patch)
        assert_session(visit.read()["held"])
        visit.write(SESSION)
    assert_session(visit.read()["held"])


def test_a_canary_sings_under_stock_pickle_only_and_leaves_an_empty_session(
    visit: Visit, canary: Canary, refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit.write(canary)
    with monkeypatch.context() as patch:
        swap(patch)
        assert visit.read() == EMPTY
    assert not canary.sang()
    assert refusals() == ATTACK
    visit.write(canary)
    visit.read()
    assert canary.sang()


def test_a_session_serializer_drops_only_the_key_that_holds_the_canary(
    visit: Visit, canary: Canary, refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit.write(SESSION, key="cart")
    visit.write(canary)
    for written in ("pickle", "json"):
        with monkeypatch.context() as patch:
            swap(patch, SessionSerializer(format=written))
            found = visit.read()
            assert set(found) == {"_permanent", "cart"}
            assert_session(found["cart"])
        assert not canary.sang()
        assert refusals() == ATTACK
        visit.write(canary)
    visit.read()
    assert canary.sang()


def test_a_canary_in_the_file_system_sings_under_stock_pickle_only(
    tmp_path: Path, canary: Canary, refusals: Refusals
) -> None:
    """Its files are cachelib's."""
    visit = Visit(
        flask_session.Session,
        SESSION_TYPE="filesystem",
        SESSION_FILE_DIR=str(tmp_path / "sessions"),
    )
    visit.write(SESSION)
    with plainpickle.install("cachelib.serializers"):
        assert_session(visit.read()["held"])
        visit.write(SESSION)
    assert_session(visit.read()["held"])
    visit.write(canary)
    with plainpickle.install("cachelib.serializers"):
        assert visit.read() == EMPTY
    assert not canary.sang()
    assert refusals() == ATTACK
    visit.write(canary)
    visit.read()
    assert canary.sang()


def test_a_session_that_could_not_be_read_back_is_an_error_where_it_is_written(
    visit: Visit, canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap(monkeypatch)
    with pytest.raises(plainpickle.UnreadableValue, match="held"):
        visit.write({"user": canary})
    assert visit.read() == EMPTY
