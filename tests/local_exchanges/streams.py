"""Websocket connections of a local exchange, and what can go wrong on them."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

OnText = Callable[["Connection", str], Awaitable[None]]


@dataclass
class StreamFaults:
    """Of events on channels that match ``channel``. Answers to requests and heartbeats are not events."""

    channel: str = ""
    silent: bool = False
    """Events are lost while heartbeats go on."""
    duplicated: bool = False
    swapped: bool = False
    """Every second event overtakes the one before it."""
    delay: float = 0.0
    deaf: bool = False
    """Half-open: not even a ping is answered, on any channel."""
    refusing: bool = False
    """New connections are refused with 503."""
    lose_next: int = 0


@dataclass(eq=False)
class Connection:
    """``wanted``: what this client has subscribed to, in the exchange's own words."""

    hub: "StreamHub"
    socket: web.WebSocketResponse
    path: str
    account: str | None = None
    wanted: dict[str, Any] = field(default_factory=dict)
    outbox: asyncio.Queue[tuple[float, str]] = field(default_factory=asyncio.Queue)
    held: str | None = None

    def answer(self, message: Any) -> None:
        self.outbox.put_nowait((0.0, message if isinstance(message, str) else json.dumps(message)))

    def tell(self, channel: str, message: Any) -> None:
        """An event, which the script may lose, repeat, delay or move."""
        faults, text = self.hub.faults, json.dumps(message)
        if re.search(faults.channel, channel) is None:
            self.outbox.put_nowait((0.0, text))
        elif self._loses(faults):
            self.hub.lost += 1
        else:
            for each in self._ordered(text, swapped=faults.swapped):
                for _ in range(2 if faults.duplicated else 1):
                    self.outbox.put_nowait((faults.delay, each))

    def _loses(self, faults: StreamFaults) -> bool:
        if faults.lose_next > 0:
            faults.lose_next -= 1
            return True
        return faults.silent

    def _ordered(self, message: str, *, swapped: bool) -> list[str]:
        held, self.held = self.held, None
        if held is not None:
            return [message, held]
        if swapped:
            self.held = message
            return []
        return [message]


@dataclass
class StreamHub:
    faults: StreamFaults = field(default_factory=StreamFaults)
    connections: list[Connection] = field(default_factory=list)
    lost: int = 0
    opened: int = 0

    async def serve(self, request: web.Request, on_text: OnText, *, greet: OnText | None = None) -> web.StreamResponse:
        if self.faults.refusing:
            return web.Response(status=503, text="no more connections")
        socket = web.WebSocketResponse(autoping=False, timeout=0.1)
        await socket.prepare(request)
        connection = Connection(self, socket, request.path)
        self.connections.append(connection)
        self.opened += 1
        sender = asyncio.create_task(self._send(connection))
        try:
            if greet is not None:
                await greet(connection, "")
            await self._listen(connection, on_text)
        finally:
            sender.cancel()
            if connection in self.connections:
                self.connections.remove(connection)
        return socket

    async def _listen(self, connection: Connection, on_text: OnText) -> None:
        async for message in connection.socket:
            if self.faults.deaf:
                continue
            if message.type is WSMsgType.PING:
                await connection.socket.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                await on_text(connection, message.data)

    async def _send(self, connection: Connection) -> None:
        while True:
            delay, text = await connection.outbox.get()
            if delay:
                await asyncio.sleep(delay)
            if not self.faults.deaf and not connection.socket.closed:
                await connection.socket.send_str(text)

    async def close(self, code: int = WSCloseCode.GOING_AWAY, path: str = "") -> int:
        """Close connections whose path matches, with this code."""
        closed = [each for each in self.connections if re.search(path, each.path)]
        for connection in closed:
            self.connections.remove(connection)
            await connection.socket.close(code=code)
        return len(closed)

    def cut(self, path: str = "") -> int:
        """The connections break without a word."""
        broken = [each for each in self.connections if re.search(path, each.path)]
        for connection in broken:
            self.connections.remove(connection)
            request = connection.socket._req
            if request is not None and request.transport is not None:
                request.transport.abort()
        return len(broken)
