"""Words of background work: what was asked for, how far it is, when it is tried again, and what comes by the clock."""

from dataclasses import dataclass, field
from typing import Any

from tradepulse.domain.training import JobState

JsonObject = dict[str, Any]

FIRST_WAIT_MS = 5_000
LONGEST_WAIT_MS = 300_000
MOST_RETRIES = 8
"""In a row, without getting any further: about a quarter of an hour."""


@dataclass(frozen=True, slots=True)
class JobProgress:
    """``done`` of ``total``; ``rate`` per second and ``seconds_left`` as soon as they are known."""

    done: int = 0
    total: int = 0
    unit: str = ""
    rate: float | None = None
    seconds_left: float | None = None
    part: str = ""
    """What is being worked on, in words."""


@dataclass(frozen=True, slots=True)
class JobOrder:
    """What somebody asks for. ``parameters`` have been checked by the kind's own rules.

    ``machine``: only a worker there can do it, because it holds the files; ``None``: any. The higher ``priority``
    is taken first.
    """

    kind: str
    parameters: JsonObject
    by: str
    priority: int = 0
    machine: str | None = None
    schedule: str | None = None
    """The schedule it comes from."""


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of background work. Times are UTC milliseconds; ``state`` never is judging or deploying.

    ``attempts`` counts how often it was begun and not given back, ``retries`` how often in a row something out of our
    hands stopped it; before ``not_before`` it is not tried again. ``result`` is there once it has finished.
    """

    job_id: str
    kind: str
    parameters: JsonObject
    state: JobState
    priority: int
    requested_by: str
    created_at: int
    started_at: int | None = None
    finished_at: int | None = None
    not_before: int | None = None
    attempts: int = 0
    retries: int = 0
    worker: str | None = None
    machine: str | None = None
    schedule: str | None = None
    progress: JobProgress = field(default_factory=JobProgress)
    problem: str | None = None
    result: JsonObject | None = None


def wait_before(retry: int) -> int | None:
    """Milliseconds to wait before that retry, the first being 1; ``None`` where enough have been made."""
    return None if retry > MOST_RETRIES else int(min(FIRST_WAIT_MS * 2 ** (retry - 1), LONGEST_WAIT_MS))


@dataclass(frozen=True, slots=True)
class Schedule:
    """A job that is asked for by the clock. ``cron`` is read in UTC; ``next_run`` is ``None`` while it is off.

    A run that was missed, however often, is made up once.
    """

    name: str
    kind: str
    parameters: JsonObject
    cron: str
    enabled: bool
    requested_by: str
    next_run: int | None = None
    last_run: int | None = None
    last_job: str | None = None
    problem: str | None = None
    """Why the last run came to nothing."""
