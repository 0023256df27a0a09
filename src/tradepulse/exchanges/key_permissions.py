"""What a key may do, as its exchange says it. One question per exchange, and how its answer is read.

An exchange's own words are read strictly: a word that is not known makes the answer silent about what it might mean,
and silence is no permission. The calls are ccxt's implicit ones of the pinned version.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp
import ccxt.async_support as ccxt

from tradepulse.domain.market import MarketKind
from tradepulse.domain.wallets import KeyAnswer, KeyPermissions
from tradepulse.exchanges.venues import venue_of
from tradepulse.shared.secrets import Credentials, told

REQUEST_TIMEOUT_MS = 10_000
_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError, StopIteration)

Answer = Any
Reader = Callable[[Answer, str, MarketKind], KeyPermissions]


@dataclass(frozen=True, slots=True)
class _Question:
    method: str
    read: Reader


async def ask_permissions(
    exchange: str,
    kind: MarketKind,
    credentials: Credentials,
    *,
    session: aiohttp.ClientSession | None = None,
    timeout_ms: int = REQUEST_TIMEOUT_MS,
) -> KeyAnswer:
    """What this key may do. Never raises for what the exchange does: without an answer, ``problem`` says why."""
    question = _QUESTIONS.get(exchange)
    if question is None:
        return KeyAnswer(None, f"{exchange} has no question for what a key may do")
    async with _client(exchange, kind, credentials, session, timeout_ms) as client:
        try:
            answer = await getattr(client, question.method)()
        except ccxt.BaseError as error:
            # A key that may not ask this may still trade; one that is not taken may not.
            refused = isinstance(error, ccxt.AuthenticationError) and not isinstance(error, ccxt.PermissionDenied)
            return KeyAnswer(None, f"{exchange} answered {type(error).__name__}: {told(error)}", refused=refused)
        except _UNREADABLE as error:
            return KeyAnswer(None, f"{exchange} could not be asked ({type(error).__name__}: {told(error)})")
    return _read(exchange, question, answer, credentials.api_key.get_secret_value(), kind)


def _read(exchange: str, question: _Question, answer: Answer, api_key: str, kind: MarketKind) -> KeyAnswer:
    try:
        return KeyAnswer(question.read(answer, api_key, kind))
    except _UNREADABLE as error:
        return KeyAnswer(None, f"{exchange}'s answer could not be read ({type(error).__name__}: {told(error)})")


@asynccontextmanager
async def _client(
    exchange: str,
    kind: MarketKind,
    credentials: Credentials,
    session: aiohttp.ClientSession | None,
    timeout_ms: int,
) -> AsyncIterator[Any]:
    """The keys leave our hands here. ``verbose`` would print them."""
    password = credentials.password.get_secret_value() if credentials.password else None
    settings: dict[str, Any] = {
        "apiKey": credentials.api_key.get_secret_value(),
        "secret": credentials.secret.get_secret_value(),
        **({"password": password} if password else {}),
        "verbose": False,
        "enableRateLimit": True,
        "timeout": timeout_ms,
        "options": {**venue_of(exchange, kind).ccxt_options, "maxRetriesOnFailure": 0},
    }
    if session is not None:
        settings |= {"session": session, "timeout_on_exit": 0}
    client = getattr(ccxt, exchange)(settings)
    try:
        yield client
    finally:
        await client.close()


def _binance(answer: Answer, _: str, kind: MarketKind) -> KeyPermissions:
    trading = "enableSpotAndMarginTrading" if kind is MarketKind.SPOT else "enableFutures"
    # A transfer leaves the wallet, though not the owner: only withdrawals leave both.
    return KeyPermissions(
        trade=_yes(answer[trading]),
        read=_yes(answer["enableReading"]),
        withdraw=_yes(answer["enableWithdrawals"]),
        ip_restricted=_yes(answer["ipRestrict"]),
        expires_at=_time(answer.get("tradingAuthorityExpirationTime")),
    )


def _bybit(answer: Answer, _: str, kind: MarketKind) -> KeyPermissions:
    found = answer["result"]
    granted, writes = found["permissions"], int(found["readOnly"]) == 0
    trading = granted.get("Spot") if kind is MarketKind.SPOT else granted.get("ContractTrade")
    return KeyPermissions(
        trade=writes and bool(trading),
        read=True,
        withdraw=writes and "Withdraw" in granted["Wallet"],
        ip_restricted=_addresses(found["ips"]),
        expires_at=_moment(found.get("expiredAt")),
    )


def _okx(answer: Answer, _: str, __: MarketKind) -> KeyPermissions:
    found = answer["data"][0]
    return _words(found["perm"].split(","), {"read_only"}, {"trade"}, {"withdraw"}, _addresses(found.get("ip", "")))


def _kucoin(answer: Answer, _: str, kind: MarketKind) -> KeyPermissions:
    found = answer["data"]
    trading = "Spot" if kind is MarketKind.SPOT else "Futures"
    harmless = {"Spot", "Futures", "Margin", "Earn", "InnerTransfer"}
    # Keys of older make have "Transfer" (or "Trade") for what newer ones split; it allowed withdrawals.
    withdrawing = {"Withdraw", "Withdrawal", "Transfer"}
    permissions = [word.strip() for word in found["permission"].split(",")]
    addresses = _addresses(found.get("ipWhitelist") or "")
    return _words(
        permissions, {"General"}, {trading, "Trade"}, withdrawing, addresses, harmless, _time(found.get("expiredAt"))
    )


def _coinbase(answer: Answer, _: str, __: MarketKind) -> KeyPermissions:
    return KeyPermissions(
        trade=_yes(answer["can_trade"]), read=_yes(answer["can_view"]), withdraw=_yes(answer["can_transfer"])
    )


def _kraken(answer: Answer, _: str, __: MarketKind) -> KeyPermissions:
    found = answer["result"]
    granted = set(map(str, found["permissions"]))
    return KeyPermissions(
        trade="modify-trades" in granted,
        read={"query-funds", "query-open-trades"} <= granted,
        withdraw="withdraw-funds" in granted,
        ip_restricted=_addresses(found["ipAllowlist"]),
        expires_at=_seconds(found.get("validUntil")),
    )


def _bitfinex(answer: Answer, _: str, __: MarketKind) -> KeyPermissions:
    scopes = {str(scope): (int(read) == 1, int(write) == 1) for scope, read, write, *_ in answer}
    return KeyPermissions(
        trade=scopes["orders"][1],
        read=scopes["orders"][0] and scopes["wallets"][0],
        withdraw=scopes["withdraw"][1] or scopes.get("ui_withdraw", (False, False))[1],
    )


def _gate(answer: Answer, api_key: str, kind: MarketKind) -> KeyPermissions:
    """All keys of the account are listed: ours is the one with our id."""
    found = next(key for key in answer if key.get("key") == api_key)
    writes = {perm["name"]: not perm["read_only"] for perm in found["perms"]}
    trading = "spot" if kind is MarketKind.SPOT else "futures"
    return KeyPermissions(
        trade=writes.get(trading, False),
        read=trading in writes,
        withdraw=writes.get("withdraw", False) or writes.get("withdrawal", False),
        ip_restricted=_addresses(found.get("ip_whitelist") or []),
    )


def _bitget(answer: Answer, _: str, kind: MarketKind) -> KeyPermissions:
    found = answer["data"]
    writing, reading = ("stow", "stor") if kind is MarketKind.SPOT else ("coow", "coor")
    return _words(
        found["authorities"],
        {"readonly", reading},
        {"trade", writing},
        {"withdraw", "wwow"},
        _addresses(found.get("ips") or ""),
        harmless={"stow", "stor", "coow", "coor"},
    )


def _words(
    granted: Sequence[str],
    reading: AbstractSet[str],
    trading: AbstractSet[str],
    withdrawing: AbstractSet[str],
    ip_restricted: bool | None,
    harmless: AbstractSet[str] = frozenset(),
    expires_at: int | None = None,
) -> KeyPermissions:
    """Where permissions are a list of words. A word that nobody knows might mean any of it."""
    words = {word.strip() for word in granted if word.strip()}
    silent = bool(words - reading - trading - withdrawing - harmless)

    def may(meaning: AbstractSet[str]) -> bool | None:
        return True if words & meaning else None if silent else False

    return KeyPermissions(may(trading), may(reading | trading), may(withdrawing), ip_restricted, expires_at)


def _yes(value: object) -> bool:
    """JSON's own true and false only: anything else is not an answer."""
    if isinstance(value, bool):
        return value
    raise ValueError(f"{json.dumps(value, default=str)[:40]} is neither true nor false")


