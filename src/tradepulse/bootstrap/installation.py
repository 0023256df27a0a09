"""What the API asks of the hall: wallets, their keys, exchanges and the configuration in force, as plain JSON."""

import asyncio
from typing import Any

from tradepulse.bootstrap.application import Application
from tradepulse.bootstrap.exchange_keys import Ask, add_key, keys_of, recheck_keys
from tradepulse.bootstrap.wallets_file import load_wallets
from tradepulse.domain.wallets import KeyState, Wallet, Wallets
from tradepulse.exchanges.key_permissions import ask_permissions
from tradepulse.exchanges.venue_facts import Venue
from tradepulse.exchanges.venues import VENUES
from tradepulse.ports import JsonObject
from tradepulse.shared.errors import ConfigurationError, RefusedError
from tradepulse.shared.secrets import Credentials
from tradepulse.shared.settings import settings_table


class Installation:
    """Everything is read anew at every question: files and rows are the truth, nothing is kept."""

    def __init__(self, app: Application, ask: Ask = ask_permissions) -> None:
        self._app = app
        self._ask = ask

    async def wallets(self) -> list[JsonObject]:
        """Empty where there is no wallets file; ``ConfigurationError`` for one that is wrong."""
        wallets = await asyncio.to_thread(self._wallets)
        return [] if wallets is None else [wallet_json(wallet) for wallet in wallets.wallets]

    async def connections(self) -> list[JsonObject]:
        """Per wallet on a real exchange: whether its key is there, and what it was found to be."""
        wallets = await asyncio.to_thread(self._wallets)
        states = {state.wallet: state for state in await keys_of(self._app).states()}
        named = {wallet.name: wallet for wallet in wallets.wallets} if wallets else {}
        now = self._app.clock.now()
        return [_connection(name, named.get(name), states.get(name), now) for name in sorted(set(named) | set(states))]

    async def add_key(self, wallet: str, credentials: Credentials, *, consent_by: str | None) -> JsonObject:
        """``RefusedError`` for a key that may withdraw or may not trade: nothing is stored then."""
        state, warnings = await add_key(
            keys_of(self._app),
            self._named(wallet),
            credentials,
            self._app.clock.now(),
            consent_by=consent_by,
            ask=self._ask,
        )
        return {**key_json(state), "warnings": list(warnings)}

    async def remove_key(self, wallet: str) -> bool:
        return await keys_of(self._app).remove(wallet)

    async def check_key(self, wallet: str) -> JsonObject:
        """Asks the exchange now what the key may do, and stores the answer."""
        self._named(wallet)
        news = await recheck_keys(
            keys_of(self._app), await self._file(), self._app.clock, every=True, only=wallet, ask=self._ask
        )
        if not news:
            raise RefusedError(f"The wallet '{wallet}' has no stored key.", "Add one first.")
        return key_json(news[0].state)

    def exchanges(self) -> list[JsonObject]:
        return [exchange_json(venue) for venue in VENUES.values()]

    def configuration(self) -> list[JsonObject]:
        """Every setting with where it comes from; what is secret is hidden."""
        rows = settings_table(self._app.settings)
        return [{"name": name, "value": _plain(value), "source": place} for name, value, place in rows]

    def _wallets(self) -> Wallets | None:
        return load_wallets(self._app.settings) if self._app.settings.wallets_file.exists() else None

    async def _file(self) -> Wallets:
        return await asyncio.to_thread(load_wallets, self._app.settings)

    def _named(self, name: str) -> Wallet:
        wallets = load_wallets(self._app.settings)
        found = wallets.named(name)
        if found is None:
            there = ", ".join(wallet.name for wallet in wallets.wallets)
            raise ConfigurationError(f"There is no wallet '{name}'.", f"The wallets file has: {there}.")
        return found


def wallet_json(wallet: Wallet) -> JsonObject:
    return {
        "name": wallet.name,
        "mode": str(wallet.mode),
        "exchange": wallet.exchange,
        "market": str(wallet.kind),
        "base_currency": wallet.base_currency,
        "book": wallet.book,
        "trades": [
            {"strategy": one.strategy, "symbol": one.series.symbol, "timeframe": str(one.series.timeframe)}
            for one in wallet.assignments
        ],
    }


def key_json(state: KeyState) -> JsonObject:
    told = state.permissions
    return {
        "wallet": state.wallet,
        "exchange": state.exchange,
        "last_four": state.last_four,
        "state": str(state.verdict),
        "reason": state.reason,
        "may_trade": told.trade,
        "may_read": told.read,
        "may_withdraw": told.withdraw,
        "ip_restricted": told.ip_restricted,
        "expires_at": told.expires_at,
        "checked_at": state.checked_at,
        "consent_by": state.consent_by,
    }


def _connection(name: str, wallet: Wallet | None, state: KeyState | None, now: int) -> JsonObject:
    return {
        "wallet": name,
        "exchange": wallet.exchange if wallet else state.exchange if state else "",
        "mode": str(wallet.mode) if wallet else None,
        "market": str(wallet.kind) if wallet else None,
        "key": None if state is None else key_json(state),
        "entries_refused": None if state is None else state.entries_refused(now),
    }


def exchange_json(venue: Venue) -> JsonObject:
    return {
        "exchange": venue.exchange,
        "market": str(venue.kind),
        "protection": str(venue.protection.value),
        "protection_why": venue.why,
        "stop_types": sorted(str(kind) for kind in venue.stop_types.value),
        "locks_once": venue.locked_once.value,
        "stop_expires_after": venue.stop_expires_after.value,
        "probe": venue.probe,
        "quirks": list(venue.quirks),
    }


def _plain(value: Any) -> str | None:
    if value is None:
        return None
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
