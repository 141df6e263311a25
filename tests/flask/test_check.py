"""`flask plainpickle check`: each finding is there when its cause is, and gone by its own line."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import flask
import flask_login
import pytest
from flask.sessions import SecureCookieSessionInterface
from flask_caching import Cache
from flask_session import Session

import plainpickle
from examples.flask_shop.redis_sessions import RedisSessionInterface
from plainpickle.flask import checks
from plainpickle.flask.commands import commands
from tests.flask.test_cookies import Pickles
from tests.flask.test_extension import Bare

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries, about each other
DOCUMENTED = (Path(__file__).parents[2] / "docs" / "flask.md").read_text("utf-8")


def good(**config: Any) -> flask.Flask:
    """An app in which nothing is wrong."""
    app = flask.Flask("shop")
    app.config.update(
        SECRET_KEY=secrets.token_hex(32),
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(hours=12),
    )
    app.config.update(config)
    return app


def server_side(tmp_path: Path, **config: Any) -> flask.Flask:
    app = good(SESSION_TYPE="filesystem", SESSION_FILE_DIR=str(tmp_path / "sessions"), **config)
    Session(app)
    (tmp_path / "sessions").chmod(0o700)
    return app


def ids(app: flask.Flask) -> list[str]:
    return [finding.id for finding in checks.findings(app)]


def test_in_a_good_app_nothing_is_found(tmp_path: Path) -> None:
    assert ids(good()) == []
    app = server_side(tmp_path)
    plainpickle.flask.Plainpickle(app)
    assert ids(app) == []


CAUSES: dict[str, dict[str, Any]] = {
    "secret-key": {"SECRET_KEY": "dev"},
    "secret-key-fallbacks": {"SECRET_KEY_FALLBACKS": ["an old one"]},
    "cookie-secure": {"SESSION_COOKIE_SECURE": False},
    "cookie-httponly": {"SESSION_COOKIE_HTTPONLY": False},
    "cookie-samesite": {"SESSION_COOKIE_SAMESITE": None},
    "lifetime": {"PERMANENT_SESSION_LIFETIME": timedelta(days=31)},
}


@pytest.mark.parametrize("name", CAUSES)
def test_a_setting_is_found_and_the_line_sets_it_right(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", secrets.token_hex(32))
    app = good(**CAUSES[name])
    (finding,) = checks.findings(app)
    assert finding.id == name
    exec(finding.line, {"app": app, "os": os, "timedelta": timedelta})
    assert ids(app) == []


@pytest.mark.parametrize(
    "key", [None, "", "dev", b"secret", "a" * 40, "my-secret-key-for-the-shop", "changeme" * 4]
)
def test_a_key_that_can_be_guessed_is_found(key: Any) -> None:
    assert ids(good(SECRET_KEY=key)) == ["secret-key"]


def sessions_by_snippet(app: flask.Flask, _: Path) -> None:
    app.session_interface = RedisSessionInterface({})


def sessions_in_cookies(app: flask.Flask, _: Path) -> None:
    interface = SecureCookieSessionInterface()
    interface.serializer = Pickles  # type: ignore[assignment]
    app.session_interface = interface


def sessions_by_flask_session(app: flask.Flask, folder: Path) -> None:
    app.config.update(SESSION_TYPE="filesystem", SESSION_FILE_DIR=str(folder / "sessions"))
    Session(app)
    (folder / "sessions").chmod(0o700)


def a_cache(app: flask.Flask, folder: Path) -> None:
    app.config.update(CACHE_TYPE="FileSystemCache", CACHE_DIR=str(folder / "cache"))
    Cache(app)


@pytest.mark.parametrize(
    "set_up", [sessions_by_snippet, sessions_in_cookies, sessions_by_flask_session, a_cache]
)
def test_whatever_unpickles_is_found_and_the_line_closes_it(
    set_up: Callable[[flask.Flask, Path], None], tmp_path: Path
) -> None:
    app = good()
    set_up(app, tmp_path)
    found = checks.findings(app)
    assert {finding.id for finding in found} == {
        "cache-pickle" if set_up is a_cache else "session-pickle"
    }
    exec(found[0].line, {"app": app, "plainpickle": plainpickle})
    assert ids(app) == []


def test_an_interface_that_is_not_known_is_found_until_it_is_said_that_it_is_safe() -> None:
    app = good()
    app.session_interface = Bare()
    assert ids(app) == ["session-unknown"]
    plainpickle.flask.Plainpickle(app, sessions=False)
    assert ids(app) == []


def test_short_ids_are_found(tmp_path: Path) -> None:
    app = server_side(tmp_path, SESSION_ID_LENGTH=8)
    plainpickle.flask.Plainpickle(app)
    (finding,) = checks.findings(app)
    assert (finding.id, finding.line) == ("session-id", 'app.config["SESSION_ID_LENGTH"] = 32')
    app = good(SESSION_KEY_BITS=64)
    (finding,) = checks.findings(app)
    assert (finding.id, finding.line) == ("session-id", 'app.config["SESSION_KEY_BITS"] = 128')


def test_ids_that_stay_at_login_are_found_and_the_line_changes_them(tmp_path: Path) -> None:
    app = server_side(tmp_path)
    plainpickle.flask.Plainpickle(app)
    flask_login.LoginManager(app)
    (finding,) = checks.findings(app)
    assert finding.id == "login-id"
    exec(finding.line, {"app": app, "plainpickle": plainpickle, "flask_login": flask_login})
    assert ids(app) == []


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_folder_that_others_can_write_is_found(tmp_path: Path) -> None:
    app = server_side(tmp_path)
    plainpickle.flask.Plainpickle(app)
    (tmp_path / "sessions").chmod(0o770)
    (finding,) = checks.findings(app)
    assert finding.id == "folder-mode"
    assert os.system(finding.line) == 0
    assert ids(app) == []


def test_the_command_prints_each_with_its_line_and_says_so_by_its_exit_code() -> None:
    app = good(SESSION_COOKIE_SECURE=False)
    ran = app.test_cli_runner().invoke(commands, ["check"])
    assert ran.exit_code == 1
    assert ran.output.splitlines() == [
        "cookie-secure: the session cookie is sent without TLS, too: who listens is logged in",
        '    app.config["SESSION_COOKIE_SECURE"] = True',
        "1 found",
    ]
    ran = app.test_cli_runner().invoke(commands, ["check", "--json"])
    assert [each["id"] for each in json.loads(ran.output)] == ["cookie-secure"]
    ran = good().test_cli_runner().invoke(commands, ["check"])
    assert (ran.exit_code, ran.output) == (0, "nothing found\n")


def test_the_installed_package_adds_the_command_to_flask(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP, "utf-8")
    command = [sys.executable, "-m", "flask", "--app", "shop", "plainpickle", "check"]
    ran = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 1, ran.stderr
    assert ran.stdout.startswith("session-pickle: RedisSessionInterface.serializer unpickles")


SHOP = """
import pickle
import flask

class RedisSessionInterface(flask.sessions.SessionInterface):
    serializer = pickle

app = flask.Flask("shop")
app.session_interface = RedisSessionInterface()
"""


def test_every_finding_is_in_the_documentation() -> None:
    code = Path(str(checks.__file__)).read_text("utf-8")
    found = set(re.findall(r'Finding\(f?"([a-z{}-]+)"', code))
    names = {each.format(kind=kind) for each in found for kind in ("session", "cache")}
    assert len(names) == 13
    assert [name for name in sorted(names) if f"| `{name}` |" not in DOCUMENTED] == []
