"""A real server on a free loopback port, in a thread of its own, that can be stopped and started again."""

import socket
import threading
import time
from pathlib import Path

import uvicorn
from tests.integration.api.people import add_everybody
from tests.integration.api.scenario import Scenario

from tradepulse.api.app import create_app
from tradepulse.api.pages import STATIC
from tradepulse.shared.settings import Settings


class Server:
    def __init__(self, scenario: Scenario, *, static: Path = STATIC, heartbeat_seconds: float = 0.5) -> None:
        self.scenario = scenario
        add_everybody(scenario.accounts)
        self._static, self._heartbeat_seconds = static, heartbeat_seconds
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        app = create_app(
            self.scenario.services,
            settings=Settings(),
            static=self._static,
            heartbeat_seconds=self._heartbeat_seconds,
        )
        config = uvicorn.Config(
            app,
            host="127.0.0.1",
            port=self.port,
            log_level="warning",
            timeout_graceful_shutdown=1,
            ws="websockets-sansio",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            assert self._thread.is_alive(), "the server ended before it had started"
            assert time.monotonic() < deadline, "the server did not start within 20 seconds"
            time.sleep(0.02)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive(), "the server did not stop within 20 seconds"
