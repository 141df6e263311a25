"""The README: its Django and Flask sections run as printed, and its lists are complete."""

from __future__ import annotations

import json
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

WITH_DJANGO = """
import sys
sys.path.insert(0, {folder!r})
from django.conf import settings
settings.configure(SECRET_KEY="not real", SESSION_FILE_PATH={folder!r},
                   SESSION_SERIALIZER="shop_serializers.SessionSerializer")
import django
django.setup()
from decimal import Decimal
from django.contrib.sessions.backends.file import SessionStore
from django.utils.safestring import SafeString, mark_safe
store = SessionStore()
store["price"] = Decimal("19.99")
store["flash"] = mark_safe("<b>ok</b>")
store.save()
again = SessionStore(store.session_key)
assert again["price"] == Decimal("19.99"), again.items()
assert type(again["flash"]) is SafeString
"""


def block(heading: str) -> str:
    """The first Python block below a heading of the README."""
    found = re.search(rf"^### {heading}\n+```python\n(.*?)```", README, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def test_the_django_section_runs_as_printed_in_a_real_session_store(tmp_path: Path) -> None:
    pytest.importorskip("django")
    code = block("Django")
    assert len([line for line in code.splitlines() if line]) <= 10
    (tmp_path / "shop_serializers.py").write_text(code, "utf-8")
    script = WITH_DJANGO.format(folder=str(tmp_path))
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


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
