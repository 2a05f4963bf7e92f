"""A real browser, without a screen: Debian's Chromium, driven through selenium and its developer tools.

There is one for each process of tests.  Everything a page does is watched: what it writes to the console, and every
request it makes.  Selenium waits in the calling thread, so the server under test has a process of its own.
"""

from __future__ import annotations

import atexit
import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from unittest import SkipTest
from urllib.parse import urlsplit

import attrs
from selenium import webdriver
from selenium.common.exceptions import JavascriptException, NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from tests.harness import PATIENCE

CHROMIUM = "/usr/bin/chromium"
DRIVER = "/usr/bin/chromedriver"

_AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"

#: What axe-core calls bad enough to keep somebody out.
_GRAVE = frozenset({"serious", "critical"})

#: Somebody's name, which leads to this machine by now.
REBOUND = "rebound.example"

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--no-proxy-server",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--lang=en-US",
    f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1",
)

WIDE = (1280, 800)
NARROW = (390, 844)

_T = TypeVar("_T")


@attrs.frozen
class Exchange:
    """One request of a page.

    @ivar status: of the answer; 0 when there was none (yet).
    @ivar octets: of the answer as it came over the wire, headers and all.
    """

    url: str
    method: str
    status: int
    octets: int


class Browser:
    """The browser.

    @ivar driver: selenium's.
    @ivar exchanges: what pages asked for since the last L{fresh}, by the browser's number of the request.
    @ivar complaints: what pages wrote to the console since then, but for debug and info.
    """

    def __init__(self) -> None:
        self._profile = tempfile.mkdtemp(prefix="sftpgo-test-browser-")
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*_FLAGS, f"--user-data-dir={self._profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        options.set_capability("timeouts", {"pageLoad": PATIENCE * 1000, "script": PATIENCE * 1000})
        # Given where it is, selenium looks for nothing and downloads nothing.
        service = webdriver.ChromeService(
            executable_path=DRIVER,
            log_output=subprocess.DEVNULL,
            env={**os.environ, "HOME": self._profile, "SE_AVOID_STATS": "true", "SE_OFFLINE": "true"},
        )
        self.driver = webdriver.Chrome(options=options, service=service)
        self.exchanges: dict[str, Exchange] = {}
        self.complaints: list[str] = []
        self.fresh()

    def close(self) -> None:
        """End it and remove what it left."""
        with suppress(Exception):
            self.driver.quit()
        shutil.rmtree(self._profile, ignore_errors=True)

    def fresh(self) -> None:
        """As somebody who has never been here: no cookie, nothing stored, wide, light, with scripts; nothing seen."""
        self.driver.switch_to.default_content()
        self.command("Emulation.setScriptExecutionDisabled", value=False)
        self.driver.get("about:blank")
        self.command("Network.enable")
        self.command("Network.clearBrowserCookies")
        self.command("Network.clearBrowserCache")
        for origin in {_origin(exchange.url) for exchange in self.exchanges.values()}:
            self.command("Storage.clearDataForOrigin", origin=origin, storageTypes="all")
        self.size(*WIDE)
        self.scheme("light")
        self.look()
        self.exchanges.clear()
        self.complaints.clear()

    # How it is set.

    def command(self, name: str, **parameters: Any) -> Any:
        """One command of the developer tools."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def size(self, width: int, height: int) -> None:
        """The window's, in CSS pixels; below 500 as a telephone."""
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )

    def scheme(self, name: str) -> None:
        """What the system prefers: C{light} or C{dark}.  Nothing moves that need not."""
        features = [
            {"name": "prefers-color-scheme", "value": name},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.command("Emulation.setEmulatedMedia", features=features)

    @contextmanager
    def without_scripts(self) -> Iterator[None]:
        """With JavaScript turned off."""
        self.command("Emulation.setScriptExecutionDisabled", value=True)
        try:
            yield
        finally:
            self.command("Emulation.setScriptExecutionDisabled", value=False)

    # What one does with it.

    def find(self, selector: str) -> WebElement:
        """The first element of a CSS selector, once there is one."""
        return self.wait(lambda: self._first(selector), f"no {selector}")

    def all(self, selector: str) -> list[WebElement]:
        """All elements of a CSS selector, as it is now."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str = "body") -> str:
        """What can be read in an element."""
        return self.find(selector).text

    def click(self, selector: str) -> None:
        """Click as a person does: what covers the element gets the click."""
        element = self.find(selector)
        self.script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    def fill(self, selector: str, value: str) -> None:
        """Type into a field, over what stood there."""
        element = self.find(selector)
        element.clear()
        element.send_keys(value)

    def check(self, element_id: str, wanted: bool) -> None:
        """Tick a box, or clear it."""
        box = self.find(f'[id="{element_id}"]')
        if box.is_selected() != wanted:
            self.click(f'[id="{element_id}"]')

    def choose(self, selector: str, value: str) -> None:
        """Choose an option."""
        Select(self.find(selector)).select_by_value(value)

    def press(self, key: str) -> None:
        """Press a key, wherever the focus is."""
        ActionChains(self.driver).send_keys(key).perform()

    def focused(self) -> str:
        """What the element that has the focus says: its text, or its label."""
        return str(
            self.script(
                "const e = document.activeElement; return e.ariaLabel || e.labels?.[0]?.textContent || e.textContent"
            )
        )

    def press_until(self, text: str, key: str) -> None:
        """Press a key until the focus is on an element whose words begin so."""
        for _ in range(100):
            self.press(key)
            if " ".join(self.focused().split()).startswith(text):
                return
        raise AssertionError(f"no way to {text!r} with the keyboard")

    def offline(self, off: bool) -> None:
        """Take the network away, or give it back."""
        self.command(
            "Network.emulateNetworkConditions", offline=off, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )

    def script(self, text: str, *arguments: Any) -> Any:
        """Run a function's body in the page; gives what it returns."""
        return self.driver.execute_script(text, *arguments)

    def wait(self, look: Callable[[], _T | None], otherwise: str) -> _T:
        """Look until there is something; only what hangs fails."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            # A page that is being replaced has neither the element nor the world it was in.
            with suppress(StaleElementReferenceException, NoSuchElementException, JavascriptException):
                found = look()
                if found:
                    return found
            time.sleep(0.05)
        self.look()
        raise AssertionError(f"{otherwise}; at {self.driver.current_url}: {self.complaints}\n{self._page()}")

    def wait_for_text(self, text: str, selector: str = "body") -> None:
        """Wait until it can be read."""
        self.wait(lambda: text in self.text(selector), f"no {text!r} in {selector}")

    # What was seen.

    def look(self) -> None:
        """Collect what the logs hold."""
        for entry in self.driver.get_log("browser"):
            if entry["level"] not in ("DEBUG", "INFO"):
                self.complaints.append(entry["message"])
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            self._note(message["method"], message["params"])

    def _note(self, event: str, told: dict[str, Any]) -> None:
        number = told.get("requestId", "")
        known = self.exchanges.get(number)
        if event == "Network.requestWillBeSent":
            request = told["request"]
            if known is not None:  # a redirect goes on under the same number
                answer = told.get("redirectResponse", {})
                status, octets = int(answer.get("status", 0)), int(answer.get("encodedDataLength", 0))
                self.exchanges[f"{number}-{len(self.exchanges)}"] = attrs.evolve(known, status=status, octets=octets)
            self.exchanges[number] = Exchange(request["url"], request["method"], 0, 0)
        elif known is None:
            return
        elif event == "Network.responseReceived":
            self.exchanges[number] = attrs.evolve(known, status=int(told["response"]["status"]))
        elif event == "Network.loadingFinished":
            self.exchanges[number] = attrs.evolve(known, octets=int(told["encodedDataLength"]))
        elif event == "Network.webSocketCreated":
            self.exchanges[number] = Exchange(told["url"], "GET", 0, 0)

    def foreign(self, origin: str) -> list[str]:
        """The requests that went elsewhere; what stands in the page itself (C{data:}, C{blob:}) goes nowhere."""
        own = (origin + "/", "data:", "blob:", "about:")
        return [exchange.url for exchange in self.exchanges.values() if not exchange.url.startswith(own)]

    def weight(self) -> int:
        """Octets of all answers, as they came over the wire."""
        self.look()
        return sum(exchange.octets for exchange in self.exchanges.values())

    def first_paint(self) -> float:
        """Milliseconds from the navigation to the first contentful paint of this page."""
        entries = "performance.getEntriesByName('first-contentful-paint')"
        return float(self.wait(lambda: self.script(f"return {entries}.map(e => e.startTime)"), "nothing painted")[0])

    def findings(self, exclude: Sequence[str] = ()) -> list[str]:
        """What axe-core finds serious or critical in this page, one a line.

        @param exclude: CSS selectors of parts that are somebody else's.
        """
        # By way of the developer tools, which no Content-Security-Policy stops.
        self.script(_AXE.read_text() + "\n;")
        report = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run({exclude: arguments[0]}, {resultTypes: ['violations']})"
            ".then(r => done({violations: r.violations, passes: r.passes.length}), e => done({error: String(e)}))",
            [[selector] for selector in exclude],
        )
        if "error" in report:
            raise AssertionError(report["error"])
        self.rules_passed = int(report["passes"])
        if not self.rules_passed:
            raise AssertionError("axe-core has looked at nothing")
        return [
            f"{violation['impact']} {violation['id']}: {node['target']} {node['html'][:200]} {_why(node)}"
            for violation in report["violations"]
            if violation["impact"] in _GRAVE
            for node in violation["nodes"]
        ]

    def screenshot(self) -> bytes:
        """The whole page as PNG, in a window that is as high as that takes."""
        width, height = (int(self.script(f"return window.inner{side}")) for side in ("Width", "Height"))
        self.size(width, max(height, int(self.script("return document.documentElement.scrollHeight"))))
        taken = self.command("Page.captureScreenshot", format="png")
        self.size(width, height)
        return base64.b64decode(taken["data"])

    def _first(self, selector: str) -> WebElement | None:
        found = self.all(selector)
        return found[0] if found else None

    def _page(self) -> str:
        with suppress(Exception):
            return self.driver.page_source[:4000]
        return ""


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _why(node: dict[str, Any]) -> str:
    return " ".join(node.get("failureSummary", "").split())


_shared: list[Browser] = []


def shared_browser() -> Browser:
    """The browser of this process of tests, as somebody who has never been here."""
    missing = [program for program in (CHROMIUM, DRIVER) if shutil.which(program) is None]
    if missing:
        raise SkipTest(f"not installed: {', '.join(missing)}")
    if not _shared:
        browser = Browser()
        atexit.register(browser.close)
        _shared.append(browser)
    else:
        _shared[0].fresh()
    return _shared[0]
