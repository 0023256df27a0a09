"""Whatever goes wrong with an exchange: no key, no secret and no signature is in a log, an error or a table.

Unmodified ccxt clients with canary keys, all loggers at their most talkative; ccxt's own errors carry what they sent.
"""

import json
import logging
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import ccxt.async_support as ccxt
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from tests.canary import Canaries, Seen
from tests.local_exchanges.catch_all import _market
from tests.local_exchanges.fixed_answer import FixedAnswer
from tests.local_exchanges.network import LoopbackResolver, private_internet
from tests.local_exchanges.traded_markets import HOSTS

from tradepulse import exchanges
from tradepulse.api.problems import install_problem_handlers
from tradepulse.domain.market import MarketKind
from tradepulse.domain.wallets import KeyPermissions, KeySource, KeyState, KeyVerdict
from tradepulse.exchanges.key_permissions import ask_permissions
from tradepulse.exchanges.venues import venue_of
from tradepulse.shared.errors import TransientError
from tradepulse.shared.secrets import told
from tradepulse.storage.db import Database
from tradepulse.storage.envelope import Cost, KeyFolder
from tradepulse.storage.exchange_keys import ExchangeKeys

NOW = 1_767_225_600_000
TIMEOUT_MS = 150
PRIVATE_CALLS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("fetch_balance", ()),
    ("create_order", ("BTC/USDT", "limit", "buy", "0.01", "50000")),
    ("fetch_open_orders", ("BTC/USDT",)),
)
FAULTS: dict[str, Callable[[str], FixedAnswer]] = {
    "not there": lambda host: FixedAnswer(host, status=503),
    "quotes the request in its error": lambda host: FixedAnswer(host, status=400, echoing=True),
    "quotes the request in a good answer": lambda host: FixedAnswer(host, "<html>", echoing=True),
    "does not take the key": lambda host: FixedAnswer(host, status=401, echoing=True),
    "asks too often": lambda host: FixedAnswer(host, {"code": -1003}, status=429, echoing=True),
    "never answers": lambda host: FixedAnswer(host, silent=True),
}


def client_of(exchange: str, canaries: Canaries, session: aiohttp.ClientSession) -> Any:
    key, secret, *password = canaries.credentials.texts()
    client = getattr(ccxt, exchange)(
        {
            "apiKey": key,
            "secret": secret,
            **({"password": password[0]} if password else {}),
            "session": session,
            "timeout_on_exit": 0,
            "enableRateLimit": False,
            "timeout": TIMEOUT_MS,
            "options": dict(venue_of(exchange, MarketKind.SPOT).ccxt_options),
        }
    )
    client.set_markets([client.safe_market_structure(_market(exchange))])
    return client


@asynccontextmanager
async def closed_port(host: str) -> AsyncIterator[aiohttp.ClientSession]:
    """The host's name leads to a port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        connector = aiohttp.TCPConnector(resolver=LoopbackResolver({host: taken.getsockname()[1]}))
        async with aiohttp.ClientSession(connector=connector) as session:
            yield session


async def everything_fails(exchange: str, canaries: Canaries, session: aiohttp.ClientSession, seen: Seen) -> list[str]:
    """Every call, its error as ccxt has it and as ours; what ccxt's own texts were."""
    client, raw = client_of(exchange, canaries, session), []
    for method, arguments in PRIVATE_CALLS:
        try:
            seen.add(method, told(ValueError(json.dumps(await getattr(client, method)(*arguments), default=str))))
        except (ccxt.BaseError, TypeError, KeyError, ValueError, AttributeError, IndexError) as error:
            raw.append(str(error))
            failure = TransientError(f"{exchange} did not answer: {error}", "Try again.")
            failure.__cause__ = error
            seen.add(method, told(error), failure.problem, failure.args)
            log_with_traceback(failure)
    ours = await ask_permissions(
        exchange, MarketKind.SPOT, canaries.credentials, session=session, timeout_ms=TIMEOUT_MS
    )
    seen.add("our own question", ours)
    await client.close()
    return raw


