"""The book: fills in, cash, positions and equity out. Money is Decimal and exact to the last unit."""

from collections.abc import Mapping
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

    def spec(self, market: MarketKey) -> MarketSpec:
        try:
            return self._markets[market]
        except KeyError:
            raise InvariantError(f"The exchange's rules for {market} are not known.") from None

    def deposit(self, amount: Decimal, time: int, reason: str) -> LedgerEntry:
        self.cash += amount
        return LedgerEntry(f"deposit-{reason}", time, LedgerKind.DEPOSIT, None, amount, ZERO, reason)

    def mark(self, market: MarketKey, close: float) -> None:
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
        return self._post(fill)

    def close(self, position: Position, fill: Fill, reason: ExitReason) -> tuple[Trade, list[LedgerEntry]]:
        if fill.lots != position.lots:
            raise InvariantError(
                f"Position {position.position_id} holds {position.lots} lots, {fill.lots} were closed."
            )
        del self.positions[position.position_id]
        spec = self.spec(fill.market)
        gross = spec.money(fills.profit_units(position.entry_ticks, fill.ticks, fill.lots, position.direction))
        fees = position.entry_fee + fill.fee
        profit = gross - fees - fill.funding
        trade = Trade(
            trade_id=position.position_id,
            setup_id=position.setup_id,
            strategy=position.strategy,
            parameters_id=position.parameters_id,
            series=position.series,
            direction=position.direction,
            quantity=spec.quantity(position.lots),
            entry_price=spec.price(position.entry_ticks),
            entry_time=position.entry_time,
            exit_price=spec.price(fill.ticks),
            exit_time=fill.time,
            exit_reason=reason,
            fees=fees,
            funding=fill.funding,
            profit=profit,
            risk=position.risk,
            r_multiple=float(profit / position.risk),
            regime=position.regime,
            stop_price=spec.price(position.stop_ticks),
            target_price=spec.price(position.target_ticks),
        )
        return trade, self._post(fill, position)

    def _post(self, fill: Fill, closes: Position | None = None) -> list[LedgerEntry]:
        """Ledger entries of a fill. Spot moves the notional; a swap moves only the profit, when it closes."""
        spec = self.spec(fill.market)
        kind = LedgerKind.BUY if fill.side is Direction.LONG else LedgerKind.SELL
        if spec.kind is MarketKind.SPOT:
            moved = -fill.side * spec.money(fill.ticks * fill.lots)
        elif closes is not None:
            moved = spec.money(fills.profit_units(closes.entry_ticks, fill.ticks, fill.lots, closes.direction))
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
        return spec.money(position.entry_ticks * position.lots) if spec.kind is MarketKind.SWAP else ZERO

    def _value(self, position: Position) -> Decimal:
        spec = self.spec(position.series.market)
        mark = self.marks.get(position.series.market, position.entry_ticks)
        if spec.kind is MarketKind.SPOT:
            return position.direction * spec.money(mark * position.lots)
        return spec.money(fills.profit_units(position.entry_ticks, mark, position.lots, position.direction))
