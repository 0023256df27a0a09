"""Which strategy looks at which series with which parameters, and what it finds on a candle that has just closed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tradepulse.core.data_handler import DataHandler
from tradepulse.domain.market import SeriesKey
from tradepulse.domain.signals import Regime, Setup
from tradepulse.kernels.fills import PPM
from tradepulse.shared.errors import ConfigurationError
from tradepulse.strategies.base_strategy import Parameters, Strategy
from tradepulse.strategies.setup_table import REGIMES

LEAST_WINDOW = 2


@dataclass(frozen=True, slots=True)
class Subscription:
    """Parameters of a strategy on a series, asked in their own regime only, or in any where they name none."""

    strategy: Strategy
    parameters: Parameters
    series: SeriesKey
    size_ppm: int = PPM
    """Share of the usual size that they begin with."""
    not_in: frozenset[Regime] = frozenset()
    """Regimes in which parameters of any regime are not asked, because they were judged and found wanting there."""
    advised: bool = False
    """An adviser watches over the size; where none does, a restart never makes it larger than the one to begin with."""

    @property
    def key(self) -> str:
        return size_key(self.strategy.strategy_id, self.series, self.parameters.parameters_id)


def size_key(strategy: str, series: SeriesKey, parameters_id: str) -> str:
    return f"{series}:{strategy}:{parameters_id}"


@dataclass(frozen=True, slots=True)
class _Listener:
    subscription: Subscription
    warmup: int


class SignalLibrary:
    """``watched`` series are remembered although no strategy looks at them: positions may still be open there."""

    def __init__(self, subscriptions: Iterable[Subscription], watched: Iterable[SeriesKey] = ()) -> None:
        self._by_series: dict[SeriesKey, dict[str, dict[Regime | None, _Listener]]] = {key: {} for key in watched}
        for subscription in subscriptions:
            strategy, parameters = subscription.strategy, subscription.parameters
            by_regime = self._by_series.setdefault(subscription.series, {}).setdefault(strategy.strategy_id, {})
            if parameters.regime in by_regime:
                regime = f" in a {parameters.regime} regime" if parameters.regime else ""
                raise ConfigurationError(
                    f"{strategy.strategy_id} is set up twice on {subscription.series}{regime}.",
                    "Keep one parameter set per strategy, series and regime.",
                )
            warmup = strategy.warmup_bars(parameters, subscription.series.timeframe)
            by_regime[parameters.regime] = _Listener(subscription, warmup)

    @property
    def subscriptions(self) -> Iterator[Subscription]:
        for strategies in self._by_series.values():
            for by_regime in strategies.values():
                for listener in by_regime.values():
                    yield listener.subscription

    @property
    def capacities(self) -> Mapping[SeriesKey, int]:
        """Candles that each series must remember."""
        return {
            series: max(
                (listener.warmup for by_regime in strategies.values() for listener in by_regime.values()),
                default=LEAST_WINDOW,
            )
            for series, strategies in self._by_series.items()
        }

    def find(self, series: SeriesKey, data: DataHandler) -> list[Setup]:
        """Of each strategy the parameters of the regime in force are asked, else those of any regime, else none."""
        found: list[Setup] = []
        for by_regime in self._by_series.get(series, {}).values():
            regime = REGIMES[int(data.history(series, 1).regime[-1])]
            listener = by_regime.get(regime) or by_regime.get(None)
            if listener is not None and regime not in listener.subscription.not_in:
                window = data.history(series, listener.warmup)
                found += listener.subscription.strategy.detect(window, listener.subscription.parameters)
        return found
