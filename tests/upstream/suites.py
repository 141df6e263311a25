"""Runs a suite in a process of its own, and compares how its tests ended."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import servers

ROOT = Path(__file__).parents[2]
CACHELIB = tuple(f"test_{each}_cache" for each in ("file_system", "memcached", "redis", "valkey"))
"""The files of its tests of caches that plainpickle has a part in, and that have a server here."""

EXCLUDED = json.loads(Path(__file__).with_name("excluded.json").read_text("utf-8"))


@dataclass(frozen=True)
class Ran:
    """How each test ended, and how often plainpickle was asked to read or write."""

    tests: dict[str, tuple[str, str]]
    """By the test's name: ``passed``, ``failed``, ``skipped`` or ``xfailed``; and the failure."""
    asked: int

    @property
    def passed(self) -> int:
        return sum(how == "passed" for how, _ in self.tests.values())


def sdist(name: str, version: str) -> Path:
    """The folder of an unpacked source distribution, which has the suite in it."""
    folder = Path(sys.prefix, "upstream", f"{name}-{version}")
    if not folder.exists():
        servers.missing(f"no source distribution of {name} {version}; `make test` fetches it")
    return folder


def run(command: list[str], folder: Path, in_place: dict[str, Any], **environment: str) -> Ran:
    """Runs a suite; `in_place` tells the suite's process what to put in place."""
    # Suites leave files in the temporary folder, and cachelib deletes what it finds there.
    with tempfile.TemporaryDirectory(prefix="plainpickle-") as own:
        outcomes = Path(own, "outcomes.json")
        temporary = Path(own, "tmp")
        temporary.mkdir()
        paths = [environment.pop("IN_FRONT", ""), os.environ.get("PYTHONPATH", ""), str(ROOT)]
        ran = subprocess.run(
            command,
            cwd=folder,
            env={
                **os.environ,
                **environment,
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                "TMPDIR": str(temporary),
                "IN_PLACE": json.dumps(in_place),
                "OUTCOMES": str(outcomes),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=180,
        )
        if not outcomes.exists():
            pytest.fail(ran.stdout, pytrace=False)
        return Ran(**json.loads(outcomes.read_text("utf-8")))


def run_pytest(folder: Path, files: list[str], put: str | None = None) -> Ran:
    """Runs files of a suite with servers of their own; `put` names a function of `in_place`."""
    plugins = ["-p", "tests.upstream.in_place", "-p", "no:cacheprovider"]
    with servers.redis() as redis, servers.memcached() as memcached:
        return run(
            [sys.executable, "-m", "pytest", "-q", *plugins, *files],
            folder,
            {"put": put},
            REDIS_SOCKET=redis,
            MEMCACHED_SOCKET=memcached,
            CI="true",  # for cachelib: the servers are there
        )


def at_once(*runs: Callable[[], Ran]) -> list[Ran]:
    """The results of functions, each in a thread: a suite keeps one core busy, or sleeps."""
    with ThreadPoolExecutor(len(runs)) as pool:
        return [each.result() for each in [pool.submit(run) for run in runs]]


def compare(suite: str, as_it_is: Ran, in_place: Ran) -> None:
    """Each test has to end with plainpickle in place as without, or as it is listed."""
    assert as_it_is.passed > 5, as_it_is.tests
    assert as_it_is.asked == 0
    assert in_place.asked > 0
    listed = {row["test"]: row for row in EXCLUDED if row["suite"] == suite}
    unknown = sorted(listed.keys() - as_it_is.tests.keys())
    faults = [f"there is no {test}, but excluded.json lists it" for test in unknown]
    for test in sorted(as_it_is.tests.keys() | in_place.tests.keys()):
        before, _ = as_it_is.tests.get(test, ("not there", ""))
        after, text = in_place.tests.get(test, ("not there", ""))
        row = listed.get(test)
        if row is None:
            if after != before:
                faults.append(f"{test} {before} without, {after} with plainpickle: {text}")
        elif after == before:
            faults.append(f"{test} {after} with plainpickle, too, but excluded.json lists it")
        elif re.search(row["failure"], text) is None:
            faults.append(f"{test} fails for another reason than listed: {text}")
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)
