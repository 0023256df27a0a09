"""Every screen, dark and light, under axe: nothing serious, nothing critical."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.integration.api.serving import Server

AXE = Path(__file__).parents[2] / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
SCREENS = ("/", "/trading", "/setups", "/journal", "/journal/trade-3", "/nowhere")
GRAVE = ("serious", "critical")


def _grave(page: Page) -> list[tuple[str, Any]]:
    if not AXE.is_file():
        pytest.fail("This test needs axe-core. Install it: npm --prefix dashboard ci")
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [(one["id"], [node["target"] for node in one["nodes"]]) for one in found if one["impact"] in GRAVE]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_screens_have_no_grave_fault(page: Page, server: Server, theme: str) -> None:
    page.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    found: dict[str, list[tuple[str, Any]]] = {}
    for path in SCREENS:
        page.goto(f"{server.address}{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_test_id("connection")).to_contain_text("Connected")
        expect(page.locator(".skeleton")).to_have_count(0)
        found[path] = _grave(page)
    assert not any(found.values()), found
