"""Several wallets at once in one process. Each has its own engine, book and fate; all may share limits."""

import asyncio
import logging
from collections.abc import Sequence

from tradepulse.bootstrap.application import Application
from tradepulse.bootstrap.exchange_access import Outside
from tradepulse.bootstrap.exchange_keys import keys_of, recheck_keys
from tradepulse.bootstrap.heartbeat import Heartbeats
from tradepulse.bootstrap.tasks import until_one_ends
from tradepulse.bootstrap.wallet_trader import Halted, Told, WalletDesk, nobody_is_told, trade_wallet
from tradepulse.core import wallets as shared_limits
from tradepulse.core.event_system import Observer
from tradepulse.domain.trading_state import Phase, TradingState
from tradepulse.domain.wallets import Wallet, Wallets
from tradepulse.shared.errors import ConfigurationError, TradePulseError, TransientError
from tradepulse.storage.exchange_keys import AskPassphrase, ExchangeKeys

logger = logging.getLogger(__name__)
KEY_CHECK_SECONDS = 60.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
STEADY_SECONDS = 300.0
"""After a life of so long the next failure is waited for as if it were the first."""


def tell_nobody(_: Wallet, __: TradingState) -> None:
    """For callers that do not look."""


async def run_live(
    app: Application,
    wallets: Wallets,
    names: Sequence[str] = (),
    *observers: Observer,
    outside: Outside | None = None,
    told: Told = tell_nobody,
    ask_passphrase: AskPassphrase | None = None,
    heartbeats: Heartbeats | None = None,
    halted: Halted = nobody_is_told,
) -> None:
    """Trade the live wallets of these names (all of them where none is named) until cancelled.

    What may pass is tried again. A wallet that a person must look at is halted: its protections stay on the exchange,
    the others go on. When none is left, the error of the first is raised.
    """
    chosen = chosen_wallets(wallets, names, live=True)
    keys = keys_of(app, ask_passphrase)
    world = outside or Outside()
    shared = limits_of_all(wallets, chosen)
    desk = WalletDesk(app, keys, world, shared, observers, told, heartbeats or Heartbeats(), halted)
    await until_one_ends(trade_all(desk, chosen), _check_keys(keys, wallets, world, app))


async def trade_all(desk: WalletDesk, chosen: Sequence[Wallet]) -> None:
    """Until none is left, or it is cancelled; then the error of the first that was halted is raised."""
    trading = [_Trader(desk, wallet) for wallet in chosen]
    await asyncio.gather(*(trader.run() for trader in trading))
    for one in trading:
        if one.halted_by is not None:
            raise one.halted_by


def chosen_wallets(wallets: Wallets, names: Sequence[str], *, live: bool) -> list[Wallet]:
    """Those named, or all of the mode; ``ConfigurationError`` for a name that is not there, or of the other mode."""
    mode = "live" if live else "paper"
    there = [wallet for wallet in wallets.wallets if wallet.mode == mode]
    if not there:
        raise ConfigurationError(
            f"No wallet of the wallets file has the mode {mode}.", "Set the mode of one, or use the other --mode."
        )
    for name in names:
        found = wallets.named(name)
        if found is None or found not in there:
            problem = f"There is no wallet '{name}'." if found is None else f"The wallet '{name}' trades {found.mode}."
            raise ConfigurationError(problem, f"Wallets that trade {mode}: {', '.join(one.name for one in there)}.")
    return [wallet for wallet in there if not names or wallet.name in names]


def limits_of_all(wallets: Wallets, chosen: Sequence[Wallet]) -> shared_limits.Wallets | None:
    """One object for all engines of the process; nothing to share where the wallets file sets no totals."""
    if not (wallets.totals.total_ppm or wallets.totals.daily_loss_ppm):
        return None
    shared = shared_limits.Wallets(wallets.totals)
    for wallet in chosen:
        shared.expect(wallet.book)
    return shared


class _Trader:
    """One wallet, life after life."""

    def __init__(self, desk: WalletDesk, wallet: Wallet) -> None:
        self._desk = desk
        self._wallet = wallet
        self.halted_by: Exception | None = None

    async def run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await trade_wallet(self._desk, self._wallet)
                pause = FIRST_PAUSE
            except TransientError as error:
                if asyncio.get_running_loop().time() - began > STEADY_SECONDS:
                    pause = FIRST_PAUSE
                self._tell(f"begins again in {pause:.0f} s: {error}")
                await self._desk.outside.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            except Exception as error:  # noqa: BLE001
                # The edge of one wallet: whatever befell it must not reach the others.
                return self._halt(error)

    def _halt(self, error: Exception) -> None:
        self.halted_by = error
        if self._desk.shared is not None:
            self._desk.shared.leave(self._wallet.book)
        why = str(error) if isinstance(error, TradePulseError) else f"{type(error).__name__}: {error}"
        logger.error("Wallet %s is halted", self._wallet.name, exc_info=error)
        self._desk.halted(self._wallet, why)
        self._tell(f"HALTED, its protections stay on the exchange: {why}")

    def _tell(self, text: str) -> None:
        self._desk.told(self._wallet, TradingState(Phase.STARTING, f"Wallet {self._wallet.name} {text}"))


async def _check_keys(keys: ExchangeKeys, wallets: Wallets, outside: Outside, app: Application) -> None:
    """Each key once a day; what came of it is stored, where the wallets look it up."""
    while True:
        try:
            await recheck_keys(keys, wallets, app.clock, ask=outside.ask_permissions)
        except TradePulseError as error:
            # Each wallet looks at its own key; this must not end any of them.
            logger.warning("The keys are checked later: %s", error)
        await asyncio.sleep(KEY_CHECK_SECONDS)
