"""Sessions of old Flask, Werkzeug, Beaker and Bottle, as they were stored, by today's libraries."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import beaker.container
import beaker.session
import beaker.util
import bottle
import pytest
from markupsafe import Markup

import plainpickle
import plainpickle.flask
from plainpickle import Policy, _core
from tests.expected import Comparison
from tests.flask import stores
from tests.flask.shop import Visit, app
from tests.samples import CORPUS, manifest

pytestmark = pytest.mark.filterwarnings("ignore")  # of old libraries, about each other
SID = "0123456789abcdef0123456789abcdef"
FAMILIES = ("flask", "werkzeug", "beaker", "bottle")
SAMPLES = [facts for facts in manifest() if facts["storage"].startswith(FAMILIES)]
ON_FLASK = [facts for facts in SAMPLES if facts["storage"].startswith(("flask", "werkzeug"))]
LONG_AGO = 1_300_000_000.0


def raw(facts: dict[str, Any]) -> bytes:
    """What was stored: the pickle, where nothing is around it."""
    return (CORPUS / str(facts.get("raw", facts.get("pickle")))).read_bytes()


def visit_of(
    facts: dict[str, Any], request: pytest.FixtureRequest, folder: Path, **options: Any
) -> Visit:
    """The visitor whose session this is, in an app with the one line."""
    storage = facts["storage"]
    if storage == "werkzeug-securecookie":
        shop = app(SECRET_KEY=facts["secret_key"])
        shop.session_interface = plainpickle.flask.SessionInterface(**options)
        return Visit(shop, raw(facts).decode())
    kind = {"redis": stores.Redis, "filesystem": stores.Files, "sqlalchemy": stores.SqlAlchemy}
    store = stores.made(kind[storage.rpartition("-")[2]], request, folder)
    shop = stores.set_up(app(), store)
    plainpickle.flask.Plainpickle(shop, **options)
    data = raw(facts)
    if storage == "flask-session-filesystem":
        # The time in front is over by now; before cachelib 0.7 it was a pickle, too.
        store.plant(SID, data[facts["value_offset"] :])
    else:
        store.plant(SID, data)
    return Visit(shop, SID)


@pytest.fixture
def in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cookies carry the time at which they end."""
    monkeypatch.setattr("plainpickle.flask.cookies.time", SimpleNamespace(time=lambda: LONG_AGO))


@pytest.mark.parametrize("facts", ON_FLASK, ids=lambda each: each["name"])
def test_a_session_of_flask_is_read_and_read_again_after_it_was_written(
    facts: dict[str, Any],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    reported: list[dict[str, Any]],
    in_time: None,
) -> None:
    options = {"policy": Policy(), "format": "json"}
    visit = visit_of(facts, request, tmp_path, **options)
    expected = {key: v for key, v in facts["expected"].items() if key != "_permanent"}
    expected.pop("_expires", None)
    for _ in range(2):
        assert list(Comparison().differences(visit.read(), expected)) == []
        visit.touch()
    assert reported == []


@pytest.mark.parametrize("facts", ON_FLASK, ids=lambda each: each["name"])
def test_flashes_and_forms_come_as_the_classes_that_views_know(
    facts: dict[str, Any],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    reported: list[dict[str, Any]],
    in_time: None,
) -> None:
    visit = visit_of(facts, request, tmp_path, format="json")
    found = visit.read()
    visit.write(seen=1)
    assert {**found, "seen": 1} == visit.read()
    assert reported == []
    if "_flashes" in found:
        assert type(found["_flashes"][0][1]) is Markup
    if "form" in found:
        assert type(found["form"]).__name__ == "ImmutableMultiDict"


# --- Beaker and Bottle: by `install`, and a policy that knows the class of the app


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Policy().as_plain("shopapp.cart.Cart")
    monkeypatch.setattr(_core, "_default", policy._compiled, raising=False)


def of(storage: str) -> list[dict[str, Any]]:
    return [facts for facts in SAMPLES if facts["storage"] == storage]


@pytest.mark.parametrize("facts", of("beaker-file"), ids=lambda each: each["name"])
def test_a_file_of_beaker_is_read(facts: dict[str, Any], tmp_path: Path, installed: None) -> None:
    """By its container; Beaker's own session looks for base64 around it since 1.12."""
    folder = tmp_path / "container_file"
    path = beaker.util.encoded_path(str(folder), [SID], extension=".cache", digest_filenames=False)
    Path(path).write_bytes(raw(facts))
    with plainpickle.install("beaker.util", "beaker.container"):
        namespace = beaker.container.FileNamespaceManager(
            SID, data_dir=str(tmp_path), digest_filenames=False
        )
        namespace.acquire_read_lock()
        found = {"session": namespace["session"]}
        namespace.release_read_lock()
    assert list(Comparison().differences(found, facts["expected"])) == []


@pytest.mark.parametrize("facts", of("beaker-cookie-signed"), ids=lambda each: each["name"])
def test_a_cookie_of_beaker_is_read(facts: dict[str, Any], installed: None) -> None:
    request = {"cookie": f"beaker.session.id={raw(facts).decode()}"}
    with plainpickle.install("beaker.util"):
        session = beaker.session.CookieSession(request, validate_key=facts["secret_key"])
    expected = {**facts["expected"], "_accessed_time": session["_accessed_time"]}
    assert list(Comparison().differences(dict(session), expected)) == []


@pytest.mark.parametrize("facts", of("bottle-cookie"), ids=lambda each: each["name"])
def test_a_cookie_of_bottle_is_read(facts: dict[str, Any], installed: None) -> None:
    name, expected = facts["expected"]["v"]
    value = raw(facts).decode().strip('"')
    with plainpickle.install("bottle"):
        request = bottle.BaseRequest({"HTTP_COOKIE": f'{name}="{value}"'})
        found = request.get_cookie(name, secret=facts["secret_key"], digestmod=hashlib.md5)
    assert list(Comparison().differences(found, expected)) == []


def test_each_sample_of_these_is_read_by_one_of_the_tests() -> None:
    storages = {facts["storage"] for facts in SAMPLES}
    flask = {facts["storage"] for facts in ON_FLASK}
    assert storages == flask | {"beaker-file", "beaker-cookie-signed", "bottle-cookie"}
    assert len(SAMPLES) == 33
