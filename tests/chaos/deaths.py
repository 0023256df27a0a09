"""When and how a trader is killed."""

import random
from dataclasses import dataclass
from enum import StrEnum

from tests.local_exchanges.fault_rules import FaultRule, killed


class Manner(StrEnum):
    ANY_TIME = "at any time"
    STARTING = "while it starts"
    BEFORE = "as an order arrives"
    EXECUTED = "executed, not answered"
    AFTER = "just after an answer"


WEIGHTS = {Manner.ANY_TIME: 30, Manner.STARTING: 15, Manner.BEFORE: 15, Manner.EXECUTED: 20, Manner.AFTER: 20}


@dataclass(frozen=True)
class Death:
    """``after``: seconds of life, or of waiting for an order that never comes. ``orders``: let through before."""

    manner: Manner
    after: float
    orders: int = 0
    delay: float = 0.0

    @classmethod
    def drawn(cls, chance: random.Random, start: float, life: float) -> "Death":
        """``start``: how long a birth takes about; ``life``: the longest life that is wanted."""
        manner = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if manner is Manner.STARTING:
            return cls(manner, chance.uniform(0, start))
        if manner is Manner.ANY_TIME:
            return cls(manner, chance.uniform(0, life))
        return cls(manner, life, chance.choice((0, 0, 1, 1, 2, 3, 4)), chance.uniform(0.0005, 0.08))

    def rule(self, process: int, path: str) -> FaultRule | None:
        """What has the exchange kill it, where the moment is the exchange's to know."""
        match self.manner:
            case Manner.BEFORE:
                return killed(process, executes=False, path=path, after=self.orders)
            case Manner.EXECUTED:
                return killed(process, executes=True, path=path, after=self.orders)
            case Manner.AFTER:
                return killed(process, executes=True, kill_delay=self.delay, path=path, after=self.orders)
            case _:
                return None
