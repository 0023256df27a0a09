"""What the gate said last about a combination, from the stored reports of finished jobs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tradepulse.domain.training import Combination, JobState, JsonObject, TrainingRequest, regime_word
from tradepulse.ports import TrainingStore

JOBS_SEARCHED = 1000
NOT_ENOUGH = "left out"


@dataclass(frozen=True, slots=True)
class PastJudgement:
    """``verdict`` as in the report, or ``left out`` where there was too little to judge. ``time`` is UTC ms."""

    job_id: str
    time: int
    verdict: str
    reason: str
    entry: Mapping[str, object] = field(default_factory=dict)


class PastJudgements:
    """Reports are large and never change, so each is read once and kept condensed."""

    def __init__(self, training: TrainingStore) -> None:
        self._training = training
        self._by_job: dict[str, dict[str, PastJudgement]] = {}

    async def last(self, combination: Combination) -> PastJudgement | None:
        """The newest judgement of this very combination; ``None`` where it never was part of a finished job."""
        for job in await self._training.jobs(limit=JOBS_SEARCHED):
            if job.state is not JobState.FINISHED or not _covers(job.request, combination):
                continue
            if job.job_id not in self._by_job:
                report = await self._training.report(job.job_id)
                time = job.finished_at or job.created_at
                self._by_job[job.job_id] = {} if report is None else _condensed(job.job_id, time, report)
            found = self._by_job[job.job_id]
            judgement = found.get(str(combination)) or found.get(_unit(combination))
            if judgement is not None:
                return judgement
        return None


def _covers(request: TrainingRequest, combination: Combination) -> bool:
    series = combination.series
    return (
        series.symbol in request.symbols
        and series.exchange in request.exchanges
        and series.timeframe in request.timeframes
        and combination.strategy in request.strategies
        and (combination.regime is None or not request.regimes or combination.regime in request.regimes)
    )


def _condensed(job_id: str, time: int, report: JsonObject) -> dict[str, PastJudgement]:
    found = {
        f"{entry['series']}:{entry['strategy']}": PastJudgement(job_id, time, NOT_ENOUGH, str(entry["reason"]))
        for entry in report.get("left_out", ())
    }
    for entry in report.get("combinations", ()):
        name = f"{entry['exchange']}:{entry['symbol']}:{entry['timeframe']}:{entry['strategy']}:{entry['regime']}"
        kept = {part: value for part, value in entry.items() if part not in {"steps", "values"}}
        found[name] = PastJudgement(job_id, time, entry["verdict"], entry["reason"], kept)
    return found


def _unit(combination: Combination) -> str:
    return str(combination).removesuffix(f":{regime_word(combination.regime)}")
