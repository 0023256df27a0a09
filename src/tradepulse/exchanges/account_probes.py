"""What must be tried on an account before the better way of protecting a position is used on it.

A trial never trades: Coinbase is asked for a preview, and OKX for a pair far from the market that sells more than the
account holds: that its funds do not suffice is looked at last, so nothing rests, and no coin is kept from a position's
stop. Whatever is not answered clearly counts as not passed, so that stops are emulated.
"""

import logging
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from tradepulse.domain.client_ids import TRADE_LENGTH, ClientId, IdRole
from tradepulse.exchanges.ccxt_exchange import ExchangeConnection
from tradepulse.exchanges.order_calls import order_calls
from tradepulse.exchanges.order_inquiry import FAILURES
from tradepulse.exchanges.order_intents import NOTHING, GatewayMarket
from tradepulse.exchanges.outcomes import Outcome, outcome_of, reason_of, wants_funds
from tradepulse.exchanges.rate_budget import Urgency
from tradepulse.exchanges.unified_calls import Call, Exit, OrderCalls, OrderForm, PairIds, SentOrder

logger = logging.getLogger(__name__)
FAR_BELOW, FAR_ABOVE = Decimal("0.6"), Decimal("1.5")
LEAST_VALUE = 2
"""Times the least value of an order, so that both legs are worth enough."""


@dataclass(frozen=True, slots=True)
class Probe:
    """``passed``: pairs may be used. ``why`` says what was tried and what came of it."""

    passed: bool
    why: str
    okx_trade_mode: str = "cash"


async def probe_account(connection: ExchangeConnection, market: GatewayMarket, price: Decimal) -> Probe:
    """Try what the exchange's entry demands. Never raises for what the exchange does."""
    wanted = connection.venue.probe
    if not wanted:
        return Probe(passed=True, why="nothing has to be tried here")
    if not connection.client.apiKey:
        return Probe(passed=False, why="not tried: there is no key")
    if connection.exchange == "coinbase":
        return await _preview_of_a_bracket(connection, market, price)
    if connection.exchange == "okx":
        return await _pair_far_away(connection, market, price)
    return Probe(passed=False, why=f"nobody knows how to try it: {wanted}")


async def _preview_of_a_bracket(connection: ExchangeConnection, market: GatewayMarket, price: Decimal) -> Probe:
    ids, far = _names(connection), _far_exit(market, price)
    placing = market.calls.protective_pair(ids, far)
    asked = {name: value for name, value in placing.arguments[0].items() if name != "client_order_id"}
    try:
        answer = await connection.call(Call("v3_private_post_brokerage_orders_preview", (asked,)), Urgency.QUESTIONS)
    except FAILURES as error:
        return Probe(passed=False, why=f"the preview of a bracket was answered with {reason_of(error)}")
    errors = answer.get("errs") if isinstance(answer, dict) else None
    if errors is None:
        return Probe(passed=False, why="the preview of a bracket was not answered")
    # That there is nothing to sell now says nothing against the kind of order.
    against = [str(each) for each in errors if "INSUFFICIENT_FUND" not in str(each).upper()]
    words = f"the preview of a bracket said {', '.join(map(str, errors)) or 'nothing against it'}"
    return Probe(passed=not against, why=words)


async def _pair_far_away(connection: ExchangeConnection, market: GatewayMarket, price: Decimal) -> Probe:
    """``cash`` first: it cannot borrow. With ``cross`` a pair without coins would, so there must be coins."""
    total, free = await _held(connection, market)
    if total is None or free is None:
        return Probe(passed=False, why="not tried: what is held was not told")
    tried = []
    for mode in ("cash", "cross"):
        far = _far_exit(market, price, beyond=total if mode == "cash" else NOTHING)
        calls = order_calls(market.calls.market, okx_trade_mode=mode)
        if mode == "cross" and free < far.quantity:
            tried.append("cross was not tried, because there is nothing to sell")
            break
        passed, words = await _placed_and_cancelled(connection, calls, far)
        tried.append(f"a pair with tdMode {mode} was {words}")
        if passed:
            return Probe(passed=True, why=tried[-1], okx_trade_mode=mode)
    return Probe(passed=False, why="; ".join(tried))


async def _placed_and_cancelled(connection: ExchangeConnection, calls: OrderCalls, far: Exit) -> tuple[bool, str]:
    ids = _names(connection)
    result: Any
    try:
        result = await connection.call(calls.protective_pair(ids, far), Urgency.QUESTIONS)
    except FAILURES as error:
        result = error
    outcome = outcome_of(result)
    if outcome is Outcome.REFUSED:
        # Looked at last of all: everything else about the pair was in order.
        return wants_funds(result), f"refused: {reason_of(result)}"
    if outcome is Outcome.NOT_EXECUTED:
        return False, f"not looked at: {reason_of(result)}"
    cancelled = await _cancelled(connection, calls.cancel(SentOrder(ids.pair, OrderForm.PAIR, connection.now())))
    return outcome is Outcome.ACCEPTED and cancelled, "taken" if cancelled else "taken, and not cancelled"


async def _cancelled(connection: ExchangeConnection, cancelling: Call) -> bool:
    for _ in range(3):
        try:
            await connection.call(cancelling, Urgency.ORDERS, 3_000)
        except FAILURES as error:
            logger.warning("A pair that was a trial was not cancelled yet: %s", reason_of(error))
        else:
            return True
    return False


async def _held(connection: ExchangeConnection, market: GatewayMarket) -> tuple[Decimal | None, Decimal | None]:
    """Total and free amount of what the market trades; ``None`` where it was not told."""
    try:
        balance = await connection.asked(Call("fetch_balance", ()))
    except FAILURES as error:
        logger.warning("What is held was not told: %s", reason_of(error))
        return None, None
    if not balance.get("total"):
        # Who trades has at least money: an empty answer proves nothing.
        return None, None
    total, free = ((balance.get(kind) or {}).get(market.spec.base) or 0 for kind in ("total", "free"))
    return Decimal(str(total)), Decimal(str(free))


def _far_exit(market: GatewayMarket, price: Decimal, beyond: Decimal = NOTHING) -> Exit:
    """The smallest that is taken, and ``beyond`` what is held where it is not to be taken."""
    spec, stop = market.spec, price * FAR_BELOW
    least = max(spec.min_notional * LEAST_VALUE / stop, market.filters.min_amount or spec.lot_size)
    lots = ((least + beyond) / spec.lot_size).to_integral_value(ROUND_CEILING)
    limit = None if market.pair_at_market else stop * Decimal("0.95")
    return Exit(spec.quantity(int(lots)), stop, price * FAR_ABOVE, limit)


def _names(connection: ExchangeConnection) -> PairIds:
    """Of no trade: whoever finds the pair later knows it for ours, and for an orphan."""
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    number, name = connection.now(), ""
    for _ in range(TRADE_LENGTH - 4):
        number, digit = divmod(number, len(letters))
        name += letters[digit]
    trade = f"test{name}"
    return PairIds(*(str(ClientId(trade, role, 0)) for role in (IdRole.PAIR, IdRole.STOP, IdRole.TARGET)))
