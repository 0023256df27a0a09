"""The simulated exchange's own book, in its own tables."""

from psycopg.types.json import Json

from tradepulse.ports import JsonObject
from tradepulse.storage.db import Database


class PostgresVenueStore:
    """The ``VenueStore`` on PostgreSQL: state and orders in one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, venue: str) -> JsonObject | None:
        async with self._database.transaction() as connection:
            found = await connection.execute("select state from venues where venue = %s", (venue,))
            row = await found.fetchone()
        return None if row is None else row[0]

    async def save(self, venue: str, state: JsonObject, orders: dict[str, JsonObject]) -> None:
        async with self._database.transaction() as connection, connection.pipeline():
            await connection.execute(
                "insert into venues (venue, state) values (%s, %s) "
                "on conflict (venue) do update set state = excluded.state",
                (venue, Json(state)),
            )
            for client_id, order in orders.items():
                await connection.execute(
                    'insert into venue_orders (venue, client_id, "order") values (%s, %s, %s) '
                    'on conflict (venue, client_id) do update set "order" = excluded."order"',
                    (venue, client_id, Json(order)),
                )

    async def order(self, venue: str, client_id: str) -> JsonObject | None:
        async with self._database.transaction() as connection:
            found = await connection.execute(
                'select "order" from venue_orders where venue = %s and client_id = %s', (venue, client_id)
            )
            row = await found.fetchone()
        return None if row is None else row[0]
