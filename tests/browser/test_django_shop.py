"""The Django shop: what a visitor has there outlives the changed line; an attack does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.visitor import Visitor
from tests.libraries.canary import Canary
from tests.shops import run, serving

SHOP = "examples.django_shop"


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "shop.sqlite3")


@pytest.fixture
def customer(visitor: Visitor, tmp_path: Path, database: str) -> Visitor:
    """Somebody who has logged in, searched and filled a cart while the shop still pickled."""
    with serving(tmp_path, SHOP, "--legacy", SHOP_DATABASE=database) as shop:
        visitor.opens(shop.address)
        visitor.clicks("login-link")
        visitor.writes(username="customer", password="coffee")
        visitor.clicks("login")
        for product in ("mill", "beans", "beans"):
            visitor.opens(shop.address)
            visitor.clicks(f"add-{product}")
        visitor.opens(f"{shop.address}?q=coffee")
        visitor.opens(f"{shop.address}cart/")
        assert "PickleSerializer" in visitor.reads("serializer")
        assert_all_is_there(visitor)
        visitor.keeps_a_picture("django-shop-before")
    return visitor


def assert_all_is_there(visitor: Visitor) -> None:
    assert visitor.reads("user") == "customer"
    assert "Welcome back, customer. You logged in at 20" in visitor.reads("greeting")
    assert visitor.reads("total") == "129.30 €"
    assert "{'mill': (1, Decimal('89.50')), 'beans': (2, Decimal('19.90'))}" in visitor.page()
    assert "<QueryDict: {'q': ['coffee']}>" in visitor.page()
    assert "datetime.datetime(20" in visitor.page()


def test_login_cart_and_search_outlive_the_changed_line(
    customer: Visitor, tmp_path: Path, database: str
) -> None:
    with serving(tmp_path, SHOP, SHOP_DATABASE=database) as shop:
        customer.opens(f"{shop.address}cart/")
        assert customer.reads("serializer") == "plainpickle.django.SessionSerializer"
        assert_all_is_there(customer)
        customer.opens(f"{shop.address}?q=")
        customer.clicks("add-filter")  # which saves the session as JSON
    with serving(tmp_path, SHOP, SHOP_DATABASE=database) as shop:
        customer.opens(f"{shop.address}cart/")
        assert customer.reads("user") == "customer"
        assert customer.reads("total") == "132.75 €"
        assert "'filter': (1, Decimal('3.45'))" in customer.page()


def test_the_shop_that_pickles_runs_what_is_planted_in_its_rows(
    customer: Visitor, canary: Canary, tmp_path: Path, database: str
) -> None:
    plant(canary, database)
    with serving(tmp_path, SHOP, "--legacy", SHOP_DATABASE=database) as shop:
        customer.opens(shop.address)
    assert canary.sang()


def test_the_changed_line_drops_what_is_planted_tells_of_it_and_keeps_the_rest(
    customer: Visitor, canary: Canary, tmp_path: Path, database: str
) -> None:
    plant(canary, database)
    with serving(tmp_path, SHOP, SHOP_DATABASE=database) as shop:
        customer.opens(f"{shop.address}cart/")
        assert_all_is_there(customer)
        assert "promotion" not in customer.page()
        customer.keeps_a_picture("django-shop-after")
        (event,) = [line for line in shop.log().splitlines() if "reason=" in line]
    assert "malicious_attack_tool reason=dangerous_global global=posix.system" in event
    assert "action=dropped key=promotion" in event
    assert not canary.sang()


def plant(canary: Canary, database: str) -> None:
    _, (command,) = canary.__reduce__()
    assert run(SHOP, "--attack", command, SHOP_DATABASE=database) == "planted in 1 sessions\n"
    assert not canary.sang()
