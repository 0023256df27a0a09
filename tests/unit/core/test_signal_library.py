"""Who is asked: the parameters of the regime in force, else those of any regime, else nobody."""

import numpy as np
import pytest
from tests.integration.engine.scripted import MARKET, ScriptedStrategy, series

from tradepulse.core.data_handler import DataHandler
from tradepulse.core.signal_library import SignalLibrary, Subscription
from tradepulse.domain.events import CandleClosed
from tradepulse.domain.market import HOUR, Candle, Timeframe
from tradepulse.domain.signals import Regime
from tradepulse.shared.errors import ConfigurationError

STRATEGY, H1 = ScriptedStrategy(), series(Timeframe.H1)
START = 1_700_000_000_000 // (24 * HOUR) * 24 * HOUR


def listening(*regimes: Regime | None) -> SignalLibrary:
    return SignalLibrary([Subscription(STRATEGY, STRATEGY.parameters(regime), H1) for regime in regimes])


def found_in(library: SignalLibrary, drift: float, bars: int = 600) -> dict[str, set[Regime]]:
    """Regimes in force at the setups found, by the parameters that found them."""
    data = DataHandler({MARKET: Timeframe.H1}, library.capacities)
    random = np.random.default_rng(0)
    close = 100.0 * np.exp(np.cumsum(random.normal(drift, 0.004, bars)))
    found: dict[str, set[Regime]] = {}
    for bar in range(bars):
        price = float(close[bar])
        data.add(CandleClosed(H1, Candle(START + bar * HOUR, price, price * 1.001, price * 0.999, price, 1.0)))
        for setup in library.find(H1, data):
            found.setdefault(setup.parameters_id, set()).add(setup.regime)
    return found


def name(regime: Regime | None) -> str:
    return STRATEGY.parameters(regime).parameters_id


def test_setups_when_a_regime_has_parameters_of_its_own_then_it_is_they_who_find_them_there() -> None:
    found = found_in(listening(Regime.BULL, None), 0.002)
    assert found == {name(Regime.BULL): {Regime.BULL}, name(None): {Regime.SIDEWAYS}}


def test_setups_when_the_regime_in_force_has_no_parameters_and_there_is_no_parent_then_none() -> None:
    assert found_in(listening(Regime.BULL, Regime.SIDEWAYS), -0.002) == {name(Regime.SIDEWAYS): {Regime.SIDEWAYS}}
    assert found_in(listening(Regime.BULL), -0.002) == {}


def test_setups_when_only_the_parent_is_there_then_found_in_every_regime() -> None:
    assert found_in(listening(None), -0.002) == {name(None): {Regime.SIDEWAYS, Regime.BEAR}}


def test_library_when_one_regime_has_two_parameter_sets_then_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"set up twice on replay:ABC/USD:1h in a bull regime"):
        listening(Regime.BULL, Regime.BEAR, Regime.BULL)
    with pytest.raises(ConfigurationError, match="set up twice"):
        listening(None, None)


def test_series_that_is_only_watched_is_remembered_and_answers_with_nothing() -> None:
    library = SignalLibrary([], [H1])
    assert H1 in library.capacities
    assert found_in(library, 0.0, 10) == {}
