"""What the service manager hears, and when it hears nothing any more."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tradepulse.bootstrap.heartbeat import LONGEST_SILENCE_SECONDS, Heartbeats
from tradepulse.cli.supervision import Supervisor
from tradepulse.shared.settings import service_manager


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "n"))
        channel.settimeout(2)
        yield channel


def heard(manager: socket.socket) -> list[str]:
    manager.setblocking(False)
    words: list[str] = []
    try:
        while True:
            words += manager.recv(4096).decode().split("\n")
    except BlockingIOError:
        return words


async def test_watchdog_when_something_stands_still_then_it_is_not_told_and_the_status_says_what(
    manager: socket.socket, tmp_path: Path
) -> None:
    supervisor, problem = Supervisor(str(tmp_path / "n"), 0.03), [""]
    async with supervisor.watching(lambda: problem[0]):
        supervisor.ready()
        await asyncio.sleep(0.03)
        assert {"READY=1", "WATCHDOG=1"} <= set(heard(manager))
        problem[0] = "main took nothing for 91 s"
        await asyncio.sleep(0.03)
        heard(manager)
        await asyncio.sleep(0.03)
        words = heard(manager)
        assert "STATUS=main took nothing for 91 s" in words
        assert "WATCHDOG=1" not in words
    assert heard(manager)[-1] == "STOPPING=1"


async def test_telling_when_nobody_supervises_or_the_socket_is_gone_then_nothing_happens(tmp_path: Path) -> None:
    for supervisor in (Supervisor(None, None), Supervisor(str(tmp_path / "gone"), 0.01)):
        async with supervisor.watching():
            supervisor.ready()
            await asyncio.sleep(0.02)


def test_settings_of_the_manager_when_they_are_another_process_s_then_its_watchdog_is_not_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "@systemd")
    monkeypatch.setenv("WATCHDOG_USEC", "180000000")
    assert service_manager() == ("@systemd", 180.0)
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert service_manager() == ("@systemd", None)


def test_heart_when_it_stops_then_the_book_is_named_and_one_between_two_lives_is_not_missed() -> None:
    now = [0.0]
    hearts = Heartbeats(lambda: now[0])
    hearts.beat("main")
    hearts.beat("second")
    now[0] = LONGEST_SILENCE_SECONDS
    assert hearts.problem() == ""
    hearts.ended("second")
    now[0] += 1
    assert hearts.problem() == "main took nothing for 91 s"
    hearts.beat("main")
    assert hearts.problem() == ""
