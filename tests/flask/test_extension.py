"""`Plainpickle(app)`: interfaces of the app's own, what is not known, what is set up too late."""

from __future__ import annotations

import gc
import json
import pickle
import weakref
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import pytest
from flask.sessions import SessionInterface
from werkzeug.datastructures import CombinedMultiDict, ImmutableMultiDict, MultiDict

import plainpickle.flask
from examples.flask_shop.redis_sessions import RedisSession, RedisSessionInterface
from plainpickle import profiles
from plainpickle.flask import ConfigurationError, Plainpickle
from plainpickle.session import SessionSerializer
from tests.flask.shop import Visit, app
from tests.libraries.canary import SESSION, Canary, assert_session

pytestmark = pytest.mark.filterwarnings("ignore")  # of old libraries, about each other
SID = "0123456789abcdef"


class RedisDict(dict):  # type: ignore[type-arg]
    """A dict that takes from the snippet what Redis does."""

    def setex(self, name: str, _seconds: int, value: bytes) -> None:
        self[name] = value

    def delete(self, name: str) -> None:
        self.pop(name, None)


def snippet(store: RedisDict, serializer: Any = pickle, **options: Any) -> Visit:
    shop = app()
    interface = RedisSessionInterface(store)
    interface.serializer = serializer
    shop.session_interface = interface
    Plainpickle(shop, **options)
    return Visit(shop, SID)


@pytest.mark.parametrize("serializer", [pickle, plainpickle], ids=["pickle", "plainpickle"])
def test_the_redis_snippet_is_made_safe(
    serializer: Any, canary: Canary, reported: list[dict[str, Any]]
) -> None:
    store = RedisDict({f"session:{SID}": pickle.dumps(SESSION, 2)})
    visit = snippet(store, serializer)
    assert_session(visit.read())
    visit.write(seen=1)
    assert json.loads(store[f"session:{SID}"])["seen"] == 1
    store[f"session:{SID}"] = pickle.dumps({"user": 5, "evil": canary}, 2)
    assert visit.read() == {"user": 5}
    assert not canary.sang()
    assert [event["key"] for event in reported] == ["evil"]
    visit.write(cart=[1])
    before = visit.cookie
    visit.log_in(admin=True)
    assert visit.cookie != before
    assert visit.read() == {"user": 5, "cart": [1], "admin": True}
    assert f"session:{before}" not in store


@pytest.mark.parametrize("planted", [b"junk", pickle.dumps([1]), pickle.dumps(5), b"\x80", b"5"])
def test_a_hostile_value_is_one_event_and_a_new_session_and_stays_where_it_was(
    planted: bytes, canary: Canary, reported: list[dict[str, Any]]
) -> None:
    for data in (planted, pickle.dumps(canary)):
        store = RedisDict({f"session:{SID}": data})
        visit = snippet(store)
        assert visit.read() == {}
        assert [event["action"] for event in reported] == ["refused"]
        visit.write(user=5)
        assert visit.cookie != SID
        assert visit.read() == {"user": 5}
        assert store[f"session:{SID}"] == data
        assert not canary.sang()
        reported.clear()


def test_an_interface_that_reads_several_values_for_a_session_works_on() -> None:
    """Such as one field of a Redis hash for each key."""

    class ByField(RedisSessionInterface):
        def open_session(self, app: Any, request: Any) -> Any:
            fields = {key: self.serializer.loads(data) for key, data in self.redis.items()}
            return self.session_class(fields, sid=SID)

    shop = app()
    shop.session_interface = ByField(RedisDict(user=pickle.dumps(5), cart=pickle.dumps([1])))
    Plainpickle(shop)
    assert Visit(shop, SID).read() == {"user": 5, "cart": [1]}


def test_a_serializer_of_plainpickle_keeps_its_own_options() -> None:
    own = SessionSerializer(policy=profiles.flask().as_plain("shop.Cart"), format="pickle")
    cart = b"\x80\x02}X\x04\x00\x00\x00cartcshop\nCart\n)\x81}X\x01\x00\x00\x00nK\x03sbs."
    store = RedisDict({f"session:{SID}": cart})
    visit = snippet(store, own)
    assert visit.read() == {"cart": {"n": 3}}
    visit.write(seen=1)
    assert pickle.loads(store[f"session:{SID}"])["seen"] == 1


def test_a_class_that_wraps_pickle_is_pickle() -> None:
    class Wrapped:
        def dumps(self, value: Any) -> bytes:
            return pickle.dumps(value, 4)

        def loads(self, data: bytes) -> Any:
            return pickle.loads(data)

    visit = snippet(RedisDict({f"session:{SID}": pickle.dumps({"user": 5})}), Wrapped())
    assert visit.read() == {"user": 5}


def test_a_serializer_that_reads_no_pickles_is_left_alone() -> None:
    store = RedisDict({f"session:{SID}": b'{"user": 5}'})
    visit = snippet(store, json)
    assert visit.read() == {"user": 5}
    visit.write(seen=1)
    assert json.loads(store[f"session:{SID}"]) == {"user": 5, "seen": 1}


def test_forms_and_lazy_texts_that_views_put_into_a_session_are_no_errors() -> None:
    class LazyString:
        """As Flask-Babel's, which JSON and stock Flask refuse."""

        __module__ = "flask_babel.speaklater"

        def __str__(self) -> str:
            return "Guardado"

    shop = app()
    shop.session_interface = RedisSessionInterface(RedisDict())
    Plainpickle(shop)
    visit = Visit(shop)
    form, both = ImmutableMultiDict([("a", "1"), ("a", "2")]), MultiDict({"b": "3"})
    visit.write(form=form, all=CombinedMultiDict([form, both]), flash=[("info", LazyString())])
    found = visit.read()
    assert found["form"].getlist("a") == ["1", "2"]
    assert found["all"].getlist("b") == ["3"]
    assert found["flash"] == [("info", "Guardado")]
    assert type(found["flash"][0][1]) is str


