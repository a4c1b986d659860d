"""Headless Chromium looking at the production server."""

import contextlib
import dataclasses
import json
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from django.http import HttpResponse
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.ops_console.world import PASSWORD
from tests.support.api import Api
from tests.support.deployment import Deployment
from tests.support.http import Server

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_SECONDS = 60
GONE = "does not belong to the document"  # what Chrome says of an element while the page is being left


def missing() -> str:
    """Say what is not installed; empty when a browser can be started."""
    absent = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)} (Debian: chromium, chromium-driver)" if absent else ""


@dataclasses.dataclass
class Page:
    """A browser window on one deployment."""

    driver: webdriver.Chrome
    base_url: str

    def open(self, path: str) -> None:
        self.driver.get(self.base_url + path)

    def login(self, name: str, *, path: str = "/console") -> None:
        self.open(f"/login?next={path}")
        self.one("[name=username]").send_keys(name)
        self.one("[name=password]").send_keys(PASSWORD)
        self.one("main button[type=submit]").click()
        self.until(lambda: self.path == path)

    @property
    def path(self) -> str:
        return str(self.driver.current_url).removeprefix(self.base_url)

    @property
    def text(self) -> str:
        return self.one("body").text

    def one(self, selector: str) -> WebElement:
        """Find an element, waiting until it is there."""
        return self.until(lambda: next(iter(self.all(selector)), None))

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def until(self, look: Any) -> Any:
        from selenium.common.exceptions import StaleElementReferenceException, WebDriverException

        def once(_driver: Any) -> Any:
            try:
                return look()
            except StaleElementReferenceException:
                return None
            except WebDriverException as error:
                if GONE not in str(error.msg):
                    raise
                return None

        return WebDriverWait(self.driver, PATIENCE_SECONDS, poll_frequency=0.1).until(once)

    def press(self, keys: str) -> None:
        self.one("body").send_keys(keys)

    def shows(self, text: str) -> None:
        """Wait until the page shows a text."""
        self.until(lambda: text in self.text)

    def complaints(self) -> list[str]:
        """Give what the browser complained about: refused styles, scripts, missing files."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def emulate(self, *, scheme: str = "light", width: int = 1360, height: int = 900) -> None:
        """Look with a colour preference and a window size."""
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def without_scripts(self) -> None:
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})


@contextlib.contextmanager
def window(deployment: Deployment) -> Iterator[Page]:
    """Open a browser with a profile of its own."""
    with tempfile.TemporaryDirectory(prefix="settld-browser-", ignore_cleanup_errors=True) as profile:
        options = Options()
        options.binary_location = shutil.which("chromium") or ""
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            page = Page(driver, deployment.base_url)
            page.emulate()
            yield page
        finally:
            driver.quit()


class RemoteApi(Api):
    """The API of a deployment, spoken to as `Api` speaks to the test client."""

    def __init__(self, deployment: Deployment, tenant_id: str = "tenant_a") -> None:
        super().__init__(tenant_id=tenant_id, token=deployment.ops_token)
        self.server = Server(deployment.base_url)

    def call(self, method: str, path: str, data: Any = None, **options: Any) -> HttpResponse:
        sent = {"x-proxy-tenant-id": self.tenant_id, "x-proxy-ops-token": self.token}
        content = b"" if data is None else json.dumps(data).encode()
        if content:
            sent["content-type"] = "application/json"
        answer = self.server.send(
            method, path, content=content, headers=sent | (options.get("headers") or {})
        )
        return HttpResponse(answer.raw, status=answer.status)
