"""What entries of a wallet need, watched: candles that come, clocks that agree, books that agree, a good key.

Everything watched becomes a word for the engine, ``NotReady`` when it goes missing and ``Ready`` when it is back. Exits
and protection never ask for it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from decimal import Decimal

from tradepulse.bootstrap.exchange_access import ExchangeAccess, obstacle_everywhere
from tradepulse.core.engine import Engine
from tradepulse.core.guard import LegState
from tradepulse.core.reconciliation import (
    BookView,
    Finding,
    Reconciliation,
    ReconciliationPolicy,
    reconcile,
)
from tradepulse.domain.client_ids import TRADE_LENGTH
from tradepulse.domain.events import EngineInput
from tradepulse.domain.market import MarketKey
from tradepulse.domain.risk import NotReady, NotReadyCause, Ready
from tradepulse.exchanges.ccxt_exchange import Sleep
from tradepulse.ports import Clock
from tradepulse.shared.errors import ConfigurationError, TransientError

logger = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
KEY_SECONDS = 60.0
RECONCILE_SECONDS = 30.0
AGAIN_SECONDS = 2.0
"""Before a difference is looked for a second time: it counts when it is still there."""
LOOKS_IN_VAIN = 15
"""After so many looks that told nothing, books that agreed before no longer count as agreeing."""
STALE_CANDLES = 2
LEAST_STALE_MS = 90_000
SKEW_MS = 1_000


class Readiness:
    """Says each change once. ``opening`` is how things stand at the start, ``inputs`` what changes from then on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lacking: dict[NotReadyCause, str] = {}
        self._inputs: asyncio.Queue[EngineInput] = asyncio.Queue()

    @property
    def lacking(self) -> Mapping[NotReadyCause, str]:
        return self._lacking

    def opening(self) -> Sequence[EngineInput]:
        """Every cause is told of, so that one from an earlier life does not hold for ever."""
        now = self._clock.now()
        self._inputs = asyncio.Queue()
        regained = [Ready(cause, now) for cause in NotReadyCause if cause not in self._lacking]
        return [*regained, *(NotReady(cause, now, reason) for cause, reason in self._lacking.items())]

    def tell(self, cause: NotReadyCause, reason: str) -> None:
        """``reason``: why it is missing, '' where it is not."""
        if reason and cause not in self._lacking:
            self._lacking[cause] = reason
            self.put(NotReady(cause, self._clock.now(), reason))
        elif not reason and self._lacking.pop(cause, None) is not None:
            self.put(Ready(cause, self._clock.now()))

    def put(self, event: EngineInput) -> None:
        self._inputs.put_nowait(event)

    async def inputs(self) -> AsyncIterator[EngineInput]:
        while True:
            yield await self._inputs.get()


class ExchangeWatch:
    """Feed, clock and maintenance of one wallet's exchange."""

    def __init__(self, access: ExchangeAccess, engine: Engine, readiness: Readiness, sleep: Sleep) -> None:
        self._access = access
        self._series = engine.data.base_series()
        self._readiness = readiness
        self._sleep = sleep

    async def run(self) -> None:
        while True:
            self.look()
            await self._sleep(LOOK_SECONDS)

    def look(self) -> None:
        tell, skew = self._readiness.tell, self._access.skew_ms()
        tell(NotReadyCause.FEED_STALE, self._stale())
        apart = f"the exchange's clock is {skew} ms ahead of ours, {SKEW_MS} are allowed" if abs(skew) > SKEW_MS else ""
        tell(NotReadyCause.CLOCK_SKEW, apart)
        tell(
            NotReadyCause.MAINTENANCE,
            obstacle_everywhere(self._access, [one.market for one in self._series]),
        )

    def _stale(self) -> str:
        for series in self._series:
            silent = self._access.silent_for(series)
            if silent > max(LEAST_STALE_MS, STALE_CANDLES * series.timeframe.milliseconds):
                return f"nothing new was heard of {series} for {silent // 1000} s"
        return ""


class KeyWatch:
    """``refused`` answers why a wallet may enter nothing with its key, ``None`` where it may."""

    def __init__(self, refused: Callable[[], Awaitable[str | None]], readiness: Readiness, sleep: Sleep) -> None:
        self._refused = refused
        self._readiness = readiness
        self._sleep = sleep

    async def run(self) -> None:
        while True:
            await self.look()
            await self._sleep(KEY_SECONDS)

    async def look(self) -> None:
        try:
            self._readiness.tell(NotReadyCause.KEY_ALARM, await self._refused() or "")
        except TransientError as error:
            logger.warning("What the key may do is looked up later: %s", error)


