"""Signed cookies: Flask's own, pickled ones, those of Flask before 0.10; forged and damaged."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import pickle
import time
import zlib
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote_plus

import flask
import pytest
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer
from markupsafe import Markup

import plainpickle.flask
from plainpickle import profiles
from tests.flask.shop import Visit, app
from tests.libraries.canary import SESSION, Canary, assert_session

pytestmark = pytest.mark.filterwarnings("ignore")  # of old libraries, about each other
KEY = "not real, but long enough for it"
PLAIN = {"user": "Zoë", "cart": [{"sku": "A1", "n": 3}], "ok": True, "none": None}


class Pickles:
    """What legacy subclasses put into the place of Flask's serializer."""

    @staticmethod
    def dumps(value: Any) -> bytes:
        return pickle.dumps(value, 2)

    @staticmethod
    def loads(data: bytes) -> Any:
        return pickle.loads(data)


def signed(payload: bytes, key: str = KEY, compressed: bool = False) -> str:
    """A cookie of Flask with any payload."""

    class Bare:
        dumps = loads = staticmethod(lambda value: value)

    class Uncompressed(URLSafeTimedSerializer):
        def dump_payload(self, obj: bytes) -> bytes:
            raw = zlib.compress(obj) if compressed else obj
            mark = b"." if compressed else b""
            return mark + base64.urlsafe_b64encode(raw).rstrip(b"=")

    kwargs = {"key_derivation": "hmac", "digest_method": hashlib.sha1}
    made = Uncompressed(key, salt="cookie-session", serializer=Bare, signer_kwargs=kwargs)
    written: Any = made.dumps(payload)
    return written.decode() if isinstance(written, bytes) else str(written)


def securecookie(values: dict[str, Any], key: str = KEY, **raw: bytes) -> str:
    """A cookie of Werkzeug's SecureCookie; `raw` holds what is no pickle of a value."""
    pickles = {name: pickle.dumps(value, 0) for name, value in values.items()}
    items = [
        f"{quote_plus(name)}={base64.b64encode(data).decode()}".encode()
        for name, data in sorted({**pickles, **raw}.items())
    ]
    mac = hmac.new(key.encode(), digestmod=hashlib.sha1)
    for item in items:
        mac.update(b"|" + item)
    return (base64.b64encode(mac.digest()) + b"?" + b"&".join(items)).decode()


def visit(cookie: str | None = None, **options: Any) -> Visit:
    shop = app(SECRET_KEY=KEY)
    shop.session_interface = plainpickle.flask.SessionInterface(**options)
    return Visit(shop, cookie)


COOKIES: dict[str, Callable[[dict[str, Any]], str]] = {
    "pickled": lambda values: signed(pickle.dumps(values, 2)),
    "pickled and compressed": lambda values: signed(pickle.dumps(values, 2), compressed=True),
    "of Werkzeug": securecookie,
}


@pytest.mark.parametrize("form", COOKIES)
def test_old_cookies_are_read_with_their_types(form: str) -> None:
    found = visit(COOKIES[form](SESSION)).read()
    if form == "of Werkzeug":  # one pickle for each key
        assert found == SESSION
    else:
        assert_session(found)


def test_flasks_own_cookies_are_read() -> None:
    stock = Visit(app(SECRET_KEY=KEY))
    at = datetime(2020, 2, 29, 23, 59, 58, tzinfo=timezone.utc)
    values = {**PLAIN, "at": at, "pair": (1, "x"), "raw": b"\xff", "html": Markup("<b>")}
    stock.write(**values)
    found = visit(stock.cookie).read()
    assert found == values
    assert type(found["html"]) is Markup


def test_stock_flask_reads_what_it_wrote() -> None:
    ours = visit()
    values = {**PLAIN, "pair": (1, "x"), "raw": b"\xff", "id": SESSION["visit"]}
    ours.write(**values)
    assert Visit(app(SECRET_KEY=KEY), ours.cookie).read() == values


