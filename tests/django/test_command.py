"""`manage.py plainpickle`: counts and shows what is stored, changes nothing, runs nothing."""

from __future__ import annotations

import base64
import io
import json
import pickle
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from plainpickle import Policy
from plainpickle.django.stores import hashed
from tests.django import stores
from tests.django.shop import SESSIONS
from tests.libraries.canary import Canary

CART = b"\x80\x02}(X\x04\x00\x00\x00userK\x05X\x04\x00\x00\x00cartcshop\nCart\n)\x81u."
PLAIN = pickle.dumps({"user": 5}, 4)


def run(*args: str) -> str:
    out = io.StringIO()
    call_command("plainpickle", *args, stdout=out)
    return out.getvalue()


def as_json(*args: str) -> Any:
    return json.loads(run(*args, "--json"))


def key(number: int) -> str:
    return f"{number:032d}"


def plant(place: stores.Place, canary: Canary) -> None:
    """Five sessions: two plain pickles, JSON, one with a class, and an attack."""
    payloads = [PLAIN, PLAIN, b'{"a":1}', CART, pickle.dumps({"x": canary}, 2)]
    for number, payload in enumerate(payloads):
        place.plant(key(number), payload)


def assert_counted(found: Any) -> None:
    assert found["payloads"] == 5
    assert found["formats"] == {"json": 1, "pickle": 4}
    assert found["protocols"] == {"2": 2, "4": 2}
    assert found["outcomes"] == {"read": 3, "salvaged": 2}
    assert found["dropped"] == {"cart": 1, "x": 1}
    assert found["globals"]["shop.Cart"] == {"payloads": 1, "refused": 1}
    ((name, alarm),) = found["alarms"].items()
    assert name.endswith(".system")
    assert alarm["payloads"] == 1


@pytest.mark.parametrize("place", [stores.DB, stores.FILE, stores.CACHE_TABLE], ids=str)
def test_an_inventory_counts_every_store(
    place: stores.Place, canary: Canary, reported: list[Any]
) -> None:
    with override_settings(**place.settings):
        plant(place, canary)
        found = as_json("inventory", "--batch", "2")
        text = run("inventory")
    assert_counted(found)
    for words in ("payloads: 5", "shop.Cart  refused", "ALARM"):
        assert words in text
    for output in (json.dumps(found), text):
        assert hashed(key(4)) in output  # where the attack is, as the events name it
        assert all(key(number) not in output for number in range(5))
    assert not canary.sang()
    assert reported == []


@pytest.mark.parametrize("name", ["redis drop-in", "django-redis"])
def test_an_inventory_counts_redis(name: str, redis_socket: str, canary: Canary) -> None:
    place = stores.SERVED[name][0](redis_socket)
    with override_settings(**place.settings):
        caches["default"].clear()
        caches["default"].set("page", [1])
        plant(place, canary)
        assert_counted(as_json("inventory", "--batch", "2"))
        assert as_json("inventory", "--cache", "default")["payloads"] == 6
        assert as_json("show", key(0))["session"] == {"user": 5}
    assert not canary.sang()


@pytest.mark.parametrize("name", ["redis drop-in", "django-redis"])
def test_the_prefix_of_a_cache_is_taken_as_it_is_and_not_as_a_pattern(
    name: str, redis_socket: str
) -> None:
    settings = stores.SERVED[name][0](redis_socket).settings
    default = {**settings["CACHES"]["default"], "KEY_PREFIX": "shop[*]"}
    with override_settings(**{**settings, "CACHES": {"default": default}}):
        caches["default"].clear()
        caches["default"].set(f"{stores.CACHE_PREFIX}{key(0)}", {"user": 5})
        assert as_json("inventory")["payloads"] == 1


def test_an_inventory_decompresses_as_django_redis_does(redis_socket: str) -> None:
    zlibs = {"COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"}
    place = stores.django_redis_place(redis_socket, **zlibs)
    with override_settings(**place.settings):
        caches["default"].clear()
        place.plant(key(0), zlib.compress(PLAIN))
        place.plant(key(1), PLAIN)  # short ones are not compressed
        assert as_json("inventory")["outcomes"] == {"read": 2}


def test_the_files_of_a_cache_are_counted_all(canary: Canary) -> None:
    with override_settings(**stores.CACHE_IN_FILES.settings):
        plant(stores.CACHE_IN_FILES, canary)
        stores.plant_cache_file("damaged", b"\xff")
        found = as_json("inventory")
        assert as_json("show", key(0))["session"] == {"user": 5}
    assert found["unreadable"] == {"damaged": 1}
    assert_counted(found)
    assert not canary.sang()


def test_both_sides_of_cached_db_are_counted(
    canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "CACHE_PREFIX", "django.contrib.sessions.cached_db")
    settings = {
        **stores.CACHE_TABLE.settings,
        "SESSION_ENGINE": "plainpickle.django.sessions.cached_db",
    }
    with override_settings(**settings):
        stores.DB.plant(key(0), PLAIN)
        stores.CACHE_TABLE.plant(key(0), PLAIN)
        found = as_json("inventory")
    assert found["payloads"] == 2
    assert len(found["stores"]) == 2


def test_old_rows_wrong_signatures_and_damage_are_told_apart() -> None:
    from tests.django.test_corpus import legacy_row

    stores.plant_row(key(0), legacy_row(PLAIN))
    stores.plant_row(key(1), stores.signed(PLAIN))
    with override_settings(SECRET_KEY="another"):
        stores.plant_row(key(2), legacy_row(PLAIN))
        stores.plant_row(key(3), stores.signed(PLAIN))
    stores.plant_row(key(4), "é")
    stores.plant_row(key(5), base64.b64encode(b"no colon").decode())
    found = as_json("inventory")
    assert found["payloads"] == 2
    assert found["unreadable"] == {"no valid signature": 3, "damaged": 1}


