"""The pages that all apps of the shop have: products and cart. They know nothing of serializers."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import flask

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

PRODUCTS = {
    "beans": ("Coffee beans, 1 kg", Decimal("19.90")),
    "filter": ("Paper filters", Decimal("3.45")),
    "kettle": ("Gooseneck kettle", Decimal("54.00")),
    "mill": ("Hand mill", Decimal("89.50")),
}

pages = flask.Blueprint("shop", __name__, template_folder="../look")


@pages.get("/")
def products() -> str:
    return flask.render_template("products.html", products=PRODUCTS)


@pages.post("/add/<sku>")
def add(sku: str) -> Response:
    if sku not in PRODUCTS:
        flask.abort(404)
    cart = flask.session.get("cart", {})
    flask.session["cart"] = {**cart, sku: cart.get(sku, 0) + 1}
    return flask.redirect(flask.url_for("shop.cart"))


@pages.get("/cart")
def cart() -> str:
    lines = [(*PRODUCTS[sku], n) for sku, n in flask.session.get("cart", {}).items()]
    total = sum((price * n for _, price, n in lines), Decimal(0))
    return flask.render_template("cart.html", lines=lines, total=total)


@pages.get("/login")
def ask() -> str:
    return flask.render_template("login.html")


def knows(form: dict[str, str]) -> bool:
    """Whether the shop knows the customer of a login form."""
    return (form.get("username"), form.get("password")) == ("customer", "coffee")
