"""How much one IP and one account may ask of Binance, and what becomes of those who ask for more."""

from dataclasses import dataclass, field

from tests.local_exchanges.binance_words import BinanceError

from tradepulse.domain.market import MINUTE


@dataclass
class Meter:
    """Weight that one IP has used in the current minute; who goes on beyond the limit is banned."""

    limit: int = 6_000
    patience: int = 20
    """Requests over the limit until the ban."""
    minute: int = 0
    used: int = 0
    over: int = 0
    banned_until: int = 0
    orders: dict[tuple[str, int], int] = field(default_factory=dict)
    orders_limit: int = 100

    def take(self, weight: int, now: int) -> None:
        if now // MINUTE != self.minute:
            self.minute, self.used, self.over = now // MINUTE, 0, 0
        if now < self.banned_until:
            raise self._banned()
        self.used += weight
        if self.used <= self.limit:
            return
        self.over += 1
        if self.over > self.patience:
            self.banned_until = now + 2 * MINUTE
            raise self._banned()
        raise BinanceError(
            -1003,
            f"Too much request weight used; current limit is {self.limit} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API.",
        )

    def take_order(self, account: str, now: int) -> None:
        key = (account, now // 10_000)
        self.orders[key] = self.orders.get(key, 0) + 1
        if self.orders[key] > self.orders_limit:
            raise BinanceError(
                -1015, f"Too many new orders; current limit is {self.orders_limit} orders per 10 SECOND."
            )

    def waits(self, now: int) -> int:
        """Seconds."""
        until = max(self.banned_until, (now // MINUTE + 1) * MINUTE)
        return -(-(until - now) // 1_000)

    def _banned(self) -> BinanceError:
        return BinanceError(
            -1003,
            f"Way too much request weight used; IP banned until {self.banned_until}. "
            "Please use WebSocket Streams for live updates to avoid bans.",
        )