def test_what_it_wrote_it_reads_with_the_same_types() -> None:
    ours = visit()
    ours.write(**SESSION)
    assert ours.read() == SESSION
    with_pickle = visit(format="pickle")
    with_pickle.write(**SESSION)
    assert_session(with_pickle.read())


def test_an_old_cookie_becomes_one_of_flask_when_the_session_changes() -> None:
    ours = visit(securecookie(PLAIN))
    ours.write(seen=1)
    assert Visit(app(SECRET_KEY=KEY), ours.cookie).read() == {**PLAIN, "seen": 1}


FORGED: dict[str, Callable[[Canary], str]] = {
    "pickled": lambda canary: signed(pickle.dumps(canary), "another key"),
    "of Werkzeug": lambda canary: securecookie({"user": canary}, "another key"),
    "of Werkzeug, with nothing": lambda _: "?",
    "of Werkzeug, without a signature": lambda canary: securecookie({"a": canary})[28:],
    "a bare pickle": lambda canary: base64.b64encode(pickle.dumps(canary)).decode(),
    "no cookie at all": lambda _: "junk",
    "three dots": lambda _: "...",
    "other letters": lambda _: "zoë\x7f",
}
DAMAGED: dict[str, Callable[[Canary], str]] = {
    "a pickle": lambda canary: signed(pickle.dumps(canary)),
    "a compressed pickle": lambda canary: signed(pickle.dumps(canary), compressed=True),
    "a damaged pickle": lambda _: signed(b"\x80\x04\x95"),
    "damaged JSON": lambda _: signed(b'{"user": '),
    "a list": lambda _: signed(b"[1]"),
    "a pickled list": lambda _: signed(pickle.dumps([("a", 1)])),
    "no zlib": lambda _: signed_text(".eJx"),
    "no base64": lambda _: signed_text("a"),
    "a bomb": lambda _: signed(b"Nr\x00\x00\x00\x2e."),
}


def signed_text(text: str) -> str:
    """A cookie whose text was signed as it is."""
    kwargs = {"key_derivation": "hmac", "digest_method": hashlib.sha1}
    signer = URLSafeTimedSerializer(KEY, salt="cookie-session", signer_kwargs=kwargs).make_signer(
        "cookie-session"
    )
    return signer.sign(text.encode()).decode()


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_cookie_is_one_event_and_an_empty_session(
    name: str, canary: Canary, reported: list[dict[str, Any]]
) -> None:
    ours = visit(FORGED[name](canary))
    assert ours.read() == {}
    assert not canary.sang()
    assert [event["reason"] for event in reported] == ["bad_signature"]


@pytest.mark.parametrize("name", DAMAGED)
def test_a_hostile_cookie_with_the_right_signature_is_one_event_and_an_empty_session(
    name: str, canary: Canary, reported: list[dict[str, Any]]
) -> None:
    ours = visit(DAMAGED[name](canary))
    assert ours.read() == {}
    assert not canary.sang()
    assert [event["action"] for event in reported] == ["refused"]
    ours.write(user=5)
    assert ours.read() == {"user": 5}


@pytest.mark.parametrize("form", COOKIES)
def test_a_key_that_holds_something_hostile_is_dropped_and_the_others_live(
    form: str, canary: Canary, reported: list[dict[str, Any]]
) -> None:
    cookie = COOKIES[form]({"user": 5, "evil": canary})
    assert visit(cookie).read() == {"user": 5}
    assert not canary.sang()
    assert [(event["action"], event["key"]) for event in reported] == [("dropped", "evil")]
    assert [event["reason"] for event in reported] == ["dangerous_global"]
    reported.clear()
    assert visit(cookie, on_forbidden="raise").read() == {}
    assert [(event["action"], event["key"]) for event in reported] == [("refused", None)]


def test_a_hostile_time_in_a_cookie_of_werkzeug_runs_nothing(
    canary: Canary, reported: list[dict[str, Any]]
) -> None:
    assert visit(securecookie({"user": 5, "_expires": canary})).read() == {"user": 5}
    assert visit(securecookie({"user": 5, "_expires": "never"})).read() == {"user": 5}
    assert visit(securecookie({"user": 5}, _expires=b"\xff")).read() == {"user": 5}
    assert not canary.sang()
    assert len(reported) == 2


