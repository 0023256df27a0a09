"""What may be asked of a training job: every name is checked before anything is computed or stored."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from tradepulse.domain.market import TRADED_TIMEFRAMES, Timeframe
from tradepulse.domain.signals import Regime
from tradepulse.domain.training import ANY_REGIME, TrainingRequest
from tradepulse.ports import SeriesCoverage
from tradepulse.shared.errors import ConfigurationError
from tradepulse.shared.settings import nearest
from tradepulse.strategies import STRATEGIES

FEWEST_POINTS, MOST_POINTS = 64, 65_536
"""Fewer are no design; more would only find more luck in the same data."""
LARGEST_SEED = 2**63 - 1
NAMES_SHOWN = 8
GET_CANDLES = "Use download-data or import-data first."
Name = TypeVar("Name", bound=str)


def checked_request(
    coverage: Sequence[SeriesCoverage],
    symbols: Sequence[str],
    exchanges: Sequence[str],
    strategies: Sequence[str],
    market_regimes: Sequence[str],
    timeframes: Sequence[str],
    *,
    since: int | None = None,
    until: int | None = None,
    points: int = 2048,
    seed: int = 0,
    challenger: bool = False,
) -> TrainingRequest:
    """The request in unified words, or ``ConfigurationError`` naming the value, the rule and the remedy.

    ``coverage`` is what can be trained on. Names may be given in any order; the same names are the same request.
    """
    _check_numbers(since, until, points, seed)
    frames = _distinct("timeframe", timeframes, traded_timeframe)
    request = TrainingRequest(
        symbols=_distinct("symbol", symbols, unified_symbol),
        exchanges=_distinct("exchange", exchanges, lambda name: name.strip().lower()),
        strategies=_distinct("strategy", strategies, known_strategy),
        regimes=_distinct("regime", market_regimes, known_regime),
        timeframes=tuple(sorted(frames, key=lambda timeframe: timeframe.milliseconds)),
        since=since,
        until=until,
        points=points,
        seed=seed,
        challenger=challenger,
    )
    _check_stored(request, coverage)
    return request


def unified_symbol(text: str) -> str:
    """``BTC/USDT`` from ``BTC/USDT``, ``btc-usdt`` or ``BTC%2FUSDT``; ``:USDT`` of a swap is kept."""
    symbol = text.strip().upper().replace("%2F", "/").replace("%3A", ":")
    if "/" not in symbol:
        symbol = symbol.replace("-", "/", 1)
    base, slash, quote = symbol.partition("/")
    readable = symbol.isprintable() and not set(symbol) & set(" []")
    if not (slash and base and quote and readable):
        raise ConfigurationError(f"'{text}' is not a symbol.", "Write it as BTC/USDT or BTC-USDT.")
    return symbol


def known_strategy(name: str) -> str:
    if name not in STRATEGIES:
        raise ConfigurationError(f"'{name}' is not a strategy.", _did_you_mean(name, sorted(STRATEGIES)))
    return name


def known_regime(name: str) -> Regime:
    if name == ANY_REGIME:
        raise ConfigurationError(
            "'any' is no regime of its own: it is always trained, as the parent of the others.",
            f"Name one or more of: {', '.join(Regime)}.",
        )
    if name not in set(Regime):
        raise ConfigurationError(f"'{name}' is not a regime.", _did_you_mean(name, list(Regime)))
    return Regime(name)


def traded_timeframe(name: str) -> Timeframe:
    if name not in set(Timeframe):
        raise ConfigurationError(f"'{name}' is not a timeframe.", _did_you_mean(name, list(TRADED_TIMEFRAMES)))
    timeframe = Timeframe(name)
    if timeframe not in TRADED_TIMEFRAMES:
        raise ConfigurationError(
            f"{timeframe} is a context timeframe: setups are read in it, not traded on it.",
            f"Trade one of: {', '.join(TRADED_TIMEFRAMES)}.",
        )
    return timeframe


def selected(request: TrainingRequest, coverage: Iterable[SeriesCoverage]) -> list[SeriesCoverage]:
    """What the request asks for and can be had; ``ConfigurationError`` where its range holds nothing of it."""
    named = [
        entry
        for entry in coverage
        if entry.series.symbol in request.symbols
        and entry.series.exchange in request.exchanges
        and entry.series.timeframe in request.timeframes
    ]
    since, until = request.since, request.until
    within = [
        entry for entry in named if (since is None or entry.last >= since) and (until is None or entry.first < until)
    ]
    if not within:
        first, last = min(entry.first for entry in named), max(entry.last for entry in named)
        raise ConfigurationError(
            f"No candles of {', '.join(request.symbols)} are stored in that range.",
            f"They reach from {_moment(first)} to {_moment(last)}.",
        )
    return within


def _distinct(what: str, names: Sequence[str], read: Callable[[str], Name]) -> tuple[Name, ...]:
    """All names read and sorted, none of them twice in whatever spelling."""
    if not names:
        raise ConfigurationError(f"No {what} is named.", f"Name at least one {what}.")
    found: dict[Name, str] = {}
    for name in names:
        word = read(name)
        if word in found:
            as_well = "" if found[word] == name else f" ('{found[word]}' and '{name}' are the same)"
            raise ConfigurationError(f"The {what} {word} is named twice{as_well}.", "Name it once.")
        found[word] = name
    return tuple(sorted(found))


def _check_numbers(since: int | None, until: int | None, points: int, seed: int) -> None:
    if since is not None and until is not None and since >= until:
        raise ConfigurationError(f"The range is empty: {since} is not before {until}.", "Swap or widen the two ends.")
    if not FEWEST_POINTS <= points <= MOST_POINTS:
        raise ConfigurationError(
            f"{points:,} points are not between {FEWEST_POINTS} and {MOST_POINTS:,}.",
            "2048 is the usual design: more trials find more luck, not more truth.",
        )
    if not 0 <= seed <= LARGEST_SEED:
        raise ConfigurationError(f"The seed {seed} is not between 0 and {LARGEST_SEED}.", "Use a small number, like 0.")


def _check_stored(request: TrainingRequest, coverage: Sequence[SeriesCoverage]) -> None:
    remedy = GET_CANDLES
    if not coverage:
        raise ConfigurationError("No candles are stored yet.", remedy)
    exchanges = sorted({entry.series.exchange for entry in coverage})
    for exchange in request.exchanges:
        if exchange not in exchanges:
            stored = f"Stored are candles of: {', '.join(exchanges)}."
            raise ConfigurationError(f"No candles of the exchange '{exchange}' are stored.", f"{stored} {remedy}")
    there = [entry for entry in coverage if entry.series.exchange in request.exchanges]
    symbols = sorted({entry.series.symbol for entry in there})
    for symbol in request.symbols:
        if symbol not in symbols:
            raise nothing_stored(symbol, symbols, f" on {', '.join(request.exchanges)}")
    chosen = [entry for entry in there if entry.series.symbol in request.symbols]
    _check_every_part(request, chosen, remedy)
    _refuse_mixture(chosen)


def _check_every_part(request: TrainingRequest, chosen: Sequence[SeriesCoverage], remedy: str) -> None:
    """An exchange or a timeframe of the request for which no candle at all can be had is a mistake worth telling."""
    for exchange in request.exchanges:
        if not any(entry.series.exchange == exchange for entry in chosen):
            raise ConfigurationError(
                f"No candles of {', '.join(request.symbols)} are stored on {exchange}.", f"Leave it out. {remedy}"
            )
    for timeframe in request.timeframes:
        if not any(entry.series.timeframe is timeframe for entry in chosen):
            there = sorted({entry.series.timeframe for entry in chosen}, key=lambda one: one.milliseconds)
            raise ConfigurationError(
                f"No {timeframe} candles of {', '.join(request.symbols)} are stored, nor finer ones to make them of.",
                f"There are: {', '.join(there)}. {remedy}",
            )


def _refuse_mixture(chosen: Sequence[SeriesCoverage]) -> None:
    if len({entry.simulated for entry in chosen}) > 1:
        simulated = sorted({entry.series.exchange for entry in chosen if entry.simulated})
        raise ConfigurationError(
            f"SIMULATED candles ({', '.join(simulated)}) and real ones would be judged as one family.",
            "Train them in separate jobs: name the exchanges.",
        )


def nothing_stored(symbol: str, stored: Sequence[str], where: str = "") -> ConfigurationError:
    problem = f"No candles of {symbol} are stored{where}."
    if not stored:
        return ConfigurationError(problem, GET_CANDLES)
    near = nearest(symbol, stored)
    asked = f"Did you mean '{near}'? " if near else ""
    more = f" and {len(stored) - NAMES_SHOWN} more" if len(stored) > NAMES_SHOWN else ""
    return ConfigurationError(problem, f"{asked}Stored are: {', '.join(stored[:NAMES_SHOWN])}{more}. {GET_CANDLES}")


def _moment(time: int) -> str:
    return datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    near = nearest(name, known)
    return f"Did you mean '{near}'?" if near else f"Use one of: {', '.join(known)}."
