"""The shops in examples/, each in a process of its own, run as a reader runs them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers import ending_with_us

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Shop:
    """A shop that is being served."""

    address: str
    _log: Path

    def log(self) -> str:
        """What it has printed until now."""
        return self._log.read_text("utf-8")


@contextmanager
def serving(folder: Path, *arguments: str, **environment: str) -> Iterator[Shop]:
    """Serves an example as its reader does; at any free port."""
    command = [sys.executable, "-m", *arguments, "--port", "0"]
    log = folder / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            ending_with_us(command),
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Shop(_address(server, log), log)
    finally:
        server.kill()
        server.wait(10)


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < until:
        for word in log.read_text("utf-8").split():
            if word.startswith("http://"):
                return word
        time.sleep(0.05)
    raise RuntimeError(f"{server.args!r} does not serve: {log.read_text('utf-8')}")


def run(*arguments: str, **environment: str) -> str:
    """What an example prints that serves nothing."""
    ran = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return ran.stdout.decode()
