"""`make demo`: sessions that old software wrote, read as plain data, and an attack, refused."""

from __future__ import annotations

import json
import logging
import os
import pickle
import platform
import reprlib
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import plainpickle
from plainpickle.session import SessionSerializer

CORPUS = Path(__file__).parents[1] / "tests" / "corpus"
FRAMEWORKS = {"django": "Django", "flask": "Flask", "beaker": "Beaker", "bottle": "Bottle"}
JSON_TYPES = (dict, list, str, int, float, bool, type(None))
RCE = b"cos\nsystem\n(S'echo vulnerable_to_rce'\ntR."
RCE_IN_A_SESSION = pickle.dumps({"user": 5, "total": Decimal("19.99"), "cart": None}, 0).replace(
    b"\nNs", b"\n" + RCE[:-1] + b"s"
)
COLOURS = {"bold": 1, "dim": 2, "red": 31, "green": 32}

LOAD_WITH_PICKLE = """
import pickle, sys
pickle.loads(sys.stdin.buffer.read())
"""
LOAD_WITH_PLAINPICKLE = """
import logging, plainpickle, sys
logging.disable()
try:
    plainpickle.safe_loads(sys.stdin.buffer.read())
except plainpickle.UnpicklingError as error:
    print(f"{type(error).__name__}: {error}")
"""


@dataclass
class Row:
    """The sessions that one version of one framework wrote."""

    protocols: set[int] = field(default_factory=set)
    sessions: int = 0
    values: list[Any] = field(default_factory=list)


def main() -> None:
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    # The events go to a hook here, and not to the terminal.
    logging.getLogger("plainpickle.security").propagate = False
    logging.getLogger("plainpickle.security").addHandler(logging.NullHandler())
    rows, refused = read_corpus()
    title("1. Sessions that old software wrote, read as plain data; no framework is installed here")
    header = ("written by", "on", "protocol", "read", "types that JSON has not", "a glimpse")
    print_table([header, *(cells(*key, row) for key, row in sorted(rows.items()))])

    title("2. The others hold classes of an application: refused by default, and named")
    named = Counter(error.name for _, error in refused)
    print_table([("class", "sessions"), *((name, str(n)) for name, n in named.most_common())])
    print("\n  A name lets one in, as data; its class is never imported:")
    refused.sort(key=lambda pair: len(pair[0]))
    policy, value = next(filter(None, (admitted(data, error.name) for data, error in refused)))
    print(f"    safe_loads(data, policy=Policy(){policy})\n    -> {cut(plain_repr(value), 100)}")

    title(f"3. The attack: a session of {len(RCE)} bytes that names os.system")
    print(f"  {RCE!r}\n")
    print(f"  pickle.loads            {paint('red', run_on(LOAD_WITH_PICKLE))}")
    print(f"  plainpickle.safe_loads  {paint('green', run_on(LOAD_WITH_PLAINPICKLE))}")

    title("4. The attack inside a session: that key goes, the rest lives, and is written as JSON")
    stored = RCE_IN_A_SESSION
    print(f"  {stored!r}\n")
    session, event = salvaged(stored)
    print(f"  SessionSerializer().loads  {paint('green', plain_repr(session))}")
    print(f"  SessionSerializer().dumps  {SessionSerializer().dumps(session).decode()}")
    told = ", ".join(f"{name}={event[name]}" for name in ("reason", "global", "action", "key"))
    print(f"  on plainpickle.security    {paint('red', told)}\n")


def salvaged(stored: bytes) -> tuple[Any, dict[str, Any]]:
    """Return what is left of a session, and the event about what is not."""
    found: list[dict[str, Any]] = []
    unsubscribe = plainpickle.events.subscribe(found.append)
    session = SessionSerializer().loads(stored)
    unsubscribe()
    return session, found[0]


