"""Two programs serve one database: who logs in at one is known at the other, and gone there too."""

import json
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
import pytest
from tests.free_port import free_port
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

PATIENCE = 120


@contextmanager
def serving(home: Path, database_url: str) -> Iterator[tuple[str, Path]]:
    """Its address, and what it said."""
    port = free_port()
    said = home / f"{port}.log"
    with said.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tradepulse", "api", "--port", str(port)],
            env={
                "HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
                "DATABASE_URL": database_url, "TRADEPULSE__LOGGING__FORMAT": "json",
            },
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + PATIENCE
        while "TradePulse IQ runs at" not in said.read_text():
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < deadline, "not serving in time"
            time.sleep(0.1)
        yield f"127.0.0.1:{port}", said
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, said.read_text()
    finally:
        process.kill()
        process.wait()


def listen_on(socket: ClientConnection) -> None:
    """Until it is closed, or silent."""
    while True:
        socket.recv(10)


def test_session_of_one_process_is_known_at_the_other_and_ends_there_too(tmp_path: Path, database_url: str) -> None:
    with serving(tmp_path, database_url) as (one, said), serving(tmp_path, database_url) as (other, said_last):
        link = re.search(r"/set-up#(\S+)", said_last.read_text())
        assert link is not None
        body = {"token": link[1], "name": "Ada", "password": "four random words"}
        with httpx.Client(base_url=f"http://{one}", timeout=30) as client:
            told = client.post("/api/auth/set-up", json=body).raise_for_status().json()
            bearer = {"Authorization": f"Bearer {told['access_token']}", "X-Request-Id": "trace-me"}
            me = httpx.get(f"http://{other}/api/auth/me", headers=bearer, timeout=30)
            assert me.json()["user"]["name"] == "Ada"
            assert httpx.get(f"http://{other}/health/ready", timeout=30).json()["ready"] is True
            ticket = client.post("/api/auth/live-ticket", headers=bearer).raise_for_status().json()["ticket"]
            with connect(f"ws://{other}/api/live") as socket:
                socket.send(json.dumps({"ticket": ticket, "subscribe": ["trades"], "after": None}))
                assert json.loads(socket.recv(20))["topic"] == "subscribed"
                client.post("/api/auth/logout", headers=bearer).raise_for_status()
                left = time.monotonic()
                with pytest.raises(ConnectionClosed):
                    listen_on(socket)
                assert time.monotonic() < left + 5
            assert httpx.get(f"http://{other}/api/auth/me", headers=bearer, timeout=30).status_code == 401
    assert not list(tmp_path.rglob("postgres"))
    lines = [json.loads(line) for line in said.read_text().splitlines() if line.startswith("{")]
    traced = [line for line in lines if line.get("request_id") == "trace-me"]
    assert {"/api/auth/live-ticket", "/api/auth/logout"} <= {line["path"] for line in traced}
    whole = said.read_text() + said_last.read_text()
    assert [secret for secret in (told["access_token"], ticket, body["password"]) if secret in whole] == []


def test_listening_for_other_machines_without_a_certificate_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tradepulse", "api", "--host", "192.0.2.1"],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "without encryption" in done.stderr
