"""Wallets and their exchange keys. A key goes in by a prompt or standard input, and never comes out."""

import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from getpass import getpass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from pydantic import ValidationError

from tradepulse.cli.options import AsJson, run, settings_for_command
from tradepulse.cli.screen import show_json, show_line, show_table, tell, utc
from tradepulse.cli.training import BY
from tradepulse.domain.wallets import KeySource, KeyState, Wallet, WalletMode, Wallets
from tradepulse.shared.clock import SystemClock
from tradepulse.shared.errors import ConfigurationError, RefusedError
from tradepulse.shared.secrets import Credentials

if TYPE_CHECKING:
    from tradepulse.bootstrap import Application, Check, ExchangeKeys

Answer = TypeVar("Answer")
WalletName = Annotated[str, typer.Option("--wallet", "-w", help="As in the wallets file.")]
Protect = Annotated[
    KeySource, typer.Option("--protect", help="What opens the stored keys; counts where this is the first of all.")
]
Accept = Annotated[
    bool, typer.Option("--accept-unverified", help="Let it trade live though the exchange does not say what it may.")
]
To = Annotated[KeySource, typer.Option("--to", help="What opens the stored keys from now on.")]


def register(app: typer.Typer) -> None:
    wallets = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    wallets.command("list")(list_wallets)
    wallets.command("check")(check_wallets)
    wallets.command("test")(connection_of)
    app.add_typer(wallets, name="wallets", help="Several wallets on several exchanges: what trades with which money.")
    keys = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    keys.command("add")(add)
    keys.command("list")(list_keys)
    keys.command("check")(check_keys)
    keys.command("remove")(remove)
    keys.command("rotate")(rotate)
    app.add_typer(keys, name="keys", help="Exchange keys of wallets: stored encrypted, never shown.")


def list_wallets(as_json: AsJson = False) -> None:
    """List the wallets of the wallets file."""
    from tradepulse import bootstrap

    wallets = bootstrap.load_wallets(settings_for_command())
    if as_json:
        show_json([_wallet_json(wallet) for wallet in wallets.wallets])
    else:
        columns = ["wallet", "mode", "exchange", "market", "base", "book", "strategies", "symbols", "timeframes"]
        show_table(columns, map(_wallet_row, wallets.wallets))


def _wallet_json(wallet: Wallet) -> dict[str, Any]:
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


def _wallet_row(wallet: Wallet) -> tuple[object, ...]:
    traded = wallet.assignments
    return (
        wallet.name,
        wallet.mode.upper(),
        wallet.exchange,
        wallet.kind,
        wallet.base_currency,
        wallet.book,
        _each(one.strategy for one in traded),
        _each(one.series.symbol for one in traded),
        _each(str(one.series.timeframe) for one in traded),
    )


def _each(texts: Any) -> str:
    return ", ".join(dict.fromkeys(texts))


def check_wallets(as_json: AsJson = False) -> None:
    """Check the wallets file and, for each wallet, whether its key is there and fit to trade with."""
    now = SystemClock().now()

    async def work(keys: "ExchangeKeys", wallets: Wallets) -> list[dict[str, str]]:
        states = {state.wallet: state for state in await keys.states()}
        return [_checked(wallet, states.get(wallet.name), now) for wallet in wallets.wallets]

    found = _with_keys(work)
    if as_json:
        show_json(found)
    else:
        show_table(["wallet", "mode", "exchange", "key", "finding"], (list(one.values()) for one in found))
    unfit = [one["wallet"] for one in found if one["mode"] == WalletMode.LIVE and one["finding"] != "ok"]
    if unfit:
        raise ConfigurationError(
            f"These wallets would enter nothing live: {', '.join(unfit)}.", "Do what stands beside them."
        )


