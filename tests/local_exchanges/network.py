"""A private internet: TLS servers on loopback, a certificate authority of their own, and no way to anywhere else."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

import aiohttp
import trustme
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler


class Served(Protocol):
    """A host and what answers there."""

    @property
    def host(self) -> str: ...

    def application(self) -> web.Application: ...


class LoopbackResolver(AbstractResolver):
    """Knows the hosts of the local exchanges; every other name raises, so that no test can reach the internet."""

    def __init__(self, ports: dict[str, int]) -> None:
        self._ports = ports

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host not in self._ports:
            raise AssertionError(f"a test tried to reach {host}")
        return [
            ResolveResult(
                hostname=host,
                host="127.0.0.1",
                port=self._ports[host],
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        pass


class PatientConnector(aiohttp.TCPConnector):
    """Its closing waits for connections that it has let go, too: TLS says goodbye, which takes a moment."""

    def __init__(self, **terms: Any) -> None:
        super().__init__(**terms)
        self._made: list[ResponseHandler] = []

    async def _create_connection(self, *terms: Any) -> ResponseHandler:
        made = await super()._create_connection(*terms)
        self._made.append(made)
        return made

    async def close(self, **terms: Any) -> None:
        await super().close(**terms)
        async with asyncio.timeout(5):
            await asyncio.gather(*(made.closed for made in self._made if made.closed is not None))


@asynccontextmanager
async def private_internet(exchanges: Sequence[Served]) -> AsyncIterator[aiohttp.ClientSession]:
    """Serve these exchanges under their real names; the session given reaches them and nothing else."""
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(exchange.host for exchange in exchanges)).configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with AsyncExitStack() as stack:
        ports: dict[str, int] = {}
        for exchange in exchanges:
            runner = web.AppRunner(exchange.application(), access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=serving)
            await site.start()
            ports[exchange.host] = runner.addresses[0][1]
        connector = aiohttp.TCPConnector(resolver=LoopbackResolver(ports), ssl=trusting, force_close=True)
        yield await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
