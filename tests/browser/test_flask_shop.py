"""The Flask shop: what a visitor has there outlives the changed lines; an attack does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import servers
from tests.browser.visitor import Visitor
from tests.libraries.canary import Canary
from tests.shops import run, serving

SHOP = "examples.flask_shop"


@pytest.fixture(params=["redis", "flask-session"])
def kept(request: pytest.FixtureRequest) -> str:
    """What keeps the sessions, in Redis."""
    return str(request.param)


@pytest.fixture
def redis_url() -> Iterator[str]:
    with servers.redis() as socket:
        yield f"unix://{socket}"


@pytest.fixture
def customer(visitor: Visitor, tmp_path: Path, kept: str, redis_url: str) -> Visitor:
    """Somebody who has logged in and filled a cart while the shop still unpickled."""
    with serving(tmp_path, SHOP, kept, "--legacy", REDIS_URL=redis_url) as shop:
        logs_in_and_fills_the_cart(visitor, shop.address)
        assert visitor.reads("app").endswith("_before")
    return visitor


def logs_in_and_fills_the_cart(visitor: Visitor, address: str) -> None:
    visitor.opens(address)
    visitor.clicks("login-link")
    visitor.writes(username="customer", password="coffee")
    visitor.clicks("login")
    for product in ("mill", "beans", "beans"):
        visitor.opens(address)
        visitor.clicks(f"add-{product}")
    assert_all_is_there(visitor)


def assert_all_is_there(visitor: Visitor) -> None:
    assert visitor.reads("user") == "customer"
    assert visitor.reads("greeting") == "Welcome, customer. You have a credit of 25.00 €."
    assert visitor.reads("total") == "129.30 €"


def test_login_and_cart_outlive_the_changed_lines(
    customer: Visitor, tmp_path: Path, kept: str, redis_url: str
) -> None:
    with serving(tmp_path, SHOP, kept, REDIS_URL=redis_url) as shop:
        customer.opens(f"{shop.address}cart")
        assert customer.reads("app").endswith("_after")
        assert_all_is_there(customer)
        customer.opens(shop.address)
        customer.clicks("add-filter")  # which saves the session as plainpickle writes it
    with serving(tmp_path, SHOP, kept, REDIS_URL=redis_url) as shop:
        customer.opens(f"{shop.address}cart")
        assert customer.reads("user") == "customer"
        assert customer.reads("total") == "132.75 €"


def test_the_shop_that_unpickles_runs_what_is_planted_in_redis(
    customer: Visitor, canary: Canary, tmp_path: Path, kept: str, redis_url: str
) -> None:
    plant(canary, kept, redis_url)
    with serving(tmp_path, SHOP, kept, "--legacy", REDIS_URL=redis_url) as shop:
        customer.opens(shop.address)
    assert canary.sang()


def test_the_changed_lines_drop_what_is_planted_tell_of_it_and_keep_the_rest(
    customer: Visitor, canary: Canary, tmp_path: Path, kept: str, redis_url: str
) -> None:
    plant(canary, kept, redis_url)
    with serving(tmp_path, SHOP, kept, REDIS_URL=redis_url) as shop:
        customer.opens(f"{shop.address}cart")
        assert_all_is_there(customer)
        customer.keeps_a_picture(f"flask-shop-{kept}")
        assert "action=dropped key=promotion" in the_one_event(shop.log())
    assert not canary.sang()


def test_a_forged_cookie_runs_in_the_view_that_unpickles_and_is_no_login_in_the_one_that_reads(
    visitor: Visitor, canary: Canary, tmp_path: Path
) -> None:
    cookie = run(SHOP, "cookie", "--attack", command_of(canary)).strip()
    with serving(tmp_path, SHOP, "cookie", "--legacy") as shop:
        logs_in_and_fills_the_cart(visitor, shop.address)
    with serving(tmp_path, SHOP, "cookie") as shop:
        visitor.opens(f"{shop.address}cart")
        assert_all_is_there(visitor)
        visitor.has_a_cookie("session", cookie)
        visitor.opens(f"{shop.address}cart")
        assert visitor.reads("user") == ""
        assert visitor.reads("total") == "89.50 €"
        assert "action=refused" in the_one_event(shop.log())
    assert not canary.sang()
    with serving(tmp_path, SHOP, "cookie", "--legacy") as shop:
        visitor.has_a_cookie("session", cookie)
        visitor.opens(f"{shop.address}cart")
    assert canary.sang()


def the_one_event(log: str) -> str:
    (event,) = [line for line in log.splitlines() if "reason=" in line]
    assert "malicious_attack_tool reason=dangerous_global global=posix.system" in event
    assert "Traceback" not in log
    return event


def command_of(canary: Canary) -> str:
    _, (command,) = canary.__reduce__()
    return command


def plant(canary: Canary, kept: str, redis_url: str) -> None:
    printed = run(SHOP, kept, "--attack", command_of(canary), REDIS_URL=redis_url)
    assert printed == "planted in 1 sessions\n"
    assert not canary.sang()
