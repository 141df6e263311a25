"""`flask plainpickle inventory`: counts what each store holds, and changes nothing there."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

import plainpickle.flask
from plainpickle import Policy
from plainpickle.flask.commands import commands
from tests.flask.shop import Visit, app
from tests.flask.stores import STORES, Memcached, Redis, made, set_up
from tests.flask.test_extension import Bare
from tests.libraries.canary import SESSION, Canary

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries, about each other
CART = b"\x80\x02}X\x04\x00\x00\x00cartcshop\nCart\n)\x81}X\x01\x00\x00\x00nK\x03sbs."


@pytest.fixture(params=[each for each in STORES if each is not Memcached], ids=str)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return made(request.param, request, tmp_path)


def run(shop: Any, *arguments: str) -> tuple[int, str]:
    ran = shop.test_cli_runner().invoke(commands, ["inventory", *arguments])
    return ran.exit_code, ran.output


@pytest.mark.parametrize("safe", [True, False])
def test_every_session_is_counted_and_none_is_changed(
    store: Any, safe: bool, canary: Canary, tmp_path: Path
) -> None:
    shop = set_up(app(), store)
    if safe:
        plainpickle.flask.Plainpickle(shop)
    Visit(shop).write(user="by the app")
    planted = {
        "0" * 40: pickle.dumps(SESSION, 2),
        "1" * 40: CART,
        "2" * 40: pickle.dumps({"user": 5, "evil": canary}, 4),
        "3" * 40: b"junk",
        "4" * 40: b'{"user": 5}',
    }
    for sid, data in planted.items():
        store.plant(sid, data)
    policy = tmp_path / "policy.toml"
    code, text = run(shop, "--json", "--write-policy", str(policy))
    found = json.loads(text)
    assert code == 1
    assert found["payloads"] == 6
    assert found["outcomes"] == {"read": 3, "salvaged": 2, "malformed": 1}
    assert found["globals"]["shop.Cart"] == {"payloads": 1, "refused": 1}
    (alarm,) = found["alarms"].values()
    assert len(alarm["places"]) == 1
    assert not canary.sang()
    for sid, data in planted.items():
        assert store.stored(sid) == data
        assert sid not in text
    assert Policy.from_file(policy) == plainpickle.profiles.flask().as_plain("shop.Cart")
    code, text = run(shop)
    assert code == 1
    assert "ALARM" in text


def test_it_judges_by_the_policy_of_the_app(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    store = Redis(request, tmp_path)
    shop = set_up(app(), store)
    plainpickle.flask.Plainpickle(shop, policy=plainpickle.profiles.flask().as_plain("shop.Cart"))
    store.plant("1" * 40, CART)
    code, text = run(shop, "--json")
    assert (code, json.loads(text)["outcomes"]) == (0, {"read": 1})


def test_msgpack_is_counted_as_such(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    store = Redis(request, tmp_path)
    shop = set_up(app(), store)
    Visit(shop).write(user=5)
    store.plant("1" * 40, b"\x82\xa1a")
    found = json.loads(run(shop, "--json")[1])
    assert found["formats"] == {"msgpack": 2}
    assert found["outcomes"] == {"malformed": 1, "read": 1}


def test_a_prefix_is_taken_as_it_is_and_not_as_a_pattern(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    store = Redis(request, tmp_path)
    shop = set_up(app(SESSION_KEY_PREFIX="shop[*]:"), store)
    store.client.set("shop[*]:1", CART)
    store.client.set("shops:1", CART)
    store.client.lpush("shop[*]:2", "no string")
    found = json.loads(run(shop, "--json")[1])
    assert (found["payloads"], found["unreadable"]) == (1, {"no value": 1})


def test_many_sessions_are_read_in_batches(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    for cls in STORES:
        if cls.__name__ in {"Redis", "SqlAlchemy"}:
            folder = tmp_path / cls.__name__
            folder.mkdir()
            store = made(cls, request, folder)
            shop = set_up(app(), store)
            for n in range(1001):
                store.plant(f"{n:040}", CART)
            assert json.loads(run(shop, "--json")[1])["payloads"] == 1001


def test_memcached_cookies_and_what_is_not_known_can_not_be_listed(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    code, text = run(set_up(app(), made(Memcached, request, tmp_path)))
    assert code == 2
    assert "memcached can't list" in text
    code, text = run(app())
    assert code == 2
    assert "signed cookies" in text
    shop = app()
    shop.session_interface = Bare()
    code, text = run(shop)
    assert code == 2
    assert "not known" in text
