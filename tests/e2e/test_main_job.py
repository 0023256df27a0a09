"""The main job as a new user meets it: one command, a page, trades on it; Ctrl-C; and once more."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
from playwright.sync_api import Browser, expect
from tests.e2e.conftest import Console
from tests.free_port import free_port

SECONDS_TO_START = 120
SECONDS_TO_TRADE = 120


@contextmanager
def _main_job(home: Path) -> Iterator[str]:
    address = f"http://127.0.0.1:{free_port()}"
    with (home / "up.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tradepulse", "up", "--port", address.rsplit(":", 1)[1]],
            env={"HOME": str(home), "PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            _await_health(address, process)
            yield address
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0, (home / "up.log").read_text()
        finally:
            process.kill()
            process.wait()


def _await_health(address: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{address}/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.3)
    raise AssertionError(f"not serving after {SECONDS_TO_START} s")


def _trades(address: str) -> list[dict[str, object]]:
    items: list[dict[str, object]] = httpx.get(f"{address}/api/trades/history").json()["items"]
    return items


def _left_over(home: Path) -> list[str]:
    lines = (" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"]))
    return [line for line in lines if str(home) in line]


def test_up_trades_on_paper_shows_it_ends_cleanly_and_goes_on(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 1500, "height": 1000})
    console = Console(page)
    with _main_job(tmp_path) as address:
        page.goto(address)
        expect(page.get_by_test_id("mode")).to_have_text("PAPER")
        expect(page.get_by_test_id("simulated")).to_have_text("SIMULATED")
        expect(page.get_by_test_id("connection")).to_contain_text("Live", timeout=20_000)
        expect(page.get_by_test_id("precision")).to_contain_text(
            re.compile(r"n = [1-9]"), timeout=SECONDS_TO_TRADE * 1000
        )
        # In its first seconds a fresh program has no book to tell of, and the browser notes the 404.
        assert [text for text in console.complaints if "404" not in text] == []
        before = _trades(address)
        # Away from the page first: that the program goes is not a fault of the page.
        page.goto("about:blank")
    assert _left_over(tmp_path) == []

    with _main_job(tmp_path) as address:
        after = _trades(address)
        known = {trade["trade_id"] for trade in before}
        assert [trade for trade in after if trade["trade_id"] in known] == before
    assert _left_over(tmp_path) == []
    page.close()
