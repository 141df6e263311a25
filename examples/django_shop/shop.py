"""The shop: its products, pages and addresses. It is the same before and after the changed line."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.signals import user_logged_in
from django.contrib.auth.views import LoginView, LogoutView
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils import timezone
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

PRODUCTS = {
    "beans": ("Coffee beans, 1 kg", Decimal("19.90")),
    "filter": ("Paper filters", Decimal("3.45")),
    "kettle": ("Gooseneck kettle", Decimal("54.00")),
    "mill": ("Hand mill", Decimal("89.50")),
}


def products(request: HttpRequest) -> HttpResponse:
    if "q" in request.GET:
        request.session["search"] = request.GET  # a QueryDict
    search = request.session.get("search")
    wanted = search.get("q", "").lower() if search else ""
    found = {
        sku: product
        for sku, product in PRODUCTS.items()
        if not wanted or wanted in product[0].lower()
    }
    return render(request, "products.html", {"products": found, "wanted": wanted})


def add(request: HttpRequest, sku: str) -> HttpResponse:
    if sku not in PRODUCTS:
        raise Http404
    name, price = PRODUCTS[sku]
    cart = request.session.setdefault("cart", {})
    quantity = cart[sku][0] + 1 if sku in cart else 1
    cart[sku] = (quantity, price)  # a tuple, with a Decimal
    request.session.modified = True
    messages.success(request, f"{name} is in your cart.")
    return redirect("cart")


def cart(request: HttpRequest) -> HttpResponse:
    lines = [
        (PRODUCTS[sku][0], quantity, price, quantity * price)
        for sku, (quantity, price) in request.session.get("cart", {}).items()
    ]
    total = sum((line[-1] for line in lines), Decimal(0))
    return render(request, "cart.html", {"lines": lines, "total": total})


def greet(request: HttpRequest, **_: Any) -> None:
    request.session["since"] = timezone.now()  # a datetime
    request.session["greeting"] = gettext_lazy("Welcome back")  # a lazy string


user_logged_in.connect(greet)


def what_is_stored(request: HttpRequest) -> dict[str, Any]:
    """For the foot of each page: what the session holds, and who reads it."""
    stored = {key: repr(value) for key, value in request.session.items() if key[0] != "_"}
    return {"stored": stored, "serializer": settings.SESSION_SERIALIZER, "session": request.session}


urlpatterns = [
    path("", products, name="products"),
    path("cart/", cart, name="cart"),
    path("add/<slug:sku>/", require_POST(add), name="add"),
    path("login/", LoginView.as_view(template_name="login.html"), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
]
