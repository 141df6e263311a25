"""Flask-KVSession 0.6.2 with `Plainpickle(app)`, on Flask 1.1; run by `test_versions.py`."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import flask_kvsession
import pytest
from simplekv.fs import FilesystemStore

import plainpickle.flask
from tests.flask.shop import Visit, app
from tests.libraries.canary import SESSION, Canary, assert_session


def visit(folder: Path, *, safe: bool = True, cookie: str | None = None) -> Visit:
    shop = app()
    flask_kvsession.KVSessionExtension(FilesystemStore(str(folder)), shop)
    if safe:
        plainpickle.flask.Plainpickle(shop)
    return Visit(shop, cookie)


def test_an_old_session_is_read_and_a_new_one_is_json(tmp_path: Path) -> None:
    stock = visit(tmp_path, safe=False)
    stock.write(**SESSION)
    ours = visit(tmp_path, cookie=stock.cookie)
    assert_session(ours.read())
    ours.write(seen=1)
    assert ours.read() == {**SESSION, "seen": 1}
    (file,) = tmp_path.iterdir()
    assert file.read_bytes().startswith(b"{")


@pytest.mark.parametrize("planted", [None, b"junk", b"", pickle.dumps([1]), b"5"])
def test_a_hostile_value_is_one_event_and_a_new_session(
    tmp_path: Path, planted: Any, canary: Canary, reported: list[dict[str, Any]]
) -> None:
    ours = visit(tmp_path)
    ours.write(user=5)
    before = ours.cookie
    (file,) = tmp_path.glob("*_*")
    file.write_bytes(pickle.dumps(canary) if planted is None else planted)
    assert ours.read() == {}
    assert not canary.sang()
    assert len(reported) == (planted != b"")  # which is the end of a stream
    ours.write(user=6)
    assert ours.read() == {"user": 6}
    assert ours.cookie != before


def test_a_login_changes_the_id(tmp_path: Path) -> None:
    ours = visit(tmp_path)
    ours.write(cart=[1])
    before = ours.cookie
    ours.log_in(user=5)
    assert ours.cookie != before
    assert ours.read() == {"cart": [1], "user": 5}
    assert len(list(tmp_path.glob("*_*"))) == 1
