"""Can this wallet be traded? Its key, its exchange's time, its balances and its markets' rules, asked for once."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from tradepulse.bootstrap.application import Application
from tradepulse.bootstrap.exchange_access import ExchangeAccess, Outside, open_access
from tradepulse.bootstrap.readiness import SKEW_MS
from tradepulse.domain.wallets import KeyVerdict, Wallet, WalletMode, judge_answer
from tradepulse.shared.errors import ConfigurationError, RefusedError, TransientError
from tradepulse.shared.secrets import Credentials
from tradepulse.storage.exchange_keys import ExchangeKeys


@dataclass(frozen=True, slots=True)
class Check:
    """``finding``: what was found, or why it failed."""

    name: str
    passed: bool
    finding: str


async def check_connection(
    app: Application, wallet: Wallet, keys: ExchangeKeys, outside: Outside | None = None
) -> list[Check]:
    """Everything that can be known without an order. What needs a connection that fails is not asked."""
    if wallet.mode is not WalletMode.LIVE:
        raise ConfigurationError(
            f"The wallet '{wallet.name}' trades on paper: there is no account to connect to.", "Test a live wallet."
        )
    world = outside or Outside()
    try:
        credentials = await keys.credentials(wallet.name)
    except (ConfigurationError, RefusedError) as error:
        return [Check("key", passed=False, finding=str(error))]
    checks = [await _key(app, wallet, keys, credentials, world)]
    try:
        async with open_access(wallet, credentials, world, app.settings.data_directory / "budgets") as access:
            checks += [check async for check in _connected(wallet, access)]
    except (ConfigurationError, RefusedError, TransientError) as error:
        checks.append(Check("connection", passed=False, finding=str(error)))
    return checks


async def _key(
    app: Application, wallet: Wallet, keys: ExchangeKeys, credentials: Credentials, outside: Outside
) -> Check:
    now = app.clock.now()
    answer = await outside.ask_permissions(wallet.exchange, wallet.kind, credentials)
    judged, stored = judge_answer(answer, now), await keys.state(wallet.name)
    consent = stored.consent_by if stored is not None else None
    if judged.verdict is KeyVerdict.UNVERIFIED and consent is not None:
        return Check("key", passed=True, finding=f"unverified ({judged.reason}), accepted by {consent}")
    warnings = "; ".join(judged.warnings)
    return Check("key", judged.verdict is KeyVerdict.VERIFIED, judged.reason or warnings or "may trade, not withdraw")


async def _connected(wallet: Wallet, access: ExchangeAccess) -> AsyncIterator[Check]:
    yield Check("connection", passed=True, finding=f"{wallet.exchange} answers")
    skew = access.skew_ms()
    yield Check("clock", abs(skew) <= SKEW_MS, f"the exchange's clock is {skew} ms ahead, {SKEW_MS} are allowed")
    account = await access.account()
    total = account.totals.get(wallet.base_currency, 0)
    yield Check("balances", bool(total), f"{total} {wallet.base_currency}, {len(account.resting)} orders rest")
    for market, spec in access.markets.items():
        obstacle = access.obstacle(market)
        rules = f"tick {spec.tick_size}, lot {spec.lot_size}, least value {spec.min_notional}, {access.modes[market]}"
        yield Check(f"market {market.symbol}", not obstacle, obstacle or rules)
