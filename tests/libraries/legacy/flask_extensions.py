"""Flask-Session 0.3.2 and Flask-KVSession 0.6.2, on Flask 1.1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flask_kvsession
import flask_session.sessions
import pytest
from simplekv.fs import FilesystemStore

import plainpickle
from tests.libraries.canary import SESSION, Canary, assert_session
from tests.libraries.conftest import ATTACK, Refusals
from tests.libraries.shop import Visit


def test_flask_session_keeps_a_session_and_refuses_a_canary(
    redis_client: Any, canary: Canary, refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    interface = flask_session.sessions.RedisSessionInterface
    visit = Visit(flask_session.Session, SESSION_TYPE="redis", SESSION_REDIS=redis_client)
    visit.write(SESSION)
    with monkeypatch.context() as patch:
        patch.setattr(interface, "serializer", plainpickle)
        assert_session(visit.read()["held"])
        visit.write(SESSION)
    assert_session(visit.read()["held"])
    visit.write(canary)
    with monkeypatch.context() as patch:
        patch.setattr(interface, "serializer", plainpickle)
        assert visit.read() == {"_permanent": True}
    assert not canary.sang()
    assert refusals() == ATTACK
    visit.write(canary)
    visit.read()
    assert canary.sang()


def test_flask_session_keeps_files_by_cachelib_below_0_5_which_has_pickle_in_each_module(
    tmp_path: Path, canary: Canary, refusals: Refusals
) -> None:
    visit = Visit(
        flask_session.Session, SESSION_TYPE="filesystem", SESSION_FILE_DIR=str(tmp_path / "files")
    )
    visit.write(SESSION)
    with plainpickle.install("cachelib.file"):
        assert_session(visit.read()["held"])
        visit.write(SESSION)
    assert_session(visit.read()["held"])
    visit.write(canary)
    with plainpickle.install("cachelib.file"):
        assert visit.read() == {"_permanent": True}
    assert not canary.sang()
    assert refusals() == ATTACK
    visit.write(canary)
    visit.read()
    assert canary.sang()


def test_flask_kvsession_keeps_a_session_and_raises_on_a_canary(
    tmp_path: Path, canary: Canary, refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    interface = flask_kvsession.KVSessionInterface
    store = FilesystemStore(str(tmp_path))
    visit = Visit(lambda app: flask_kvsession.KVSessionExtension(store, app))
    visit.write(SESSION)
    with monkeypatch.context() as patch:
        patch.setattr(interface, "serialization_method", plainpickle)
        assert_session(visit.read()["held"])
        visit.write(SESSION)
    assert_session(visit.read()["held"])
    visit.write(canary)
    with monkeypatch.context() as patch:
        patch.setattr(interface, "serialization_method", plainpickle)
        with pytest.raises(plainpickle.ForbiddenGlobal):
            visit.read()
    assert not canary.sang()
    assert refusals() == ATTACK
    visit.read()
    assert canary.sang()
