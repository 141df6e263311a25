"""The README: its Django and Flask sections run as printed, and its lists are complete."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests import servers

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
RCE = b"cos\nsystem\n(S'echo vulnerable_to_rce'\ntR."

SETTINGS = """
SECRET_KEY = "dj22-shop-secret-not-real"
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": {folder!r} + "/db"}}}}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
USE_TZ = True
"""
WITH_DJANGO = """
import django
django.setup()
from datetime import timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
call_command("check", fail_level="WARNING")
call_command("migrate", verbosity=0)
SessionStore = import_module(settings.SESSION_ENGINE).SessionStore
store = SessionStore()
store["price"] = Decimal("19.99")
store["flash"] = mark_safe("<b>ok</b>")
store.save()
again = SessionStore(store.session_key)
assert again["price"] == Decimal("19.99"), again.items()
assert type(again["flash"]) is SafeString
old = Path({row!r}).read_text()
Session.objects.create(session_key="k" * 32, session_data=old,
                       expire_date=timezone.now() + timedelta(days=1))
assert SessionStore("k" * 32)["_auth_user_id"] == "1"
call_command("plainpickle", "status")
"""


def block(heading: str) -> str:
    """The first Python block below a heading of the README."""
    found = re.search(rf"^### {heading}\n+```python\n(.*?)```", README, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def test_the_django_section_runs_as_printed_on_sessions_old_and_new(tmp_path: Path) -> None:
    pytest.importorskip("django")
    code = block("Django")
    assert len([line for line in code.splitlines() if line]) <= 10
    folder, row = str(tmp_path), str(ROOT / "tests" / "corpus" / "dj22_db_login_basket.raw")
    (tmp_path / "shop_settings.py").write_text(SETTINGS.format(folder=folder) + code, "utf-8")
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "shop_settings"}
    script = f"import sys; sys.path.insert(0, {folder!r})" + WITH_DJANGO.format(row=row)
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, env=environment)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Flask-Session
def test_the_flask_section_runs_as_printed_with_a_real_redis() -> None:
    flask: Any = pytest.importorskip("flask")
    redis: Any = pytest.importorskip("redis")
    pytest.importorskip("flask_session")
    code = block("Flask")
    assert len([line for line in code.splitlines() if line]) <= 10
    printed: dict[str, Any] = {"__name__": "shop"}
    exec(compile(code, "README.md", "exec"), printed)
    app = printed["app"]
    found: list[Any] = []

    def index() -> str:
        found.append(dict(flask.session))
        return ""

    app.add_url_rule("/", "index", index)
    with servers.redis() as socket, redis.Redis(unix_socket_path=socket) as client:
        app.session_interface.client = client
        browser = app.test_client()
        browser.set_cookie("session", "0123456789abcdef")
        price = {"price": Decimal("19.99")}
        for stored, expected in ((pickle.dumps(price), price), (RCE, {"_permanent": True})):
            client.set("session:0123456789abcdef", stored)
            assert browser.get("/").status_code == 200
            assert found.pop() == expected


def test_each_divergence_is_in_the_documentation_with_its_reason() -> None:
    page = (ROOT / "docs" / "divergences.md").read_text("utf-8")
    rows: list[dict[str, Any]] = json.loads(
        (ROOT / "tests" / "differential" / "divergences.json").read_text("utf-8")
    )
    missing = [
        row["id"]
        for row in rows
        if f"| {row['id']} | {row['side']} | {row['reason']} |" not in page
    ]
    assert missing == []
