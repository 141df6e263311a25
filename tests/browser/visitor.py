"""What a visitor does in a shop, and a shop in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.wait import WebDriverWait

from tests.servers import ending_with_us

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Visitor:
    """A browser with the cookies of one visitor."""

    browser: WebDriver
    screenshots: Path | None

    def opens(self, address: str) -> None:
        self.browser.get(address)

    def clicks(self, name: str) -> None:
        """Clicks what leads to another page, and waits for that."""
        before = self.browser.find_element(By.TAG_NAME, "html")
        self.browser.find_element(By.ID, name).click()
        WebDriverWait(self.browser, 30).until(staleness_of(before))

    def writes(self, **fields: str) -> None:
        for name, text in fields.items():
            self.browser.find_element(By.NAME, name).send_keys(text)

    def has_a_cookie(self, name: str, value: str) -> None:
        """Puts a cookie into the browser, for the shop whose page is open."""
        self.browser.delete_cookie(name)
        self.browser.add_cookie({"name": name, "value": value})

    def reads(self, name: str) -> str:
        """The text of one element; empty if it is not there."""
        return " ".join(each.text for each in self.browser.find_elements(By.ID, name))

    def page(self) -> str:
        return self.browser.find_element(By.TAG_NAME, "body").text

    def keeps_a_picture(self, name: str) -> None:
        """For the docs, if pictures are wanted."""
        if self.screenshots:
            self.screenshots.mkdir(parents=True, exist_ok=True)
            assert self.browser.save_screenshot(str(self.screenshots / f"{name}.png"))


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
