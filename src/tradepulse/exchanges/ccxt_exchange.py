"""One wallet's connection to one exchange: a ccxt.pro client that asks through the shared budget and knows the time.

ccxt's own throttle counts per client, so several wallets on one address would exceed what the address may: its place
is taken by the ``RateBudget``, which every request passes, those inside ccxt's composed calls too. ccxt never repeats
a request by itself, because it would repeat orders.
"""

import asyncio
import logging
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import aiohttp
import ccxt.pro as ccxtpro

from tradepulse.domain.market import MarketKey, MarketKind
from tradepulse.exchanges.outcomes import REFUSED_FOR_THE_RATE, WRONG_TIME, reason_of
from tradepulse.exchanges.rate_budget import RateBudget, Urgency
from tradepulse.exchanges.unified_calls import Call
from tradepulse.exchanges.venues import venue_of
from tradepulse.ports import Clock
from tradepulse.shared.errors import ConfigurationError, TransientError
from tradepulse.shared.secrets import Credentials, scrub

logger = logging.getLogger(__name__)
Sleep = Callable[[float], Awaitable[None]]
REQUEST_TIMEOUT_MS = 10_000
KEEP_ALIVE_MS = 15_000
CLOCK_SAMPLES = 5
CLOCK_GOOD_FOR_MS = 3_600_000
SKEW_TOLD_MS = 1_000
CLOCK_PAUSE_MS = 5_000
"""Between measurings that refusals of the time ask for."""
ATTEMPTS = 5
# The order of these clients' nonces on the wire must be that of their making.
_ONE_AT_A_TIME = frozenset({"kraken", "bitfinex"})
# What passes by itself (of a stream that is closing ccxt hands on what the socket raised), and what ccxt's parsers make
# of an answer that is not what the documentation says.
PASSING = (ccxtpro.OperationFailed, OSError, TypeError, KeyError, ValueError, IndexError, AttributeError)
_urgency: ContextVar[tuple[Urgency, int]] = ContextVar("urgency", default=(Urgency.QUESTIONS, 0))

_paid: ContextVar[bool] = ContextVar("paid", default=False)


