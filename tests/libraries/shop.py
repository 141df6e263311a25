"""A Flask app with one session, and its visitor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask
import flask.testing


class Visit:
    """`write` and `read` are requests of one browser, in whose session a value is held."""

    def __init__(self, extension: Callable[[flask.Flask], Any], **config: Any) -> None:
        app = flask.Flask("shop")
        app.config.update(config, SECRET_KEY="not real", TESTING=True)
        extension(app)
        self._found: dict[str, Any] = {}
        self._wanted: dict[str, Any] = {}
        app.add_url_rule("/read", "read", self._read)
        app.add_url_rule("/write", "write", self._write)
        self._browser = app.test_client()

    def _read(self) -> str:
        self._found = dict(flask.session)
        return ""

    def _write(self) -> str:
        flask.session.update(self._wanted)
        return ""

    def read(self) -> dict[str, Any]:
        """The whole session."""
        self._browser.get("/read")
        return self._found

    def write(self, held: Any, key: str = "held") -> None:
        self._wanted = {key: held}
        self._browser.get("/write")
