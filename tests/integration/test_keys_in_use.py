"""Keys from the first question to the alarm: judged on saving, asked about daily, and heard by the engine."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.canary import Canaries

from tradepulse.bootstrap.exchange_keys import add_key, recheck_keys
from tradepulse.domain.market import DAY, HOUR, MarketKind
from tradepulse.domain.risk import UNLIMITED, WalletLimits
from tradepulse.domain.wallets import (
    KeyAnswer,
    KeyPermissions,
    KeySource,
    KeyVerdict,
    Wallet,
    WalletMode,
    Wallets,
)
from tradepulse.shared.clock import ManualClock
from tradepulse.shared.errors import ConfigurationError, RefusedError
from tradepulse.shared.secrets import Credentials
from tradepulse.storage.db import Database
from tradepulse.storage.envelope import Cost, KeyFolder
from tradepulse.storage.exchange_keys import ExchangeKeys

NOW = 1_767_225_600_000
GOOD = KeyPermissions(trade=True, read=True, withdraw=False, ip_restricted=True)
WITHDRAWING = KeyAnswer(replace(GOOD, withdraw=True))
SILENCE = KeyAnswer(None, "kraken gave no answer")


def wallet(name: str, exchange: str = "kraken") -> Wallet:
    return Wallet(name, exchange, MarketKind.SPOT, WalletMode.LIVE, "USDT", name, (), UNLIMITED)


WALLETS = Wallets((wallet("one"), wallet("two")), WalletLimits())


@dataclass
class Exchange:
    """Answers what it is told to, and remembers whose key it was asked about."""

    answer: KeyAnswer = field(default_factory=lambda: KeyAnswer(GOOD))
    asked: list[str] = field(default_factory=list)

    async def __call__(self, exchange: str, kind: MarketKind, credentials: Credentials) -> KeyAnswer:
        self.asked.append(credentials.api_key.get_secret_value())
        return self.answer


@pytest.fixture
def keys(database: Database, tmp_path: Path) -> ExchangeKeys:
    return ExchangeKeys(database, KeyFolder(tmp_path / "keys"), str, cost=Cost(1, 64, 1))


def key(name: str) -> Credentials:
    return Credentials(api_key=f"the-key-of-{name}", secret=f"the-secret-of-{name}")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (WITHDRAWING, "it may withdraw"),
        (KeyAnswer(replace(GOOD, trade=False)), "it may not trade"),
        (KeyAnswer(replace(GOOD, read=False)), "it may not read"),
        (KeyAnswer(replace(GOOD, expires_at=NOW)), "it has expired"),
        (KeyAnswer(None, "invalid key", refused=True), "does not take it: invalid key"),
    ],
)
async def test_key_when_it_may_too_much_or_too_little_then_nothing_of_it_is_stored(
    answer: KeyAnswer, reason: str, keys: ExchangeKeys, tmp_path: Path
) -> None:
    with pytest.raises(RefusedError, match=reason):
        await add_key(keys, wallet("one"), key("one"), NOW, ask=Exchange(answer))
    assert await keys.states() == []
    assert await keys.source() is None
    assert not (tmp_path / "keys").exists()


async def test_key_when_unverified_then_stored_as_such_and_live_only_with_consent(keys: ExchangeKeys) -> None:
    for name, consent in (("one", None), ("two", "ann")):
        state, _ = await add_key(keys, wallet(name), key(name), NOW, consent_by=consent, ask=Exchange(SILENCE))
        assert state.verdict is KeyVerdict.UNVERIFIED
        assert await keys.state(name) == state
        assert (state.entries_refused(NOW) is None) is (consent is not None)


async def test_key_when_verified_then_consent_is_not_kept_for_later(keys: ExchangeKeys) -> None:
    state, _ = await add_key(keys, wallet("one"), key("one"), NOW, consent_by="ann", ask=Exchange())
    assert state.consent_by is None


async def test_key_when_open_to_every_address_then_stored_with_a_warning(keys: ExchangeKeys) -> None:
    answer = KeyAnswer(replace(GOOD, ip_restricted=False))
    state, warnings = await add_key(keys, wallet("one"), key("one"), NOW, ask=Exchange(answer))
    assert state.verdict is KeyVerdict.VERIFIED
    assert "restrict it" in warnings[0]


async def test_key_when_for_the_simulated_exchange_or_too_short_then_refused(keys: ExchangeKeys) -> None:
    with pytest.raises(RefusedError, match="needs no key"):
        await add_key(keys, wallet("one", "simulated"), key("one"), NOW, ask=Exchange())
    with pytest.raises(ConfigurationError, match="fewer than 8"):
        await add_key(keys, wallet("one"), Credentials(api_key="sh0rt", secret="x" * 20), NOW, ask=Exchange())


async def test_recheck_when_called_often_then_each_key_is_asked_about_once_a_day(keys: ExchangeKeys) -> None:
    await add_key(keys, wallet("one"), key("one"), NOW, ask=Exchange())
    clock, exchange = ManualClock(NOW), Exchange()
    for hour in range(1, 49):
        clock.advance_to(NOW + hour * HOUR)
        await recheck_keys(keys, WALLETS, clock, ask=exchange)
    assert exchange.asked == ["the-key-of-one"] * 2


async def test_recheck_when_a_key_may_withdraw_now_then_alarm_that_outlives_silence_and_restart(
    keys: ExchangeKeys, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("one", "two"):
        await add_key(keys, wallet(name), key(name), NOW, ask=Exchange())
    clock = ManualClock(NOW + DAY)
    news = await recheck_keys(keys, WALLETS, clock, ask=Exchange(WITHDRAWING))
    assert [one.alarm for one in news] == [True, True]
    assert "was refused at its check" in caplog.text
    halt = news[0].state.halt(clock.now())
    assert halt is not None
    assert "it may withdraw" in halt.reason
    clock.advance_to(NOW + 2 * DAY)
    (silent, _) = await recheck_keys(keys, WALLETS, clock, ask=Exchange(SILENCE))
    assert not silent.alarm
    stored = await keys.state("one")
    assert stored is not None
    assert "it may withdraw" in str(stored.entries_refused(clock.now()))


async def test_recheck_when_one_row_was_tampered_with_then_it_alone_is_refused(
    keys: ExchangeKeys, database: Database
) -> None:
    for name in ("one", "two"):
        await add_key(keys, wallet(name), key(name), NOW, ask=Exchange())
    async with database.transaction() as connection:
        await connection.execute("update exchange_keys set ciphertext = wrapped_key where wallet = 'one'")
    news = await recheck_keys(keys, WALLETS, ManualClock(NOW + DAY), ask=Exchange())
    assert [one.state.verdict for one in news] == [KeyVerdict.REFUSED, KeyVerdict.VERIFIED]


async def test_recheck_when_the_wallet_trades_elsewhere_now_then_refused_without_asking(keys: ExchangeKeys) -> None:
    await add_key(keys, wallet("one"), key("one"), NOW, ask=Exchange())
    moved = Wallets((wallet("one", "binance"),), WalletLimits())
    exchange = Exchange()
    (news,) = await recheck_keys(keys, moved, ManualClock(NOW + DAY), ask=exchange)
    assert news.alarm
    assert exchange.asked == []


async def test_keys_when_added_and_checked_with_canaries_then_none_is_seen(keys: ExchangeKeys) -> None:
    canaries = Canaries.released()
    loud = KeyAnswer(None, f"no answer for {' '.join(canaries.credentials.texts())}")
    with canaries.watched() as seen:
        await add_key(keys, wallet("one"), canaries.credentials, NOW, source=KeySource.FILE, ask=Exchange())
        await recheck_keys(keys, WALLETS, ManualClock(NOW + DAY), ask=Exchange(loud))
        seen.add("the state", await keys.states())
