"""The workloads: what is pickled, and the same as plain data for formats that know fewer types."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from random import Random
from typing import Any, Callable

POOL = 256  # distinct sessions: one payload again and again flatters every cache
EPOCH = datetime(2024, 1, 1)


def text(rng: Random, length: int = 12) -> str:
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789-_", k=length))


def small_session(rng: Random) -> Any:
    """16 keys, as a framework with authentication, messages and a cart leaves them."""
    return {
        "_auth_user_id": str(rng.randrange(10**6)),
        "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
        "_auth_user_hash": text(rng, 40),
        "_session_expiry": 1209600,
        "_csrftoken": text(rng, 32),
        "lang": "de",
        "tz": "Europe/Berlin",
        "cart_id": rng.randrange(10**9),
        "is_staff": False,
        "remember": True,
        "next": None,
        "visits": rng.randrange(500),
        "theme": "dark",
        "score": rng.random(),
        "last": text(rng),
        "tags": [text(rng, 5), "new"],
    }


def shop_session(rng: Random) -> Any:
    """About 3 kB: cart with Decimals, addresses, history with datetimes, messages."""

    def item() -> Any:
        return {
            "sku": text(rng, 10),
            "product_id": rng.randrange(10**6),
            "name": f"Product {text(rng)}",
            "qty": rng.randint(1, 9),
            "price": Decimal(rng.randrange(100, 99999)).scaleb(-2),
            "tax": Decimal("0.19"),
            "options": {"size": "M", "colour": text(rng, 5)},
            "added": EPOCH
            + timedelta(seconds=rng.randrange(10**7), microseconds=rng.randrange(10**6)),
        }

    def address() -> Any:
        return {
            "name": text(rng),
            "street": f"{text(rng)} {rng.randrange(99)}",
            "city": "Zürich",
            "zip": str(rng.randrange(10**4)),
            "country": "CH",
        }

    return {
        **small_session(rng),
        "cart": {
            "items": [item() for _ in range(12)],
            "currency": "EUR",
            "coupon": None,
            "total": Decimal("1234.50"),
            "shipping": address(),
            "billing": address(),
        },
        "viewed": [rng.randrange(10**6) for _ in range(20)],
        "messages": [("info", "Saved.", ""), ("error", "Sold out", "x")],
        "history": [
            {
                "id": rng.randrange(10**6),
                "at": EPOCH + timedelta(hours=rng.randrange(10**4)),
                "sum": Decimal("99.95"),
            }
            for _ in range(6)
        ],
    }


def products(rng: Random) -> Any:
    return [
        {
            "id": n,
            "sku": text(rng, 9),
            "name": f"Product {n} {text(rng)}",
            "price": rng.random() * 100,
            "stock": rng.randrange(999),
            "active": n % 3 != 0,
            "category": rng.choice(("books", "tools", "toys")),
            "weight": rng.randrange(9999),
        }
        for n in range(1000)
    ]


def strings(rng: Random) -> Any:
    alphabets = ("abcdefghijklmnop ", "àéîõüß", "中文字符", "😀🎉👍")
    return [
        "".join(rng.choices(rng.choices(alphabets, (7, 2, 1, 1))[0], k=rng.randint(1, 60)))
        for _ in range(3000)
    ]


def ints(rng: Random) -> Any:
    return [
        rng.getrandbits(rng.choice((7, 8, 15, 16, 30, 31, 40, 63, 90))) * rng.choice((1, 1, -1))
        for _ in range(10_000)
    ]


def floats(rng: Random) -> Any:
    return [rng.uniform(-1e6, 1e6) for _ in range(10_000)]


def nested(rng: Random) -> Any:
    made: Any = text(rng)
    for level in range(500):
        made = [made] if level % 2 else {"k": made}
    return made


def shared(rng: Random) -> Any:
    parts = [{"id": n, "name": text(rng)} for n in range(100)]
    return [[rng.choice(parts) for _ in range(10)] for _ in range(1000)]


def moments(rng: Random) -> Any:
    return [
        EPOCH + timedelta(seconds=rng.randrange(10**8), microseconds=rng.randrange(10**6))
        for _ in range(5000)
    ]


def aware_moments(rng: Random) -> Any:
    return [moment.replace(tzinfo=timezone.utc) for moment in moments(rng)]


def decimals(rng: Random) -> Any:
    return [Decimal(rng.randrange(10**7)).scaleb(-2) for _ in range(5000)]


def uuids(rng: Random) -> Any:
    return [uuid.UUID(int=rng.getrandbits(128)) for _ in range(5000)]


def values(rng: Random) -> Any:
    made = (
        *moments(rng)[:1250],
        *decimals(rng)[:1250],
        *uuids(rng)[:1250],
        *(date(2000 + n % 50, 1 + n % 12, 1 + n % 28) for n in range(1250)),
    )
    return rng.sample(made, len(made))


def sets(rng: Random) -> Any:
    return [
        (
            {rng.randrange(10**6) for _ in range(8)},
            frozenset(text(rng, 4) for _ in range(4)),
            (n, text(rng), None),
        )
        for n in range(1000)
    ]


def blobs(rng: Random) -> Any:
    return [rng.randbytes(rng.choice((10, 200, 5000, 20_000))) for _ in range(200)]


def int_keys(rng: Random) -> Any:
    return {rng.randrange(10**9): n for n in range(5000)}


@dataclass(frozen=True)
class Workload:
    key: str
    title: str
    make: Callable[[Random], Any]
    count: int = 1  # distinct payloads, rotated

    def values(self, most: int = POOL, *, seed: str = "") -> list[Any]:
        """The same ones in every run; others with another seed."""
        rng = Random(seed + self.key)
        return [self.make(rng) for _ in range(min(most, self.count))]


WORKLOADS = (
    Workload("a", "small session", small_session, POOL),
    Workload("b", "e-commerce session", shop_session, POOL),
    Workload("c", "1000 products", products, 8),
    Workload("d", "strings, mixed", strings),
    Workload("e", "ints, mixed widths", ints),
    Workload("f", "floats", floats),
    Workload("g", "500 levels", nested),
    Workload("h", "shared references", shared),
    Workload("i", "dates, Decimals, UUIDs", values),
    Workload("i1", "naive datetimes", moments),
    Workload("i2", "Decimals", decimals),
    Workload("i3", "UUIDs", uuids),
    Workload("i4", "aware datetimes", aware_moments),
    Workload("j", "sets, tuples", sets),
    Workload("k", "blobs", blobs),
    Workload("l", "5000 int keys", int_keys),
)
MEAN = tuple("abcdefghijk")  # what the geometric mean is over; i1 to i4 are parts of i


def plain(value: Any, *, text_only: bool) -> Any:
    """The nearest equivalent for a format without Python's types; sharing is lost.

    Decimals, dates and UUIDs become text, and so do integers over 63 bits. With `text_only` sets
    and tuples become lists and keys text; bytes raise TypeError, since JSON has none.
    """
    if isinstance(value, dict):
        key = str if text_only else plain_key
        return {key(k): plain(v, text_only=text_only) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = (plain(item, text_only=text_only) for item in value)
        return list(items) if text_only or isinstance(value, list) else type(value)(items)
    if isinstance(value, int) and value.bit_length() > 63:
        return str(value)
    if isinstance(value, bytes) and text_only:
        raise TypeError("JSON has no bytes")
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    return str(value)


def plain_key(key: Any) -> Any:
    return plain(key, text_only=False)