class Compressed:
    dumps = staticmethod(lambda value: zlib.compress(pickle.dumps(value)))
    loads = staticmethod(lambda data: pickle.loads(zlib.decompress(data)))


class Both:
    """Reads pickles still, and writes JSON in a way of its own."""

    @staticmethod
    def dumps(value: Any) -> str:
        return json.dumps(value)

    @staticmethod
    def loads(data: bytes) -> Any:
        return json.loads(data) if data[:1] == b"{" else pickle.loads(data)


class Bare(SessionInterface):
    def open_session(self, app: Any, request: Any) -> Any:
        return RedisSession(sid=SID)

    def save_session(self, *_: Any) -> None: ...


class ByHand(flask.sessions.SecureCookieSessionInterface):
    serializer: Any = pickle

    def open_session(self, app: Any, request: Any) -> Any:
        return self.session_class()


@pytest.mark.parametrize(
    "interface",
    [
        lambda: with_serializer(Compressed),
        lambda: with_serializer(Both),
        lambda: with_serializer(object()),
        Bare,
        ByHand,
    ],
    ids=["compressed", "both", "no serializer", "no attribute", "cookies by hand"],
)
def test_what_is_not_known_is_an_error_that_says_what_to_do(
    interface: Callable[[], SessionInterface],
) -> None:
    shop = app()
    shop.session_interface = interface()
    with pytest.raises(ConfigurationError, match=r"plainpickle\.loads.*sessions=False"):
        Plainpickle(shop)
    assert type(shop.session_interface) in {RedisSessionInterface, Bare, ByHand}
    Plainpickle(shop, sessions=False)


def with_serializer(serializer: Any) -> SessionInterface:
    interface = RedisSessionInterface(RedisDict())
    interface.serializer = serializer
    return interface


def test_flask_session_that_comes_later_is_an_error() -> None:
    shop = app(SESSION_TYPE="filesystem")
    with pytest.raises(ConfigurationError, match=r"Session\(app\) first"):
        Plainpickle(shop)


def test_an_interface_that_comes_later_is_an_error_at_the_first_request() -> None:
    shop = app(PROPAGATE_EXCEPTIONS=True)
    Plainpickle(shop)
    shop.session_interface = RedisSessionInterface(RedisDict())
    with pytest.raises(ConfigurationError, match="call that last"):
        Visit(shop).read()


def test_init_app_makes_several_apps_safe_and_twice_is_as_once() -> None:
    plain = Plainpickle(format="pickle", protocol=4)
    for _ in range(2):
        shop = app()
        store = RedisDict({f"session:{SID}": pickle.dumps({"user": 5})})
        shop.session_interface = RedisSessionInterface(store)
        plain.init_app(shop)
        plain.init_app(shop)
        visit = Visit(shop, SID)
        visit.write(seen=1)
        assert store[f"session:{SID}"] == pickle.dumps({"user": 5, "seen": 1}, 4)
        assert shop.extensions["plainpickle"] is plain


def test_a_policy_may_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('profile = "flask"\nas_plain = ["shop.Cart"]\n', "utf-8")
    cart = b"\x80\x02}X\x04\x00\x00\x00cartcshop\nCart\n)\x81}X\x01\x00\x00\x00nK\x03sbs."
    assert snippet(RedisDict({f"session:{SID}": cart}), policy=file).read() == {"cart": {"n": 3}}
    with pytest.raises(plainpickle.PolicyError):
        Plainpickle(policy=str(tmp_path / "missing.toml"))


def test_an_app_is_freed_as_before() -> None:
    """Which is at once, from Flask 2.2 on."""

    def is_freed(shop: flask.Flask) -> bool:
        gone = weakref.ref(shop)
        del shop
        return gone() is None

    def made() -> flask.Flask:
        shop = app()
        Plainpickle(shop)
        return shop

    gc.disable()
    try:
        assert is_freed(made()) == is_freed(app())
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "wrong", [{"format": "yaml"}, {"protocol": 9}, {"on_forbidden": "ignore"}, {"policy": 5}]
)
def test_an_option_that_makes_no_sense_is_an_error_when_it_is_given(wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Plainpickle(**wrong)


def test_a_login_without_an_id_changes_nothing() -> None:
    shop = app()
    Plainpickle(shop)
    visit = Visit(shop)
    visit.log_in(user=5)
    assert visit.read() == {"user": 5}


def test_flask_login_changes_the_id_by_one_line() -> None:
    login: Any = pytest.importorskip("flask_login")
    store = RedisDict()
    shop = app()
    shop.session_interface = RedisSessionInterface(store)
    login.LoginManager(shop).user_loader(lambda _: None)
    login.user_logged_in.connect(plainpickle.flask.regenerate, shop)
    Plainpickle(shop)

    class User(login.UserMixin):  # type: ignore[misc]
        id = "5"

    shop.add_url_rule("/login", "login", lambda: str(login.login_user(User())))
    visit = Visit(shop)
    visit.write(cart=[1])
    before = visit.cookie
    response = shop.test_client(use_cookies=False).get(
        "/login", headers={"Cookie": f"session={before}"}
    )
    assert response.get_data(as_text=True) == "True"
    assert f"session:{before}" not in store
    (stored,) = store.values()
    assert json.loads(stored)["_user_id"] == "5"
    assert json.loads(stored)["cart"] == [1]