def connection_of(wallet: WalletName, as_json: AsJson = False) -> None:
    """Connect to a live wallet's exchange: key, clock, balances, and the rules of its markets. No order is sent."""
    from tradepulse import bootstrap

    async def work(app: "Application", keys: "ExchangeKeys", wallets: Wallets) -> "list[Check]":
        return await bootstrap.check_connection(app, _named(wallets, wallet), keys)

    checks = _with_application(work)
    if as_json:
        show_json([asdict(check) for check in checks])
    else:
        marks = {True: "ok", False: "FAILED"}
        show_table(["check", "result", "finding"], ([one.name, marks[one.passed], one.finding] for one in checks))
    if failed := [one.name for one in checks if not one.passed]:
        raise RefusedError(f"The wallet '{wallet}' cannot be traded: {', '.join(failed)}.", "See what was found.")


def _checked(wallet: Wallet, state: KeyState | None, now: int) -> dict[str, str]:
    facts = {"wallet": wallet.name, "mode": str(wallet.mode), "exchange": wallet.exchange}
    if wallet.mode is WalletMode.PAPER:
        return {**facts, "key": "not needed", "finding": "ok"}
    if state is None:
        return {**facts, "key": "none", "finding": f"tradepulse keys add --wallet {wallet.name}"}
    if state.exchange != wallet.exchange:
        return {**facts, "key": f"…{state.last_four}", "finding": f"it is a key of {state.exchange}: remove it"}
    return {**facts, "key": f"…{state.last_four}", "finding": state.entries_refused(now) or "ok"}


def add(
    wallet: WalletName, protect: Protect = KeySource.FILE, accept_unverified: Accept = False, as_json: AsJson = False
) -> None:
    """Store the exchange key of a wallet, encrypted, after asking the exchange what it may do.

    It is asked for without echo. From a pipe: a JSON object with api_key, secret and, where the exchange has one,
    password; or these three, one per line.
    """
    from tradepulse import bootstrap

    async def work(keys: "ExchangeKeys", wallets: Wallets) -> tuple[KeyState, tuple[str, ...]]:
        chosen = _named(wallets, wallet)
        return await bootstrap.add_key(
            keys,
            chosen,
            _given_credentials(),
            SystemClock().now(),
            source=protect,
            consent_by=BY if accept_unverified else None,
        )

    state, warnings = _with_keys(work)
    for warning in warnings:
        tell(f"warning: {warning}")
    if as_json:
        show_json({**_key_json(state), "warnings": list(warnings)})
        return
    show_line(f"The key …{state.last_four} of wallet '{state.wallet}' is stored: {state.verdict}.")
    if state.reason:
        live = "It may trade live." if state.consent_by else "It trades nothing live without --accept-unverified."
        show_line(f"Why: {state.reason}. {live}")


def list_keys(as_json: AsJson = False) -> None:
    """List the stored keys: the last four characters of their ids, and what they were found to be."""

    async def work(keys: "ExchangeKeys", _: Wallets | None) -> list[KeyState]:
        return await keys.states()

    _show_keys(_with_keys(work, wallets_needed=False), as_json=as_json)


def check_keys(as_json: AsJson = False) -> None:
    """Ask the exchanges now what each stored key may do. Running wallets do so once a day."""
    from tradepulse import bootstrap

    async def work(keys: "ExchangeKeys", wallets: Wallets) -> list[KeyState]:
        news = await bootstrap.recheck_keys(keys, wallets, SystemClock(), every=True)
        return [one.state for one in news]

    _show_keys(_with_keys(work), as_json=as_json)


def _show_keys(states: list[KeyState], *, as_json: bool) -> None:
    if as_json:
        show_json([_key_json(state) for state in states])
    elif not states:
        show_line("No exchange key is stored. Add one: tradepulse keys add --help")
    else:
        show_table(["wallet", "exchange", "key", "state", "why", "last answer (UTC)", "consent"], map(_key_row, states))


def _key_json(state: KeyState) -> dict[str, Any]:
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


def _key_row(state: KeyState) -> tuple[object, ...]:
    answered = utc(state.checked_at)
    return (
        state.wallet,
        state.exchange,
        f"…{state.last_four}",
        state.verdict,
        state.reason or "-",
        answered,
        state.consent_by or "-",
    )


