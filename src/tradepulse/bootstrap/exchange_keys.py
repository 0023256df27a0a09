"""Exchange keys in use: judged before they are stored, asked about again every day, opened for their wallet alone."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tradepulse.bootstrap.application import Application
from tradepulse.bootstrap.wallets_file import SIMULATED
from tradepulse.domain.market import MarketKind
from tradepulse.domain.wallets import (
    KeyAnswer,
    KeyPermissions,
    KeySource,
    KeyState,
    KeyVerdict,
    Wallet,
    Wallets,
    after_check,
    due_keys,
    judge_answer,
)
from tradepulse.exchanges.key_permissions import ask_permissions
from tradepulse.ports import Clock
from tradepulse.shared.errors import ConfigurationError, InvariantError, RefusedError
from tradepulse.shared.secrets import Credentials
from tradepulse.shared.settings import Settings
from tradepulse.storage.envelope import KeyFolder
from tradepulse.storage.exchange_keys import AskPassphrase, ExchangeKeys

logger = logging.getLogger(__name__)
SHORTEST_KEY_ID = 8
Ask = Callable[[str, MarketKind, Credentials], Awaitable[KeyAnswer]]


def keys_of(app: Application, ask_passphrase: AskPassphrase | None = None) -> ExchangeKeys:
    """The stored keys. The passphrase, where one is needed, comes from the settings or is asked for."""
    folder = app.settings.keys.folder or app.settings.data_directory / "keys"
    return ExchangeKeys(app.database, KeyFolder(folder), lambda: _passphrase(app.settings, ask_passphrase))


def _passphrase(settings: Settings, ask: AskPassphrase | None) -> str:
    if settings.keys.passphrase is not None:
        return settings.keys.passphrase.get_secret_value()
    if ask is None:
        raise ConfigurationError(
            "The stored exchange keys need a passphrase, and nobody is there to be asked for it.",
            "Set TRADEPULSE__KEYS__PASSPHRASE, or rotate to a key file: tradepulse keys rotate --to file",
        )
    return ask()


async def add_key(
    keys: ExchangeKeys,
    wallet: Wallet,
    credentials: Credentials,
    now: int,
    *,
    source: KeySource = KeySource.FILE,
    consent_by: str | None = None,
    ask: Ask = ask_permissions,
) -> tuple[KeyState, tuple[str, ...]]:
    """Store the key of a wallet after asking its exchange what it may do; its state, and what a person should know.

    ``RefusedError`` for a key that may withdraw or may not trade, and nothing is stored. One that cannot be verified is
    stored as such; it trades real money only with ``consent_by``, the name of who accepts that.
    """
    if wallet.exchange == SIMULATED:
        raise RefusedError(f"The wallet '{wallet.name}' trades on the simulated exchange.", "It needs no key.")
    if len(credentials.api_key.get_secret_value()) < SHORTEST_KEY_ID:
        raise ConfigurationError(
            f"This API key has fewer than {SHORTEST_KEY_ID} characters.", "Copy it whole from the exchange."
        )
    answer = await ask(wallet.exchange, wallet.kind, credentials)
    judged = judge_answer(answer, now)
    if judged.verdict is KeyVerdict.REFUSED:
        raise RefusedError(
            f"The key of wallet '{wallet.name}' on {wallet.exchange} was not stored: {judged.reason}.",
            "Make one that may trade and read, and may not withdraw.",
        )
    state = KeyState(
        wallet=wallet.name,
        exchange=wallet.exchange,
        last_four=credentials.last_four,
        verdict=judged.verdict,
        reason=judged.reason,
        permissions=answer.permissions or KeyPermissions(),
        verified_at=now if judged.verdict is KeyVerdict.VERIFIED else None,
        checked_at=now,
        asked_at=now,
        consent_by=consent_by if judged.verdict is KeyVerdict.UNVERIFIED else None,
    )
    await keys.add(credentials, state, now, source)
    return state, judged.warnings


@dataclass(frozen=True, slots=True)
class KeyNews:
    """What asking again changed. ``state.halt(now)`` is the word for the wallet's engine."""

    before: KeyState
    state: KeyState

    @property
    def alarm(self) -> bool:
        return self.state.verdict is KeyVerdict.REFUSED and self.before.verdict is not KeyVerdict.REFUSED


async def recheck_keys(
    keys: ExchangeKeys,
    wallets: Wallets,
    clock: Clock,
    *,
    every: bool = False,
    only: str | None = None,
    ask: Ask = ask_permissions,
) -> list[KeyNews]:
    """Ask about the keys that are due (a day after the last answer, an hour after none), and store what came of it.

    ``only``: that of one wallet. For whoever runs the wallets to call now and then: only the clock decides what is due.
    """
    states = [state for state in await keys.states() if only in (None, state.wallet)]
    news = []
    for before in states if every else due_keys(states, clock.now()):
        answer = await _asked_again(keys, wallets, before, ask)
        found = KeyNews(before, after_check(before, answer, clock.now()))
        await keys.save(found.state)
        _tell(found)
        news.append(found)
    return news


async def _asked_again(keys: ExchangeKeys, wallets: Wallets, state: KeyState, ask: Ask) -> KeyAnswer:
    wallet = wallets.named(state.wallet)
    if wallet is not None and wallet.exchange != state.exchange:
        return KeyAnswer(None, f"it is a key of {state.exchange}, the wallet trades on {wallet.exchange}", refused=True)
    try:
        credentials = await keys.credentials(state.wallet)
    except InvariantError as error:
        # One row that was tampered with must not keep the others from being looked at.
        return KeyAnswer(None, error.problem, refused=True)
    return await ask(state.exchange, wallet.kind if wallet else MarketKind.SPOT, credentials)


def _tell(news: KeyNews) -> None:
    facts = {"wallet": news.state.wallet, "exchange": news.state.exchange, "reason": news.state.reason}
    if news.alarm:
        logger.error("an exchange key was refused at its check: its wallet enters nothing more", extra=facts)
    elif news.state.reason:
        logger.warning("an exchange key could not be verified", extra=facts)
