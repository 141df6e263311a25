"""Times safe_loads against pickle.loads, the RestrictedUnpickler recipe and others, in pairs.

    python -m benches.loads [--protocols 0,2,4,5] [--workloads a,b] [--rounds 40] [--json FILE]

Prints ratios; the exit status never depends on time. How to read it: README.md beside this file.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import marshal
import math
import pickle
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import plainpickle
from benches.timing import (
    Seconds,
    Subject,
    build_facts,
    header,
    interleaved,
    load_and_free,
    load_only,
    microseconds,
    ratios,
    repeats_for,
    second_core,
    spread,
)
from benches.workloads import MEAN, WORKLOADS, Workload, plain
from tests.differential.isomorphism import difference

if TYPE_CHECKING:
    from collections.abc import Sequence

Loads = Callable[[Any], Any]

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
# For them a protocol means nothing; they run beside this one.
NEIGHBOURS_AT = 4
LOAD_ONLY = ("a", "b", "c")


def optional(name: str) -> Any:
    """A package of requirements/bench.txt, or the crate in floor/; None if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def neighbours(payloads: Sequence[bytes]) -> dict[str, tuple[Loads, Sequence[Any]]]:
    """What else could hold the same data: a decoder and its payloads, for each that can."""
    values = [pickle.loads(data) for data in payloads]
    found: dict[str, tuple[Loads, Sequence[Any]]] = {}
    plains = [plain(value, text_only=False) for value in values]
    found["marshal"] = marshal.loads, [marshal.dumps(value) for value in plains]
    msgpack, orjson, floor = map(optional, ("msgspec.msgpack", "orjson", "plainpickle_floor"))
    if msgpack:
        found["msgspec"] = msgpack.decode, [msgpack.encode(value) for value in plains]
    try:
        texts = [json.dumps(plain(value, text_only=True)).encode() for value in values]
    except TypeError:  # bytes
        texts = []
    if texts:
        found["json"] = json.loads, texts
        if orjson:
            found["orjson"] = orjson.loads, texts
    if floor:
        try:
            floor.serde_pickle_loads(payloads[0])
        except ValueError:  # it knows no REDUCE, and refuses shared containers
            pass
        else:
            found["serde-pickle"] = floor.serde_pickle_loads, payloads
    return found


def floor_of(payloads: Sequence[bytes]) -> dict[str, tuple[Loads, Sequence[Any]]]:
    """The same objects made from a prepared list: no parsing, no memo, no limits."""
    floor = optional("plainpickle_floor")
    if floor is None:
        return {}
    return {"tape": (floor.build, floor.tapes([pickle.loads(data) for data in payloads]))}


@dataclass(frozen=True)
class Row:
    """One workload at one protocol. Ratios are per round; above 1 means that ours is faster."""

    workload: Workload
    protocol: int
    size: int  # bytes of a payload, on average
    seconds: Seconds
    kept: Seconds = field(default_factory=dict)  # load only

    def ratio(self, name: str) -> list[float]:
        return ratios(self.seconds[name], self.seconds["ours"])

    def __str__(self) -> str:
        times = "".join(f"{microseconds(self.seconds[name]):11.2f}" for name in SUBJECTS)
        line = (
            f"{self.workload.key:3}{self.workload.title:23}{self.protocol:6}{self.size:9}{times}"
            f"  {spread(self.ratio('pickle')):18}{self.ratio('recipe')[1]:11.2f}"
        )
        if "tape" in self.seconds:
            line += f"{1 / self.ratio('tape')[1]:10.2f}"
        return line

    def neighbours(self) -> str:
        names = [name for name in self.seconds if name not in SUBJECTS]
        each = (f"{name} {self.ratio(name)[1]:.2f}" for name in names)
        return f"{self.workload.key:3}{self.workload.title:23}" + ", ".join(each)

    def load_only(self) -> str:
        others = {name: ratios(each, self.kept["ours"]) for name, each in self.kept.items()}
        del others["ours"]
        line = f"{self.workload.key:3}{self.workload.title:23}{self.protocol:6}  "
        return line + ", ".join(f"{name} {spread(ratio)}" for name, ratio in others.items())

    def facts(self) -> dict[str, Any]:
        return {
            "key": self.workload.key,
            "workload": self.workload.title,
            "protocol": self.protocol,
            "bytes": self.size,
            "microseconds": {name: microseconds(each) for name, each in self.seconds.items()},
            "ratios": {name: self.ratio(name) for name in self.seconds},
            "load_only": {n: ratios(each, self.kept["ours"]) for n, each in self.kept.items()},
        }


