"""The processes of a site: each has a Django, and settings of its own; and a visitor's browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.shop import PLAIN, SESSION, USERS, described
from tests.djangos import NEWEST, python_for
from tests.servers import missing
from tests.upstream.suites import sdist

SHOP = Path(__file__).with_name("shop.py")
OLD_DJANGO = Path(sys.prefix, "old-django")

INSTALLED = metadata.version("Django")
ENDS = (INSTALLED, NEWEST)
"""Where each deploy ends."""

STOCK = "django.contrib.sessions.backends."
OURS = "plainpickle.django.sessions."
REDIS = {"BACKEND": "django.core.cache.backends.redis.RedisCache"}
DJANGO_REDIS = {"BACKEND": "django_redis.cache.RedisCache"}

COMMON: dict[str, Any] = {
    "SECRET_KEY": "not real",
    "ALLOWED_HOSTS": ["testserver"],
    "DEFAULT_AUTO_FIELD": "django.db.models.AutoField",
    "INSTALLED_APPS": [
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
    ],
    "MIDDLEWARE": [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    # Others are made anew at a login when their rounds have changed, which ends other sessions.
    "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
    "USE_I18N": False,  # what gettext lost in Python 3.11, Django 2.2 needs
    "USE_TZ": True,
}


@dataclass(frozen=True)
class Django:
    """A version of Django: the Python that runs it, and its folder if it is not installed there."""

    version: str
    python: str = sys.executable
    folder: Path | None = None


def django(version: str) -> Django:
    """Where a version is."""
    if version == INSTALLED:
        return Django(version)
    if version >= "4":
        return Django(version, python_for(version), sdist("django", version))  # it runs as it is
    if sys.version_info >= (3, 12):
        pytest.skip(f"Django {version} does not run on this Python")
    folder = OLD_DJANGO / version
    if not folder.exists():
        missing(f"no Django {version}; `make test` fetches it")
    return Django(version, folder=folder)


class Failed(Exception):  # noqa: N818  # a process has
    """What a visitor would see as a 500; its text is the trace."""


class Process(AbstractContextManager["Process"]):
    """One process of the site.

    Args:
        django: what it has to be; a process that finds another version ends at once.
        engines: where each visitor's kind of session is kept: name and module.
        settings: besides the common ones.
    """

    def __init__(self, django: Django, *, engines: dict[str, str], **settings: Any) -> None:
        settings = {**COMMON, **settings, "ENGINES": engines}
        in_front = [str(django.folder)] if django.folder else []
        paths = [*in_front, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [django.python, "-W", "ignore", str(SHOP), django.version, json.dumps(settings)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **asked: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the process has ended"
        answered: dict[str, Any] = json.loads(line)
        if "error" in answered:
            raise Failed(answered["error"])
        return answered

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


class Visitor:
    """A browser, and what its session has to hold."""

    def __init__(
        self, process: Process, engine: str, kind: str = "rich", user: str = USERS[0]
    ) -> None:
        self._engine, self._user = engine, user
        self._cookies: dict[str, str] = {}
        self._holds = {
            key: described(value) for key, value in (SESSION if kind == "rich" else PLAIN).items()
        }
        self.goes(process, f"/login/{user}/{kind}")

    def goes(self, process: Process, path: str) -> dict[str, Any]:
        """Asks for a page: who is logged in, what the session holds, which events there were."""
        page = process.ask(path=path, engine=self._engine, cookies=self._cookies)
        self._cookies = page["cookies"]
        return page

    def is_known_to(self, process: Process) -> bool:
        """Whether the visitor is still logged in there, and the session is what it was."""
        page = self.goes(process, "/")
        if page["user"] != self._user:
            return False
        assert page["held"] == self._holds
        assert page["events"] == []
        return True

    def adds(self, process: Process, key: str) -> None:
        """Has the session saved there."""
        self._holds[key] = described(key.upper())
        page = self.goes(process, f"/add/{key}")
        assert page["user"] == self._user
        assert page["held"] == self._holds
        assert page["events"] == []
