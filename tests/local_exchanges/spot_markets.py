"""One market of a local exchange: what is quoted, how much can be traded at once, and the candles that trades make."""

from bisect import bisect_left
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby

from tests.local_exchanges.spot_orders import ZERO, Instrument, Side

from tradepulse.domain.market import MINUTE, MONDAY_OFFSET, WEEK


@dataclass
class Bar:
    open_time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int = 1

    @classmethod
    def flat(cls, open_time: int, price: Decimal) -> "Bar":
        """Of a minute in which nobody traded."""
        return cls(open_time, price, price, price, price, ZERO, 0)

    def take(self, price: Decimal, quantity: Decimal) -> None:
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.close = price
        self.volume += quantity
        self.trades += 1


@dataclass
class Tape:
    """Candles of one minute, from which all longer ones are made."""

    bars: list[Bar] = field(default_factory=list)

    def take(self, time: int, price: Decimal, quantity: Decimal) -> Bar:
        begin = time // MINUTE * MINUTE
        if self.bars and self.bars[-1].open_time == begin:
            self.bars[-1].take(price, quantity)
        else:
            self.bars.append(Bar(begin, price, price, price, price, quantity))
        return self.bars[-1]

    def fill_until(self, time: int) -> None:
        """A minute without a trade is a flat candle without volume, where the exchange tells such candles at all."""
        while self.bars and self.bars[-1].open_time + MINUTE < time // MINUTE * MINUTE:
            last = self.bars[-1]
            self.bars.append(Bar.flat(last.open_time + MINUTE, last.close))

    def page(self, step: int, since: int, until: int) -> list[Bar]:
        """Candles of ``step`` milliseconds with ``since <= open_time < until``, the unfinished one too."""
        begin = bisect_left(self.bars, begin_of(since, step), key=lambda bar: bar.open_time)
        end = bisect_left(self.bars, until, key=lambda bar: bar.open_time)
        if step == MINUTE:
            return self.bars[begin:end]
        grouped = groupby(self.bars[begin:end], key=lambda bar: begin_of(bar.open_time, step))
        return [joined(open_time, list(bars)) for open_time, bars in grouped if open_time >= since]


def begin_of(time: int, step: int) -> int:
    """Open time of the candle of ``step`` milliseconds that contains it; weeks begin on Monday."""
    offset = MONDAY_OFFSET if step == WEEK else 0
    return (time - offset) // step * step + offset


def joined(open_time: int, bars: list[Bar]) -> Bar:
    return Bar(
        open_time,
        bars[0].open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[-1].close,
        sum((bar.volume for bar in bars), ZERO),
        sum(bar.trades for bar in bars),
    )


@dataclass
class Market:
    """``depth``: how much can be traded until the price is set again (``None``: any amount).

    ``largest_trade``: an execution of more than that comes as several.
    """

    instrument: Instrument
    last: Decimal
    bid: Decimal
    ask: Decimal
    status: str = "TRADING"
    depth: Decimal | None = None
    largest_trade: Decimal | None = None
    tape: Tape = field(default_factory=Tape)

    @property
    def symbol(self) -> str:
        return self.instrument.symbol

    def against(self, side: Side) -> Decimal:
        """The price at which an order of this side trades at once."""
        return self.ask if side is Side.BUY else self.bid

    def tradable(self, quantity: Decimal) -> Decimal:
        return quantity if self.depth is None else min(self.depth, quantity)

    def consume(self, quantity: Decimal) -> None:
        if self.depth is not None:
            self.depth -= quantity