def test_rows_are_read_in_batches_and_nothing_is_written() -> None:
    for number in range(7):
        stores.DB.plant(key(number), PLAIN)
    before = list(Session.objects.order_by("pk").values_list())
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert as_json("inventory", "--batch", "3")["payloads"] == 7
    assert len(queries) == 4
    assert all(query["sql"].startswith("SELECT") for query in queries)
    assert list(Session.objects.order_by("pk").values_list()) == before
    assert as_json("inventory", "--limit", "2")["payloads"] == 2


def test_a_policy_is_written_that_reads_what_was_found(tmp_path: Path, canary: Canary) -> None:
    plant(stores.DB, canary)
    path = tmp_path / "policy.toml"
    run("inventory", "--write-policy", str(path))
    assert "shop.Cart" in path.read_text()
    assert "system" not in path.read_text()
    with override_settings(PLAINPICKLE={"POLICY": path}):
        assert as_json("inventory")["dropped"] == {"x": 1}
    assert not canary.sang()


def test_a_policy_with_what_no_file_can_name_is_an_error(tmp_path: Path) -> None:
    policy = Policy().register("shop.Cart", build=lambda: None)
    refused = pytest.raises(CommandError, match="a file can't name")
    with override_settings(PLAINPICKLE={"POLICY": policy}), refused:
        run("inventory", "--write-policy", str(tmp_path / "policy.toml"))


def test_a_session_is_shown_by_its_key_or_by_the_hash_of_the_events(canary: Canary) -> None:
    plant(stores.DB, canary)
    for each in (key(3), hashed(key(3))):
        found = as_json("show", each)
        assert (found["format"], found["protocol"], found["verdict"]) == ("pickle", 2, "refused")
        assert found["globals"] == [{"name": "shop.Cart", "count": 1, "allowed": False}]
        assert found["session"]["user"] == 5
    text = run("show", key(4))
    assert ".system" in text
    assert not canary.sang()
    assert as_json("show", key(2))["session"] == {"a": 1}
    with pytest.raises(CommandError, match="no such session"):
        run("show", key(9))
    with pytest.raises(CommandError, match="no such session"):
        run("show", hashed("nobody's"))


def test_what_is_shown_of_a_session_can_t_steer_a_terminal() -> None:
    stores.DB.plant(key(0), pickle.dumps({"a\x1b[2J": "\x1b]0;x\x07\u202e"}))
    stores.DB.plant(key(1), json.dumps({"a": "\u202e"}, ensure_ascii=False).encode())
    for number in (0, 1):
        assert run("show", key(number)).replace("\n", "").isprintable()


def test_deep_and_damaged_sessions_are_shown_as_far_as_they_can_be() -> None:
    deep = b"\x80\x02}X\x04\0\0\0deep" + b"]" * 300 + b"a" * 299 + b"s."
    stores.DB.plant(key(0), deep)
    assert '"deep"' in run("show", key(0))
    stores.DB.plant(key(1), b'{"a":' + b"[" * 100_000)
    stores.DB.plant(key(2), PLAIN[:-3])
    for number in (1, 2):
        assert as_json("show", key(number))["session"] is None
    stores.plant_row(key(3), "no row")
    with pytest.raises(CommandError, match=r"no valid signature|damaged"):
        run("show", key(3))
    with override_settings(**stores.FILE.settings), pytest.raises(CommandError, match="no such"):
        run("show", "../secret")


def test_the_status_says_what_is_set_and_what_was_written_lately() -> None:
    assert "No pickle is left" in run("status")
    assert "none (database table django_session)" in run("status")
    for number in range(3):
        stores.DB.plant(key(number), PLAIN if number else b"{}")
    assert "or an older process still writes" in run("status")
    found = as_json("status")
    assert found["newest"] == {"database table django_session": {"pickle protocol 4": 2, "json": 1}}
    assert found["checks"] == []
    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.cache"):
        text = run("status")
        assert "plainpickle.W003: " in text
        assert "No pickle is left" not in text
    with override_settings(SESSION_ENGINE="plainpickle.django.sessions.signed_cookies"):
        assert "in the visitors' cookies" in run("status")


def test_the_status_of_files_looks_at_those_that_were_written_last() -> None:
    with override_settings(**stores.FILE.settings):
        stores.FILE.plant(key(0), PLAIN)
        (SESSIONS / "sessionid_tmp_out_x").write_text("")
        (found,) = as_json("status")["newest"].values()
    assert found == {"pickle protocol 4": 1}


@pytest.mark.parametrize(
    "settings",
    [
        {"SESSION_ENGINE": "plainpickle.django.sessions.signed_cookies"},
        stores.IN_MEMORY.settings,
        {"SESSION_ENGINE": "tests.django.test_checks"},
        {"SESSION_ENGINE": "plainpickle.django.sessions.cache", "SESSION_CACHE_ALIAS": "gone"},
    ],
)
def test_what_can_t_be_listed_is_an_error_that_says_why(settings: dict[str, Any]) -> None:
    with override_settings(**settings):
        for args in (["inventory"], ["show", key(0)]):
            with pytest.raises(CommandError, match=r"nothing to count: |no session to show: "):
                run(*args)


def test_progress_is_shown_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stores.DB.plant(key(0), PLAIN)
    run("inventory")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    run("inventory")
    assert "of 1" in capsys.readouterr().err


def test_it_wants_an_action() -> None:
    with pytest.raises(CommandError):
        run()
    with pytest.raises(CommandError, match="--batch"):
        run("inventory", "--batch", "0")
