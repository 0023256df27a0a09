"""The simulated exchange on the real venue store: killed, built again, the same book."""

from tests.local_exchanges.mortal_trader import Fate, lifetime, two_market_tape

from tradepulse.ports import JsonObject
from tradepulse.storage.db import Database
from tradepulse.storage.venues import PostgresVenueStore


class MortalPostgres(PostgresVenueStore):
    """Dies right before or right after a commit."""

    def __init__(self, database: Database, fate: Fate) -> None:
        super().__init__(database)
        self._fate = fate

    async def save(self, venue: str, state: JsonObject, orders: dict[str, JsonObject]) -> None:
        self._fate.live()
        await super().save(venue, state, orders)
        self._fate.live()


async def test_exchange_when_killed_on_postgres_then_fills_and_balances_equal_an_uninterrupted_run(
    database: Database,
) -> None:
    tape = two_market_tape()
    trader, exchange = await lifetime(tape, [])
    survivor, rebuilt = await lifetime(tape, [37, 90, 5, 61, 128, 44, 9], lambda fate: MortalPostgres(database, fate))
    assert survivor.fills == trader.fills
    assert rebuilt.balances() == exchange.balances()
