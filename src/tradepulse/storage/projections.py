"""What a step means for the book's tables: facts and intents in, SQL statements with their values out. No I/O."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, get_args

from pydantic import TypeAdapter

from tradepulse.domain.client_ids import ClientId, IdRole
from tradepulse.domain.commands import CancelOrder, CancelProtection, PlaceEntry, PlaceExit, PlaceProtection, PlaceStop
from tradepulse.domain.events import (
    EngineEvent,
    EntryPlanned,
    EquityMarked,
    LedgerPosted,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderRejected,
    PositionClosed,
    PositionOpened,
    PositionResized,
    SetupDropped,
    SetupEvaluated,
)
from tradepulse.domain.market import MarketKey
from tradepulse.domain.orders import EntryPlan, OrderRole, OrderStatus
from tradepulse.domain.portfolio import LedgerEntry, Position
from tradepulse.domain.signals import Condition, Setup, Verdict
from tradepulse.ports import StepRecord
from tradepulse.shared.errors import RefusedError

Statement = tuple[str, Mapping[str, Any]]

# Decimals become text, enums their value, a number that is not finite null.
_EVENTS: dict[type, TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in get_args(EngineEvent)}
_CONDITIONS = TypeAdapter(tuple[Condition, ...])
_PLAN = TypeAdapter(EntryPlan)


def _insert(table: str, columns: str, conflict: str = "") -> str:
    values = ", ".join(f"%({name.strip()})s" for name in columns.split(","))
    return f"insert into {table} ({columns}) values ({values}) {conflict}"  # noqa: S608 - constants of this module


_SERIES_COLUMNS = "exchange, symbol, timeframe"

INSERT_SETUP = _insert(
    "setups",
    f"book, setup_id, strategy, parameters_id, {_SERIES_COLUMNS}, bar_time, found_at, direction, close, stop, target, "
    "reward_risk, min_reward_risk, max_bars_in_trade, regime, valid, confluence, conditions, verdict, reason, updated",
    "on conflict (book, setup_id) do update set verdict = excluded.verdict, reason = excluded.reason, "
    "updated = excluded.updated",
)
DROP_SETUP = (
    # What limited its size stays part of its story.
    "update setups set verdict = %(verdict)s, updated = %(time)s, "
    "reason = concat_ws('; ', nullif(%(reason)s, ''), nullif(reason, '')) "
    "where book = %(book)s and setup_id = %(setup_id)s"
)
OPEN_SETUP = (
    "update setups set verdict = %(verdict)s, opened_at = %(time)s, updated = %(time)s "
    "where book = %(book)s and setup_id = %(setup_id)s"
)
INSERT_ORDER = """
    insert into orders (book, client_id, setup_id, exchange, symbol, role, status, side, lots, stop_ticks, limit_ticks,
        plan, intended_at, updated)
    values (%(book)s, %(client_id)s, coalesce(
            %(setup_id)s, (select setup_id from orders where book = %(book)s and client_id = %(entry)s)),
        %(exchange)s, %(symbol)s, %(role)s, 'intended', %(side)s, %(lots)s, %(stop_ticks)s, %(limit_ticks)s, %(plan)s,
        %(time)s, %(time)s)
    on conflict (book, client_id) do nothing
"""
# A fill may be heard of after the end of its order, and an order that is asked about again still rests: neither takes
# back what is known already.
UPDATE_ORDER = (
    "update orders set status = %(status)s, verdict = %(verdict)s, reason = %(reason)s, updated = %(time)s "
    "where book = %(book)s and client_id = %(client_id)s and status in ('intended', 'open')"
)
FILL_ORDER = """
    update orders set filled_lots = heard.lots, fill_id = %(fill_id)s, updated = %(time)s, status = case
        when heard.lots >= orders.lots then 'filled' when status = 'intended' then 'open' else status end
    from (select coalesce(sum(lots), 0) as lots from fills
        where book = %(book)s and client_id = %(client_id)s) as heard
    where book = %(book)s and client_id = %(client_id)s
"""
CANCEL_ORDER = "update orders set cancel_requested_at = %(time)s where book = %(book)s and client_id = %(client_id)s"
INSERT_FILL = """
    insert into fills (book, fill_id, client_id, exchange, symbol, role, side, ticks, lots, price, quantity, fee,
        funding, time)
    select %(book)s, %(fill_id)s, %(client_id)s, %(exchange)s, %(symbol)s, %(role)s, %(side)s, %(ticks)s, %(lots)s,
        tick_size * %(ticks)s, lot_size * %(lots)s, %(fee)s, %(funding)s, %(time)s
    from (select 1) as always left join markets on exchange = %(exchange)s and symbol = %(symbol)s
