"""The socket for what the look of the market says about a setup."""

from typing import Protocol

from tradepulse.core.effective_size import Opinion
from tradepulse.domain.signals import Setup
from tradepulse.strategies.base_strategy import MarketHistory


class SetupPrior(Protocol):
    """An opinion about a setup's size, by the candles up to the one that it was found on.

    No I/O, no clock, no memory: the same setup and window, the same opinion. ``None``: it has nothing to say.
    """

    @property
    def bars(self) -> int:
        """How many candles it looks at."""
        ...

    def opinion(self, setup: Setup, window: MarketHistory) -> Opinion | None: ...
