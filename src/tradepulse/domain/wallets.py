"""Words of wallets: what trades with which money, what its exchange key may do, and what follows from that."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from tradepulse.domain.market import DAY, MarketKind, SeriesKey
from tradepulse.domain.risk import AccountLimits, HaltTrading, WalletLimits

CHECKED_EVERY = DAY
ASKED_AGAIN_AFTER = 3_600_000
"""Where the last question found no answer."""
BELIEVED_FOR = 3 * DAY
"""How long what a key was found to be is believed while the exchange does not answer."""
EXPIRY_TOLD_BEFORE = 7 * DAY
PPM = 1_000_000


class WalletMode(StrEnum):
    PAPER = "paper"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Assignment:
    """One strategy on one series."""

    strategy: str
    series: SeriesKey


@dataclass(frozen=True, slots=True)
class Wallet:
    """Money of one account on one exchange, traded in a book of its own. Its key is found by its name."""

    name: str
    exchange: str
    kind: MarketKind
    mode: WalletMode
    base_currency: str
    book: str
    assignments: tuple[Assignment, ...]
    limits: AccountLimits


@dataclass(frozen=True, slots=True)
class Wallets:
    """All wallets of this process."""

    wallets: tuple[Wallet, ...]
    totals: WalletLimits

    def named(self, name: str) -> Wallet | None:
        return next((wallet for wallet in self.wallets if wallet.name == name), None)


@dataclass(frozen=True, slots=True)
class KeyPermissions:
    """What an exchange says of a key; ``None``: it does not say."""

    trade: bool | None = None
    read: bool | None = None
    withdraw: bool | None = None
    ip_restricted: bool | None = None
    expires_at: int | None = None


class KeyVerdict(StrEnum):
    VERIFIED = "verified"
    UNVERIFIED = "unverified"
    """The exchange could not be asked, or does not say all of it."""
    REFUSED = "refused"
    """It may do too much or too little. Found at a later check: the wallet enters nothing more."""


@dataclass(frozen=True, slots=True)
class KeyJudgement:
    verdict: KeyVerdict
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        return "; ".join(self.reasons)


def judge_key(found: KeyPermissions, now: int) -> KeyJudgement:
    """A key that may withdraw, cannot trade or read, or has expired is refused; silence on any of it is no yes."""
    warnings = tuple(_warnings(found, now))
    if reasons := tuple(_too_much_or_too_little(found, now)):
        return KeyJudgement(KeyVerdict.REFUSED, reasons, warnings)
    if silent := tuple(_not_told(found)):
        return KeyJudgement(KeyVerdict.UNVERIFIED, silent, warnings)
    return KeyJudgement(KeyVerdict.VERIFIED, (), warnings)


def _too_much_or_too_little(found: KeyPermissions, now: int) -> Iterable[str]:
    if found.withdraw:
        yield "it may withdraw"
    if found.trade is False:
        yield "it may not trade"
    if found.read is False:
        yield "it may not read the account"
    if found.expires_at is not None and found.expires_at <= now:
        yield "it has expired"


def _not_told(found: KeyPermissions) -> Iterable[str]:
    said = (("withdraw", found.withdraw), ("trade", found.trade), ("read the account", found.read))
    return (f"the exchange does not say whether it may {what}" for what, answer in said if answer is None)


def _warnings(found: KeyPermissions, now: int) -> Iterable[str]:
    if found.ip_restricted is False:
        yield "it works from every address: restrict it to the addresses that trade"
    if found.ip_restricted is None:
        yield "the exchange does not say whether it is restricted to addresses: restrict it there"
    if found.expires_at is not None and now < found.expires_at <= now + EXPIRY_TOLD_BEFORE:
        yield f"it expires in {(found.expires_at - now) // DAY} days: make a new one in time"


class KeySource(StrEnum):
    """Where the key comes from that encrypts the exchange keys."""

    FILE = "file"
    PASSPHRASE = "passphrase"  # noqa: S105 - a word


@dataclass(frozen=True, slots=True)
class KeyState:
    """What is known of a stored key, without anything secret in it."""

    wallet: str
    exchange: str
    last_four: str
    verdict: KeyVerdict
    reason: str
    """Why it is not verified, or why the last question found no answer."""
    permissions: KeyPermissions
    verified_at: int | None
    checked_at: int
    """When the exchange last answered; ``asked_at``: when it was last asked."""
    asked_at: int
    consent_by: str | None = None
    """Who wants to trade live with it although it could not be verified."""

    def due(self, now: int) -> bool:
        answered = self.asked_at == self.checked_at
        return now - self.asked_at >= (CHECKED_EVERY if answered else ASKED_AGAIN_AFTER)

    def entries_refused(self, now: int) -> str | None:
        """Why a wallet with real money may enter nothing with this key; exits and protection always pass."""
        if self.verdict is KeyVerdict.REFUSED:
            return f"the key of wallet '{self.wallet}' was refused at its last check: {self.reason}"
        if self.permissions.expires_at is not None and self.permissions.expires_at <= now:
            return f"the key of wallet '{self.wallet}' has expired"
        believed = self.verified_at is not None and now - self.verified_at < BELIEVED_FOR
        if not believed and self.consent_by is None:
            return f"the key of wallet '{self.wallet}' is not verified ({self.reason or 'not asked for too long'})"
        return None

    def halt(self, now: int) -> HaltTrading | None:
        """The word that makes the engine of this wallet refuse entries until a person resumes."""
        reason = self.entries_refused(now)
        return None if reason is None else HaltTrading(reason=reason, by="key check", time=now)


@dataclass(frozen=True, slots=True)
class KeyAnswer:
    """What came of asking an exchange about a key: its permissions, or why it gave no answer."""

    permissions: KeyPermissions | None
    problem: str = ""
    refused: bool = False
    """The exchange does not take the key at all."""


def judge_answer(answer: KeyAnswer, now: int) -> KeyJudgement:
    if answer.refused:
        return KeyJudgement(KeyVerdict.REFUSED, (f"the exchange does not take it: {answer.problem}",))
    if answer.permissions is None:
        return KeyJudgement(KeyVerdict.UNVERIFIED, (answer.problem,))
    return judge_key(answer.permissions, now)


def after_check(state: KeyState, answer: KeyAnswer, now: int) -> KeyState:
    """What is known after asking again. Silence changes nothing but its own record: it neither lifts an alarm nor
    makes one.
    """
    if answer.permissions is None and not answer.refused:
        # The reason of an alarm stays; that of silence is news.
        reason = state.reason if state.verdict is KeyVerdict.REFUSED else answer.problem
        return replace(state, reason=reason, asked_at=now)
    judged = judge_answer(answer, now)
    return replace(
        state,
        verdict=judged.verdict,
        reason=judged.reason,
        permissions=answer.permissions or state.permissions,
        verified_at=now if judged.verdict is KeyVerdict.VERIFIED else None,
        checked_at=now,
        asked_at=now,
    )


def due_keys(states: Sequence[KeyState], now: int) -> list[KeyState]:
    return [state for state in states if state.due(now)]