"""
INSERT_POSITION = """
    insert into positions (book, position_id, setup_id, strategy, parameters_id, exchange, symbol, timeframe, direction,
        lots, entry_ticks, entry_time, entry_fee, stop_ticks, target_ticks, close_after, regime, risk, quantity,
        entry_price, stop_price, target_price, entry_units, open_units, exit_units, paid_fees)
    select %(book)s, %(position_id)s, %(setup_id)s, %(strategy)s, %(parameters_id)s, %(exchange)s, %(symbol)s,
        %(timeframe)s, %(direction)s, %(lots)s, %(entry_ticks)s, %(entry_time)s, %(entry_fee)s, %(stop_ticks)s,
        %(target_ticks)s, %(close_after)s, %(regime)s, %(risk)s, lot_size * %(lots)s, tick_size * %(entry_ticks)s,
        tick_size * %(stop_ticks)s, tick_size * %(target_ticks)s, %(entry_units)s, %(open_units)s, %(exit_units)s,
        %(paid_fees)s
    from (select 1) as always left join markets on exchange = %(exchange)s and symbol = %(symbol)s
"""
UPDATE_POSITION = """
    update positions set lots = %(lots)s, entry_ticks = %(entry_ticks)s, entry_fee = %(entry_fee)s, risk = %(risk)s,
        stop_ticks = %(stop_ticks)s, target_ticks = %(target_ticks)s, quantity = lot_size * %(lots)s,
        entry_price = tick_size * %(entry_units)s / %(entry_lots)s, stop_price = tick_size * %(stop_ticks)s,
        target_price = tick_size * %(target_ticks)s, entry_units = %(entry_units)s, open_units = %(open_units)s,
        exit_units = %(exit_units)s, paid_fees = %(paid_fees)s
    from (select 1) as always left join markets on exchange = %(exchange)s and symbol = %(symbol)s
    where book = %(book)s and position_id = %(position_id)s
