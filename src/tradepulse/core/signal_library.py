"""Which strategy looks at which series with which parameters, and what it finds on a candle that has just closed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tradepulse.core.data_handler import DataHandler
from tradepulse.domain.market import SeriesKey
from tradepulse.domain.signals import Setup
from tradepulse.shared.errors import ConfigurationError
from tradepulse.strategies.base_strategy import Parameters, Strategy


@dataclass(frozen=True, slots=True)
class Subscription:
    strategy: Strategy
    parameters: Parameters
    series: SeriesKey


class SignalLibrary:
    def __init__(self, subscriptions: Iterable[Subscription]) -> None:
        self._by_series: dict[SeriesKey, list[tuple[Subscription, int]]] = {}
        seen: set[tuple[str, SeriesKey]] = set()
        for subscription in subscriptions:
            key = (subscription.strategy.strategy_id, subscription.series)
            if key in seen:
                raise ConfigurationError(
                    f"{key[0]} is set up twice on {key[1]}.", "Keep one parameter set per strategy and series."
                )
            seen.add(key)
            warmup = subscription.strategy.warmup_bars(subscription.parameters, subscription.series.timeframe)
            self._by_series.setdefault(subscription.series, []).append((subscription, warmup))

    @property
    def capacities(self) -> Mapping[SeriesKey, int]:
        """Candles that each series must remember."""
        return {series: max(warmup for _, warmup in entries) for series, entries in self._by_series.items()}

    def find(self, series: SeriesKey, data: DataHandler) -> list[Setup]:
        found: list[Setup] = []
        for subscription, warmup in self._by_series.get(series, ()):
            found += subscription.strategy.detect(data.history(series, warmup), subscription.parameters)
        return found