def remove(wallet: WalletName, as_json: AsJson = False) -> None:
    """Delete the stored key of a wallet. Delete it at the exchange too."""

    async def work(keys: "ExchangeKeys", _: Wallets | None) -> bool:
        return await keys.remove(wallet)

    if not _with_keys(work, wallets_needed=False):
        raise ConfigurationError(f"The wallet '{wallet}' has no stored key.", "See: tradepulse keys list")
    if as_json:
        show_json({"removed": wallet})
    else:
        show_line(f"The key of wallet '{wallet}' is deleted here. Delete it at the exchange too.")


def rotate(to: To = KeySource.FILE, as_json: AsJson = False) -> None:
    """Wrap all stored keys anew: with a new key file, or with a new passphrase (asked for, or one line of input)."""

    async def work(keys: "ExchangeKeys", _: Wallets | None) -> int:
        return await keys.rotate(to, SystemClock().now(), _new_passphrase)

    count = _with_keys(work, wallets_needed=False)
    if as_json:
        show_json({"rewrapped": count, "by": str(to)})
    else:
        show_line(f"{count} stored keys are wrapped anew, by a {to}. Backups of the former one open them no more.")


def _with_keys(work: "Callable[[ExchangeKeys, Any], Awaitable[Answer]]", *, wallets_needed: bool = True) -> Answer:
    return _with_application(lambda _, keys, wallets: work(keys, wallets), wallets_needed=wallets_needed)


def _with_application(
    work: "Callable[[Application, ExchangeKeys, Any], Awaitable[Answer]]", *, wallets_needed: bool = True
) -> Answer:
    from tradepulse import bootstrap

    settings = settings_for_command()
    wallets = bootstrap.load_wallets(settings) if wallets_needed else None

    async def opened() -> Answer:
        async with bootstrap.open_application(settings) as app:
            keys = bootstrap.keys_of(app, _passphrase if sys.stdin.isatty() else None)
            return await work(app, keys, wallets)

    return run(opened())


def _named(wallets: Wallets, name: str) -> Wallet:
    found = wallets.named(name)
    if found is None:
        there = ", ".join(wallet.name for wallet in wallets.wallets)
        raise ConfigurationError(f"There is no wallet '{name}'.", f"The wallets file has: {there}.")
    return found


def _asked(what: str) -> str:
    """Turns the echo off before it asks; a prompt that asks first shows what was typed or pasted ahead."""
    try:
        return getpass(f"{what}: ").strip()
    except EOFError:
        raise KeyboardInterrupt from None


def _passphrase() -> str:
    return _asked("Passphrase of the exchange keys")


def _new_passphrase() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    chosen = _asked("New passphrase")
    if _asked("The same again") != chosen:
        raise ConfigurationError("The two passphrases differ.", "Nothing was changed; start again.")
    return chosen


def _given_credentials() -> Credentials:
    given = _prompted() if sys.stdin.isatty() else _piped(sys.stdin.read())
    try:
        return Credentials.model_validate({name: value for name, value in given.items() if value})
    except ValidationError as error:
        # Its own text would show what was given.
        wrong = ", ".join(".".join(map(str, detail["loc"])) for detail in error.errors(include_input=False))
        raise ConfigurationError(
            f"What was given is not a key: {wrong} is missing or not expected.", "See: tradepulse keys add --help"
        ) from None


def _prompted() -> dict[str, Any]:
    asked = {"api_key": "API key", "secret": "Secret", "password": "Password or passphrase of the key (empty: none)"}
    given = {name: _asked(text) for name, text in asked.items()}
    # A private key in PEM has lines; a prompt takes one.
    return {**given, "secret": given["secret"].replace("\\n", "\n")}


def _piped(text: str) -> dict[str, Any]:
    if text.lstrip().startswith("{"):
        try:
            found = json.loads(text)
        except ValueError:
            raise ConfigurationError(
                "What was given begins like JSON and is none.", "Write one object with api_key and secret."
            ) from None
        return dict(found)
    lines = [line.strip() for line in text.splitlines()]
    return dict(zip(("api_key", "secret", "password"), [*lines, "", "", ""], strict=False))