HEADER = (
    f"{'workload':26}{'proto':>6}{'bytes':>9}"
    + "".join(f"{name + ' us':>11}" for name in SUBJECTS)
    + f"  {'pickle/ours':18}{'recipe/ours':>11}{'ours/tape':>10}"
)


def measure(workload: Workload, protocol: int, rounds: int) -> Row:
    payloads = [pickle.dumps(value, protocol) for value in workload.values()]
    for data in payloads:
        for name, loads in SUBJECTS.items():
            differs = difference(pickle.loads(data), loads(data))
            if differs:
                sys.exit(f"{workload.title}, protocol {protocol}, {name}: {differs}")
    against: dict[str, tuple[Loads, Sequence[Any]]] = {
        **{name: (loads, payloads) for name, loads in SUBJECTS.items()},
        **floor_of(payloads),
    }
    if "tape" in against:
        build, tapes = against["tape"]
        for data, tape in zip(payloads, tapes):
            differs = difference(pickle.loads(data), build(tape))
            if differs:
                sys.exit(f"{workload.title}, protocol {protocol}, tape: {differs}")
    if protocol == NEIGHBOURS_AT:
        against.update(neighbours(payloads))
    repeats = repeats_for(pickle.loads, payloads)
    subjects: dict[str, Subject] = {
        name: load_and_free(loads, data, repeats) for name, (loads, data) in against.items()
    }
    seconds = interleaved(subjects, rounds)
    kept: Seconds = {}
    if workload.key in LOAD_ONLY:
        subjects = {name: load_only(loads, payloads, repeats) for name, loads in SUBJECTS.items()}
        kept = interleaved(subjects, rounds)
    return Row(workload, protocol, sum(map(len, payloads)) // len(payloads), seconds, kept)


def summary(rows: Sequence[Row]) -> str:
    """The geometric mean of each protocol, and the worst cell."""
    lines = []
    for protocol in sorted({row.protocol for row in rows}):
        among = [r for r in rows if r.protocol == protocol and r.workload.key in MEAN]
        if len(among) == len(MEAN):
            logs = [math.log(row.ratio("pickle")[1]) for row in among]
            mean = math.exp(math.fsum(logs) / len(logs))
            lines.append(f"protocol {protocol}: mean of {MEAN[0]} to {MEAN[-1]} {mean:.2f}")
    worst = min(rows, key=lambda row: row.ratio("pickle")[1])
    ratio = spread(worst.ratio("pickle"))
    lines.append(f"worst: {ratio} {worst.workload.title}, protocol {worst.protocol}")
    return "\n".join(lines)


def main() -> None:
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
    parser.add_argument(
        "--control", action="store_true", help="before and after, test that both cores are free"
    )
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    sys.setrecursionlimit(10_000)  # for pickle.dumps of 500 levels
    chosen = [
        w for w in WORKLOADS if not options.workloads or w.key in options.workloads.split(",")
    ]
    build = build_facts()
    print(header(build))
    control = [second_core()] if options.control else []
    print(HEADER)
    rows = []
    for workload in chosen:
        for protocol in map(int, options.protocols.split(",")):
            rows.append(measure(workload, protocol, options.rounds))
            print(rows[-1], flush=True)
    print("\nLoad only: time of the other, in ours")
    for row in rows:
        if row.kept:
            print(row.load_only())
    print("\nNeighbours on plain data, load and free: time of the other, in ours")
    for row in rows:
        if row.protocol == NEIGHBOURS_AT:
            print(row.neighbours())
    print(f"\n{summary(rows)}")
    if options.control:
        control.append(second_core())
        print("control, two processes: {:.2f} before, {:.2f} after".format(*control))
    if options.json:
        facts = {"build": build, "control": control, "rows": [row.facts() for row in rows]}
        options.json.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
