"""The ``ParameterRangeStore`` that remembers until the process ends."""

from tradepulse.domain.training import RangesVersion
from tradepulse.storage.parameter_ranges import set_meanwhile


class InMemoryParameterRangeStore:
    def __init__(self) -> None:
        self._strategies: dict[str, list[RangesVersion]] = {}

    async def add(self, ranges: RangesVersion) -> RangesVersion:
        versions = self._strategies.setdefault(ranges.strategy, [])
        if ranges.version != len(versions) + 1:
            raise set_meanwhile(ranges)
        versions.append(ranges)
        return ranges

    async def newest(self, strategy: str) -> RangesVersion | None:
        return next(iter(self._strategies.get(strategy, [])[::-1]), None)

    async def history(self, strategy: str, *, limit: int = 50, before: int | None = None) -> list[RangesVersion]:
        versions = [one for one in self._strategies.get(strategy, []) if before is None or one.version < before]
        return versions[::-1][:limit]
