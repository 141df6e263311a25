"""Times safe_loads against pickle.loads and against the RestrictedUnpickler recipe, in pairs.

    python benches/loads.py [--protocols 0,2,4,5] [--workloads a,b] [--rounds 40] [--json FILE]

Prints ratios; the exit status never depends on time. How to read it: README.md beside this file.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import pickle
import platform
import sys
import sysconfig
import time
import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Callable

import plainpickle

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.differential.isomorphism import difference

if TYPE_CHECKING:
    from collections.abc import Sequence

Loads = Callable[[bytes], Any]
POOL = 256  # distinct sessions: one payload again and again flatters every cache
BATCH_SECONDS = 0.004  # at least, for one timed batch
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

ALLOWED = {
    ("collections", "OrderedDict"),
    ("datetime", "datetime"),
    ("datetime", "date"),
    ("datetime", "timedelta"),
    ("datetime", "timezone"),
    ("decimal", "Decimal"),
    ("uuid", "UUID"),
    ("uuid", "SafeUUID"),
    ("builtins", "set"),
    ("builtins", "frozenset"),
    ("__builtin__", "set"),
    ("__builtin__", "frozenset"),
    ("builtins", "object"),
    ("__builtin__", "object"),
    ("_codecs", "encode"),
    ("copy_reg", "_reconstructor"),
}


class RestrictedUnpickler(pickle.Unpickler):
    """The recipe of Python's manual, with the names that these workloads need."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in ALLOWED:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"global '{module}.{name}' is forbidden")


def restricted_loads(data: bytes) -> Any:
    return RestrictedUnpickler(io.BytesIO(data)).load()


SUBJECTS: dict[str, Loads] = {
    "pickle": pickle.loads,
    "ours": plainpickle.safe_loads,
    "recipe": restricted_loads,
}


def batch(loads: Loads, payloads: Sequence[bytes], repeats: int) -> float:
    """Seconds for one load and free of a payload, over all payloads `repeats` times."""
    start = time.perf_counter()
    for _ in range(repeats):
        for data in payloads:
            loads(data)
    return (time.perf_counter() - start) / (repeats * len(payloads))


def quantile(sample: Sequence[float], share: float) -> float:
    return sorted(sample)[min(int(share * len(sample)), len(sample) - 1)]


@dataclass(frozen=True)
class Row:
    """One line of the table. Ratios are per round; above 1 means that ours is faster."""

    workload: Workload
    protocol: int
    size: int  # bytes of a payload, on average
    seconds: dict[str, list[float]]  # per subject, one number a round

    def microseconds(self, name: str) -> float:
        return quantile(self.seconds[name], 0.25) * 1e6

    def ratio(self, name: str, share: float = 0.5) -> float:
        pairs = zip(self.seconds[name], self.seconds["ours"])
        return quantile([other / ours for other, ours in pairs], share)

    def __str__(self) -> str:
        times = "".join(f"{self.microseconds(name):12.2f}" for name in SUBJECTS)
        spread = f"({self.ratio('pickle', 0.1):.2f}-{self.ratio('pickle', 0.9):.2f})"
        return (
            f"{self.workload.key:3}{self.workload.title:23}{self.protocol:6}{self.size:9}{times}"
            f"{self.ratio('pickle'):12.2f} {spread:11}{self.ratio('recipe'):12.2f}"
        )

    def facts(self) -> dict[str, Any]:
        return {
            "workload": self.workload.title,
            "protocol": self.protocol,
            "bytes": self.size,
            "microseconds": {name: self.microseconds(name) for name in SUBJECTS},
            "ratios": {name: self.ratio(name) for name in SUBJECTS},
        }


HEADER = (
    f"{'workload':26}{'proto':>6}{'bytes':>9}"
    + "".join(f"{name + ' us':>12}" for name in SUBJECTS)
    + f"{'pickle/ours':>12} {'(p10-p90)':11}{'recipe/ours':>12}"
)


def measure(workload: Workload, protocol: int, rounds: int) -> Row:
    rng = Random(workload.key)
    payloads = [pickle.dumps(workload.make(rng), protocol) for _ in range(workload.count)]
    for data in payloads:
        for name, loads in SUBJECTS.items():
            differs = difference(pickle.loads(data), loads(data))
            if differs:
                sys.exit(f"{workload.title}, protocol {protocol}, {name}: {differs}")
    once = batch(pickle.loads, payloads, 1) * len(payloads)
    repeats = max(1, round(BATCH_SECONDS / once))
    order = list(SUBJECTS)
    seconds: dict[str, list[float]] = {name: [] for name in SUBJECTS}
    for turn in range(rounds):
        order.append(order.pop(0))
        if turn % len(order) == 0:
            order.reverse()  # so that each follows each
        for name in order:
            seconds[name].append(batch(SUBJECTS[name], payloads, repeats))
    return Row(workload, protocol, sum(map(len, payloads)) // len(payloads), seconds)


def build_facts() -> str:
    options = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    pgo, lto = (
        "yes" if f"--{flag}" in options else "not stated"
        for flag in ("enable-optimizations", "with-lto")
    )
    return f"CPython {platform.python_version()}, PGO {pgo}, LTO {lto}, {platform.machine()}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--protocols", default="4", help="comma-separated, default 4")
    parser.add_argument(
        "--workloads",
        default="",
        help=f"comma-separated, default all of {','.join(w.key for w in WORKLOADS)}",
    )
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args(arguments)
    sys.setrecursionlimit(10_000)  # for pickle.dumps of 500 levels
    chosen = [
        w for w in WORKLOADS if not options.workloads or w.key in options.workloads.split(",")
    ]
    print(f"{build_facts()}; plainpickle {plainpickle.__version__}, limits on; load and free")
    print("python benches/loads.py", *(sys.argv[1:] if arguments is None else arguments))
    print(HEADER)
    rows = []
    for workload in chosen:
        for protocol in map(int, options.protocols.split(",")):
            rows.append(measure(workload, protocol, options.rounds))
            print(rows[-1], flush=True)
    worst = min(rows, key=lambda row: row.ratio("pickle"))
    mean = math.exp(math.fsum(math.log(row.ratio("pickle")) for row in rows) / len(rows))
    print(
        f"geometric mean {mean:.2f}, worst {worst.ratio('pickle'):.2f} ({worst.workload.title}, ",
        end="",
    )
    print(f"protocol {worst.protocol})")
    if options.json:
        facts = {"build": build_facts(), "rows": [row.facts() for row in rows]}
        options.json.write_text(json.dumps(facts, indent=1), "utf-8")


if __name__ == "__main__":
    main()
