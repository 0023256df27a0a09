"""Who owns what: free and locked money of every account, and a posting for every change of it."""

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from tests.local_exchanges.spot_orders import ZERO, Lock, Refusal, RefusedOrder, text


@dataclass
class Balance:
    free: Decimal = ZERO
    locked: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        return self.free + self.locked


@dataclass(frozen=True)
class Posting:
    time: int
    account: str
    asset: str
    free: Decimal
    locked: Decimal
    reason: str


@dataclass
class Ledger:
    """Nothing here can become negative: what cannot be paid is refused before anything moves."""

    balances: dict[str, dict[str, Balance]] = field(default_factory=dict)
    postings: list[Posting] = field(default_factory=list)
    deposited: dict[tuple[str, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def balance(self, account: str, asset: str) -> Balance:
        return self.balances.setdefault(account, {}).setdefault(asset, Balance())

    def deposit(self, account: str, asset: str, amount: Decimal, time: int) -> None:
        """Money from outside, or to it where negative."""
        self._post(account, asset, amount, ZERO, "deposit", time)
        self.deposited[account, asset] += amount

    def lock(self, account: str, asset: str, amount: Decimal, time: int) -> Lock:
        self._post(account, asset, -amount, amount, "lock", time)
        return Lock(asset, amount)

    def release(self, account: str, lock: Lock, amount: Decimal, time: int) -> None:
        lock.amount -= amount
        self._post(account, lock.asset, amount, -amount, "release", time)

    def pay(self, account: str, asset: str, amount: Decimal, lock: Lock | None, time: int) -> None:
        """From what was set aside as far as it goes, the rest from what is free."""
        locked = min(lock.amount, amount) if lock is not None and lock.asset == asset else ZERO
        self._post(account, asset, locked - amount, -locked, "pay", time)
        if lock is not None:
            lock.amount -= locked

    def receive(self, account: str, asset: str, amount: Decimal, time: int) -> None:
        self._post(account, asset, amount, ZERO, "receive", time)

    def _post(self, account: str, asset: str, free: Decimal, locked: Decimal, reason: str, time: int) -> None:
        balance = self.balance(account, asset)
        if balance.free + free < 0 or balance.locked + locked < 0:
            raise RefusedOrder(Refusal.FUNDS, f"{text(balance.free)} {asset} are free, {text(-free)} are needed")
        balance.free += free
        balance.locked += locked
        self.postings.append(Posting(time, account, asset, free, locked, reason))