def test_a_cookie_that_is_too_old_is_no_event(
    monkeypatch: pytest.MonkeyPatch, reported: list[dict[str, Any]]
) -> None:
    assert visit(securecookie({"user": 5, "_expires": time.time() + 9})).read() == {"user": 5}
    assert visit(securecookie({"user": 5, "_expires": time.time() - 9})).read() == {}
    cookie = signed(b'{"user":5}')
    assert visit(cookie).read() == {"user": 5}
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 40 * 86400)
    assert visit(cookie).read() == {}
    assert reported == []


def test_without_a_secret_key_there_is_no_session() -> None:
    shop = flask.Flask("shop")
    shop.session_interface = plainpickle.flask.SessionInterface()
    assert Visit(shop, securecookie({"user": 5})).read() == {}


def test_keys_that_were_rotated_away_still_verify() -> None:
    if "SECRET_KEY_FALLBACKS" not in flask.Flask("shop").config:
        pytest.skip("Flask has fallback keys since 3.1")
    for cookie in (signed(json.dumps(PLAIN).encode()), securecookie(PLAIN)):
        shop = app(SECRET_KEY="a new key", SECRET_KEY_FALLBACKS=[KEY])
        shop.session_interface = plainpickle.flask.SessionInterface()
        assert Visit(shop, cookie).read() == PLAIN


# --- found by Plainpickle(app)


class LegacyInterface(SecureCookieSessionInterface):
    serializer: Any = Pickles


class RenamedInterface(LegacyInterface):
    salt = "another salt"

    def get_cookie_name(self, app: Any) -> str:
        return "session"


class LegacyFlask(flask.Flask):
    session_interface = RenamedInterface()


@pytest.mark.parametrize("interface", [LegacyInterface, RenamedInterface])
def test_a_subclass_whose_serializer_pickles_is_made_safe(
    interface: Any, canary: Canary, reported: list[dict[str, Any]]
) -> None:
    shop = app(SECRET_KEY=KEY)
    shop.session_interface = interface()
    before = interface().get_signing_serializer(shop)
    cookies: list[Any] = [before.dumps(SESSION), before.dumps({"user": 5, "evil": canary})]
    cookies = [each.decode() if isinstance(each, bytes) else each for each in cookies]
    plainpickle.flask.Plainpickle(shop)
    assert isinstance(shop.session_interface, interface)
    ours = Visit(shop, cookies[0])
    assert_session(ours.read())
    ours.write(seen=1)
    assert ours.read() == {**SESSION, "seen": 1}
    ours.cookie = cookies[1]
    assert ours.read() == {"user": 5}
    assert not canary.sang()
    assert [event["reason"] for event in reported] == ["dangerous_global"]


def test_an_interface_that_a_class_of_apps_shares_is_copied() -> None:
    shop = LegacyFlask("shop")
    shop.config["SECRET_KEY"] = KEY
    plainpickle.flask.Plainpickle(shop)
    assert type(LegacyFlask.session_interface) is RenamedInterface
    assert LegacyFlask.session_interface.serializer is Pickles
    ours = Visit(shop)
    ours.write(**PLAIN)
    assert ours.read() == PLAIN


def test_flasks_own_interface_is_left_alone() -> None:
    shop = app()
    before = shop.session_interface
    plainpickle.flask.Plainpickle(shop)
    assert shop.session_interface is before
    assert type(before) is SecureCookieSessionInterface


def test_a_policy_admits_a_class_of_the_app() -> None:
    policy = profiles.flask().as_plain("shop.Cart")
    cookie = signed(b"\x80\x02}X\x04\x00\x00\x00cartcshop\nCart\n)\x81}X\x01\x00\x00\x00nK\x03sbs.")
    assert visit(cookie).read() == {}
    assert visit(cookie, policy=policy).read() == {"cart": {"n": 3}}
