"""What a visitor does in a shop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

ARRIVED = "return !document.isLeft && document.readyState === 'complete'"


@dataclass(frozen=True)
class Visitor:
    """A browser with the cookies of one visitor."""

    browser: WebDriver
    screenshots: Path | None

    def opens(self, address: str) -> None:
        self.browser.get(address)

    def clicks(self, name: str) -> None:
        """Clicks what leads to another page, and waits for that."""
        self.browser.execute_script("document.isLeft = true")
        self.browser.find_element(By.ID, name).click()
        # While pages change, the driver may have none to ask.
        wait = WebDriverWait(self.browser, 30, ignored_exceptions=[WebDriverException])
        wait.until(lambda browser: browser.execute_script(ARRIVED))

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
