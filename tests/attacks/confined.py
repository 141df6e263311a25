"""Runs the cases in forked children: measured, or with a small stack and little address space.

Run as `python -m tests.attacks.confined MODE`; writes one JSON object of failures by case.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from tests.attacks.canary import watching
from tests.attacks.check import attempt, check, warm_up, ways_in
from tests.attacks.families import CASES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.attacks.case import Case

# 256 KiB are promised; a quarter of that is for the caller, and for the next compiler's frames.
STACK_BYTES = 192 * 1024
ADDRESS_SPACE = 1 << 30
CPU_SECONDS = 30
TIME_FLOOR, TIME_PER_MB = 0.05, 0.2
# Other work on the machine slows down this process too, by its caches and its memory; most of all
# where CI runs. What is not linear takes many times as long.
TIME_SLACK = 4.0 if os.environ.get("CI") else 1.5
MEMORY_FLOOR, MEMORY_PER_BYTE = 64 << 20, 40
# Python and the allocator round up: a fork writes pages, an arena is 1 MiB, a list grows ahead.
MEMORY_SLACK = 8 << 20


def peak_bytes() -> int:
    """The most memory that this process has had resident."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measure(case: Case, folder: Path) -> None:
    """Each way in takes time and memory linear in the input, at its best of up to ten runs."""
    payload = case.payload(large=True)
    allowed = TIME_SLACK * (TIME_FLOOR + TIME_PER_MB * len(payload) / 1e6)
    room = MEMORY_FLOOR + MEMORY_PER_BYTE * len(payload) + MEMORY_SLACK
    base = peak_bytes()
    over = []

    def seconds(call: Callable[[], object]) -> float:
        with watching(folder, reads_zone=case.reads_zone):
            return attempt(call).seconds

    best = {}
    for name, call in ways_in(case, payload).items():
        best[name] = seconds(call)
        # Before anything is repeated: an allocator keeps more of ten runs than of one.
        grown = peak_bytes() - base
        if grown > room:
            over.append(f"{name} reached {grown >> 20} MiB")
    for name, call in ways_in(case, payload).items():
        for _ in range(9):
            if best[name] <= allowed:
                break
            best[name] = min(best[name], seconds(call))
        if best[name] > allowed:
            over.append(f"{name} took {best[name]:.3f} s")
    assert not over, f"{', '.join(over)} for {len(payload)} bytes"


def in_little_room(case: Case, folder: Path) -> None:
    """The same outcome on a small stack, with 1 GiB of address space more than is in use."""
    import resource

    used = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESS_SPACE,) * 2)
    failures: list[str] = []

    def body() -> None:
        try:
            check(case, folder, large=case.large is not None)
        except BaseException:
            failures.append(traceback.format_exc(limit=-3))

    threading.stack_size(STACK_BYTES)
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert not failures, failures[0]


MODES: dict[str, Callable[[Case, Path], None]] = {
    "measured": measure,
    "little-room": in_little_room,
}


def run(case: Case, mode: Callable[[Case, Path], None], folder: Path) -> str | None:
    """Runs one case in a forked child; the failure as text, or None."""
    import resource

    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        message = ""
        try:
            mode(case, folder)
        except BaseException as error:
            message = f"{type(error).__name__}: {error}"
        os.write(writer, message.encode("utf-8", "backslashreplace")[:4000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        message = pipe.read().decode("utf-8", "replace")
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    if os.WEXITSTATUS(status):
        return f"exit status {os.WEXITSTATUS(status)}"
    return message or None


def main(mode: str, only: str = "") -> None:
    """Runs all cases (`measured`: the size attacks) whose id holds `only`; prints the failures."""
    warm_up()
    gc.freeze()
    failures = {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for case in CASES:
            if only in case.full_id and (mode != "measured" or case.large is not None):
                failure = run(case, MODES[mode], Path(folder).resolve())
                if failure:
                    failures[case.full_id] = failure
        os.chdir("/")
    json.dump(failures, sys.stdout, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
