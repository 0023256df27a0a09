"""The policy of the hour: how much risk is allowed for a while. It can only take away."""

from dataclasses import dataclass

from tradepulse.shared.errors import ConfigurationError

PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class PolicyChanged:
    """From ``time`` to ``valid_until`` (exclusive) these bounds hold; afterwards the policy says nothing any more.

    Taken in by the engine, and told by it once it is in force. A book takes each ``version`` once, in rising order.
    """

    version: int
    risk_ppm: int
    """Share of the usual size that is left at most, in parts per million."""
    paused: tuple[str, ...]
    """Strategies of which nothing is entered."""
    confluence_bump_ppm: int
    """By how much more of the weighted conditions must hold than the settings ask for; never more than all of them."""
    valid_until: int
    reason: str
    time: int

    def __post_init__(self) -> None:
        for name, value in (("risk_ppm", self.risk_ppm), ("confluence_bump_ppm", self.confluence_bump_ppm)):
            if not 0 <= value <= PPM:
                raise ConfigurationError(
                    f"A policy's {name} is {value}, not between 0 and {PPM}.", "A policy can only take away."
                )

    def holds_at(self, time: int) -> bool:
        return time < self.valid_until
