"""The serializer and its setting: what is configured, written, refused and reported."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import json
import logging
import pickle
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import django
import pytest
from django.contrib.sessions.backends.db import SessionStore as StockStore
from django.contrib.sessions.exceptions import SuspiciousSession
from django.core.exceptions import ImproperlyConfigured
from django.core.signing import BadSignature
from django.http import QueryDict
from django.test import Client, override_settings
from django.utils.safestring import SafeString, mark_safe

import plainpickle
from plainpickle import ForbiddenGlobal, LimitExceeded, MalformedPickle, Policy, UnreadableValue
from plainpickle.django import RefusedSession, SessionSerializer
from plainpickle.django.configuration import configuration
from plainpickle.django.sessions import db
from tests.django import stores
from tests.libraries.canary import SESSION, Canary, assert_session

POLICY = Policy().as_plain("shop.Cart")
CART = b"\x80\x02}(X\x04\x00\x00\x00userK\x05X\x04\x00\x00\x00cartcshop\nCart\n)\x81u."


class Basket:
    """A class that a policy registers; one state makes it raise."""

    def __setstate__(self, state: Any) -> None:
        raise RuntimeError("s3cr3t")


# ---- the setting


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "must be a dict, not list"),
        ({"format": "json"}, "'format' is no key; did you mean 'FORMAT'?"),
        ({"POLICIES": 1}, "did you mean 'POLICY'?"),
        ({"COLOUR": 1}, "there are POLICY, LIMITS, FORMAT, PROTOCOL"),
        ({"FORMAT": "yaml"}, "['FORMAT'] must be one of 'json', 'pickle', not 'yaml'"),
        ({"ON_FORBIDDEN": None}, "must be one of 'salvage', 'raise', not None"),
        ({"PROTOCOL": "2"}, "must be a number from 0 to 5, not '2'"),
        ({"PROTOCOL": True}, "must be a number"),
        ({"PROTOCOL": 9}, "must be a number"),
        ({"READ_PICKLE": 1}, "['READ_PICKLE'] must be True or False, not 1"),
        ({"UPGRADE_AUTH_HASH": "yes"}, "must be True or False"),
        ({"FORMAT": "pickle", "READ_PICKLE": False}, "no session that is written could be read"),
        ({"POLICY": 5}, "must be a plainpickle.Policy"),
        ({"POLICY": "no.such.module"}, "['POLICY']: No module named 'no'"),
        ({"POLICY": "json.dumps"}, "must be a plainpickle.Policy"),
        ({"POLICY": "missing.toml"}, "missing.toml"),
        ({"LIMITS": 5}, "must be a plainpickle.Limits or a dict"),
        ({"LIMITS": {"max_byte": 5}}, "'max_byte' is no key; did you mean 'max_bytes'?"),
        ({"LIMITS": {"max_bytes": -5}}, "max_bytes must be a number of at least 0"),
    ],
)
def test_a_wrong_setting_says_what_is_right(given: Any, says: str) -> None:
    with override_settings(PLAINPICKLE=given), pytest.raises(ImproperlyConfigured) as caught:
        SessionSerializer()
    assert says in str(caught.value)


def test_the_documentation_shows_every_key_with_its_default(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "django.md").read_text("utf-8")
    printed = re.search(r"^PLAINPICKLE = \{\n.*?^\}", page, re.DOTALL | re.MULTILINE)
    assert printed
    found: dict[str, Any] = {"BASE_DIR": tmp_path}
    exec(printed[0], found)
    assert {key.lower() for key in found["PLAINPICKLE"]} == set(vars(configuration()))
    (tmp_path / "policy.toml").write_text(plainpickle.profiles.django().to_toml())
    default = dataclasses.replace(configuration(), limits=plainpickle.Limits(max_bytes=1_000_000))
    with override_settings(PLAINPICKLE=found["PLAINPICKLE"]):
        assert configuration() == default


def test_without_a_setting_it_is_profile_django_and_json() -> None:
    configured = configuration()
    assert configured.policy == plainpickle.profiles.django()
    assert (configured.format, configured.on_forbidden) == ("json", "salvage")
    assert configured.read_pickle
    assert not configured.upgrade_auth_hash


def test_a_policy_is_given_as_such_by_its_dotted_path_or_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(POLICY.to_toml())
    for given in (POLICY, f"{__name__}.POLICY", path, str(path)):
        with override_settings(PLAINPICKLE={"POLICY": given}):
            assert SessionSerializer().loads(CART) == {"user": 5, "cart": {}}
    assert SessionSerializer().loads(CART) == {"user": 5}


def test_limits_are_given_as_such_or_as_a_dict() -> None:
    for given in ({"max_bytes": 10}, plainpickle.Limits(max_bytes=10)):
        with override_settings(PLAINPICKLE={"LIMITS": given}), pytest.raises(LimitExceeded):
            SessionSerializer().loads(CART)


def test_the_setting_is_read_once_and_again_when_a_test_changes_it() -> None:
    assert configuration() is configuration()
    with override_settings(PLAINPICKLE={"FORMAT": "pickle"}):
        assert SessionSerializer().dumps({})[:2] == b"\x80\x02"
    assert SessionSerializer().dumps({}) == b"{}"


# ---- values


def test_the_types_of_sessions_come_back_in_both_formats() -> None:
    for setting in ({}, {"FORMAT": "pickle"}, {"FORMAT": "pickle", "PROTOCOL": 5}):
        with override_settings(PLAINPICKLE=setting):
            store = db.SessionStore()
            store.update({**SESSION, "safe": mark_safe("<b>"), "query": QueryDict("a=1&a=2")})
            store.save()
            found = db.SessionStore(store.session_key).load()
        assert type(found.pop("safe")) is SafeString
        assert found.pop("query").getlist("a") == ["1", "2"]
        cart = found["cart"]
        if not setting:  # JSON has no sharing
            found["cart"] = [cart[0], cart[0]]
        assert_session(found)


def test_what_is_plain_is_read_by_djangos_own_json_serializer() -> None:
    store = db.SessionStore()
    store.update({"user": "Zoë", "cart": [1, {"n": 2.5}], "none": None})
    store.save()
    with override_settings(SESSION_SERIALIZER="django.contrib.sessions.serializers.JSONSerializer"):
        assert dict(StockStore(store.session_key).items()) == dict(store.items())


def test_what_could_not_be_read_is_an_error_where_it_is_stored() -> None:
    store = db.SessionStore()
    store["cart"] = {"items": [Basket()]}
    with pytest.raises(UnreadableValue, match=r"^cart\.items\[0\]: "):
        store.save()


def test_the_expiry_that_a_view_set_lives_in_old_and_new_sessions() -> None:
    at = datetime.datetime(2040, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    stores.plant_row("k" * 32, stores.signed(pickle.dumps({"_session_expiry": at}, 2)))
    assert db.SessionStore("k" * 32).get_expiry_date() == at
    store = db.SessionStore()
    store.set_expiry(at)
    store.save()
    assert db.SessionStore(store.session_key).get_expiry_date() == at


def test_a_store_is_asynchronous_too(anna: Any) -> None:
    if django.VERSION < (5, 1):
        pytest.skip("sessions are asynchronous since Django 5.1")

    async def visit() -> Any:
        store: Any = db.SessionStore()
        await store.aset("price", Decimal("1.10"))
        await store.asave()
        return await db.SessionStore(store.session_key).aget("price")

    assert asyncio.run(visit()) == Decimal("1.10")


# ---- refusals


def test_a_refusal_is_what_django_catches_and_what_pickle_raises(tmp_path: Path) -> None:
    attack = pickle.dumps(Canary(tmp_path))
    limited = override_settings(PLAINPICKLE={"LIMITS": {"max_bytes": 1}})
    for data, cls in ((attack, ForbiddenGlobal), (b"}", MalformedPickle), (b"[]", MalformedPickle)):
        with pytest.raises(RefusedSession) as caught:
            SessionSerializer().loads(data)
        for base in (cls, BadSignature, SuspiciousSession, pickle.UnpicklingError, ValueError):
            assert isinstance(caught.value, base)
        assert caught.value.kind
    with pytest.raises(RefusedSession) as caught, limited:
        SessionSerializer().loads(attack)
    assert isinstance(caught.value, LimitExceeded)
    assert caught.value.limit == "max_bytes"


def test_what_a_registered_class_raises_is_an_event_and_an_empty_session(
    reported: list[dict[str, Any]],
) -> None:
    policy = Policy().register(Basket)
    payload = b"\x80\x02}X\x01\0\0\0bc%s\nBasket\n)\x81}X\x01\0\0\0aK\x01sbs." % __name__.encode()
    stores.plant_row("k" * 32, stores.signed(payload))
    with override_settings(PLAINPICKLE={"POLICY": policy}):
        assert StockStore("k" * 32).load() == {}
    (event,) = reported
    assert (event["reason"], event["action"]) == ("rebuild", "refused")
    assert "s3cr3t" not in json.dumps(event)


def test_with_raise_the_session_is_refused_as_a_whole(
    client: Client, reported: list[dict[str, Any]]
) -> None:
    with override_settings(PLAINPICKLE={"ON_FORBIDDEN": "raise"}):
        stores.plant_row("k" * 32, stores.signed(CART))
        assert db.SessionStore("k" * 32).load() == {}
    assert [event["action"] for event in reported] == ["refused"]


def test_with_json_only_a_pickle_is_refused_and_reported(reported: list[dict[str, Any]]) -> None:
    with override_settings(PLAINPICKLE={"READ_PICKLE": False}):
        assert SessionSerializer().loads(b'{"a":1}') == {"a": 1}
        with pytest.raises(RefusedSession, match="only JSON is read"):
            SessionSerializer().loads(pickle.dumps({"a": 1}))
    assert [event["reason"] for event in reported] == ["pickle_not_read"]


def test_each_record_is_on_djangos_logger_too_with_the_hashed_key(
    django_log: pytest.LogCaptureFixture,
) -> None:
    django_log.set_level(logging.WARNING, "plainpickle.security")
    stores.plant_row("k" * 32, stores.signed(CART))
    db.SessionStore("k" * 32).load()
    names = [record.name for record in django_log.records]
    assert names == ["plainpickle.security", "django.security.SuspiciousSession"]
    first, second = django_log.messages
    assert first == second
    assert "store=django.db" in first
    assert "k" * 32 not in first


def test_importing_it_needs_no_settings() -> None:
    script = "import plainpickle.django, plainpickle.django.caches, plainpickle.django.checks"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
