"""What an app sees of Flask-Session 0.8, whose distribution has no tests of its own.

It runs twice, as the suites do: without plainpickle it says what Flask-Session does, and with
plainpickle in place all of that has to stay so.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import pytest
from flask_session import Session
from flask_session.base import MsgSpecSerializer
from werkzeug.test import TestResponse

STORES = ("redis", "memcached", "filesystem", "cachelib", "sqlalchemy")
FORMATS = ("msgpack", "json")

AppOf = Callable[..., flask.Flask]


@pytest.fixture(params=STORES)
def app_of(request: pytest.FixtureRequest, tmp_path: Path) -> AppOf:
    """Makes an app whose sessions are in a store; the plugin leads it to the servers."""

    def app_of(**config: Any) -> flask.Flask:
        app = flask.Flask("shop")
        app.secret_key = "not a secret"
        app.testing = True
        app.config.update(SESSION_TYPE=request.param, SESSION_FILE_DIR=str(tmp_path / "files"))
        app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path / 'sessions.db'}"
        if request.param == "cachelib":
            from cachelib import FileSystemCache

            app.config["SESSION_CACHELIB"] = FileSystemCache(str(tmp_path / "cache"))
        app.config.update(config)
        Session(app)
        app.add_url_rule("/", "change", change, methods=["POST"])
        app.add_url_rule("/", "show", lambda: dict(flask.session))
        app.add_url_rule("/clear", "clear", clear, methods=["POST"])
        app.add_url_rule("/login", "login", login, methods=["POST"])
        return app

    return app_of


def change() -> str:
    flask.session.update(flask.request.get_json())
    return ""


def clear() -> str:
    flask.session.clear()
    return ""


def login() -> str:
    interface: Any = flask.current_app.session_interface
    interface.regenerate(flask.session)
    flask.session["user"] = 7
    return ""


def cookie_of(client: Any) -> str:
    cookie = client.get_cookie("session")
    assert cookie is not None
    value: str = cookie.value
    return value


CART = {"cart": {"tea": 2, "cups": [1, 2.5, None]}, "name": "Zoë", "seen": True}


@pytest.mark.parametrize("form", FORMATS)
def test_a_later_request_sees_what_was_stored(app_of: AppOf, form: str) -> None:
    client = app_of(SESSION_SERIALIZATION_FORMAT=form).test_client()
    client.post("/", json=CART)
    client.post("/", json={"more": "later"})
    assert client.get("/").json == {**CART, "more": "later", "_permanent": True}


@pytest.mark.parametrize("form", FORMATS)
def test_flask_session_reads_what_is_stored(app_of: AppOf, form: str) -> None:
    app = app_of(SESSION_SERIALIZATION_FORMAT=form)
    interface: Any = app.session_interface
    encoded = interface.serializer.encode(CART)
    assert MsgSpecSerializer(app=app, format=form).decode(encoded) == CART


@pytest.mark.parametrize("form", FORMATS)
def test_what_flask_session_has_stored_is_read(app_of: AppOf, form: str) -> None:
    app = app_of(SESSION_SERIALIZATION_FORMAT=form)
    interface: Any = app.session_interface
    for written in FORMATS:
        stored = MsgSpecSerializer(app=app, format=written).encode(CART)
        assert interface.serializer.decode(stored) == CART


def test_visitors_do_not_see_each_other(app_of: AppOf) -> None:
    app = app_of()
    one, other = app.test_client(), app.test_client()
    one.post("/", json={"name": "one"})
    other.post("/", json={"name": "other"})
    assert one.get("/").json == {"name": "one", "_permanent": True}
    assert cookie_of(one) != cookie_of(other)


def test_another_process_with_the_same_store_reads_it(app_of: AppOf) -> None:
    client = app_of().test_client()
    client.post("/", json=CART)
    later = app_of().test_client()
    later.set_cookie("session", cookie_of(client))
    assert later.get("/").json == {**CART, "_permanent": True}


def test_a_cleared_session_is_gone_and_so_is_its_cookie(app_of: AppOf) -> None:
    app = app_of(SESSION_PERMANENT=False)
    client = app.test_client()
    client.post("/", json=CART)
    old = cookie_of(client)
    client.post("/clear")
    assert client.get_cookie("session") is None
    client.set_cookie("session", old)
    assert client.get("/").json == {}


def test_an_id_that_nothing_is_stored_for_is_not_adopted(app_of: AppOf) -> None:
    client = app_of().test_client()
    client.set_cookie("session", "chosen-by-somebody")
    client.post("/", json=CART)
    assert cookie_of(client) != "chosen-by-somebody"


def test_a_new_id_at_login_keeps_the_session_and_drops_the_old_one(app_of: AppOf) -> None:
    app = app_of(SESSION_PERMANENT=False)
    client = app.test_client()
    client.post("/", json=CART)
    old = cookie_of(client)
    client.post("/login")
    assert cookie_of(client) != old
    assert client.get("/").json == {**CART, "user": 7}
    thief = app.test_client()
    thief.set_cookie("session", old)
    assert thief.get("/").json == {}


def test_a_session_that_was_only_looked_at_sets_no_cookie(app_of: AppOf) -> None:
    response: TestResponse = app_of(SESSION_PERMANENT=False).test_client().get("/")
    assert "Set-Cookie" not in response.headers
    assert response.headers["Vary"] == "Cookie"


@pytest.mark.parametrize("permanent", [True, False])
def test_only_the_cookie_of_a_permanent_session_expires(app_of: AppOf, permanent: bool) -> None:
    client = app_of(SESSION_PERMANENT=permanent).test_client()
    response = client.post("/", json=CART)
    assert ("Expires=" in response.headers["Set-Cookie"]) == permanent


@pytest.mark.filterwarnings("ignore:The 'use_signer' option")
def test_a_signed_id_is_read_and_a_forged_one_is_not(app_of: AppOf) -> None:
    client = app_of(SESSION_USE_SIGNER=True, SESSION_PERMANENT=False).test_client()
    client.post("/", json=CART)
    assert client.get("/").json == CART
    signed = cookie_of(client)
    client.set_cookie("session", signed[:-1] + ("B" if signed[-1] == "A" else "A") + "x")
    assert client.get("/").json == {}


def test_ids_have_the_configured_length(app_of: AppOf) -> None:
    client = app_of(SESSION_ID_LENGTH=48).test_client()
    client.post("/", json=CART)
    assert len(cookie_of(client)) == 64  # of Base64


def test_an_unknown_store_is_refused(tmp_path: Path) -> None:
    app = flask.Flask("shop")
    app.config["SESSION_TYPE"] = "parchment"
    with pytest.raises(ValueError, match="parchment"):
        Session(app)
