"""The suites in here run by themselves, each in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import version

import pytest

from tests.upstream.suites import CACHELIB, Ran, run_pytest, sdist


@pytest.fixture(scope="session", autouse=True)
def cachelib(request: pytest.FixtureRequest) -> Iterator[dict[tuple[str, str | None], Future[Ran]]]:
    """Cachelib's tests sleep most of the time: while the others run."""
    if not any(each.name.startswith("test_cachelib") for each in request.session.items):
        yield {}
        return
    folder = sdist("cachelib", version("cachelib"))
    with ThreadPoolExecutor(2 * len(CACHELIB)) as pool:
        yield {
            (file, put): pool.submit(run_pytest, folder, [f"tests/{file}.py"], put)
            for put in (None, "cachelib")
            for file in CACHELIB
        }
