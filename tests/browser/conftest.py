"""The browser: Debian's Chromium, without a window."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from tests import servers
from tests.browser.visitor import Visitor
from tests.libraries.canary import Canary

OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=900,660",
    "--hide-scrollbars",
)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        servers.missing(
            "no chromium and chromedriver; `make test` installs them on Debian, as root"
        )
    browser, driver = programs
    options = webdriver.ChromeOptions()
    options.binary_location = browser or ""
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(option)
    running = webdriver.Chrome(options, Service(driver))
    running.set_page_load_timeout(30)
    try:
        yield running
    finally:
        running.quit()


@pytest.fixture
def visitor(chromium: webdriver.Chrome) -> Visitor:
    """Somebody who was never here."""
    chromium.execute_cdp_cmd("Network.clearBrowserCookies", {})
    kept = os.environ.get("SCREENSHOTS")
    return Visitor(chromium, Path(kept) if kept else None)


@pytest.fixture
def canary(tmp_path: Path) -> Canary:
    return Canary(tmp_path)
