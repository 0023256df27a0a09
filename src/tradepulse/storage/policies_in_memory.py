"""The ``PolicyStore`` that remembers until the process ends."""

from dataclasses import replace

from tradepulse.domain.embeddings import Embedding
from tradepulse.domain.policy import Policy
from tradepulse.ports import JsonObject
from tradepulse.storage.policies import MOST_UNRESOLVED


class InMemoryPolicyStore:
    def __init__(self) -> None:
        self._books: dict[str, list[Policy]] = {}
        self._embeddings: dict[tuple[str, int], Embedding] = {}

    async def add(self, policy: Policy, situation: str, embedding: Embedding) -> Policy:  # noqa: ARG002
        versions = self._books.setdefault(policy.book, [])
        added = replace(policy, version=len(versions) + 1)
        versions.append(added)
        self._embeddings[added.book, added.version] = embedding
        return added

    async def get(self, book: str, version: int) -> Policy | None:
        return next((one for one in self._books.get(book, []) if one.version == version), None)

    async def history(self, book: str, *, limit: int = 50, before: int | None = None) -> list[Policy]:
        found = [one for one in self._books.get(book, []) if before is None or one.version < before]
        return found[::-1][:limit]

    async def tokens_since(self, time: int) -> int:
        issued = [one for versions in self._books.values() for one in versions if one.issued_at >= time]
        return sum(int(one.consulted.get("tokens", 0)) for one in issued)

    async def unresolved(self, book: str, until: int) -> list[Policy]:
        open_ = [one for one in self._books.get(book, []) if one.issued_at <= until and one.resolved_at is None]
        return open_[:MOST_UNRESOLVED]

    async def resolve(self, book: str, version: int, outcome: JsonObject, time: int) -> None:
        found = await self.get(book, version)
        if found is not None and found.resolved_at is None:
            self._books[book][version - 1] = replace(found, outcome=outcome, resolved_at=time)

    async def alike(self, book: str, embedding: Embedding, before: int, *, count: int = 5) -> list[Policy]:
        known = [one for one in self._books.get(book, []) if one.resolved_at is not None and one.resolved_at < before]
        likeness = {one.version: float(self._embeddings[book, one.version] @ embedding) for one in known}
        return sorted(known, key=lambda one: (-likeness[one.version], -one.version))[:count]