def read_corpus() -> tuple[
    dict[tuple[str, str], Row], list[tuple[bytes, plainpickle.ForbiddenGlobal]]
]:
    """Return a row for each framework and Python version, and the refused pickles."""
    rows: dict[tuple[str, str], Row] = {}
    refused = []
    for sample in json.loads((CORPUS / "MANIFEST.json").read_text("utf-8"))["samples"]:
        if "pickle" not in sample:
            continue
        software = sample["software"]
        name = next(name for name in FRAMEWORKS if name in software)
        key = f"{FRAMEWORKS[name]} {software[name]}", software["python"]
        row = rows.setdefault(key, Row())
        row.sessions += 1
        row.protocols.add(sample["protocol"])
        data = (CORPUS / sample["pickle"]).read_bytes()
        try:
            row.values.append(plainpickle.safe_loads(data))
        except plainpickle.ForbiddenGlobal as error:
            refused.append((data, error))
    return rows, refused


def cells(framework: str, python: str, row: Row) -> tuple[str, ...]:
    """Return what the first table says of one row."""
    kinds = [typed_values(value) for value in row.values]
    return (
        framework,
        f"Python {python.rpartition('.')[0]}",
        ", ".join(map(str, sorted(row.protocols))),
        f"{len(row.values)} of {row.sessions}",
        short_list(sorted(set().union(*kinds))),
        ", ".join(sorted(max(kinds, key=len, default={}).values(), key=len)),
    )


def admitted(data: bytes, name: str) -> tuple[str, Any] | None:
    """Return how naming one class reads a refused session, and its value; None if that fails."""
    try:
        policy = plainpickle.Policy().as_plain(name)
        return f".as_plain({name!r})", plainpickle.safe_loads(data, policy=policy)
    except (plainpickle.PolicyError, plainpickle.UnpicklingError):
        return None


def typed_values(value: Any) -> dict[str, str]:
    """Return the types in `value` that JSON has not, each with its key and one value."""
    leaves: dict[str, str] = {}
    containers: dict[str, str] = {}
    seen: set[int] = set()
    pending: list[tuple[str, Any]] = [("", value)]
    while pending:
        key, item = pending.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if type(item) not in JSON_TYPES:
            found = containers if isinstance(item, Collection) else leaves
            found.setdefault(type(item).__name__, f"{key}{plain_repr(item)}")
        if isinstance(item, dict):
            pending += [(f"{name}: ", entry) for name, entry in item.items()]
        elif isinstance(item, (list, tuple, set, frozenset)):
            pending += [(key, entry) for entry in item]
    return {**leaves, **containers}


def plain_repr(value: Any) -> str:
    short = reprlib.Repr()
    short.maxdict = short.maxother = short.maxstring = 60
    return short.repr(value).replace("datetime.d", "d").replace("datetime.t", "t")


def run_on(program: str) -> str:
    """Feed the attack to `program` in a throw-away process and return what came of it."""
    done = subprocess.run(
        [sys.executable, "-c", program], input=RCE, capture_output=True, check=False, timeout=60
    )
    said = (done.stdout or done.stderr).decode().strip()
    return f"ran a shell, which said: {said}" if said == "vulnerable_to_rce" else said


def title(text: str) -> None:
    print(f"\n{paint('bold', text)}\n")


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Print `rows` in columns under the first of them; the last column takes what is left."""
    widths = [max(map(len, column)) for column in zip(*rows)][:-1]
    room = max(30, shutil.get_terminal_size((120, 24)).columns - sum(widths) - 2 * len(widths) - 2)
    for number, row in enumerate(rows):
        padded = [cell.ljust(width) for cell, width in zip(row, widths)]
        line = "  ".join([*padded, cut(row[-1], room)])
        print("  " + (line if number else paint("dim", line)))


def short_list(names: list[str], width: int = 26) -> str:
    """Return as many of `names` as fit, and how many more there are."""
    shown = len(names)
    while len(", ".join(names[:shown])) > width:
        shown -= 1
    more = f" +{len(names) - shown}" if shown < len(names) else ""
    return ", ".join(names[:shown]) + more


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def paint(colour: str, text: str) -> str:
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m"


if __name__ == "__main__":
    print(f"plainpickle {plainpickle.__version__} on Python {platform.python_version()}")
    main()
