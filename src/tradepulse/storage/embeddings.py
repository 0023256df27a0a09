"""Windows in pgvector: those of now, and those of setups with what became of them.

Whoever asks for the windows most alike names the time at which the question is asked, and nothing that was resolved
later is among the answers: neither where it is filtered nor where it is counted.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from psycopg.types.json import Json

from tradepulse.domain.embeddings import CurrentWindow, Embedding, EncoderVerdict, SetupWindow, SimilarWindow
from tradepulse.ports import JsonObject
from tradepulse.storage.db import Connection, Database

EXACT_BELOW = 20_000
"""Rows of a model up to which every one is compared: exact, and fast enough."""
EF_SEARCH = 200
"""Candidates that the index keeps; with 100 of them 100 neighbours were found with a recall of less than 0.99."""
MOST_SCANNED = 40_000

_SAVE_MODEL = """
    insert into encoder_models (version, timeframe, fitted_at, arrays, evidence) values (%s, %s, %s, %s, %s)
    on conflict (version) do update set evidence = excluded.evidence
"""
_SAVE_CURRENT = """
    insert into current_embeddings as kept (exchange, symbol, timeframe, model_version, bar_time, embedding)
    values (%s, %s, %s, %s, %s, %s::vector)
    on conflict (exchange, symbol, timeframe) do update set model_version = excluded.model_version,
        bar_time = excluded.bar_time, embedding = excluded.embedding
    where kept.bar_time < excluded.bar_time or kept.model_version <> excluded.model_version
"""
_STAGE = "create temporary table staged (like setup_embeddings) on commit drop"
_COPY = (
    "copy staged (model_version, setup_id, exchange, symbol, timeframe, strategy, direction, found_at, resolved_at, "
    "won, r, prior, base, embedding) from stdin"
)
# What is resolved stays resolved.
_TAKE_STAGED = """
    insert into setup_embeddings as kept select * from staged
    on conflict (model_version, setup_id) do update set resolved_at = excluded.resolved_at, won = excluded.won,
        r = excluded.r
    where kept.resolved_at is null and excluded.resolved_at is not null
"""
_NEAREST = """
    select setup_id, exchange, symbol, timeframe, strategy, direction, found_at, resolved_at, won, r, distance from (
        select *, embedding <=> %(asked)s::vector as distance from setup_embeddings
        where model_version = %(version)s and resolved_at < %(before)s
            and (%(strategy)s::text is null or strategy = %(strategy)s)
        order by embedding <=> %(asked)s::vector limit %(count)s
    ) as found order by distance, setup_id
