"""Trading the wallets of the wallets file, on paper or with real money, until it is stopped."""

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tradepulse.cli.options import known_secrets, run
from tradepulse.cli.running import signals_to
from tradepulse.cli.screen import tell
from tradepulse.cli.supervision import supervisor
from tradepulse.core.notices import Level, Notice
from tradepulse.domain.trading_state import TradingState
from tradepulse.domain.wallets import Wallet, WalletMode
from tradepulse.shared.errors import ConfigurationError, RefusedError
from tradepulse.shared.logging import configure_logging
from tradepulse.shared.secrets import scrub
from tradepulse.shared.settings import Settings, load_settings

if TYPE_CHECKING:
    from tradepulse.bootstrap import Application, Heartbeats, Notifier
    from tradepulse.domain.wallets import Wallets

PHRASE = "trade {names} with real money"
Mode = Annotated[
    WalletMode | None, typer.Option("--mode", help="Which wallets: paper or live. Default: the trading.mode setting.")
]
Names = Annotated[
    list[str] | None,
    typer.Option("--wallet", "-w", help="As in the wallets file; repeatable. Default: all of the mode."),
]
Confirmed = Annotated[
    list[str] | None,
    typer.Option("--yes-trade-live", metavar="WALLET", help="Says without a question that this wallet trades live."),
]


def register(app: typer.Typer) -> None:
    app.command("trade")(trade)


def trade(mode: Mode = None, wallet: Names = None, yes_trade_live: Confirmed = None) -> None:
    """Trade wallets until Ctrl-C or SIGTERM. Protections of open positions stay on the exchange.

    Real money needs the setting TRADING_MODE=live, a stored key, and a word of confirmation for every wallet.
    """
    from tradepulse import bootstrap

    settings = load_settings()
    configure_logging(settings.logging, known_secrets(settings))
    chosen = mode or WalletMode(settings.trading.mode)
    wallets = bootstrap.load_wallets(settings)
    traded = bootstrap.chosen_wallets(wallets, wallet or [], live=chosen is WalletMode.LIVE)
    if chosen is WalletMode.LIVE:
        if settings.trading.mode != "live":
            raise ConfigurationError(
                "The settings say that real money is not traded (TRADING_MODE=paper).",
                "Set TRADING_MODE=live to trade live wallets.",
            )
        _confirm(traded, yes_trade_live or [])
    run(_trade(settings, wallets, traded))


def _confirm(traded: Sequence[Wallet], given: Sequence[str]) -> None:
    """A phrase that nobody types by mistake; where nobody is there to type, every wallet is named by an option."""
    missing = [one.name for one in traded if one.name not in given]
    if not missing:
        return
    if not sys.stdin.isatty():
        options = " ".join(f"--yes-trade-live {name}" for name in missing)
        raise RefusedError(f"Nobody has confirmed that {', '.join(missing)} trades with real money.", f"Add {options}.")
    phrase = PHRASE.format(names=", ".join(missing))
    if typer.prompt(f"Type '{phrase}'").strip() != phrase:
        raise RefusedError("That was something else, so nothing is traded.", "Start again and type the phrase.")


async def _trade(settings: Settings, wallets: "Wallets", traded: Sequence[Wallet]) -> None:
    from tradepulse import bootstrap

    stop, heartbeats, supervised = asyncio.Event(), bootstrap.Heartbeats(), supervisor()
    async with signals_to(stop):
        tell("Starting the database ...")
        async with (
            bootstrap.open_application(settings) as app,
            bootstrap.on_this_schema(app),
            supervised.watching(heartbeats.problem),
            bootstrap.notifying(settings.notifications, app.clock) as notifier,
        ):
            trading = asyncio.create_task(_begun(app, wallets, traded, heartbeats, notifier))
            supervised.ready()
            stopping = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({trading, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not stop.is_set():
                    await trading
            finally:
                for task in (trading, stopping):
                    task.cancel()
                await asyncio.gather(trading, stopping, return_exceptions=True)
    tell("Stopped. Everything is stored; stops and targets stay on the exchange.")


async def _begun(
    app: "Application", wallets: "Wallets", traded: Sequence[Wallet], heartbeats: "Heartbeats", notifier: "Notifier"
) -> None:
    from tradepulse import bootstrap

    def halted(wallet: Wallet, why: str) -> None:
        text = f"Its protections stay on the exchange. {scrub(why)}"
        notifier.tell(Notice(Level.CRITICAL, f"Wallet {wallet.name} is halted", text))

    names = [one.name for one in traded]
    trade_them = bootstrap.run_live if traded[0].mode is WalletMode.LIVE else bootstrap.run_paper_wallets
    try:
        await trade_them(app, wallets, names, notifier.observe, told=_show, heartbeats=heartbeats, halted=halted)
    except Exception as error:
        # Told to people first: whoever starts us again may not, because of what it was.
        notifier.tell(Notice(Level.CRITICAL, "Trading has ended by itself", scrub(str(error))))
        raise


def _show(wallet: Wallet, state: TradingState) -> None:
    tell(f"{wallet.name}: {state.text}")
