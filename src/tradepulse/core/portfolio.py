"""The book: fills in, cash, positions and equity out. Money is Decimal and exact to the last unit."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from tradepulse.domain.market import MarketKey, MarketKind, MarketSpec
from tradepulse.domain.orders import Fill, OrderRole
from tradepulse.domain.portfolio import LedgerEntry, LedgerKind, Position, Trade
from tradepulse.domain.signals import Direction, ExitReason
from tradepulse.kernels import fills
from tradepulse.shared.errors import InvariantError

EXIT_REASONS = {OrderRole.STOP: ExitReason.STOP, OrderRole.TARGET: ExitReason.TARGET}
ZERO = Decimal(0)


class Portfolio:
    def __init__(self, markets: Mapping[MarketKey, MarketSpec]) -> None:
        self._markets = dict(markets)
        self.cash = ZERO
        self.positions: dict[str, Position] = {}
        self.reserved: dict[str, Decimal] = {}
        """Cash held back for entries on their way, by client order id."""
        self.marks: dict[MarketKey, int] = {}
        self.marks_before: dict[MarketKey, int] = {}
        """The close before the last one, by which the last one is judged."""

    def spec(self, market: MarketKey) -> MarketSpec:
        try:
            return self._markets[market]
        except KeyError:
            raise InvariantError(f"The exchange's rules for {market} are not known.") from None

    def deposit(self, amount: Decimal, time: int, reason: str) -> LedgerEntry:
        self.cash += amount
        return LedgerEntry(f"deposit-{reason}", time, LedgerKind.DEPOSIT, None, amount, ZERO, reason)

    def mark(self, market: MarketKey, close: float) -> None:
        if market in self.marks:
            self.marks_before[market] = self.marks[market]
        self.marks[market] = fills.to_ticks(close, float(self.spec(market).tick_size))

    def reserve(self, client_id: str, market: MarketKey, lots: int, planned_ticks: int, stop_ticks: int) -> None:
        """Hold back what the entry costs at its worst acceptable price, fee included."""
        spec = self.spec(market)
        dearest = max(planned_ticks, fills.worst_entry(planned_ticks, stop_ticks))
        notional = dearest * lots
        self.reserved[client_id] = spec.money(notional + fills.fee_units(notional, spec.taker_ppm))

    def release(self, client_id: str) -> None:
        self.reserved.pop(client_id, None)

    @property
    def free_cash(self) -> Decimal:
        margin = sum((self._margin(position) for position in self.positions.values()), ZERO)
        return self.cash - margin - sum(self.reserved.values(), ZERO)

    @property
    def equity(self) -> Decimal:
        return self.cash + sum((self._value(position) for position in self.positions.values()), ZERO)

    def worth(self, position: Position) -> Decimal:
        """What it is worth at the last price, whichever way it points."""
        market = position.series.market
        return self.spec(market).money(self.marks.get(market, position.entry_ticks) * position.lots)

    def open(self, position: Position, fill: Fill) -> list[LedgerEntry]:
        if position.position_id in self.positions:
            raise InvariantError(f"Position {position.position_id} would be opened twice.")
        self.positions[position.position_id] = position
        return self.post(fill)

    def grow(self, position: Position, fill: Fill, risk: Decimal, target_ticks: int) -> list[LedgerEntry]:
        """A further fill of the entry. ``position`` is what is known of it so far."""
        units = fill.ticks * fill.lots
        lots, entry_units = position.entry_lots + fill.lots, position.entry_units + units
        kept = position.entry_fee_base + fill.fee_lots_base
        arrived = self.arrived(fill.market, lots, kept) - self.arrived(
            fill.market, position.entry_lots, position.entry_fee_base
        )
        self.positions[position.position_id] = replace(
            position,
            lots=position.lots + arrived,
            entry_lots=lots,
            entry_units=entry_units,
            entry_ticks=entry_units // lots,
            open_units=position.open_units + units,
            entry_fee=position.entry_fee + fill.fee,
            entry_fee_base=kept,
            risk=position.risk + risk,
            target_ticks=target_ticks,
        )
        return self.post(fill)

    def arrived(self, market: MarketKey, lots: int, kept: Decimal) -> int:
        """Whole lots that can be sold of so many bought, of which the exchange kept some as a fee."""
        spec = self.spec(market)
        return int((spec.quantity(lots) - kept) // spec.lot_size)

    def reduce(self, position: Position, fill: Fill) -> list[LedgerEntry]:
        """Part or all of it was sold (or bought back). What a sale costs of the rest is never a rounded average."""
        units = self._taken_units(position, fill.lots)
        self.positions[position.position_id] = replace(
            position,
            lots=position.lots - fill.lots,
            open_units=position.open_units - units,
            exit_lots=position.exit_lots + fill.lots,
            exit_units=position.exit_units + fill.ticks * fill.lots,
            exit_fees=position.exit_fees + fill.fee,
            funding=position.funding + fill.funding,
        )
        return self.post(fill, position, units)

    def write_off(self, position: Position, lots: int, time: int, reason: str) -> list[LedgerEntry]:
        """Lots that are not ours to sell any more leave the book at what they cost: neither a profit nor a loss."""
        market = position.series.market
        spec, units = self.spec(market), self._taken_units(position, lots)
        self.positions[position.position_id] = replace(
            position,
            lots=position.lots - lots,
            open_units=position.open_units - units,
            exit_lots=position.exit_lots + lots,
            exit_units=position.exit_units + units,
        )
        cost = spec.money(units) if spec.kind is MarketKind.SPOT else ZERO
        kind = LedgerKind.SELL if position.direction is Direction.LONG else LedgerKind.BUY
        quantity = -position.direction * spec.quantity(lots)
        name = f"{position.position_id}-{reason}-{position.exit_lots}"
        return [
            LedgerEntry(name, time, kind, market, cost, quantity, reason),
            LedgerEntry(f"{name}-out", time, LedgerKind.DEPOSIT, market, -cost, ZERO, reason),
        ]

    def move_stop(self, position: Position, stop_ticks: int) -> None:
        self.positions[position.position_id] = replace(position, stop_ticks=stop_ticks)

    @staticmethod
    def _taken_units(position: Position, lots: int) -> int:
        return position.open_units * lots // position.lots if lots < position.lots else position.open_units

    def close(self, position: Position, reason: ExitReason, time: int) -> Trade:
        """The story of a position of which everything is out."""
        del self.positions[position.position_id]
        spec = self.spec(position.series.market)
        gross = spec.money(position.direction * (position.exit_units - position.entry_units))
        fees = position.entry_fee + position.exit_fees
        profit = gross - fees - position.funding
        return Trade(
            trade_id=position.position_id,
            setup_id=position.setup_id,
            strategy=position.strategy,
            parameters_id=position.parameters_id,
            series=position.series,
            direction=position.direction,
            quantity=spec.quantity(position.entry_lots),
            entry_price=_average(spec, position.entry_units, position.entry_lots),
            entry_time=position.entry_time,
            exit_price=_average(spec, position.exit_units, position.exit_lots),
            exit_time=time,
            exit_reason=reason,
            fees=fees,
            funding=position.funding,
            profit=profit,
            risk=position.risk,
            r_multiple=float(profit / position.risk),
            regime=position.regime,
            stop_price=spec.price(position.stop_ticks),
            target_price=spec.price(position.target_ticks),
        )

    def post(self, fill: Fill, closes: Position | None = None, cost_units: int = 0) -> list[LedgerEntry]:
        """Ledger entries of a fill. Spot moves the notional; a swap moves only the profit, when it closes.

        ``cost_units``: what the lots had cost that it closes.
        """
        spec = self.spec(fill.market)
        kind = LedgerKind.BUY if fill.side is Direction.LONG else LedgerKind.SELL
        if spec.kind is MarketKind.SPOT:
            moved = -fill.side * spec.money(fill.ticks * fill.lots)
        elif closes is not None:
            moved = spec.money(closes.direction * (fill.ticks * fill.lots - cost_units))
        else:
            moved = ZERO
        quantity = fill.side * spec.quantity(fill.lots)
        entries = [
            LedgerEntry(fill.fill_id, fill.time, kind, fill.market, moved, quantity, fill.fill_id),
            LedgerEntry(f"{fill.fill_id}-fee", fill.time, LedgerKind.FEE, fill.market, -fill.fee, ZERO, fill.fill_id),
        ]
        if fill.funding:
            entries.append(
                LedgerEntry(
                    f"{fill.fill_id}-funding",
                    fill.time,
                    LedgerKind.FUNDING,
                    fill.market,
                    -fill.funding,
                    ZERO,
                    fill.fill_id,
                )
            )
        self.cash += sum((entry.cash for entry in entries), ZERO)
        return entries

    def _margin(self, position: Position) -> Decimal:
        spec = self.spec(position.series.market)
        return spec.money(position.open_units) if spec.kind is MarketKind.SWAP else ZERO

    def _value(self, position: Position) -> Decimal:
        spec = self.spec(position.series.market)
        mark = self.marks.get(position.series.market, position.entry_ticks)
        if spec.kind is MarketKind.SPOT:
            return position.direction * spec.money(mark * position.lots)
        return spec.money(position.direction * (mark * position.lots - position.open_units))


def _average(spec: MarketSpec, units: int, lots: int) -> Decimal:
    """Of a price, to be shown; money is never reckoned from it."""
    ticks, rest = divmod(units, max(lots, 1))
    return spec.price(ticks) if rest == 0 else spec.tick_size * units / lots
