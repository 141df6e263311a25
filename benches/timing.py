"""How time is measured: subjects take turns in one process; what counts is the ratio in a round."""

from __future__ import annotations

import multiprocessing
import os
import platform
import sys
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import plainpickle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Subject = Callable[[], float]  # does its work once, and gives the seconds for one unit of it
Seconds = dict[str, list[float]]  # per subject, one number a round

BATCH_SECONDS = 0.004  # at least, for one timed batch


def load_and_free(loads: Callable[[Any], Any], payloads: Sequence[Any], repeats: int) -> Subject:
    """The seconds of one call, its result freed at once."""

    def subject() -> float:
        start = time.perf_counter()
        for _ in range(repeats):
            for data in payloads:
                loads(data)
        return (time.perf_counter() - start) / (repeats * len(payloads))

    return subject


def load_only(loads: Callable[[Any], Any], payloads: Sequence[Any], repeats: int) -> Subject:
    """The seconds of one call; results are freed after the clock has stopped."""

    def subject() -> float:
        spent = 0.0
        for _ in range(repeats):
            start = time.perf_counter()
            kept = [loads(data) for data in payloads]
            spent += time.perf_counter() - start
            del kept
        return spent / (repeats * len(payloads))

    return subject


def repeats_for(call: Callable[[Any], Any], payloads: Sequence[Any]) -> int:
    """How often a batch goes through all payloads, so that it takes long enough for the clock."""
    once = load_and_free(call, payloads, 1)
    once()
    return max(1, round(BATCH_SECONDS / (once() * len(payloads))))


def interleaved(subjects: Mapping[str, Subject], rounds: int) -> Seconds:
    """All subjects take turns, in an order that rotates, so that a noisy neighbour hits all."""
    order = list(subjects)
    seconds: Seconds = {name: [] for name in subjects}
    for turn in range(rounds):
        order.append(order.pop(0))
        if turn % len(order) == 0:
            order.reverse()  # so that each follows each
        for name in order:
            seconds[name].append(subjects[name]())
    return seconds


def quantile(sample: Iterable[float], share: float) -> float:
    ordered = sorted(sample)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def microseconds(seconds: Sequence[float]) -> float:
    return quantile(seconds, 0.25) * 1e6


def ratios(others: Sequence[float], ours: Sequence[float]) -> list[float]:
    """10th percentile, median and 90th of how much longer the others took, round by round."""
    pairs = [other / mine for other, mine in zip(others, ours)]
    return [quantile(pairs, share) for share in (0.1, 0.5, 0.9)]


def spread(ratio: Sequence[float]) -> str:
    return f"{ratio[1]:.2f} ({ratio[0]:.2f}-{ratio[2]:.2f})"


def _rate(_: object) -> float:
    """Rounds of plain byte code a second."""
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < 0.4:
        sum(range(10_000))
        done += 1
    return done / (time.perf_counter() - start)


def second_core() -> float:
    """What two busy processes get done together, against one alone: 2 if both have a core.

    Below 1.8 a neighbour has taken one, and figures of two threads say nothing.
    """
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(_rate, range(2), chunksize=1)  # both are up
        one = pool.apply(_rate, (None,))
        return sum(pool.map(_rate, range(2), chunksize=1)) / one


def build_facts() -> dict[str, Any]:
    """The interpreter that all figures belong to; those of another build can't be compared."""
    options = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    # Debian builds with both, by rules of its own.
    if sys.base_prefix == "/usr" and Path("/etc/debian_version").exists():
        options += " --enable-optimizations --with-lto"
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "pgo": "--enable-optimizations" in options,
        "lto": "--with-lto" in options,
        "cpus": os.cpu_count(),
        "plainpickle": plainpickle.__version__,
        # The Makefile says so, by the variable that also tells maturin.
        "profiled": bool(os.environ.get("MATURIN_PGO")),
    }


def build_name(facts: Mapping[str, Any]) -> str:
    return f"cpython-{facts['python']}-{facts['machine']}" + ("-pgo" if facts["pgo"] else "")


def header(facts: Mapping[str, Any]) -> str:
    pgo, lto = ("yes" if facts[flag] else "not stated" for flag in ("pgo", "lto"))
    return (
        f"CPython {facts['python']}, PGO {pgo}, LTO {lto}, {facts['machine']}, "
        f"{facts['cpus']} CPUs; plainpickle {facts['plainpickle']}"
        f"{', as released' if facts['profiled'] else ''}, limits on\n"
        f"python -m {' '.join([_module(), *sys.argv[1:]])}"
    )


def _module() -> str:
    spec = sys.modules["__main__"].__spec__
    return spec.name if spec else sys.argv[0]
