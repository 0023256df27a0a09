"""A market, setups on it, and fills of the orders that the core asked for."""

from decimal import Decimal

from tradepulse.domain.commands import PlaceEntry, PlaceExit, PlaceProtection
from tradepulse.domain.market import MINUTE, MarketKey, MarketKind, MarketSpec, SeriesKey, Timeframe
from tradepulse.domain.orders import Fill, OrderRole
from tradepulse.domain.signals import Direction, Regime, Setup
from tradepulse.kernels import fills

MARKET = MarketKey("desk", "ABC/USD")
SERIES = SeriesKey("desk", "ABC/USD", Timeframe.M5)
START = 1_700_006_400_000
CASH = Decimal(10_000)


def spec(kind: MarketKind = MarketKind.SPOT, market: MarketKey = MARKET) -> MarketSpec:
    return MarketSpec(
        market, "ABC", "USD", kind, Decimal("0.01"), Decimal("0.001"), Decimal(10), 1_000, 1_000, 200,
        100 if kind is MarketKind.SWAP else 0,
    )  # fmt: skip


def setup(
    name: str = "first",
    *,
    direction: Direction = Direction.LONG,
    series: SeriesKey = SERIES,
    close: float = 100.0,
    stop: float = 98.0,
    target: float | None = None,
    bar_time: int = START,
) -> Setup:
    return Setup(
        setup_id=name,
        strategy="desk",
        parameters_id="parameters",
        series=series,
        bar_time=bar_time,
        found_at=bar_time + series.timeframe.milliseconds,
        direction=direction,
        close=close,
        stop=stop,
        target=target,
        reward_risk=2.5,
        min_reward_risk=1.2,
        max_bars_in_trade=20,
        regime=Regime.BULL,
        conditions=(),
        valid=True,
        confluence=1.0,
    )


def fill(
    market: MarketSpec,
    client_id: str,
    role: OrderRole,
    side: Direction,
    ticks: int,
    lots: int,
    *,
    time: int = START + 5 * MINUTE,
    funding: Decimal = Decimal(0),
) -> Fill:
    rate = market.maker_ppm if role is OrderRole.TARGET else market.taker_ppm
    fee = market.money(fills.fee_units(ticks * lots, rate))
    return Fill(f"{client_id}-1", client_id, market.key, role, side, ticks, lots, fee, funding, time)


def entry_fill(market: MarketSpec, command: PlaceEntry, ticks: int) -> Fill:
    return fill(market, command.client_id, OrderRole.ENTRY, command.direction, ticks, command.lots)


def exit_fill(market: MarketSpec, command: PlaceProtection | PlaceExit, role: OrderRole, ticks: int) -> Fill:
    names = {OrderRole.EXIT: getattr(command, "client_id", "")}
    if isinstance(command, PlaceProtection):
        names |= {OrderRole.STOP: command.stop_client_id, OrderRole.TARGET: command.target_client_id}
    side = Direction(-command.direction)
    return fill(market, names[role], role, side, ticks, command.lots, time=START + 60 * MINUTE)