"""
DELETE_POSITION = (
    "delete from positions where book = %(book)s and (position_id = %(trade_id)s or setup_id = %(setup_id)s)"
)
INSERT_TRADE = _insert(
    "trades",
    f"book, trade_id, setup_id, strategy, parameters_id, {_SERIES_COLUMNS}, direction, quantity, entry_price, "
    "entry_time, exit_price, exit_time, exit_reason, fees, funding, profit, risk, r_multiple, regime, stop_price, "
    "target_price",
)
INSERT_LEDGER = _insert("ledger", "book, entry_id, step, time, kind, exchange, symbol, cash, quantity, reference")
INSERT_EQUITY = _insert(
    "equity",
    "book, time, step, cash, equity",
    "on conflict (book, time) do update set step = excluded.step, cash = excluded.cash, equity = excluded.equity",
)


@dataclass(frozen=True, slots=True)
class _Step:
    book: str
    sequence: int
    time: int
    planned: Mapping[str, str]
    """Setup of an entry, by client id."""


def event_json(event: EngineEvent) -> str:
    return _EVENTS[type(event)].dump_json(event).decode()


def statements(record: StepRecord) -> Iterator[Statement]:
    """In the order of the facts; intents come first, because facts of the same step may be about them."""
    step = _Step(
        record.book,
        record.sequence,
        record.time,
        {event.client_id: event.setup_id for event in record.events if isinstance(event, EntryPlanned)},
    )
    yield from _intents(step, record)
    for event in record.events:
        yield from _projected(step, event)


def _intents(step: _Step, record: StepRecord) -> Iterator[Statement]:
    for command in record.commands:
        match command:
            case PlaceEntry():
                yield _order(
                    step, command.client_id, command.market, OrderRole.ENTRY, int(command.direction), command.lots,
                    setup_id=step.planned.get(command.client_id), plan=_PLAN.dump_json(command.plan).decode(),
                    stop_ticks=command.plan.stop_ticks,
                )  # fmt: skip
            case PlaceProtection():
                yield from _protection(step, command)
            case CancelProtection():
                for client_id in (command.stop_client_id, command.target_client_id):
                    yield CANCEL_ORDER, {"book": step.book, "time": step.time, "client_id": client_id}
            case CancelOrder():
                yield CANCEL_ORDER, {"book": step.book, "time": step.time, "client_id": command.client_id}
            case PlaceStop():
                yield _order(
                    step, command.client_id, command.market, OrderRole.STOP, -int(command.direction), command.lots,
                    stop_ticks=command.stop_ticks,
                )  # fmt: skip
            case PlaceExit():
                yield _order(
                    step, command.client_id, command.market, OrderRole.EXIT, -int(command.direction), command.lots,
                    limit_ticks=command.limit_ticks,
                )  # fmt: skip


def _protection(step: _Step, command: PlaceProtection) -> Iterator[Statement]:
    side = -int(command.direction)
    yield _order(
        step, command.stop_client_id, command.market, OrderRole.STOP, side, command.lots,
        stop_ticks=command.stop_ticks,
    )  # fmt: skip
    yield _order(
        step, command.target_client_id, command.market, OrderRole.TARGET, side, command.lots,
        limit_ticks=command.target_ticks,
    )  # fmt: skip


def _order(
    step: _Step,
    client_id: str,
    market: MarketKey,
    role: OrderRole,
    side: int,
    lots: int,
    *,
    setup_id: str | None = None,
    plan: str | None = None,
    stop_ticks: int | None = None,
    limit_ticks: int | None = None,
) -> Statement:
    return INSERT_ORDER, {
        "book": step.book, "client_id": client_id, "setup_id": setup_id, "entry": _entry_of(client_id),
        "exchange": market.exchange, "symbol": market.symbol, "role": role.value, "side": side, "lots": lots,
        "stop_ticks": stop_ticks, "limit_ticks": limit_ticks, "plan": plan, "time": step.time,
    }  # fmt: skip


def _projected(step: _Step, event: EngineEvent) -> Iterator[Statement]:
    book = {"book": step.book}
    match event:
        case SetupEvaluated(setup, verdict, reason):
            judged = {"verdict": verdict.value, "reason": reason, "updated": step.time}
            yield INSERT_SETUP, book | _setup(setup) | judged
        case SetupDropped():
            yield DROP_SETUP, book | _plain(event)
        case OrderAccepted() | OrderRejected() | OrderEnded() | OrderFilled():
            yield from _order_fact(step, event)
        case PositionOpened(position, time):
            yield INSERT_POSITION, book | _position(position)
            identity = {"setup_id": position.setup_id, "time": time, "verdict": Verdict.ACCEPTED.value}
            yield OPEN_SETUP, book | identity
        case PositionResized(position):
            yield UPDATE_POSITION, book | _position(position)
        case PositionClosed(trade):
            yield DELETE_POSITION, book | {"trade_id": trade.trade_id, "setup_id": trade.setup_id}
            yield INSERT_TRADE, book | _plain(trade)
        case LedgerPosted(entries):
            for entry in entries:
                yield INSERT_LEDGER, book | _ledger(entry) | {"step": step.sequence}
        case EquityMarked():
            yield INSERT_EQUITY, book | _plain(event) | {"step": step.sequence}


def _order_fact(step: _Step, event: OrderAccepted | OrderRejected | OrderEnded | OrderFilled) -> Iterator[Statement]:
    nothing = {"book": step.book, "verdict": None, "reason": None}
    match event:
        case OrderAccepted(client_id, time):
            yield UPDATE_ORDER, nothing | {"client_id": client_id, "time": time, "status": OrderStatus.OPEN.value}
        case OrderRejected(client_id, reason, time):
            told = {"client_id": client_id, "time": time, "reason": reason}
            yield UPDATE_ORDER, nothing | told | {"status": OrderStatus.REJECTED.value}
        case OrderEnded(client_id, verdict, reason, time, status):
            told = {"client_id": client_id, "time": time, "reason": reason, "verdict": verdict and verdict.value}
            yield UPDATE_ORDER, nothing | told | {"status": status.value}
        case OrderFilled(fill):
            yield INSERT_FILL, {"book": step.book, **_plain(fill)}
            told = {"client_id": fill.client_id, "time": fill.time, "fill_id": fill.fill_id}
            yield FILL_ORDER, {"book": step.book} | told


def _entry_of(client_id: str) -> str | None:
    """All orders of a trade bear its name; the setup that it came from is known of its entry."""
    try:
        return str(replace(ClientId.parse(client_id), role=IdRole.ENTRY, generation=0))
    except RefusedError:
        return None


def _position(position: Position) -> dict[str, Any]:
    return _plain(position) | {"paid_fees": position.entry_fee + position.exit_fees + position.funding}


def _setup(setup: Setup) -> dict[str, Any]:
    return _plain(setup) | {"conditions": _CONDITIONS.dump_json(setup.conditions).decode()}


def _ledger(entry: LedgerEntry) -> dict[str, Any]:
    return {"exchange": None, "symbol": None} | _plain(entry)


def _plain(fact: Any) -> dict[str, Any]:
    """Fields by name, enums as their value, a series or market spread into its parts."""
    values: dict[str, Any] = {}
    for field in fields(fact):
        value = getattr(fact, field.name)
        match field.name, value:
            case "series", _:
                values |= {"exchange": value.exchange, "symbol": value.symbol, "timeframe": value.timeframe.value}
            case "market", None:
                pass
            case "market", _:
                values |= {"exchange": value.exchange, "symbol": value.symbol}
            case _:
                values[field.name] = getattr(value, "value", value)
    return values
