"""What is in examples/, run as a reader runs them."""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

import pytest

from tests.libraries.canary import Canary
from tests.shops import ROOT, run, serving

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_demo_shows_what_was_read_what_was_refused_and_the_attack_on_both() -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "demo.py"], capture_output=True, check=True, timeout=120
    )
    shown = done.stdout.decode()
    assert "Django 1.4.22   Python 2.7" in shown
    assert "shopapp.cart.Cart" in shown
    assert "pickle.loads            ran a shell, which said: vulnerable_to_rce" in shown
    assert "plainpickle.safe_loads  ForbiddenGlobal: os.system is not allowed" in shown
    assert "SessionSerializer().loads  {'total': Decimal('19.99'), 'user': 5}" in shown
    assert "reason=dangerous_global, global=os.system, action=dropped, key=cart" in shown
    assert not done.stderr
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    "shop", ["django_shop", "flask_shop", "flask_shop cookie", "flask_shop flask-session"]
)
def test_one_command_serves_a_shop_without_a_server_and_its_cart_outlives_the_changed_lines(
    shop: str, tmp_path: Path
) -> None:
    command, kept = f"examples.{shop}".split(), kept_in(tmp_path)
    visitor = build_opener(HTTPCookieProcessor(CookieJar()))
    with serving(tmp_path, *command, "--legacy", **kept) as legacy:
        assert "Your cart" in put_into_the_cart("mill", legacy.address, visitor)
    with serving(tmp_path, *command, **kept) as changed:
        assert "143.50 €" in put_into_the_cart("kettle", changed.address, visitor)
        assert "plainpickle" in (page := read(visitor, changed.address)) or "_after" in page
        assert "Traceback" not in changed.log()


@pytest.mark.parametrize("shop", ["django_shop", "flask_shop", "flask_shop flask-session"])
def test_what_the_attack_of_an_example_plants_runs_before_the_changed_lines_and_not_after(
    shop: str, tmp_path: Path
) -> None:
    command, canary = f"examples.{shop}".split(), Canary(tmp_path)
    kept = kept_in(tmp_path)
    visitor = build_opener(HTTPCookieProcessor(CookieJar()))
    with serving(tmp_path, *command, "--legacy", **kept) as legacy:
        put_into_the_cart("mill", legacy.address, visitor)
        _, (planted,) = canary.__reduce__()
        assert run(*command, "--attack", planted, **kept) == "planted in 1 sessions\n"
        read(visitor, legacy.address)
        assert canary.sang()
    run(*command, "--attack", planted, **kept)
    with serving(tmp_path, *command, **kept) as changed:
        assert "Cart (1)" in read(visitor, changed.address)
        assert "action=dropped key=promotion" in changed.log()
    assert not canary.sang()


def kept_in(folder: Path) -> dict[str, str]:
    """No Redis, and files that are the test's own."""
    names = ("SHOP_DATABASE", "SHOP_STORE")
    return {"REDIS_URL": "", **{name: str(folder / name) for name in names}}


def put_into_the_cart(sku: str, address: str, visitor: OpenerDirector) -> str:
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', read(visitor, address))
    form = {"csrfmiddlewaretoken": token[1]} if token else {}
    slash = "/" if token else ""
    return read(visitor, f"{address}add/{sku}{slash}", urlencode(form).encode())


def read(visitor: OpenerDirector, address: str, form: bytes | None = None) -> str:
    with visitor.open(address, form, timeout=30) as answer:
        page: str = answer.read().decode()
    return page


def test_the_commands_for_flask_tell_the_shop_before_from_the_one_after(tmp_path: Path) -> None:
    def told(app: str, command: str) -> str:
        flask = ["-m", "flask", "--app", f"examples.flask_shop.{app}", "plainpickle", command]
        environment = {**os.environ, **kept_in(tmp_path)}
        ran = subprocess.run(
            [sys.executable, *flask],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert ran.returncode == 1, ran.stderr.decode()  # something is found
        return ran.stdout.decode()

    for app in ("article", "flask_session"):
        assert "session-pickle" in told(f"{app}_before", "check")
        assert "session-pickle" not in told(f"{app}_after", "check")
    visitor = build_opener(HTTPCookieProcessor(CookieJar()))
    with serving(tmp_path, "examples.flask_shop", "--legacy", **kept_in(tmp_path)) as shop:
        put_into_the_cart("mill", shop.address, visitor)
    run("examples.flask_shop", "--attack", "true", **kept_in(tmp_path))
    assert "posix.system" in told("article_before", "inventory")


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ("article_before.py", "article_after.py", 2),
        # An import, and the line.
        ("flask_session_before.py", "flask_session_after.py", 2),
    ],
)
def test_the_flask_shops_differ_by_no_more_lines_than_they_promise(
    before: str, after: str, lines: int
) -> None:
    folder = EXAMPLES / "flask_shop"
    old, new = (Path(folder, each).read_text("utf-8").splitlines() for each in (before, after))
    changed = [line for line in difflib.ndiff(old, new) if line.startswith("+ ")]
    assert len(changed) == lines
    assert all("plainpickle" in line for line in changed)


def test_the_django_shop_differs_by_one_setting() -> None:
    settings = Path(EXAMPLES, "django_shop", "settings_plainpickle.py").read_text("utf-8")
    assert re.findall(r"^(\w+) = (.*)$", settings, re.MULTILINE) == [
        ("SESSION_SERIALIZER", '"plainpickle.django.SessionSerializer"')
    ]
