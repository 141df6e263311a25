"""A Flask app with one session, and its visitor, whose cookie is in the test's hands."""

from __future__ import annotations

from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import flask

import plainpickle.flask


def app(**config: Any) -> flask.Flask:
    """An app that turns exceptions into a 500, as in production."""
    made = flask.Flask("shop")
    made.config.update({"SECRET_KEY": "not real, but long enough for it", **config})
    return made


class Visit:
    """`read` and `write` are requests of one visitor; each must succeed."""

    def __init__(self, app: flask.Flask, cookie: str | None = None) -> None:
        self.cookie = cookie
        self._found: dict[str, Any] = {}
        self._change: Callable[[], object] = dict
        app.add_url_rule("/", "index", self._index)
        self._client = app.test_client(use_cookies=False)

    def _index(self) -> str:
        self._found = {key: value for key, value in flask.session.items() if key != "_permanent"}
        self._change()
        return ""

    def read(self) -> dict[str, Any]:
        """What is in the session."""
        return self._request(dict)

    def write(self, **values: Any) -> None:
        self._request(lambda: flask.session.update(values))

    def touch(self) -> None:
        """Has the session written as it is."""
        self._request(lambda: setattr(flask.session, "modified", True))

    def log_in(self, **values: Any) -> None:
        """Changes the session's id, too."""

        def change() -> None:
            flask.session.update(values)
            plainpickle.flask.regenerate()

        self._request(change)

    def status(self) -> int:
        """The status of a request; nothing of it is kept."""
        return int(self._response(dict).status_code)

    def _request(self, change: Callable[[], object]) -> dict[str, Any]:
        response = self._response(change)
        assert response.status_code == 200
        for line in response.headers.getlist("Set-Cookie"):
            self.cookie = SimpleCookie(line)["session"].value or None
        return self._found

    def _response(self, change: Callable[[], object]) -> Any:
        self._found, self._change = {}, change
        headers = {} if self.cookie is None else {"Cookie": f"session={_quoted(self.cookie)}"}
        return self._client.get("/", headers=headers)


def _quoted(value: str) -> str:
    """As browsers send what Werkzeug has quoted."""
    return SimpleCookie({"session": value})["session"].coded_value
