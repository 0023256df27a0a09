"""How a wallet reaches its exchange: candles from one connection, orders through another, and what both know of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tradepulse.domain.market import MarketKey, MarketKind, MarketSpec, SeriesKey, Timeframe
from tradepulse.domain.orders import AccountView, ProtectionMode
from tradepulse.domain.wallets import KeyAnswer, Wallet, WalletMode
from tradepulse.exchanges.ccxt_exchange import (
    REQUEST_TIMEOUT_MS,
    ExchangeConnection,
    Sleep,
    connected_exchange,
    exchange_errors,
)
from tradepulse.exchanges.ccxt_feed import CcxtFeed
from tradepulse.exchanges.ccxt_gateway import CcxtGateway
from tradepulse.exchanges.key_permissions import ask_permissions
from tradepulse.ports import CandleFeed, Clock, OrderGateway
from tradepulse.shared.clock import SystemClock
from tradepulse.shared.errors import ConfigurationError
from tradepulse.shared.secrets import Credentials


@asynccontextmanager
async def public_session() -> AsyncIterator[aiohttp.ClientSession]:
    """To wherever the exchanges are, through the proxy of the environment if there is one."""
    async with aiohttp.ClientSession(trust_env=True) as session:
        yield session


@dataclass(frozen=True, slots=True)
class Outside:
    """The world as a trader reaches it: exchanges by a session, the time by a clock. The defaults are the real one.

    ``options``: ccxt's options by exchange, where an exchange stands somewhere else than usual.
    """

    session: Callable[[], AbstractAsyncContextManager[aiohttp.ClientSession]] = public_session
    clock: Clock = field(default_factory=SystemClock)
    sleep: Sleep = asyncio.sleep
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    timeout_ms: int = REQUEST_TIMEOUT_MS

    async def ask_permissions(self, exchange: str, kind: MarketKind, credentials: Credentials) -> KeyAnswer:
        async with self.session() as session:
            return await ask_permissions(exchange, kind, credentials, session=session, timeout_ms=self.timeout_ms)


@dataclass(frozen=True, slots=True)
class ExchangeAccess:
    """All that a wallet's trader needs of its exchange. ``clock`` is the exchange's time.

    ``obstacle`` says why no entry is taken on a market, '' where there is no reason; ``silent_for`` since when nothing
    new was learned of a series, and ``skew_ms`` how far the exchange's clock is from ours.
    """

    feed: CandleFeed
    gateway: OrderGateway
    clock: Clock
    markets: Mapping[MarketKey, MarketSpec]
    modes: Mapping[MarketKey, ProtectionMode]
    account: Callable[[], Awaitable[AccountView]]
    watch_prices: Callable[[frozenset[MarketKey]], None]
    silent_for: Callable[[SeriesKey], int]
    obstacle: Callable[[MarketKey], str]
    skew_ms: Callable[[], int]


def base_series(wallet: Wallet) -> tuple[SeriesKey, ...]:
    """The candles that are read of each market: those of its lowest traded timeframe; the others are made of them."""
    lowest: dict[MarketKey, Timeframe] = {}
    for one in wallet.assignments:
        known = lowest.get(one.series.market, one.series.timeframe)
        lowest[one.series.market] = min(known, one.series.timeframe, key=lambda each: each.milliseconds)
    return tuple(SeriesKey(market.exchange, market.symbol, lowest[market]) for market in sorted(lowest))


@asynccontextmanager
async def open_access(
    wallet: Wallet, credentials: Credentials | None, outside: Outside, budgets: Path
) -> AsyncIterator[ExchangeAccess]:
    """The exchange of a wallet, connected. The one place that decides what stands behind a wallet.

    ``budgets``: the folder in which all processes keep how many requests may still be sent.
    """
    if wallet.mode is not WalletMode.LIVE or credentials is None:
        raise ConfigurationError(
            f"The wallet '{wallet.name}' trades on paper on {wallet.exchange}, which is not available in this version.",
            "Trade it on the simulated exchange (exchange: simulated), or live.",
        )
    async with AsyncExitStack() as stack:
        stack.enter_context(exchange_errors(wallet.exchange))
        session = await stack.enter_async_context(outside.session())
        trading = await stack.enter_async_context(_connection(wallet, session, credentials, outside, budgets))
        # Candles have a connection without a key: what is public needs none, and a burst of candles holds up no order.
        market = await stack.enter_async_context(_connection(wallet, session, None, outside, budgets))
        yield await _real(wallet, trading, market, outside)


async def _real(
    wallet: Wallet, trading: ExchangeConnection, market: ExchangeConnection, outside: Outside
) -> ExchangeAccess:
    series = base_series(wallet)
    gateway = CcxtGateway(trading, [one.market for one in series], outside.sleep)
    await gateway.open()
    feed = CcxtFeed(market, series, outside.sleep)

    async def account() -> AccountView:
        with exchange_errors(wallet.exchange):
            return await gateway.account()

    return ExchangeAccess(
        feed=feed,
        gateway=gateway,
        clock=trading,
        markets=await gateway.markets(),
        modes=gateway.modes(),
        account=account,
        watch_prices=gateway.watch_prices,
        silent_for=feed.silent_for,
        obstacle=gateway.obstacle,
        skew_ms=lambda: trading.skew_ms,
    )


def _connection(
    wallet: Wallet, session: aiohttp.ClientSession, credentials: Credentials | None, outside: Outside, budgets: Path
) -> AbstractAsyncContextManager[ExchangeConnection]:
    return connected_exchange(
        wallet.exchange,
        wallet.kind,
        session,
        outside.clock,
        budgets,
        credentials,
        options=dict(outside.options.get(wallet.exchange, {})),
        timeout_ms=outside.timeout_ms,
        sleep=outside.sleep,
    )


def obstacle_everywhere(access: ExchangeAccess, markets: Sequence[MarketKey]) -> str:
    """Why no market takes entries; '' where one does. A single halted market is refused by the gateway alone."""
    found = [access.obstacle(market) for market in markets]
    return found[0] if all(found) else ""
