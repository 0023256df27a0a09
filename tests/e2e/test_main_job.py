"""The main job as a new user meets it: one command, a page, trades on it; Ctrl-C; and once more."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
from playwright.sync_api import Browser, expect
from tests.e2e.conftest import Console
from tests.free_port import free_port

SECONDS_TO_START = 120
SECONDS_TO_TRADE = 120
SECONDS_TO_TRAIN = 180


# A short history and few parameter sets: what training finds is not looked at here.
QUICK_TRAINING = {"TRADEPULSE__SIMULATED__HISTORY_DAYS": "5", "TRADEPULSE__TRAINING__POINTS": "64"}
DEFAULTS_TOO = {"TRADEPULSE__TRADING__PAPER_TRADE_DEFAULTS": "true"}


NAME, PASSWORD = "Ada", "four random words"


@contextmanager
def _main_job(home: Path, settings: Mapping[str, str]) -> Iterator[str]:
    address = f"http://127.0.0.1:{free_port()}"
    with (home / "up.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tradepulse", "up", "--port", address.rsplit(":", 1)[1]],
            env={
                "HOME": str(home),
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
                **QUICK_TRAINING,
                **settings,
            },
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


def _set_up_link(home: Path) -> str:
    """As a person reads it on the terminal; it is printed as soon as the server answers."""
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        found = re.search(r"http://\S+/set-up#\S+", (home / "up.log").read_text())
        if found is not None:
            return found[0]
        time.sleep(0.1)
    raise AssertionError((home / "up.log").read_text())


@contextmanager
def _logged_in(address: str) -> Iterator[httpx.Client]:
    """With a key for scripts, since an access token would not last for so long."""
    with httpx.Client(base_url=address, timeout=30) as client:
        told = client.post("/api/auth/login", json={"name": NAME, "password": PASSWORD}).raise_for_status().json()
        client.headers["Authorization"] = f"Bearer {told['access_token']}"
        named = {"name": f"test {time.monotonic_ns()}", "scopes": ["read"]}
        key = client.post("/api/auth/keys", json=named).raise_for_status().json()["key"]
        client.headers["Authorization"] = f"Bearer {key}"
        yield client


def _trades(client: httpx.Client) -> list[dict[str, object]]:
    items: list[dict[str, object]] = client.get("/api/trades/history").json()["items"]
    return items


def _trading(client: httpx.Client) -> dict[str, object]:
    trading: dict[str, object] = client.get("/api/system/status").json()["trading"]
    return trading


def _await_phase(client: httpx.Client, phase: str) -> dict[str, object]:
    deadline = time.monotonic() + SECONDS_TO_TRAIN
    while time.monotonic() < deadline:
        trading = _trading(client)
        if trading["phase"] == phase:
            return trading
        time.sleep(0.5)
    raise AssertionError(f"not {phase} after {SECONDS_TO_TRAIN} s, but {trading}")


def _left_over(home: Path) -> list[str]:
    lines = (" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"]))
    return [line for line in lines if str(home) in line]


def test_up_trades_on_paper_shows_it_ends_cleanly_and_goes_on(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 1500, "height": 1000})
    console = Console(page)
    with _main_job(tmp_path, DEFAULTS_TOO) as address:
        page.goto(_set_up_link(tmp_path))
        page.get_by_label("Name").fill(NAME)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Make this user and log in").click()
        expect(page.get_by_test_id("user")).to_contain_text("Ada (admin)")
        expect(page).to_have_url(f"{address}/first-steps")
        expect(page.get_by_test_id("mode")).to_have_text("PAPER")
        expect(page.get_by_test_id("simulated")).to_have_text("SIMULATED")
        expect(page.get_by_test_id("connection")).to_contain_text("Connected", timeout=20_000)
        expect(page.get_by_test_id("trading")).to_contain_text(
            re.compile("REFUSED BY THE GATE|UNTESTED"), timeout=SECONDS_TO_TRAIN * 1000
        )
        page.get_by_role("link", name="Journal").click()
        expect(page.get_by_test_id("precision")).to_contain_text(
            re.compile(r"n = [1-9]"), timeout=SECONDS_TO_TRADE * 1000
        )
        # In its first seconds a fresh program has no book to tell of, and the browser notes the 404.
        assert [text for text in console.complaints if "404" not in text] == []
        with _logged_in(address) as client:
            before = _trades(client)
        assert {trade["default_parameters"] for trade in before} == {True}
        expect(page.get_by_test_id("defaults").first).to_be_visible()
        # Away from the page first: that the program goes is not a fault of the page.
        page.goto("about:blank")
    assert _left_over(tmp_path) == []

    with _main_job(tmp_path, DEFAULTS_TOO) as address:
        with _logged_in(address) as client:
            after = _trades(client)
        known = {trade["trade_id"] for trade in before}
        assert [trade for trade in after if trade["trade_id"] in known] == before
    assert _left_over(tmp_path) == []
    page.close()


def test_up_when_nothing_passes_the_gate_then_it_says_why_trades_nothing_and_does_not_train_again(
    tmp_path: Path,
) -> None:
    with _main_job(tmp_path, {}) as address:
        token = _set_up_link(tmp_path).partition("#")[2]
        body = {"token": token, "name": NAME, "password": PASSWORD}
        assert httpx.post(f"{address}/api/auth/set-up", json=body, timeout=30).is_success
        with _logged_in(address) as client:
            trading = _await_phase(client, "nothing to trade")
            assert trading["reasons"]
            assert (trading["configurations"], trading["untested"]) == (0, False)
            begun = client.get("/api/system/status").json()["heartbeat"]
            deadline = time.monotonic() + SECONDS_TO_TRADE
            # The market goes on, and nothing is even looked for.
            while client.get("/api/system/status").json()["heartbeat"] == begun:
                assert time.monotonic() < deadline, "the market stands still"
                time.sleep(1)
            assert _trades(client) == []
            assert client.get("/api/patterns/setups").json()["items"] == []
    told = (tmp_path / "up.log").read_text()
    assert "Training: " in told
    assert PASSWORD not in told
    assert "Nothing is traded: no configuration passed the gate. Most frequent reasons: " in told

    with _main_job(tmp_path, {}) as address, _logged_in(address) as client:
        assert _await_phase(client, "nothing to trade") == trading
    assert "Training" not in (tmp_path / "up.log").read_text()[len(told) :]
