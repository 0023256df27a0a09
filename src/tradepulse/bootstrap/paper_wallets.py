"""Paper wallets: on the simulated exchange by its own trader, on real exchanges like live ones without a key."""

from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

from tradepulse.bootstrap.application import Application
from tradepulse.bootstrap.exchange_access import Outside
from tradepulse.bootstrap.exchange_keys import keys_of
from tradepulse.bootstrap.heartbeat import Heartbeats
from tradepulse.bootstrap.live import chosen_wallets, limits_of_all, tell_nobody, trade_all
from tradepulse.bootstrap.paper import SIMULATED, run_paper
from tradepulse.bootstrap.tasks import until_one_ends
from tradepulse.bootstrap.wallet_trader import Halted, Told, WalletDesk, nobody_is_told
from tradepulse.core.event_system import Observer
from tradepulse.domain.wallets import Wallets
from tradepulse.shared.errors import ConfigurationError


async def run_paper_wallets(
    app: Application,
    wallets: Wallets,
    names: Sequence[str] = (),
    *observers: Observer,
    outside: Outside | None = None,
    told: Told = tell_nobody,
    heartbeats: Heartbeats | None = None,
    halted: Halted = nobody_is_told,
) -> None:
    """Trade the paper wallets of these names (all of them where none is named) until cancelled.

    The simulated exchange is one market with one book, which the settings describe: one wallet stands for it, and it
    does not count for the limits over all wallets.
    """
    chosen = chosen_wallets(wallets, names, live=False)
    simulated = [wallet for wallet in chosen if wallet.exchange == SIMULATED]
    real = [wallet for wallet in chosen if wallet.exchange != SIMULATED]
    if len(simulated) > 1:
        raise ConfigurationError(
            f"{' and '.join(one.name for one in simulated)} would trade the same simulated market.", "Name one of them."
        )
    work: list[Coroutine[Any, Any, None]] = []
    if real:
        world, shared = outside or Outside(), limits_of_all(wallets, real)
        desk = WalletDesk(app, keys_of(app), world, shared, observers, told, heartbeats or Heartbeats(), halted)
        work.append(trade_all(desk, real))
    if simulated:
        work.append(run_paper(app, *observers, told=partial(told, simulated[0])))
    await until_one_ends(*work)
