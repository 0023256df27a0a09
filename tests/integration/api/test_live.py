import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from tests.integration.api.people import log_in, log_out, ticket_for
from tests.integration.api.scenario import BTC
from tests.integration.api.serving import Server
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tradepulse.api import live
from tradepulse.domain.users import Role
from tradepulse.shared.errors import TransientError


def address(server: Server) -> str:
    return f"ws://127.0.0.1:{server.port}/api/live"


@pytest.fixture
def vera(server: Server) -> Iterator[httpx.Client]:
    with log_in(server.address, Role.VIEWER) as client:
        yield client


@pytest.fixture
def tickets(vera: httpx.Client) -> Callable[[], str]:
    return lambda: ticket_for(vera)


async def subscribe(
    socket: ClientConnection, ticket: str, topics: list[str], after: int | None = None
) -> dict[str, Any]:
    await socket.send(json.dumps({"ticket": ticket, "subscribe": topics, "after": after}))
    return await heard(socket)


async def heard(socket: ClientConnection, *, heartbeats: bool = False) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 10))
        if heartbeats or message["topic"] != "heartbeat":
            return message


async def test_live_pushes_candles_without_and_events_with_their_sequence(
    server: Server, tickets: Callable[[], str]
) -> None:
    book = server.scenario.book
    async with connect(address(server)) as socket:
        greeting = await subscribe(socket, tickets(), ["candles", "trades"])
        assert greeting == {
            "topic": "subscribed",
            "sequence": book.events[-1]["sequence"],
            "data": {"topics": ["candles", "trades"]},
        }
        candle = book.close_candle(BTC, 98_000.0)
        pushed = await heard(socket)
        assert (pushed["topic"], pushed["sequence"], pushed["data"]["close"]) == ("candles", None, 98_000.0)
        book.close(server.scenario.position, 98_000.0, candle.open_time, "target")
        closed = await heard(socket)
        assert (closed["topic"], closed["data"]["kind"]) == ("trades", "position_closed")
        assert closed["data"]["payload"]["exit_reason"] == "target"


async def test_live_when_a_client_comes_back_then_it_gets_what_it_missed_once_and_in_order(
    server: Server, tickets: Callable[[], str]
) -> None:
    book = server.scenario.book
    first = book.log("RegimeChanged", 1, {"number": 0})
    for number in range(1, 6):
        book.log("RegimeChanged", number, {"number": number})
    async with connect(address(server)) as socket:
        await subscribe(socket, tickets(), ["regimes"], after=first)
        book.log("RegimeChanged", 6, {"number": 6})
        numbers = [(await heard(socket))["data"]["payload"]["number"] for _ in range(6)]
    assert numbers == [1, 2, 3, 4, 5, 6]


async def test_live_when_a_client_is_too_far_behind_then_it_is_told_to_read_anew(
    server: Server, tickets: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "REPLAY_LIMIT", 3)
    for number in range(8):
        server.scenario.book.log("RegimeChanged", number, {})
    async with connect(address(server)) as socket:
        await subscribe(socket, tickets(), ["regimes"], after=0)
        assert (await heard(socket))["topic"] == "reset"


async def test_live_heartbeat_carries_the_market_time(server: Server, tickets: Callable[[], str]) -> None:
    async with connect(address(server)) as socket:
        await subscribe(socket, tickets(), ["trades"])
        beat = await heard(socket, heartbeats=True)
    assert beat["topic"] == "heartbeat"
    assert beat["data"] == {"server_time": server.scenario.clock.now()}


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null"])
async def test_live_when_a_foreign_page_opens_it_then_refused(
    server: Server, tickets: Callable[[], str], origin: str
) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        await connect(address(server), origin=origin)  # type: ignore[arg-type]


async def test_live_when_the_host_was_rebound_then_refused(server: Server, tickets: Callable[[], str]) -> None:
    headers = {"Host": f"evil.example:{server.port}"}
    with pytest.raises(InvalidStatus):
        await connect(address(server), additional_headers=headers, origin=f"http://evil.example:{server.port}")  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["hello", '{"subscribe": []}', '{"subscribe": ["everything"]}', '{"after": -1}'])
async def test_live_when_the_subscription_is_wrong_then_told_why_and_closed(
    server: Server, tickets: Callable[[], str], text: str
) -> None:
    async with connect(address(server)) as socket:
        await socket.send(text)
        error = await heard(socket)
        assert error["topic"] == "error"
        assert "subscribe" in error["data"]["remedy"]
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


async def test_live_when_the_book_fails_then_logged_clients_see_it_and_following_starts_again(
    server: Server, tickets: Callable[[], str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "RETRY_SECONDS", 0.05)
    book = server.scenario.book
    with caplog.at_level(logging.WARNING, "tradepulse.api.live"):
        async with connect(address(server)) as socket:
            await subscribe(socket, tickets(), ["regimes"])
            book.fault = TransientError("The database went away.", "It is started again.")
            book.log("RegimeChanged", 1, {})
            with pytest.raises(ConnectionClosed) as closed:
                await heard(socket)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1011
    assert "The database went away." in caplog.text
    book.fault = None
    await asyncio.sleep(0.3)
    async with connect(address(server)) as socket:
        greeting = await subscribe(socket, tickets(), ["regimes"], after=book.events[-2]["sequence"])
        assert greeting["topic"] == "subscribed"
        assert (await heard(socket))["data"]["kind"] == "regime_changed"


async def refused(socket: ClientConnection, request: dict[str, Any]) -> str:
    await socket.send(json.dumps(request))
    error = await heard(socket)
    assert error["topic"] == "error"
    with pytest.raises(ConnectionClosed) as closed:
        await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    return str(error["data"]["problem"])


async def test_live_when_the_ticket_is_used_again_expired_or_made_up_then_refused(
    server: Server, tickets: Callable[[], str]
) -> None:
    used, late = tickets(), tickets()
    async with connect(address(server)) as socket:
        assert (await subscribe(socket, used, ["trades"]))["topic"] == "subscribed"
    server.scenario.clock.advance_to(server.scenario.clock.now() + 30_000)
    for ticket in (used, late, "made up"):
        async with connect(address(server)) as socket:
            problem = await refused(socket, {"ticket": ticket, "subscribe": ["trades"], "after": None})
            assert "ticket is not good" in problem
            assert ticket not in problem


async def test_live_when_there_are_too_many_connections_then_the_next_is_sent_away(
    server: Server, tickets: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MOST_CONNECTIONS", 1)
    async with connect(address(server)), connect(address(server)) as second:
        with pytest.raises(ConnectionClosed) as closed:
            await second.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1013
    await asyncio.sleep(0.2)
    async with connect(address(server)) as socket:
        assert (await subscribe(socket, tickets(), ["trades"]))["topic"] == "subscribed"


async def test_live_when_the_watcher_logs_out_then_closed_within_seconds(
    server: Server, vera: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with log_in(server.address, Role.TRADER) as tom:
        async with connect(address(server)) as leaving, connect(address(server)) as staying:
            await subscribe(leaving, ticket_for(vera), ["trades"])
            await subscribe(staying, ticket_for(tom), ["trades"])
            log_out(vera)
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(heard(leaving), 5)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
            server.scenario.book.log("PositionClosed", 1, {})
            assert (await heard(staying))["topic"] == "trades"
