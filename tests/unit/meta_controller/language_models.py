"""A small server of this machine that speaks chat completions, and answers as a test wants it to: well, late, never."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr

from tradepulse.meta_controller.language_model import Endpoint, LanguageModel, Limits

Behaviour = Callable[[dict[str, Any], asyncio.StreamWriter], Awaitable[None]]


def completion(content: str | None, tokens: int = 700, calls: list[dict[str, Any]] | None = None) -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if calls is not None:
        message["tool_calls"] = calls
    return json.dumps({"choices": [{"message": message}], "usage": {"total_tokens": tokens}}).encode()


def tool_call(name: str, arguments: str = "{}") -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}


def http(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{more}"
    return f"{head}Connection: close\r\n\r\n".encode() + body


class Server:
    """``heard``: the requests' bodies, with their key under ``authorization``."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.heard: list[dict[str, Any]] = []
        self.port = 0
        self._at_work = set[asyncio.Task[None]]()
        self._writers: list[asyncio.StreamWriter] = []

    async def stop(self) -> None:
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        task = asyncio.create_task(self._serve(reader, writer))
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            body = json.loads(await reader.readexactly(int(fields["content-length"])))
            self.heard.append(body | {"authorization": fields.get("authorization", ""), "path": head.split(" ")[1]})
            await self.behaviour(body, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    def model(self, **limits: Any) -> LanguageModel:
        endpoint = Endpoint(f"http://127.0.0.1:{self.port}/v1", "small", SecretStr("k" * 20))
        return LanguageModel(endpoint, limits=Limits(**limits))


@asynccontextmanager
async def serving(behaviour: Behaviour) -> AsyncIterator[Server]:
    server = Server(behaviour)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await server.stop()
        await listening.wait_closed()


def says(*bodies: bytes) -> Behaviour:
    """One after the other, the last one for ever."""
    left = list(bodies)

    async def behave(_: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        writer.write(http(left.pop(0) if len(left) > 1 else left[0]))

    return behave


def writes(raw: bytes) -> Behaviour:
    async def behave(_: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        writer.write(raw)

    return behave


async def never(_: dict[str, Any], __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def slowly(_: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    """A byte now and then, so that no single read is late."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)
