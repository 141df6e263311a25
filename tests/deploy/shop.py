"""A shop, in a process of its own, under whatever Django is found first; `site.py` asks it.

Its arguments are the version that this has to be, and its settings, as JSON. Each line of input is
a request, each line of output its response.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import django
from django.conf import settings

PLAIN = {"theme": "dark", "seen": [3, 5], "note": "Zoë", "rebate": None, "rate": 0.5}
SESSION = {
    **PLAIN,
    "since": datetime(2019, 3, 4, 5, 6, 7, 890, tzinfo=timezone.utc),
    "items": [{"sku": ("A1", 3), "price": Decimal("19.99")}],
    "stock": {1: {"left"}, 2: set()},
    "token": b"\x00\xff.",
}

USERS = ("ada", "bob")

_events: list[str] = []


class _Events(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _events.append(record.getMessage())


def described(value: Any) -> str:
    """A value with its types, in the same words under each version."""
    kind = type(value).__name__
    if isinstance(value, dict):
        inside = sorted(f"{described(key)}: {described(each)}" for key, each in value.items())
        return f"{kind}({', '.join(inside)})"
    if isinstance(value, (list, tuple)):
        return f"{kind}({', '.join(map(described, value))})"
    return f"{kind}({value!r})"


def page(request: Any) -> Any:
    """Who is logged in, and what the session holds."""
    from django.http import JsonResponse

    held = {
        key: described(value) for key, value in request.session.items() if not key.startswith("_")
    }
    return JsonResponse({"user": request.user.get_username(), "held": held})


def login(request: Any, user: str, kind: str) -> Any:
    """Logs in, with a session of plain values or of all kinds."""
    from django.contrib import auth

    auth.login(request, auth.authenticate(request, username=user, password="not real"))
    request.session.update(PLAIN if kind == "plain" else SESSION)
    return page(request)


def add(request: Any, key: str) -> Any:
    """Puts something into the session."""
    request.session[key] = key.upper()
    return page(request)


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """What a browser gets, whose cookies are `asked["cookies"]`."""
    from django.test import Client

    settings.SESSION_ENGINE = settings.ENGINES[asked["engine"]]
    browser = Client()  # it reads the settings anew
    for name, value in asked["cookies"].items():
        browser.cookies[name] = value
    response = browser.get(asked["path"])
    cookies = {name: morsel.value for name, morsel in browser.cookies.items()}
    events, _events[:] = list(_events), []
    if response.status_code != 200:
        return {"error": f"{response.status_code}: {response.content!r}", "cookies": cookies}
    return {**json.loads(response.content), "cookies": cookies, "events": events}


def new_database() -> None:
    """Makes the tables, or those of this version of the ones that are there; and the users."""
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    users = get_user_model().objects
    for name in USERS:
        if not users.filter(username=name).exists():
            users.create_user(name, password="not real")


def change_password() -> None:
    """Of the second user."""
    from django.contrib.auth import get_user_model

    user = get_user_model().objects.get(username=USERS[1])
    user.set_password("another")
    user.save()


def urls() -> Any:
    try:
        from django.urls import re_path
    except ImportError:
        from django.conf.urls import url as re_path
    return [
        re_path("^$", page),
        re_path("^login/([a-z]+)/(plain|rich)$", login),
        re_path("^add/([a-z]+)$", add),
    ]


DOES: dict[str, Callable[[], Any]] = {
    "new_database": new_database,
    "change_password": change_password,
    "nothing": str,
}


def main() -> None:
    version, configured = sys.argv[1:]
    assert ".".join(map(str, django.VERSION[:3])) == version, django.__file__
    settings.configure(**json.loads(configured), ROOT_URLCONF=__name__)
    django.setup()
    globals()["urlpatterns"] = urls()
    logging.getLogger("plainpickle.security").addHandler(_Events())
    output, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if "do" in asked:
                DOES[asked["do"]]()
                answered: dict[str, Any] = {}
            else:
                answered = answer(asked)
        except Exception:
            answered = {"error": traceback.format_exc()}
        answered["imported"] = "plainpickle" in sys.modules
        print(json.dumps(answered), file=output, flush=True)


if __name__ == "__main__":
    main()
