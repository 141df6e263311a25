"""Reads the hostile texts at full size, each in a child with a small stack and little memory.

Run as `python -m tests.session_format.confined`; writes one JSON object of failures by name.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Any

import plainpickle
from plainpickle.session import SessionSerializer
from tests.attacks import confined
from tests.attacks.canary import watching
from tests.attacks.check import assert_message, attempt, warm_up
from tests.session_format.golden_files import golden
from tests.session_format.hostile import HOSTILE, Hostile

SESSIONS = SessionSerializer(format="json", on_forbidden="raise")


def read_and_write(hostile: Hostile, folder: Path) -> None:
    """Reading takes time and memory linear in the text; then what was read is written, and freed.

    The time is that of the best of up to ten runs.
    """
    text = hostile.text(hostile.large)
    allowed = confined.TIME_SLACK * (confined.TIME_FLOOR + confined.TIME_PER_MB * len(text) / 1e6)
    room = confined.MEMORY_FLOOR + confined.MEMORY_PER_BYTE * len(text) + confined.MEMORY_SLACK
    base, best = confined.peak_bytes(), float("inf")
    with watching(folder):
        for _ in range(10):
            result = attempt(lambda: SESSIONS.loads(text))
            best = min(best, result.seconds)
            if best <= allowed:
                break
    assert best <= allowed, f"{best:.3f} s for {len(text)} bytes"
    grown = confined.peak_bytes() - base
    assert grown <= room, f"{grown >> 20} MiB for {len(text)} bytes"
    if hostile.limit is not None:
        assert isinstance(result.error, plainpickle.LimitExceeded), repr(result.error)
        assert result.error.limit == hostile.limit, result.error.limit
    if result.error is not None:
        assert_message(result.error)
    else:
        write(result.value)


def write(value: Any) -> None:
    """Writes what was read; as text it may be longer than it was, and then too long."""
    with contextlib.suppress(plainpickle.UnreadableValue):
        SESSIONS.dumps(value)


def in_little_room(hostile: Any, folder: Path) -> None:
    """On a small stack, with 1 GiB of address space more than is in use."""
    import resource

    used = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + confined.ADDRESS_SPACE,) * 2)
    failures: list[str] = []

    def body() -> None:
        try:
            read_and_write(hostile, folder)
        except BaseException:
            failures.append(traceback.format_exc(limit=-3))

    threading.stack_size(confined.STACK_BYTES)
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert not failures, failures[0]


def main(only: str = "") -> None:
    """Runs all texts whose name holds `only`; prints the failures."""
    logging.getLogger("plainpickle.security").addHandler(logging.NullHandler())
    warm_up()
    for each in golden():  # loads zones and whatever the standard library loads lazily
        attempt(lambda each=each: SESSIONS.dumps([SESSIONS.loads(each.text)]))  # type: ignore[misc]
    for broken in (b"{", b'{" x":1}', b'{" zone":"x"}', b"[" * 2000, b'{" decimal":"1e999999"}'):
        attempt(lambda broken=broken: SESSIONS.loads(broken))  # type: ignore[misc]
    gc.freeze()
    failures = {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for hostile in HOSTILE:
            if only in hostile.name:
                failure = confined.run(hostile, in_little_room, Path(folder).resolve())  # type: ignore[arg-type]
                if failure:
                    failures[hostile.name] = failure
        os.chdir("/")
    json.dump(failures, sys.stdout, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
