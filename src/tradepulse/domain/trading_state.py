"""What the trader is doing right now, in words for people."""

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    STARTING = "starting"
    TRAINING = "training"
    TRADING = "trading"
    NOTHING_TO_TRADE = "nothing to trade"
    ELSEWHERE = "elsewhere"
    """This process only serves; another one may trade."""


@dataclass(frozen=True, slots=True)
class TradingState:
    """``reasons``: why nothing, or not everything, is traded; most frequent first.

    ``untested``: defaults that never passed the gate (not judged, or refused: the text says which) are traded,
    because the settings allow it on paper.
    """

    phase: Phase
    text: str
    reasons: tuple[str, ...] = ()
    configurations: int = 0
    untested: bool = False


ELSEWHERE = TradingState(Phase.ELSEWHERE, "This program only serves; another one may trade.")
STARTING = TradingState(Phase.STARTING, "Starting.")
