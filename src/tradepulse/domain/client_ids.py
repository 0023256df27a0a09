"""One scheme of client order ids that every exchange accepts, as it is, prefixed, or as a number.

``abcdefgh234567`` ``s`` ``001``: 14 characters of base32 name the trade, one letter the order's role, three characters
of base36 the attempt. 18 characters because Kraken takes no longer free text; lower-case letters and digits because
OKX takes nothing else. 46,656 attempts because a trailing stop takes a new one at every move.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from tradepulse.shared.errors import RefusedError

BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
TRADE_LENGTH, GENERATION_LENGTH = 14, 3
LENGTH = TRADE_LENGTH + 1 + GENERATION_LENGTH
TRADE_BITS = 5 * TRADE_LENGTH
GENERATIONS = len(BASE36) ** GENERATION_LENGTH


class IdRole(StrEnum):
    ENTRY = "e"
    STOP = "s"
    TARGET = "t"
    EXIT = "x"
    PAIR = "p"
    """The stop and the target together, where the exchange gives both one id."""


@dataclass(frozen=True, slots=True, order=True)
class ClientId:
    """``trade`` is the same for all orders of one trade. No id is used for two different orders."""

    trade: str
    role: IdRole
    generation: int

    def __post_init__(self) -> None:
        if len(self.trade) != TRADE_LENGTH or not set(self.trade) <= set(BASE32):
            raise _unreadable(self.trade, f"a trade is {TRADE_LENGTH} characters of base32 in lower case")
        if not 0 <= self.generation < GENERATIONS:
            raise RefusedError(
                f"Order attempt {self.generation} of trade {self.trade} has no id: there are {GENERATIONS} of them.",
                "Close the trade with a new one.",
            )

    def __str__(self) -> str:
        digits = (self.generation // len(BASE36) ** place % len(BASE36) for place in reversed(range(GENERATION_LENGTH)))
        return self.trade + self.role + "".join(BASE36[digit] for digit in digits)

    def as_role(self, role: IdRole) -> "ClientId":
        return replace(self, role=role)

    def next_generation(self) -> "ClientId":
        return replace(self, generation=self.generation + 1)

    @classmethod
    def parse(cls, text: str) -> "ClientId":
        trade, role, generation = text[:TRADE_LENGTH], text[TRADE_LENGTH : TRADE_LENGTH + 1], text[TRADE_LENGTH + 1 :]
        if len(text) != LENGTH or role not in set(IdRole) or not set(generation) <= set(BASE36):
            raise _unreadable(text, "ours are 14 characters of base32, a role letter and 3 characters of base36")
        return cls(trade, IdRole(role), int(generation, len(BASE36)))


def new_trade(random_bits: Callable[[int], int]) -> str:
    """The name of a new trade; ``random_bits(70)`` gives its randomness (``secrets.randbits`` when trading)."""
    drawn = random_bits(TRADE_BITS)
    return "".join(BASE32[drawn >> 5 * place & 31] for place in range(TRADE_LENGTH))


def _unreadable(text: str, rule: str) -> RefusedError:
    return RefusedError(f"'{text}' is not a client order id of ours: {rule}.", "Leave the order to who placed it.")