def log_with_traceback(error: BaseException) -> None:
    """As the edges of the program do: the error with its causes goes to the log."""
    logging.getLogger("tradepulse.edge").error("it failed: %s", error, exc_info=error)
    logging.getLogger("somebody.else").error("%r", error.__cause__, exc_info=error)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("exchange", HOSTS)
async def test_exchange_when_it_fails_then_no_canary_is_seen(exchange: str, fault: str) -> None:
    canaries = Canaries.released(exchange)
    async with private_internet([FAULTS[fault](HOSTS[exchange])]) as session:
        with canaries.watched() as seen:
            await everything_fails(exchange, canaries, session, seen)
    assert not signatures(seen)


def signatures(seen: Seen) -> list[str]:
    return [text for where, text in seen.texts if re.search(r"signature=(?!\*)\w{8}|SIGN['\"]: ['\"](?!\*)\w", text)]


@pytest.mark.parametrize("exchange", HOSTS)
async def test_exchange_when_nobody_listens_then_no_canary_is_seen(exchange: str) -> None:
    canaries = Canaries.released(exchange)
    async with closed_port(HOSTS[exchange]) as session:
        with canaries.watched() as seen:
            raw = await everything_fails(exchange, canaries, session, seen)
    assert raw
    assert not signatures(seen)


async def test_errors_of_ccxt_when_read_as_they_are_then_they_do_carry_keys_and_signed_addresses() -> None:
    """Without this the tests above could not fail."""
    canaries = Canaries.released()
    async with private_internet([FAULTS["quotes the request in its error"](HOSTS["binance"])]) as session:
        seen = Seen()
        raw = await everything_fails("binance", canaries, session, seen)
    assert any(canaries.found_in(text) for text in raw)
    async with private_internet([FAULTS["never answers"](HOSTS["binance"])]) as session:
        raw = await everything_fails("binance", canaries, session, seen)
    assert any("signature=" in text for text in raw)


def test_clients_when_made_then_none_is_verbose() -> None:
    """``verbose`` prints keys past every handler."""
    for file in Path(exchanges.__file__).parent.glob("*.py"):
        for line in file.read_text(encoding="utf-8").splitlines():
            assert "verbose" not in line or '"verbose": False' in line or "``verbose``" in line, f"{file.name}: {line}"


async def test_stored_column_and_answer_of_the_api_when_made_from_an_error_then_no_canary_is_in_them(
    database: Database, tmp_path: Any
) -> None:
    canaries = Canaries.released()
    keys = ExchangeKeys(database, KeyFolder(tmp_path), str, cost=Cost(1, 64, 1))
    async with private_internet([FAULTS["quotes the request in its error"](HOSTS["binance"])]) as session:
        client = client_of("binance", canaries, session)
        with pytest.raises(ccxt.BaseError) as failure:
            await client.fetch_balance()
        await client.close()
    words = str(failure.value)
    assert canaries.found_in(words)
    state = KeyState("a", "binance", "x", KeyVerdict.UNVERIFIED, words, KeyPermissions(), None, NOW, NOW)
    with canaries.watched() as seen:
        await keys.add(canaries.credentials, state, NOW, KeySource.FILE)
        async with database.transaction() as connection:
            found = await connection.execute("select reason from exchange_keys")
            seen.add("the column", await found.fetchall())
        seen.add("the answer", *await answers_of_the_api(failure.value))


async def answers_of_the_api(error: Exception) -> list[str]:
    """What a browser gets when a request fails by this error, or by one of ours made from it."""
    app = FastAPI()
    install_problem_handlers(app)

    @app.get("/{kind}")
    async def fail(kind: str) -> None:
        if kind == "ours":
            raise TransientError(f"It failed: {error}", f"See {error}")
        raise error

    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://here") as browser:
        answers = [await browser.get(f"/{kind}") for kind in ("ours", "theirs")]
    assert [answer.status_code for answer in answers] == [503, 500]
    return [answer.text for answer in answers]
