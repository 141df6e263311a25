"""Counts machine instructions, whatever else the machine does, and holds them to stored figures.

    python -m benches.instructions [--update]

Runs itself under valgrind. The figures of each build of CPython are in instructions.json beside
this file; the exit status is 1 when one has moved by more than 3 % in either direction.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import pickle
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import plainpickle
from benches.workloads import WORKLOADS
from plainpickle import _core
from plainpickle.session import SessionSerializer

if TYPE_CHECKING:
    from collections.abc import Iterator

Case = tuple[str, Callable[[Any], Any], list[Any]]  # a name, a call, and what it is called with

ROOT = Path(__file__).parents[1]
STORED = Path(__file__).with_suffix(".json")
BUILD = f"cpython-{platform.python_version()}-{platform.machine()}"
TOLERANCE = 0.03
SESSIONS = 16  # distinct ones
ROUNDS = (2, 6)  # the difference is what counts, so that what a window costs itself cancels
# A system call that nothing else here makes: valgrind writes its counters down and starts anew
# each time that this function of the C library is entered.
BOUNDARY = "getppid"
LOADS = ("a0", "a2", "a4", "b0", "b2", "b4", "c2", "c4", "d4", "e4", "i14", "i34", "j4")


def cases() -> Iterator[Case]:
    made = {}
    for workload in WORKLOADS:
        if any(name[:-1] == workload.key for name in LOADS):
            made[workload.key] = workload.values(SESSIONS if workload.key in "ab" else 1)
    for name in LOADS:
        payloads = [pickle.dumps(value, int(name[-1])) for value in made[name[:-1]]]
        title = f"{name[:-1]}, protocol {name[-1]}"
        yield f"safe_loads {title}", plainpickle.safe_loads, payloads
        yield f"pickle.loads {title}", pickle.loads, payloads
    sessions = made["b"]
    payloads = [pickle.dumps(value, 4) for value in sessions]
    yield "inspect b, protocol 4", _core.inspect, payloads
    yield "to_json b, protocol 4", _core.to_json, payloads
    yield "dumps b, protocol 4", lambda value: plainpickle.dumps(value, 4), sessions
    yield "pickle.dumps b, protocol 4", lambda value: pickle.dumps(value, 4), sessions
    serializer = SessionSerializer()
    yield "session to JSON b", serializer.dumps, sessions
    yield "session from JSON b", serializer.loads, [serializer.dumps(each) for each in sessions]


def windows(names: Path) -> None:
    """What runs under valgrind: two windows for each case, and between them what does not count."""
    listed = []
    for name, call, payloads in cases():
        for rounds in ROUNDS:
            for data in payloads:  # caches are warm
                call(data)
            gc.collect()
            os.getppid()
            for _ in range(rounds):
                for data in payloads:
                    call(data)
            os.getppid()
        listed.append((name, len(payloads)))
    names.write_text(json.dumps(listed), "utf-8")


def counted(valgrind: str) -> dict[str, int]:
    """Instructions of one call, for each case."""
    with tempfile.TemporaryDirectory(prefix="plainpickle-") as folder:
        out, names = Path(folder, "callgrind"), Path(folder, "names")
        command = [
            *(valgrind, "--tool=callgrind", f"--callgrind-out-file={out}"),
            *(f"--dump-before={BOUNDARY}", "--dump-line=no"),
            *(sys.executable, "-s", "-m", "benches.instructions", "--windows", str(names)),
        ]
        # The same for everyone: an environment and a hash seed move objects, and so collisions.
        environment = {"PYTHONHASHSEED": "0", "PATH": os.defpath, "LC_ALL": "C.UTF-8"}
        ran = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        if ran.returncode:
            sys.exit(f"valgrind failed:\n{ran.stderr[-3000:]}")
        found = {}
        # Dump 1 ends where the first window starts; every other one from there on is a window.
        number = 2
        for name, calls in json.loads(names.read_text("utf-8")):
            few, many = (total(Path(f"{out}.{n}")) for n in (number, number + 2))
            found[name] = round((many - few) / ((ROUNDS[1] - ROUNDS[0]) * calls))
            number += 4
        return found


# The C library copies as its CPU likes best, and the more the less room a growing block finds.
# Both differ from machine to machine by more than what is looked for.
COPIES = re.compile(r"mem(cpy|move|set|cmp|chr)")
FUNCTION = re.compile(r"c?fn=\((\d+)\)(?: (.*))?")


def total(dump: Path) -> int:
    """What callgrind counted in one window, without the copying."""
    names: dict[str, str] = {}
    counts: Counter[str] = Counter()
    current, is_call = "", False
    for line in dump.read_text("utf-8").splitlines():
        named = FUNCTION.match(line)
        if named:  # fn= or cfn=: a name is written out where it is met first
            names.setdefault(named[1], named[2])
            current = current if line.startswith("c") else named[1]
        elif is_call:  # what a callee took is counted there
            is_call = False
        elif line.startswith("calls="):
            is_call = True
        elif current and re.match(r"[\d+*-]", line):
            counts[current] += int(line.split()[-1])
    if not counts:
        sys.exit(f"{dump.name} is empty: this valgrind does not stop at {BOUNDARY}")
    return sum(n for key, n in counts.items() if not COPIES.search(names[key]))


def compiler() -> str:
    return subprocess.run(
        ["rustc", "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()


def compared(figures: dict[str, int], stored: dict[str, int]) -> int:
    """Prints a line for each case; how many are not what was stored."""
    moved = 0
    for name, count in figures.items():
        if name.startswith("pickle."):
            continue
        line = f"{name:28}{count:12,}"
        theirs = figures.get(name.replace("safe_loads", "pickle.loads"), count)
        theirs = figures.get(f"pickle.{name}", theirs)
        line += f"{theirs / count:10.2f}" if theirs != count else " " * 10
        if name in stored:
            change = count / stored[name] - 1
            line += f"{change:+9.1%}"
            if abs(change) > TOLERANCE:
                moved += 1
                line += "  MOVED"
        elif stored:
            moved += 1
            line += "  NOT STORED"
        print(line)
    return moved + len(stored.keys() - figures.keys())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--update", action="store_true", help="store what was counted")
    parser.add_argument("--windows", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.windows:
        windows(options.windows)
        return 0
    valgrind = shutil.which("valgrind")
    if not valgrind:
        print("NOTHING WAS COUNTED: no valgrind; `make valgrind` installs it on Debian, as root")
        return 1 if os.environ.get("CI") else 0
    stored = json.loads(STORED.read_text("utf-8")) if STORED.exists() else {}
    known = stored.get(BUILD, {"compiler": compiler(), "instructions": {}})
    print(f"{BUILD}, {compiler()}; instructions of one call")
    print(f"{'':28}{'ours':>12}{'pickle':>10}{'change':>9}")
    figures = counted(valgrind)
    moved = compared(figures, {} if options.update else known["instructions"])
    if options.update:
        ours = {name: n for name, n in figures.items() if not name.startswith("pickle.")}
        stored[BUILD] = {"compiler": compiler(), "instructions": ours}
        STORED.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n", "utf-8")
        return 0
    if not known["instructions"]:
        print(f"NOTHING WAS COMPARED: {STORED.name} has no figures of {BUILD}")
        return 0
    if moved:
        print(f"{moved} moved by more than {TOLERANCE:.0%}, or are not the same cases.")
        print("What takes more is a regression, unless it has its reason; what takes less is to be")
        print("stored, so that it stays: make instructions ARGS=--update")
        if known["compiler"] != compiler():
            print(f"The stored figures are of another compiler: {known['compiler']}")
    return 1 if moved else 0


if __name__ == "__main__":
    sys.exit(main())