class ExchangeConnection:
    """Made by ``connected_exchange``. ``client`` is for the streams; every request goes through ``call``."""

    def __init__(self, client: Any, kind: MarketKind, budget: RateBudget, clock: Clock, sleep: Sleep) -> None:
        self.client = client
        self.exchange: str = client.id
        self.kind = kind
        self.venue = venue_of(client.id, kind)
        self.budget = budget
        self.skew_ms = 0
        """How far the exchange's clock is ahead of ours."""
        self._clock = clock
        self._sleep = sleep
        self._clock_measured_at = -CLOCK_GOOD_FOR_MS
        client.throttle = self._throttle
        # All of ccxt's times, those of logins to streams too, which know nothing of its own correction.
        client.milliseconds, client.seconds = self.now, lambda: self.now() // 1000
        if client.id in _ONE_AT_A_TIME and client.apiKey:
            client.fetch2 = _one_at_a_time(client)
            client.nonce = _rising(client.nonce)

    def now(self) -> int:
        """The exchange's time as far as we know it."""
        return self._clock.now() + self.skew_ms

    async def _throttle(self, cost: float | None = None) -> None:
        if _paid.get():
            return
        urgency, patience_ms = _urgency.get()
        await self.budget.take(1.0 if cost is None else float(cost), urgency, patience_ms)

    async def call(self, call: Call, urgency: Urgency = Urgency.QUESTIONS, patience_ms: int = 0) -> Any:
        """The answer, or what ccxt raised. ``patience_ms``: how long a ban may be waited for before anything is sent.

        A refusal for the rate silences all wallets on this address; one for the time has the clock measured anew.
        """
        try:
            with at_urgency(urgency, patience_ms), own_cancellation():
                return await getattr(self.client, call.method)(*call.arguments)
        except REFUSED_FOR_THE_RATE as error:
            self.budget.note_refusal(self.client.last_response_headers or {}, str(error))
            raise
        except WRONG_TIME:
            if call.method != "fetch_time":
                await self.suspect_the_clock()
            raise

    async def asked(self, call: Call, urgency: Urgency = Urgency.QUESTIONS) -> Any:
        """The answer to a harmless question, asked again while the failure may pass."""
        problem = ""
        for attempt in range(ATTEMPTS):
            try:
                return await self.call(call, urgency, patience_ms=2 * REQUEST_TIMEOUT_MS)
            except (*PASSING, ccxtpro.ExchangeError) as error:
                if isinstance(error, ccxtpro.ExchangeError) and type(error) is not ccxtpro.ExchangeError:
                    raise
                problem = reason_of(error)
            if attempt < ATTEMPTS - 1:
                await self._sleep(0.25 * 2**attempt)
        raise TransientError(
            f"{self.exchange} did not answer {call.method} in {ATTEMPTS} attempts ({problem}).", "Start again later."
        )

    async def open(self) -> None:
        """Load the markets and measure the clock."""
        if not await self.asked(Call("load_markets", (True,))):
            raise TransientError(f"{self.exchange} named no markets.", "Start again later.")
        await self.measure_clock()

    async def keep_clock(self) -> None:
        """Measure again when the last measuring is old."""
        if self._clock.now() - self._clock_measured_at >= CLOCK_GOOD_FOR_MS:
            await self.measure_clock()

    async def measure_clock(self) -> None:
        """The median over several questions; each counts for the middle of its round trip."""
        if not self.client.has.get("fetchTime"):
            return
        leads = []
        for _ in range(CLOCK_SAMPLES):
            before = self._clock.now()
            theirs = int(await self.asked(Call("fetch_time", ())))
            leads.append(theirs - (before + self._clock.now()) / 2)
        self.skew_ms = round(statistics.median(leads))
        self._clock_measured_at = self._clock.now()
        if abs(self.skew_ms) > SKEW_TOLD_MS:
            logger.warning(
                "The clock of %s is %s ms ahead of ours; requests are corrected", self.exchange, self.skew_ms
            )

    async def suspect_the_clock(self) -> None:
        """Something was refused for its time."""
        if self._clock.now() - self._clock_measured_at < CLOCK_PAUSE_MS:
            return
        logger.warning("%s refused the time of a request; its clock is measured again", self.exchange)
        await self.measure_clock()

    def market(self, key: MarketKey) -> dict[str, Any]:
        """ccxt's structure of a market."""
        market: dict[str, Any] | None = (self.client.markets or {}).get(key.symbol)
        if market is None:
            raise ConfigurationError(f"{self.exchange} has no market '{key.symbol}'.", "Trade one that it lists.")
        return market

    def drop_streams(self, why: str, silent_ms: int = 0) -> None:
        """Close the streams that said nothing, not even an answer to a ping, for so long; watchers hear an error."""
        for stream in list((self.client.clients or {}).values()):
            begun = stream.connectionEstablished
            if begun is None:
                continue
            # By ccxt's own clock, which these times are of.
            if ccxtpro.Exchange.milliseconds() - max(stream.last_message_at or 0, begun) >= silent_ms:
                self.drop_stream(stream, why)

    def drop_stream(self, stream: Any, why: str) -> None:
        """Close it and forget what it was logged in with, so that the next one is logged in anew."""
        logger.warning("A stream of %s is closed to be opened again: %s", self.exchange, scrub(why))
        for each in (self.client.clients or {}).values():
            each.subscriptions.pop("authenticated", None)
        stream.on_error(ccxtpro.NetworkError(f"closed by us: {why}"))


def _one_at_a_time(client: Any) -> Callable[..., Awaitable[Any]]:
    """Private requests wait for each other, so that each nonce arrives after all that were made before it.

    The budget is asked before the turn is taken: who waits for the budget must not hold up an order.
    """
    turn, request = asyncio.Lock(), client.fetch2

    async def in_turn(
        path: str, api: Any = "public", method: str = "GET", params: Any = None, config: Any = None
    ) -> Any:
        asked = (path, api, method, {} if params is None else params, {} if config is None else config)
        if "private" not in str(api):
            return await request(*asked)
        await client.throttle(client.calculate_rate_limiter_cost(api, method, path, asked[3], asked[4]))
        async with turn:
            token = _paid.set(True)
            try:
                return await request(*asked)
            finally:
                _paid.reset(token)

    return in_turn


