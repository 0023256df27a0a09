"""Policies in PostgreSQL: one row of each table per version, written in one transaction."""

from dataclasses import replace
from typing import Any

from psycopg.types.json import Json
from pydantic import TypeAdapter

from tradepulse.domain.embeddings import Embedding
from tradepulse.domain.policy import Bounds, Judgement, Policy
from tradepulse.ports import JsonObject
from tradepulse.storage.db import Database
from tradepulse.storage.embeddings import written

MOST_UNRESOLVED = 100
_JUDGEMENT = TypeAdapter(Judgement)

# Two that number at once would take the same number.
_LOCK = "select pg_advisory_xact_lock(hashtext('policy_config'), hashtext(%s))"
_NEXT = "select coalesce(max(version), 0) + 1 from policy_config where book = %s"
_ADD_POLICY = """
    insert into policy_config (book, version, issued_at, valid_until, risk_ppm, confluence_bump_ppm, author, paused,
        reasons, rules, consulted, outcome)
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, '{}')
"""
_ADD_STATE = """
    insert into market_state (book, version, time, state, state_hash, conviction, facts)
    values (%s, %s, %s, %s, %s, %s, %s)
"""
_ADD_MEMORY = "insert into llm_memory (book, version, situation, embedding) values (%s, %s, %s, %s::vector)"
_POLICIES = """
    select book, version, issued_at, valid_until, risk_ppm, confluence_bump_ppm, author, paused, reasons, rules,
        consulted, outcome, resolved_at, state_hash, facts
    from policy_config join market_state using (book, version)
"""
_HISTORY = _POLICIES + ("where book = %s and (%s::bigint is null or version < %s) order by version desc limit %s")
_UNRESOLVED = _POLICIES + ("where book = %s and issued_at <= %s and resolved_at is null order by version limit %s")
_RESOLVE = (
    "update policy_config set outcome = %s, resolved_at = %s where book = %s and version = %s and resolved_at is null"
)
# A book has some thousand versions a year: all of them are compared, so that the answer is exact.
_ALIKE = _POLICIES + (
    "join llm_memory using (book, version) where book = %s and resolved_at < %s "
    "order by embedding <=> %s::vector, version desc limit %s"
)
_TOKENS = "select coalesce(sum((consulted ->> 'tokens')::bigint), 0) from policy_config where issued_at >= %s"


class PostgresPolicyStore:
    """The ``PolicyStore`` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, policy: Policy, situation: str, embedding: Embedding) -> Policy:
        rules, bounds = policy.rules, policy.bounds
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK, (policy.book,))
            row = await (await connection.execute(_NEXT, (policy.book,))).fetchone()
            version = 1 if row is None else int(row[0])
            key = (policy.book, version)
            in_force = (policy.issued_at, policy.valid_until, bounds.risk_ppm, bounds.confluence_bump_ppm)
            told = (sorted(bounds.paused), list(policy.reasons), _JUDGEMENT.dump_python(rules, mode="json"))
            values = (*key, *in_force, policy.author, *map(Json, told), Json(policy.consulted))
            await connection.execute(_ADD_POLICY, values)
            seen = (policy.issued_at, rules.state.value, policy.state_hash, rules.conviction, Json(policy.facts))
            await connection.execute(_ADD_STATE, (*key, *seen))
            await connection.execute(_ADD_MEMORY, (*key, situation, written(embedding)))
        return replace(policy, version=version)

    async def get(self, book: str, version: int) -> Policy | None:
        found = await self._policies(_POLICIES + "where book = %s and version = %s", (book, version))
        return found[0] if found else None

    async def history(self, book: str, *, limit: int = 50, before: int | None = None) -> list[Policy]:
        return await self._policies(_HISTORY, (book, before, before, limit))

    async def tokens_since(self, time: int) -> int:
        async with self._database.transaction() as connection:
            row = await (await connection.execute(_TOKENS, (time,))).fetchone()
        return 0 if row is None else int(row[0])

    async def unresolved(self, book: str, until: int) -> list[Policy]:
        return await self._policies(_UNRESOLVED, (book, until, MOST_UNRESOLVED))

    async def resolve(self, book: str, version: int, outcome: JsonObject, time: int) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(_RESOLVE, (Json(outcome), time, book, version))

    async def alike(self, book: str, embedding: Embedding, before: int, *, count: int = 5) -> list[Policy]:
        return await self._policies(_ALIKE, (book, before, written(embedding), count))

    async def _policies(self, query: str, values: tuple[Any, ...]) -> list[Policy]:
        async with self._database.transaction() as connection:
            return [_policy(row) for row in await (await connection.execute(query, values)).fetchall()]


def _policy(row: tuple[Any, ...]) -> Policy:
    book, version, issued_at, valid_until, risk, bump, author, paused, reasons, rules, consulted, outcome = row[:12]
    resolved_at, state_hash, facts = row[12:]
    return Policy(
        book=book,
        version=version,
        issued_at=issued_at,
        valid_until=valid_until,
        bounds=Bounds(risk, frozenset(paused), bump),
        rules=_JUDGEMENT.validate_python(rules),
        author=author,
        state_hash=state_hash,
        facts=facts,
        reasons=tuple(reasons),
        consulted=consulted,
        outcome=outcome,
        resolved_at=resolved_at,
    )