def _addresses(given: str | Sequence[str]) -> bool:
    listed = [one.strip() for one in (given.split(",") if isinstance(given, str) else given)]
    return any(one and one not in ("*", "0.0.0.0", "0.0.0.0/0", "::/0") for one in listed)  # noqa: S104 - compared


def _time(milliseconds: object) -> int | None:
    found = int(str(milliseconds)) if milliseconds not in (None, "") else 0
    return found or None


def _seconds(seconds: object) -> int | None:
    found = _time(seconds)
    return found * 1000 if found else None


def _moment(text: object) -> int | None:
    return int(datetime.fromisoformat(str(text)).timestamp() * 1000) if text else None


_QUESTIONS: Mapping[str, _Question] = {
    "binance": _Question("sapi_get_account_apirestrictions", _binance),
    "bybit": _Question("private_get_v5_user_query_api", _bybit),
    "okx": _Question("private_get_account_config", _okx),
    "kucoin": _Question("private_get_user_api_key", _kucoin),
    "coinbase": _Question("v3_private_get_brokerage_key_permissions", _coinbase),
    "kraken": _Question("private_post_getapikeyinfo", _kraken),
    "bitfinex": _Question("private_post_auth_r_permissions", _bitfinex),
    "gate": _Question("private_account_get_main_keys", _gate),
    "bitget": _Question("private_spot_get_v2_spot_account_info", _bitget),
}
"""Binance.US is not among them: no such question is known of it."""
