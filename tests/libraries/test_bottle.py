"""Bottle: a signed cookie is a pickle, read by the global `pickle` of its one module."""

from __future__ import annotations

import io
from typing import Any
from wsgiref.util import setup_testing_defaults

import bottle
import pytest

import plainpickle
from tests.libraries.canary import SESSION, Canary, assert_session
from tests.libraries.conftest import ATTACK, Refusals

SECRET = "not real"
pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")  # Bottle's, of pickling


def written(value: Any) -> str:
    response = bottle.LocalResponse()
    response.set_cookie("session", value, secret=SECRET)
    return str(dict(response.headerlist)["Set-Cookie"])


def read(cookie: str) -> Any:
    return bottle.LocalRequest({"HTTP_COOKIE": cookie}).get_cookie("session", secret=SECRET)


def status(cookie: str) -> str:
    """What a visitor with this cookie gets from an app that reads it."""
    app = bottle.Bottle()
    statuses: list[str] = []
    app.route("/", callback=lambda: str(bottle.request.get_cookie("session", secret=SECRET)))
    environ = {"HTTP_COOKIE": cookie, "wsgi.errors": io.StringIO()}
    setup_testing_defaults(environ)
    list(app(environ, lambda line, *_: statuses.append(line)))
    return statuses[0]


def test_a_cookie_of_stock_pickle_reads_under_plainpickle() -> None:
    cookie = written(SESSION)
    with plainpickle.install("bottle"):
        assert_session(read(cookie))


def test_a_cookie_of_plainpickle_reads_under_stock_pickle() -> None:
    with plainpickle.install("bottle"):
        cookie = written(SESSION)
    assert_session(read(cookie))


def test_a_canary_in_a_cookie_sings_under_stock_pickle_only(
    canary: Canary, refusals: Refusals
) -> None:
    for planted in (canary, {"user": canary}):
        cookie = written(planted)
        with plainpickle.install("bottle"):
            with pytest.raises(plainpickle.ForbiddenGlobal):
                read(cookie)
            assert status(cookie).startswith("500")
        assert not canary.sang()
        assert refusals() == ATTACK * 2
        read(cookie)
        assert canary.sang()


def test_a_canary_in_cookie_decode_sings_under_stock_pickle_only(
    canary: Canary, refusals: Refusals
) -> None:
    cookie = bottle.cookie_encode(canary, SECRET)
    with plainpickle.install("bottle"), pytest.raises(plainpickle.ForbiddenGlobal):
        bottle.cookie_decode(cookie, SECRET)
    assert not canary.sang()
    assert refusals() == ATTACK
    bottle.cookie_decode(cookie, SECRET)
    assert canary.sang()


def test_a_cookie_that_could_not_be_read_back_is_not_written(canary: Canary) -> None:
    refused = pytest.raises(plainpickle.UnreadableValue, match=r"\[1\]\.user")
    with plainpickle.install("bottle"), refused:
        written({"user": canary})
