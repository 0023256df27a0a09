"""Every screen of the menu, dark and light, under axe: nothing serious, nothing critical."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.integration.api.serving import Server

AXE = Path(__file__).parents[2] / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
GRAVE = """async () => {
  const {violations} = await axe.run(document, {resultTypes: ["violations"]});
  const grave = violations.filter((one) => ["serious", "critical"].includes(one.impact));
  return grave.map((one) => `${one.id}: ${one.nodes.map((node) => node.target).join(", ")}`);
}"""


@pytest.fixture
def looked_at(page: Page, server: Server) -> Page:
    if not AXE.is_file():
        pytest.fail("This test needs axe-core. Install it: npm --prefix dashboard ci")
    page.goto(server.address)
    expect(page.get_by_test_id("connection")).to_contain_text("Connected")
    page.evaluate(AXE.read_text())
    return page


def grave_faults(page: Page, what: str) -> list[str]:
    expect(page.locator(".skeleton")).to_have_count(0)
    told = []
    for theme in ("dark", "light"):
        page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
        told += [f"{what}, {theme}: {fault}" for fault in page.evaluate(GRAVE)]
    return told


def test_screens_have_no_grave_fault(looked_at: Page) -> None:
    page = looked_at
    names = page.get_by_role("navigation").get_by_role("link").all_inner_texts()
    faults = []
    for name in names:
        page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading", level=1, name=name, exact=True)).to_be_visible()
        faults += grave_faults(page, name)
    page.get_by_role("link", name="Journal").click()
    page.get_by_test_id("trades").locator("tbody a").first.click()
    expect(page.get_by_test_id("story")).to_be_visible()
    assert faults + grave_faults(page, "a trade's story") == []
    assert "Overview" in names


def test_dialog_on_real_money_has_no_grave_fault(looked_at: Page, server: Server) -> None:
    server.scenario.hall.mode = "live"
    page = looked_at
    page.get_by_role("button", name="Stop…").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert grave_faults(page, "a dialog") == []
    page.reload()
    expect(page.get_by_test_id("mode")).to_have_text("LIVE")
    page.evaluate(AXE.read_text())
    assert grave_faults(page, "the header of a live book") == []
