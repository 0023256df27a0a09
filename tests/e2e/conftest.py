import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from tests.integration.api.people import PASSWORD, user_of
from tests.integration.api.scenario import Scenario
from tests.integration.api.serving import Server
from tests.quick_passwords import quick_passwords as quick_passwords

from tradepulse.api.pages import BUILD_COMMAND, STATIC
from tradepulse.domain.users import Role

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
LAUNCH_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_path() -> str:
    found = next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail(
            "These tests need Chromium. Install it: apt-get install chromium (or brew install --cask chromium)."
        )
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not (STATIC / "index.html").is_file():
        pytest.fail(f"These tests need the built dashboard. Build it: {BUILD_COMMAND}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=LAUNCH_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(Scenario())
    server.scenario.hall.mode = "paper"
    server.start()
    yield server
    server.stop()


class Console:
    """What the page complained about."""

    def __init__(self, page: Page) -> None:
        self.complaints: list[str] = []
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1500, "height": 1000}, timezone_id="America/New_York")
    sign_in(context, server)
    page = context.new_page()
    page.set_default_timeout(15_000)
    yield page
    context.close()


def sign_in(context: BrowserContext, server: Server, role: Role = Role.TRADER) -> None:
    """As somebody who has logged in before: the browser holds the cookie and knows that it does."""
    body = {"name": user_of(role).name, "password": PASSWORD}
    assert context.request.post(f"{server.address}/api/auth/login", data=body).ok
    context.add_init_script("localStorage.setItem('tradepulse.known', 'yes')")


@pytest.fixture
def console(page: Page) -> Console:
    return Console(page)
