"""An app on Flask-Session, by each of its stores; `test_versions.py` runs it for older ones."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import pytest
from markupsafe import Markup

import plainpickle.flask
from plainpickle import events
from tests.flask.shop import Visit, app
from tests.flask.stores import STORES, VERSION, Memcached, Redis, SqlAlchemy, made, set_up
from tests.libraries.canary import SESSION, Canary, assert_session

pytestmark = pytest.mark.filterwarnings("ignore")  # of old libraries, about each other
SID = "0123456789abcdef0123456789abcdef"
PLAIN = {"user": "Zoë", "cart": [{"sku": "A1", "n": 3}], "ok": True, "sum": 1.5, "none": None}


@pytest.fixture(params=STORES, ids=lambda each: each.__name__)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return made(request.param, request, tmp_path)


def stock(store: Any, sid: str | None = None) -> Visit:
    return Visit(set_up(app(), store), sid)


def safe(store: Any, sid: str | None = None, **options: Any) -> Visit:
    shop = set_up(app(), store)
    plainpickle.flask.Plainpickle(shop, **options)
    return Visit(shop, sid)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickled_session_is_read_with_its_types(store: Any, protocol: int) -> None:
    visit = safe(store, SID)
    store.plant(SID, pickle.dumps(SESSION, protocol))
    assert_session(visit.read())
    assert visit.cookie == SID


def test_what_stock_flask_session_wrote_is_read(store: Any) -> None:
    before = stock(store)
    before.write(**PLAIN)
    assert safe(store, before.cookie).read() == PLAIN


@pytest.mark.parametrize("form", [None, "json", "pickle"])
def test_what_it_wrote_it_reads(store: Any, form: str | None) -> None:
    visit = safe(store, format=form)
    visit.write(**PLAIN)
    assert visit.read() == PLAIN
    assert visit.cookie is not None
    assert safe(store, visit.cookie).read() == PLAIN


@pytest.mark.parametrize("form", ["json", "pickle"])
def test_the_types_of_values_are_kept(store: Any, form: str) -> None:
    visit = safe(store, format=form)
    visit.write(**SESSION)
    found = visit.read()
    if form == "json":  # which has no place for sharing
        assert found == SESSION
        assert {type(value) for value in found.values()} == {type(v) for v in SESSION.values()}
    else:
        assert_session(found)


def test_stock_flask_session_reads_what_is_written_for_older_processes(store: Any) -> None:
    # By itself, from 0.7 on, Flask-Session's own format.
    visit = safe(store, format=None if VERSION >= (0, 7) else "pickle")
    visit.write(**PLAIN)
    assert stock(store, visit.cookie).read() == PLAIN


ATTACKS: dict[str, Callable[[Canary], bytes]] = {
    "protocol 0": lambda canary: pickle.dumps(canary, 0),
    "protocol 2": lambda canary: pickle.dumps(canary, 2),
    "protocol 5": lambda canary: pickle.dumps(canary, 5),
    "begins as a map of msgpack": lambda canary: b"\x8c\x01a0" + pickle.dumps(canary, 2)[2:],
    "damaged": lambda _: b"\x80\x04\x95junk",
    "no session": lambda _: pickle.dumps([1, 2]),
    "no session, but pairs": lambda _: pickle.dumps([("user", 5)]),
    "a number": lambda _: b"I5\n.",
    "no session in JSON": lambda _: b"[1]",
    "nothing": lambda _: pickle.dumps(None),
    "a bomb": lambda _: b"Nr\x00\x00\x00\x2e.",
    "a map of msgpack that is cut": lambda _: b"\x82\xa1a\x01\xa1",
    "deep msgpack": lambda _: b"\x81\xa1a" + b"\x91" * 10_000,
    "text": lambda _: "Zoë".encode("latin-1"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_value_is_one_event_and_a_new_session_and_stays_where_it_was(
    store: Any, attack: str, canary: Canary, reported: list[dict[str, Any]]
) -> None:
    visit = safe(store)
    planted = ATTACKS[attack](canary)
    store.plant(SID, planted)
    visit.cookie = SID
    assert visit.read() == {}
    visit.cookie = SID
    visit.write(user=5)
    assert not canary.sang()
    assert visit.cookie != SID
    assert store.stored(SID) == planted
    assert visit.read() == {"user": 5}
    assert [event["action"] for event in reported] == ["refused"] * 2  # of two visits with it
    assert SID not in str(reported)


@pytest.mark.parametrize("attack", ["protocol 0", "protocol 2", "protocol 5"])
def test_the_attack_runs_under_stock_flask_session(store: Any, attack: str, canary: Canary) -> None:
    visit = stock(store, SID)
    store.plant(SID, ATTACKS[attack](canary))
    visit.status()
    assert canary.sang()


def test_a_key_that_holds_something_hostile_is_dropped_and_the_others_live(
    store: Any, canary: Canary, reported: list[dict[str, Any]]
) -> None:
    visit = safe(store, SID)
    store.plant(SID, pickle.dumps({**SESSION, "evil": [canary]}, 2))
    assert_session(visit.read())
    assert not canary.sang()
    assert visit.cookie == SID
    (event,) = reported
    assert (event["action"], event["key"]) == ("dropped", "evil")
    assert event["reason"] == "dangerous_global"
    assert event["session"] is not None


def test_such_a_session_is_refused_as_a_whole_where_that_is_wished(
    store: Any, canary: Canary, reported: list[dict[str, Any]]
) -> None:
    visit = safe(store, SID, on_forbidden="raise")
    store.plant(SID, pickle.dumps({**SESSION, "evil": [canary]}, 2))
    assert visit.read() == {}
    assert [event["action"] for event in reported] == ["refused"]


@pytest.mark.parametrize(
    "cookie", ["a b", "x" * 2000, "s\u00e9", "a\x01b", "session\r\nset a 0 0 1"]
)
def test_a_cookie_that_is_no_session_id_is_one_event_and_a_new_session(
    store: Any, cookie: str, reported: list[dict[str, Any]]
) -> None:
    visit = safe(store, cookie)
    assert visit.read() == {}
    assert [event["kind"] for event in reported] == ["session_id"]
    visit.cookie = None
    visit.write(user=5)
    assert visit.read() == {"user": 5}


def test_an_id_that_was_not_given_out_is_not_taken(store: Any) -> None:
    visit = safe(store, SID)
    visit.write(user=5)
    assert visit.cookie is not None
    assert visit.cookie != SID
    assert store.stored(SID) is None


def test_a_login_changes_the_id_and_deletes_the_old_session(store: Any) -> None:
    visit = safe(store)
    visit.write(cart=[1])
    before = visit.cookie
    assert before is not None
    visit.log_in(user=5)
    assert visit.cookie is not None
    assert visit.cookie != before
    assert visit.read() == {"cart": [1], "user": 5}
    assert store.stored(before) is None


def test_a_value_that_could_not_be_read_back_is_an_error_where_it_is_written(
    store: Any, canary: Canary
) -> None:
    shop = set_up(app(PROPAGATE_EXCEPTIONS=True), store)
    plainpickle.flask.Plainpickle(shop)
    with pytest.raises(plainpickle.UnreadableValue, match="user"):
        Visit(shop).write(user=canary)


def test_a_signed_id_is_verified_before_anything_is_read(
    store: Any, canary: Canary, reported: list[dict[str, Any]]
) -> None:
    if VERSION[:2] == (0, 5):
        pytest.skip("this version gives Werkzeug 3 bytes as a cookie")
    shop = set_up(app(SESSION_USE_SIGNER=True), store)
    plainpickle.flask.Plainpickle(shop)
    visit = Visit(shop)
    visit.write(user=5)
    assert visit.read() == {"user": 5}
    visit.cookie = f"{SID}.forged"
    store.plant(SID, pickle.dumps(canary))
    assert visit.read() == {}
    assert reported == []


# --- what one store only has


@pytest.fixture
def redis(request: pytest.FixtureRequest, tmp_path: Path) -> Redis:
    return Redis(request, tmp_path)


def test_a_list_in_the_place_of_a_session_is_one_event_and_a_new_session(
    redis: Redis, reported: list[dict[str, Any]]
) -> None:
    visit = safe(redis, SID)
    redis.client.lpush(f"session:{SID}", "x")
    assert visit.read() == {}
    assert [event["kind"] for event in reported] == ["stored_value"]


def test_a_store_that_is_down_stays_an_error(redis: Redis, reported: list[dict[str, Any]]) -> None:
    """Or all visitors would be logged out, silently."""
    visit = safe(redis, SID)

    def down(_: str) -> None:
        raise ConnectionError

    redis.client.get = down
    assert visit.status() == 500
    assert reported == []


FLAGS: dict[str, tuple[int, bytes]] = {
    "a number that is none": (2, b"x"),
    "text that is no UTF-8": (16, b"\xff"),
    "compressed, and is not": (8, b"x"),
    "an unknown one": (512, b"x"),
    "a pickle that is a list": (1, pickle.dumps([1])),
    "a pickle that is a dict": (1, pickle.dumps({"user": 5})),
    "a damaged pickle": (1, b"\x80\x04"),
    "a number": (2, b"5"),
}


@pytest.fixture
def memcached(request: pytest.FixtureRequest, tmp_path: Path) -> Memcached:
    found: Memcached = made(Memcached, request, tmp_path)
    return found


def flagged(store: Memcached, flags: int, data: bytes) -> None:
    """By the protocol itself: no client lets one choose."""
    server, key = store._planter._get_server(f"session:{SID}".encode())
    server.send_cmd(b"set %s %d 0 %d\r\n%s" % (key, flags, len(data), data))
    server.expect(b"STORED", raise_exception=True)


@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_in_memcached_that_is_not_of_a_session_is_one_event_and_a_new_session(
    memcached: Memcached, name: str, reported: list[dict[str, Any]]
) -> None:
    visit = safe(memcached, SID)
    flagged(memcached, *FLAGS[name])
    assert visit.read() == {}
    assert [event["action"] for event in reported] == ["refused"]


def test_a_flag_that_makes_the_client_unpickle_runs_nothing(
    memcached: Memcached, canary: Canary, reported: list[dict[str, Any]]
) -> None:
    visit = safe(memcached, SID)
    flagged(memcached, 1, pickle.dumps(canary))
    assert visit.read() == {}
    assert not canary.sang()
    assert [event["reason"] for event in reported] == ["dangerous_global"]
    memcached._planter.get(f"session:{SID}")
    assert canary.sang()


@pytest.mark.parametrize("library", ["pymemcache", "libmc", "pylibmc"])
def test_other_clients_of_memcached_unpickle_nothing_either(
    library: str,
    memcached_socket: str,
    memcached: Memcached,
    canary: Canary,
    reported: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module: Any = pytest.importorskip(library)
    if library == "pymemcache":
        import pymemcache.serde

        monkeypatch.setattr(pymemcache.serde, "pickle", pickle)
        serde = pymemcache.serde.pickle_serde
        client = module.Client(f"unix:{memcached_socket}", serde=serde, default_noreply=False)
    else:
        client = module.Client([memcached_socket])
    if library == "libmc":
        monkeypatch.setattr("libmc._client.pickle", pickle)
    memcached.config["SESSION_MEMCACHED"] = client
    visit = safe(memcached)
    visit.write(**PLAIN)
    assert visit.read() == PLAIN
    visit.cookie = SID
    flagged(memcached, 1, pickle.dumps(canary))
    assert visit.read() == {}
    assert not canary.sang()
    assert [event["reason"] for event in reported] == ["dangerous_global"]
    if library == "pymemcache":
        client.close()


def test_a_refused_row_is_read_once(
    request: pytest.FixtureRequest, tmp_path: Path, reported: list[dict[str, Any]]
) -> None:
    """Flask-Session tries a query again, and sleeps in between, when reading a row raises."""
    store = made(SqlAlchemy, request, tmp_path)
    visit = safe(store, SID)
    store.plant(SID, b"junk")
    assert visit.read() == {}
    assert len(reported) == 1


@pytest.mark.skipif(VERSION < (0, 7), reason="Flask-Session has formats since 0.7")
def test_flask_sessions_json_goes_both_ways(redis: Redis) -> None:
    redis.config["SESSION_SERIALIZATION_FORMAT"] = "json"
    before = stock(redis)
    before.write(**PLAIN)
    ours = safe(redis, before.cookie)
    assert ours.read() == PLAIN
    ours.write(seen=1)
    assert stock(redis, ours.cookie).read() == {**PLAIN, "seen": 1}


@pytest.mark.skipif(VERSION < (0, 7), reason="Flask-Session has formats since 0.7")
def test_what_msgpack_can_not_hold_is_written_as_json(redis: Redis) -> None:
    visit = safe(redis)
    value = {"html": Markup("<b>"), "big": 1 << 70}
    visit.write(**value)
    assert visit.read() == value
    assert type(visit.read()["html"]) is Markup


def test_the_context_of_events_is_over_after_a_request(redis: Redis) -> None:
    visit = safe(redis)
    visit.read()
    assert events._context.get() == (None, None)


def test_sessions_that_flask_session_writes_without_this_one_are_as_before(redis: Redis) -> None:
    """Another app of the process is left alone."""
    safe(redis)
    other: Any = set_up(flask.Flask("other"), redis).session_interface
    assert other.serializer is not None
    assert not isinstance(other.serializer, plainpickle.session.SessionSerializer)