def _rising(nonce: Callable[[], Any]) -> Callable[[], int]:
    """No two requests of one millisecond have the same nonce."""
    last = 0

    def risen() -> int:
        nonlocal last
        last = max(last + 1, int(nonce()))
        return last

    return risen


@contextmanager
def at_urgency(urgency: Urgency, patience_ms: int = 0) -> Iterator[None]:
    """Every request made inside, however deep, asks the budget like this."""
    token = _urgency.set((urgency, patience_ms))
    try:
        yield
    finally:
        _urgency.reset(token)


@contextmanager
def own_cancellation() -> Iterator[None]:
    """Only who cancels this task cancels it. ccxt shares the loading of markets between tasks: when the one that began
    it is cancelled, the others are told the same, which for them is a failure like any other.
    """
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ccxtpro.NetworkError("what another task had begun was cancelled") from None


@contextmanager
def exchange_errors(exchange: str) -> Iterator[None]:
    """What ccxt raises, in our terms: a key that is not taken needs a person, anything else may pass."""
    try:
        yield
    except ccxtpro.AuthenticationError as error:
        raise ConfigurationError(
            f"{exchange} does not take the key: {reason_of(error)}.", "See what it may do: tradepulse keys check"
        ) from error
    except ccxtpro.BaseError as error:
        raise TransientError(f"{exchange} answered {reason_of(error)}.", "Try again later.") from error


@asynccontextmanager
async def connected_exchange(
    exchange: str,
    kind: MarketKind,
    session: aiohttp.ClientSession,
    clock: Clock,
    budgets: Path,
    keys: Credentials | None = None,
    *,
    options: dict[str, Any] | None = None,
    timeout_ms: int = REQUEST_TIMEOUT_MS,
    sleep: Sleep = asyncio.sleep,
) -> AsyncIterator[ExchangeConnection]:
    """Connected and with its markets loaded. The session stays open; ``budgets`` is the folder all processes share."""
    client = _client(exchange, kind, session, keys, options or {}, timeout_ms)
    budget = RateBudget(exchange, budgets / f"{exchange}.json", 1000 / float(client.rateLimit), clock, sleep)
    connection = ExchangeConnection(client, kind, budget, clock, sleep)
    try:
        await connection.open()
        yield connection
    finally:
        await client.close()


def _client(
    exchange: str,
    kind: MarketKind,
    session: aiohttp.ClientSession,
    keys: Credentials | None,
    options: dict[str, Any],
    timeout_ms: int,
) -> Any:
    if exchange not in ccxtpro.exchanges:
        raise ConfigurationError(f"There is no exchange '{exchange}' with streams.", "See docs/exchanges.md.")
    named = {} if keys is None else dict(zip(("apiKey", "secret", "password"), keys.texts(), strict=False))
    ours: dict[str, Any] = {
        "maxRetriesOnFailure": 0,
        "defaultType": str(kind),
        "adjustForTimeDifference": False,
        "fetchMargins": False,
        **venue_of(exchange, kind).ccxt_options,
        **options,
    }
    client = getattr(ccxtpro, exchange)(
        {
            **{name: value for name, value in named.items() if value},
            # Not ccxt's limit: it makes every request pass ``throttle``, which is ours.
            "enableRateLimit": True,
            "verbose": False,
            "enableLastJsonResponse": True,
            "timeout": timeout_ms,
            "session": session,
            # ccxt waits on exit for its own connections to close; those of a given session are not its to close.
            "timeout_on_exit": 0,
            "options": ours,
        }
    )
    client.streaming["keepAlive"] = min(int(client.streaming.get("keepAlive", KEEP_ALIVE_MS)), KEEP_ALIVE_MS)
    # Currencies tell of deposits and chains; trading does not need them, and some exchanges ask for more rights.
    client.has["fetchCurrencies"] = False
    kinds = client.options.get("fetchMarkets")
    if isinstance(kinds, dict) and "types" in kinds:
        kinds["types"] = ["spot"] if kind is MarketKind.SPOT else ["linear"]
    return client