"""


class PostgresEmbeddingStore:
    """The ``EmbeddingStore`` on PostgreSQL with pgvector."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._many: set[str] = set()
        """Models of which so many setups are stored that they need not be counted again."""

    async def save_model(
        self, version: str, timeframe: str, fitted_at: int, arrays: bytes, evidence: JsonObject
    ) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(_SAVE_MODEL, (version, timeframe, fitted_at, arrays, Json(evidence)))

    async def newest_model(self, timeframe: str) -> tuple[str, int, bytes, JsonObject] | None:
        async with self._database.transaction() as connection:
            found = await connection.execute(
                "select version, fitted_at, arrays, evidence from encoder_models where timeframe = %s "
                'order by "row" desc limit 1',
                (timeframe,),
            )
            row = await found.fetchone()
        return None if row is None else (row[0], row[1], bytes(row[2]), row[3])

    async def keep_models(self, timeframe: str, count: int) -> int:
        async with self._database.transaction() as connection:
            gone = await connection.execute(
                'delete from encoder_models where timeframe = %(timeframe)s and "row" not in (select "row" from '
                'encoder_models where timeframe = %(timeframe)s order by "row" desc limit %(count)s)',
                {"timeframe": timeframe, "count": count},
            )
        return gone.rowcount

    async def add_verdict(self, verdict: EncoderVerdict) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(
                "insert into encoder_verdicts (timeframe, model_version, time, earned, judgement) "
                "values (%s, %s, %s, %s, %s)",
                (verdict.timeframe, verdict.model_version, verdict.time, verdict.earned, Json(verdict.judgement)),
            )

    async def newest_verdict(self, timeframe: str, version: str | None = None) -> EncoderVerdict | None:
        async with self._database.transaction() as connection:
            found = await connection.execute(
                "select timeframe, model_version, time, earned, judgement from encoder_verdicts "
                "where timeframe = %(timeframe)s and (%(version)s::text is null or model_version = %(version)s) "
                'order by "row" desc limit 1',
                {"timeframe": timeframe, "version": version},
            )
            row = await found.fetchone()
        return None if row is None else EncoderVerdict(*row)

    async def look_again_from(self, version: str, exchange: str, symbol: str) -> int | None:
        async with self._database.transaction() as connection:
            found = await connection.execute(
                "select coalesce(min(found_at) filter (where resolved_at is null), max(found_at)) "
                "from setup_embeddings where model_version = %s and exchange = %s and symbol = %s",
                (version, exchange, symbol),
            )
            row = await found.fetchone()
        return None if row is None or row[0] is None else int(row[0])

    async def save_current(self, windows: Sequence[CurrentWindow]) -> None:
        async with self._database.transaction() as connection, connection.cursor() as cursor:
            await cursor.executemany(
                _SAVE_CURRENT,
                [
                    (one.exchange, one.symbol, one.timeframe, one.model_version, one.bar_time, written(one.embedding))
                    for one in windows
                ],
            )

    async def current(self, exchange: str, symbol: str, timeframe: str) -> CurrentWindow | None:
        async with self._database.transaction() as connection:
            found = await connection.execute(
                "select exchange, symbol, timeframe, model_version, bar_time, embedding::text from current_embeddings "
                "where exchange = %s and symbol = %s and timeframe = %s",
                (exchange, symbol, timeframe),
            )
            row = await found.fetchone()
        if row is None:
            return None
        exchange, symbol, timeframe, version, bar_time, embedding = row
        return CurrentWindow(exchange, symbol, timeframe, version, bar_time, read(embedding))

    async def save_setups(self, windows: Sequence[SetupWindow]) -> None:
        async with self._database.transaction() as connection, connection.cursor() as cursor:
            await cursor.execute(_STAGE)
            async with cursor.copy(_COPY) as copy:
                for one in windows:
                    await copy.write_row(
                        (
                            one.model_version,
                            one.setup_id,
                            one.exchange,
                            one.symbol,
                            one.timeframe,
                            one.strategy,
                            one.direction,
                            one.found_at,
                            one.resolved_at,
                            one.won,
                            one.r,
                            one.prior,
                            one.base,
                            written(one.embedding),
                        )
                    )
            await cursor.execute(_TAKE_STAGED)

    async def drop_other_models(self, timeframe: str, version: str) -> int:
        """What another model made of this timeframe cannot be compared any more; how many setups that were."""
        async with self._database.transaction() as connection:
            gone = await connection.execute(
                "delete from setup_embeddings where timeframe = %s and model_version <> %s", (timeframe, version)
            )
            await connection.execute(
                "delete from current_embeddings where timeframe = %s and model_version <> %s", (timeframe, version)
            )
        return gone.rowcount

    async def count(self, version: str) -> int:
        async with self._database.transaction() as connection:
            return await _count(connection, version)

    async def similar(
        self,
        version: str,
        embedding: Embedding,
        before: int,
        *,
        count: int = 100,
        strategy: str | None = None,
        exact: bool | None = None,
    ) -> list[SimilarWindow]:
        """Most alike first. ``exact``: by comparing all; by default where there are few."""
        asked = {
            "asked": written(embedding),
            "version": version,
            "before": before,
            "strategy": strategy,
            "count": count,
        }
        async with self._database.transaction() as connection:
            if exact is None:
                exact = not await self._has_many(connection, version)
            await connection.execute(_scan(exact=exact, count=count))
            rows = await (await connection.execute(_NEAREST, asked)).fetchall()
        return [_similar(row) for row in rows]

    async def _has_many(self, connection: Connection, version: str) -> bool:
        if version not in self._many and await _count(connection, version, EXACT_BELOW) >= EXACT_BELOW:
            self._many.add(version)
        return version in self._many


def _scan(*, exact: bool, count: int) -> str:
    if exact:
        return "set local enable_indexscan = off"
    # A filter is applied to what the index answers: without going on, a filtered question gets too few answers.
    return (
        f"set local hnsw.ef_search = {min(1_000, max(EF_SEARCH, 2 * count))}; "
        f"set local hnsw.iterative_scan = relaxed_order; set local hnsw.max_scan_tuples = {MOST_SCANNED}; "
        "set local enable_seqscan = off; set local enable_bitmapscan = off; set local enable_sort = off"
    )


async def _count(connection: Connection, version: str, most: int | None = None) -> int:
    found = await connection.execute(
        "select count(*) from (select 1 from setup_embeddings where model_version = %s limit %s) as counted",
        (version, most),
    )
    row = await found.fetchone()
    return 0 if row is None else int(row[0])


def _similar(row: tuple[Any, ...]) -> SimilarWindow:
    """In the order of the columns asked for, the last of which is the distance."""
    facts: dict[str, Any] = dict(zip(SimilarWindow.__slots__, row, strict=True))
    return SimilarWindow(**facts | {"likeness": 1.0 - float(row[-1])})


def read(text: str) -> Embedding:
    return np.array(text.strip("[]").split(","), dtype=np.float32)


def written(embedding: Embedding) -> str:
    """As pgvector reads it; the shortest text that gives the same float32 again."""
    return "[" + ",".join(map(str, embedding.tolist())) + "]"