class Reconciler:
    """Our book against the exchange's account, at the start and ever again.

    A difference counts when two looks in a row find it, and no look counts while anything is on its way: what was
    filled a moment ago is on the exchange before we hear of it.
    """

    def __init__(self, access: ExchangeAccess, engine: Engine, readiness: Readiness, sleep: Sleep) -> None:
        self._access = access
        self._engine = engine
        self._readiness = readiness
        self._sleep = sleep
        self._seen: frozenset[str] = frozenset()
        self._told: frozenset[str] = frozenset()
        self._vain = 0

    async def run(self) -> None:
        while True:
            certain = await self.look()
            await self._sleep(RECONCILE_SECONDS if certain else AGAIN_SECONDS)

    async def look(self) -> bool:
        """Whether it was certain, one way or the other."""
        compared = await self._compared()
        if compared is None:
            self._vain += 1
            if self._vain >= LOOKS_IN_VAIN:
                self._readiness.tell(NotReadyCause.RECONCILING, "the account could not be compared for too long")
            return False
        self._vain = 0
        seen, before = frozenset(one.finding_id for one in compared.findings), self._seen
        self._seen = seen
        if not seen <= before:
            return False
        self._tell(compared.findings)
        self._readiness.tell(NotReadyCause.RECONCILING, compared.obstacle)
        await self._act(compared)
        return True

    async def _compared(self) -> Reconciliation | None:
        before = settled_view(self._engine)
        if before is None:
            return None
        try:
            account = await self._access.account()
        except (ConfigurationError, TransientError) as error:
            logger.warning("The account could not be read: %s", error)
            return None
        if settled_view(self._engine) != before:
            return None
        return reconcile(before, account, ReconciliationPolicy(dust=dust_of(self._engine)))

    def _tell(self, findings: Sequence[Finding]) -> None:
        for one in findings:
            if one.finding_id not in self._told:
                logger.warning(
                    "Books differ (%s): %s, %s: %s", one.action, one.difference, one.subject, one.detail,
                    extra={"book": self._engine.config.book, "finding": one.finding_id},
                )  # fmt: skip
        self._told = frozenset(one.finding_id for one in findings)

    async def _act(self, found: Reconciliation) -> None:
        for command in found.commands:
            for answer in await self._access.gateway.execute(command):
                self._readiness.put(answer)


def traded_markets(engine: Engine) -> list[MarketKey]:
    return [series.market for series in engine.data.base_series()]


def settled_view(engine: Engine) -> BookView | None:
    """What the book says, ``None`` while something of it is on its way."""
    state, portfolio = engine.execution.state, engine.portfolio
    legs = [(trade.guard, leg) for trade in state.trades.values() for leg in trade.guard.open_legs()]
    if state.entries or any(leg.state is not LegState.LIVE or leg.withdrawing for _, leg in legs):
        return None
    coins: dict[str, Decimal] = {}
    quotes = set()
    for market in traded_markets(engine):
        spec = portfolio.spec(market)
        quotes.add(spec.quote)
        held = sum(one.lots for one in portfolio.positions.values() if one.series.market == market)
        coins[spec.base] = coins.get(spec.base, Decimal(0)) + spec.quantity(held)
    # A pair that is one order has an id of its own.
    pairs = {guard.pair_id_of(leg) for guard, leg in legs}
    return BookView(
        cash=dict.fromkeys(quotes, portfolio.cash),
        coins=coins,
        open_ids=frozenset(leg.client_id for _, leg in legs) | pairs,
        trades=frozenset(trade.guard.trade for trade in state.trades.values())
        | frozenset(client_id[:TRADE_LENGTH] for client_id in state.entries),
    )


def dust_of(engine: Engine) -> dict[str, Decimal]:
    """What no order could trade, of each asset: such differences come from fees in coins and from rounding."""
    dust: dict[str, Decimal] = {}
    for market in traded_markets(engine):
        spec = engine.portfolio.spec(market)
        price = spec.price(engine.portfolio.marks.get(market, 0))
        least = spec.min_notional / price if price else Decimal(0)
        for asset, amount in ((spec.base, max(least, spec.lot_size)), (spec.quote, spec.min_notional)):
            dust[asset] = max(dust.get(asset, Decimal(0)), amount)
    return dust
