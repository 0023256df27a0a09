"""Sockets in the wall. Each docstring is a contract with one test suite, run over every member."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from tradepulse.domain.commands import Command
from tradepulse.domain.embeddings import CurrentWindow, Embedding, EncoderVerdict, SetupWindow, SimilarWindow
from tradepulse.domain.events import EngineEvent, MarketEvent, OrderEvent
from tradepulse.domain.inbox import Request
from tradepulse.domain.jobs import Job, JobOrder, JobProgress, Schedule
from tradepulse.domain.market import Candles, MarketKey, MarketSpec, SeriesKey
from tradepulse.domain.policy import Policy
from tradepulse.domain.training import (
    Combination,
    Configuration,
    JobState,
    RangesVersion,
    StageMove,
    TrainingJob,
    TrainingRequest,
    TrainingUnit,
)
from tradepulse.domain.users import ApiKey, AuditEntry, Note, Session, User
from tradepulse.shared.errors import RefusedError

JsonObject = dict[str, Any]


class Clock(Protocol):
    """Now, in UTC milliseconds; never goes backwards."""

    def now(self) -> int: ...


class CandleFeed(Protocol):
    """Closed candles only, in order of close time, no duplicates; a missing candle stays missing, never invented.

    A feed that is also a simulated exchange yields its order events in between, in the order of market time, and
    does not move on before the consumer asks for the next event: what was commanded meanwhile takes part.
    """

    def events(self) -> AsyncIterator[MarketEvent]: ...

    async def history(self, series: SeriesKey, since: int, until: int) -> Candles:
        """Closed candles with ``since <= open_time < until``, as far as the source has them."""
        ...


class OrderGateway(Protocol):
    """Idempotent by client order id: executing a command a second time changes nothing and answers the same.

    Every command ends accepted, rejected, or in doubt; what is in doubt is asked with ``QueryOrder``, never guessed.
    An order's end is told only with the fills that add up to it, before or after.
    """

    def events(self) -> AsyncIterator[MarketEvent]:
        """What the exchange tells by itself: order events and prices seen, and after every (re)connect what was missed.

        A gateway that is its own feed is read once, as the feed.
        """
        ...

    async def execute(self, command: Command) -> Sequence[OrderEvent]: ...

    async def markets(self) -> dict[MarketKey, MarketSpec]: ...


class VenueStore(Protocol):
    """Where a simulated exchange keeps its own book, apart from ours, so that it survives a kill like a real one."""

    async def load(self, venue: str) -> JsonObject | None: ...

    async def save(self, venue: str, state: JsonObject, orders: dict[str, JsonObject]) -> None:
        """Replace the venue's state and upsert these orders, in one transaction."""
        ...

    async def order(self, venue: str, client_id: str) -> JsonObject | None: ...


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What one step of the engine changed. Committed in one transaction, before any command is executed.

    ``snapshot`` is the engine's whole mutable state after the step (JSON); candles are kept in their own table.
    """

    book: str
    sequence: int
    time: int
    events: tuple[EngineEvent, ...]
    commands: tuple[Command, ...]
    snapshot: JsonObject | None
    """``None`` when the step changed nothing that must be remembered."""


class Journal(Protocol):
    """The engine's memory: intents before action, facts in order, and the state to start from after a kill."""

    async def commit(self, record: StepRecord) -> None:
        """All or nothing. Committing the same ``sequence`` of a book twice raises ``InvariantError``."""
        ...

    async def recover(self, book: str) -> tuple[int, JsonObject] | None:
        """Last committed sequence and snapshot, or ``None`` for a book that never began."""
        ...


class CommandInbox(Protocol):
    """What people ask of books, in the order of arrival. Any process posts; the one that trades the book takes.

    A request that was taken and not finished is the next one again: a kill in between loses nothing. The taker makes
    sure that what it obeys twice has an effect once.
    """

    async def post(self, request: Request) -> Request:
        """Stored with an id. A second one under the same key changes nothing and answers the first."""
        ...

    async def get(self, request_id: str) -> Request | None: ...

    async def take(self, book: str) -> Request | None:
        """The oldest request of the book without an answer."""
        ...

    async def finish(self, request_id: str, *, done: bool, outcome: str, time: int) -> None:
        """The first answer counts, a second one changes nothing."""
        ...

    async def news(self, book: str) -> None:
        """Returns as soon as the book has a request without an answer; told at once, not found by asking again."""
        ...


@dataclass(frozen=True, slots=True)
class SeriesCoverage:
    """What is stored of one series; ``missing`` counts the candles absent between the first and the last."""

    series: SeriesKey
    rows: int
    first: int
    last: int
    missing: int
    simulated: bool


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What a write of candles did: new rows, rows that were there already, rows whose values differ (kept as were)."""

    inserted: int
    unchanged: int
    conflicting: tuple[int, ...]


class CandleStore(Protocol):
    """Candles by series, unique by open time. Stored values never change silently: a conflict is reported."""

    async def write(self, series: SeriesKey, candles: Candles, *, simulated: bool = False) -> WriteResult: ...

    async def read(self, series: SeriesKey, since: int | None = None, until: int | None = None) -> Candles: ...

    async def tail(self, series: SeriesKey, count: int) -> Candles:
        """The last ``count`` candles, ascending."""
        ...

    async def coverage(self) -> list[SeriesCoverage]: ...

    async def gaps(self, series: SeriesKey) -> list[tuple[int, int]]:
        """Missing stretches as (first missing open time, first present open time after it)."""
        ...

    async def write_market(self, spec: MarketSpec) -> None: ...

    async def read_market(self, key: MarketKey) -> MarketSpec | None: ...


@dataclass(frozen=True, slots=True)
class LedgerCheck:
    """Does the book add up? ``difference`` must be exactly zero: start + trades = cash + positions + fees."""

    start: Decimal
    cash: Decimal
    open_positions_cost: Decimal
    realised_profit: Decimal
    open_fees: Decimal
    difference: Decimal


class BookReader(Protocol):
    """What watchers may read of a book. Answers are JSON-ready: money as decimal strings, time as UTC ms.

    Lists are newest first and paged by ``before`` (an exclusive row number from the previous page's ``cursor``).
    """

    async def books(self) -> list[JsonObject]: ...

    async def summary(self, book: str) -> JsonObject | None: ...

    async def positions(self, book: str) -> list[JsonObject]: ...

    async def trades(
        self,
        book: str,
        *,
        limit: int,
        before: int | None = None,
        symbol: str | None = None,
        strategy: str | None = None,
        since: int | None = None,
        until: int | None = None,
    ) -> list[JsonObject]:
        """Closed trades; ``since`` and ``until`` (exclusive) bound the time of their exit."""
        ...

    async def trade(self, book: str, trade_id: str) -> JsonObject | None:
        """One trade with its setup, orders, fills and ledger entries."""
        ...

    async def setups(
        self, book: str, *, limit: int, before: int | None = None, taken: bool | None = None, symbol: str | None = None
    ) -> list[JsonObject]: ...

    async def setup(self, book: str, setup_id: str) -> JsonObject | None: ...

    async def equity(self, book: str, *, since: int | None = None, limit: int = 5000) -> list[JsonObject]: ...

    async def setup_counts(self, book: str) -> dict[str, dict[str, int]]:
        """How many setups each strategy found, by verdict."""
        ...

    async def holdings(self, book: str) -> list[JsonObject]:
        """Per market what the ledger says is held: ``exchange``, ``symbol``, ``base``, ``quantity`` (not zero)."""
        ...

    async def resting_orders(self, book: str) -> list[JsonObject]:
        """Stops and targets of the book that have not ended, with ``quantity`` and ``price``, newest first."""
        ...

    async def events_before(
        self, book: str, *, limit: int, before: int | None = None, kinds: Sequence[str] = ()
    ) -> list[JsonObject]:
        """What was logged of the book, newest first; ``cursor`` is the global sequence. No kind named: all of them."""
        ...

    async def ledger_check(self, book: str) -> LedgerCheck: ...

    async def events_since(self, sequence: int, *, limit: int = 1000) -> list[JsonObject]:
        """Logged events with a global, gap-tolerant, ascending ``sequence`` greater than the one given."""
        ...

    async def last_sequence(self) -> int:
        """The highest global ``sequence`` logged so far; 0 while nothing is."""
        ...

    def changes(self) -> AsyncIterator[JsonObject]:
        """Wakes up at every commit: ``{"kind": "events", "sequence": n}`` or ``{"kind": "candle", ...}``."""
        ...


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """``clock_offset_ms``: by how much the database's clock is ahead of this machine's."""

    schema_problem: str
    clock_offset_ms: int


class ResultStore(Protocol):
    """Finished backtests, opened again by id: request, data hash, code version, figures, trades, equity.

    Walks forward likewise: request, data hashes, code version, folds. An id of one kind is unknown to the other.
    """

    async def save_backtest(
        self, report: JsonObject, trades: Sequence[JsonObject], *, backtest_id: str | None = None
    ) -> str:
        """Its id: a new one, or the one given, under which the first result counts and a second changes nothing."""
        ...

    async def backtests(self, *, limit: int = 50, before: int | None = None) -> list[JsonObject]:
        """Newest first, without their trades; ``before`` is the ``cursor`` of the last one seen."""
        ...

    async def backtest(self, backtest_id: str) -> JsonObject | None: ...

    async def save_walk_forward(self, report: JsonObject, *, walk_forward_id: str | None = None) -> str:
        """Its id: a new one, or the one given, under which the first result counts."""
        ...

    async def walk_forwards(self, *, limit: int = 50) -> list[JsonObject]: ...

    async def walk_forward(self, walk_forward_id: str) -> JsonObject | None: ...

    async def delete_backtest(self, backtest_id: str) -> bool:
        """``False`` where there is none."""
        ...


class JobStore(Protocol):
    """Background jobs as rows, so that any number of workers can share them and none is lost with its process.

    A job is worked on by one worker at a time; a job whose worker is gone is given out again, but not for ever: what
    has lost three workers has failed. What a worker says about a job that is no longer its own changes nothing.
    """

    async def create(self, order: JobOrder) -> Job:
        """``RefusedError`` naming the other job while one of the same kind and parameters has not ended."""
        ...

    async def job(self, job_id: str) -> Job | None: ...

    async def jobs(
        self, *, limit: int = 50, kinds: Collection[str] | None = None, ended: bool | None = None
    ) -> list[Job]:
        """Newest first."""
        ...

    async def take(self, worker: str, kinds: Collection[str], machine: str) -> Job | None:
        """The next job that nobody works on and whose time has come: highest priority first, then oldest."""
        ...

    async def keep(self, job_id: str, worker: str, progress: JobProgress | None = None) -> bool:
        """Still here, and this far. Whoever is silent for long counts as gone.

        ``False`` when there is nothing more to do for this worker: the job was cancelled, or is somebody else's now.
        """
        ...

    async def finish(self, job_id: str, worker: str, result: JsonObject) -> bool: ...

    async def fail(self, job_id: str, worker: str, problem: str) -> bool: ...

    async def retry(self, job_id: str, worker: str, problem: str, *, retries: int, wait_ms: int) -> bool:
        """Give it back because of something that may pass; it is not given out again before ``wait_ms``."""
        ...

    async def release(self, job_id: str, worker: str) -> bool:
        """Give it back as if it had never been taken."""
        ...

    async def cancel(self, job_id: str) -> bool:
        """``False`` where it has ended already."""
        ...

    async def resume(self, job_id: str) -> bool:
        """Queue again what was cancelled or has failed; ``False`` where it was neither.

        ``RefusedError`` where the same has been asked for anew.
        """
        ...


class ScheduleStore(Protocol):
    """What comes by the clock, in the order of names. Of all that look at the same time, one makes the run."""

    async def put(self, schedule: Schedule, *, replace: bool = True) -> bool:
        """``False`` where it is there already and was not to be replaced."""
        ...

    async def schedules(self) -> list[Schedule]: ...

    async def remove(self, name: str) -> bool: ...

    async def switch(self, name: str, *, enabled: bool, next_run: int | None) -> bool: ...

    async def fire(self, schedule: Schedule, order: JobOrder, *, now: int, next_run: int | None) -> Job | None:
        """Ask for the job and move on to ``next_run``, both or neither.

        ``None`` where the schedule is not as ``schedule`` has it any more (somebody else was faster), or where its
        last job has not ended: that is noted as its problem.
        """
        ...


@dataclass(frozen=True, slots=True)
class UnitResult:
    """What a unit of training found: every trial's statistics and on which candles they were made.

    ``stats`` is float32 ``[point, slot, column, 4]`` as ``policy.evaluation`` defines it, in C order.
    """

    stats: Any
    data_hash: str
    candles: int
    first_open: int
    last_open: int
    seconds: float


class TrainingStore(Protocol):
    """Training jobs as rows, so that any number of workers can share one and none is lost with its process.

    A unit is taken by one worker at a time; a unit whose worker is gone is given out again. Finished units are never
    computed again, not even after a kill.
    """

    async def create(
        self, request: TrainingRequest, units: Sequence[TrainingUnit], plan: JsonObject, *, by: str, code_version: str
    ) -> str:
        """The new job's id. ``RefusedError`` naming the other job when an identical request has not ended yet."""
        ...

    async def job(self, job_id: str) -> TrainingJob | None: ...

    async def jobs(self, *, limit: int = 50) -> list[TrainingJob]:
        """Newest first, without their units."""
        ...

    async def plan(self, job_id: str) -> JsonObject:
        """What was fixed when the job was made (time columns of every family), so that all workers agree."""
        ...

    async def take(self, job_id: str, worker: str) -> TrainingUnit | None:
        """The next unit that nobody works on, longest first and those of one series in a row.

        ``None`` when there is none or the job has ended. A unit whose worker was lost three times has failed: it may be
        what kills them.
        """
        ...

    async def keep(self, job_id: str, worker: str) -> bool:
        """Still here: whoever is silent for long counts as gone, and what it had taken is given out again.

        ``False`` when there is nothing more for this worker to do: the job has ended (cancelled, say), or somebody else
        judges it. Also said by whoever judges or deploys.
        """
        ...

    async def finish(self, job_id: str, index: int, worker: str, result: UnitResult) -> None:
        """Keep a unit's result. The first one counts; a second (a worker thought dead) changes nothing."""
        ...

    async def fail(self, job_id: str, index: int, worker: str, problem: str) -> None: ...

    async def release(self, job_id: str, worker: str) -> int:
        """Give back what this worker had taken and not finished; how many units that were."""
        ...

    async def result(self, job_id: str, index: int) -> UnitResult | None: ...

    async def advance(self, job_id: str, state: JobState, *, problem: str | None = None, by: str | None = None) -> bool:
        """Move the job on; ``False`` where it has ended already or somebody else has just made this move.

        ``by``: the judge. ``JUDGING`` makes it the judge where there is none or the last one is gone; a job that was
        being deployed stays so. ``DEPLOYING`` is for the judge only, and from then on the job cannot be cancelled; nor
        can it fail, unless its judge says so or is gone. An end that names a judge needs the one of now.
        """
        ...

    async def save_report(self, job_id: str, report: JsonObject, *, by: str | None = None) -> None:
        """The judgement (families and combinations) and the job's end, in one transaction. ``by``: its judge.

        Every trial ever evaluated stays in the ledger, condensed to totals of earlier and recent time; the
        fine-grained statistics of the units are dropped.
        """
        ...

    async def report(self, job_id: str) -> JsonObject | None: ...

    async def trials_evaluated(self, series_strategy: tuple[str, str] | None = None) -> int:
        """How many distinct trials were ever evaluated, in all or for one (series as text, strategy)."""
        ...


class ChangedMeanwhileError(RefusedError):
    """A configuration is no longer as the mover saw it."""


class ConfigurationStore(Protocol):
    """Versions of configurations and their life; a row is never changed silently, every move is a row of its own."""

    async def add(self, configuration: Configuration, *, reason: str) -> Configuration:
        """Stored with the next free version of its combination (the given ``version`` and id are replaced)."""
        ...

    async def get(self, configuration_id: str) -> Configuration | None: ...

    async def active(self, combination: Combination) -> Configuration | None: ...

    async def find(
        self,
        *,
        exchange: str | None = None,
        symbol: str | None = None,
        timeframe: str | None = None,
        strategy: str | None = None,
        regime: str | None = None,
        active: bool | None = None,
    ) -> list[Configuration]:
        """In the order of combination and version. ``regime`` is a word, ``any`` for those without one."""
        ...

    async def move(self, move: StageMove) -> Configuration:
        """Append the move and bring the configuration to it, in one transaction.

        Activating one deactivates the other of its combination in the same transaction, with a row of its own. A note
        (``refused``) changes nothing: its row tells the stage of now. ``ConfigurationError`` for an unknown id,
        ``ChangedMeanwhileError`` where the configuration is not as the move expects it.
        """
        ...

    async def moves(self, configuration_id: str) -> list[StageMove]:
        """Oldest first."""
        ...


class NameTakenError(RefusedError):
    """Somebody, or another key of the same user, has this name."""


class LastAdminError(RefusedError):
    """Nobody would be left who may administer."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What became of a refresh token: the session it is of, or nothing; ``reused``: somebody had used it before."""

    session: Session | None
    reused: bool = False


class AccountStore(Protocol):
    """Users, sessions, keys for scripts and the audit log. Tokens come here as hashes only.

    A change and its note are one transaction. Names are unique whatever their case.
    """

    async def users(self) -> list[User]:
        """By name."""
        ...

    async def user(self, user_id: str) -> User | None: ...

    async def user_named(self, name: str) -> User | None: ...

    async def add_user(self, user: User, note: Note) -> None:
        """``NameTakenError`` where the name is taken."""
        ...

    async def save_user(self, user: User, note: Note, *, end_sessions: bool, but: str | None = None) -> None:
        """``LastAdminError`` where it was the last admin who is not disabled. ``but``: a session that goes on."""
        ...

    async def remove_user(self, user_id: str, note: Note) -> bool:
        """With sessions and keys. ``False`` where there is none; ``LastAdminError`` as above."""
        ...

    async def offer_set_up(self, token_hash: str, expires_at: int) -> bool:
        """The one token that makes the first user, in place of an earlier one. ``False`` where there are users."""
        ...

    async def set_up(self, token_hash: str, admin: User, note: Note) -> bool:
        """``False`` where the token is wrong, used or expired at ``note.time``, or there are users."""
        ...

    async def begin_session(self, session: Session, token_hash: str, note: Note) -> None: ...

    async def rotate(self, token_hash: str, new_hash: str, note: Note, *, idle_ms: int) -> Rotation:
        """Use a refresh token up. One that was used before ends its whole session, which is noted."""
        ...

    async def active(self, session_id: str, now: int) -> tuple[User, Session] | None:
        """The session and its user, where neither ended, expired nor was disabled."""
        ...

    async def active_sessions(self, session_ids: Sequence[str], now: int) -> set[str]: ...

    async def sessions(self, user_id: str, now: int) -> list[Session]:
        """Those not ended, newest first."""
        ...

    async def confirm(self, session_id: str, now: int) -> None: ...

    async def end_sessions(self, user_id: str, note: Note, session_id: str | None = None) -> int:
        """All of the user, or the one; how many that were."""
        ...

    async def add_key(self, key: ApiKey, note: Note) -> None:
        """``NameTakenError`` where the user has a key of that name."""
        ...

    async def keys(self, user_id: str) -> list[ApiKey]: ...

    async def key_owner(self, key_id: str, now: int) -> tuple[User, ApiKey] | None:
        """The key and its user, where the key did not expire and the user is not disabled."""
        ...

    async def key_used(self, key_id: str, now: int) -> None: ...

    async def remove_key(self, user_id: str, key_id: str, note: Note) -> bool: ...

    async def add_ticket(self, ticket_hash: str, grant: JsonObject, expires_at: int) -> None:
        """What opens one live connection."""
        ...

    async def take_ticket(self, ticket_hash: str, now: int) -> JsonObject | None:
        """Once only."""
        ...

    async def note(self, note: Note) -> None: ...

    async def notes(self, *, limit: int, before: int | None = None) -> list[AuditEntry]:
        """Newest first."""
        ...

    def chain(self) -> AsyncIterator[AuditEntry]:
        """Every entry, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """``status`` is ``None`` while the first request is still being worked on."""

    request_hash: str
    status: int | None = None
    body: bytes = b""


class AnswerStore(Protocol):
    """Answers to writes by owner and key, so that a write that is sent twice is done once."""

    async def begin(self, owner: str, key: str, request_hash: str, now: int) -> StoredAnswer | None:
        """``None``: the caller is the first (or the first was lost) and goes on."""
        ...

    async def finish(self, owner: str, key: str, status: int, body: bytes) -> None: ...

    async def forget(self, owner: str, key: str) -> None:
        """Nothing was done: the next one is the first."""


class EmbeddingStore(Protocol):
    """What markets looked like, and what followed. Embeddings of different models are never compared."""

    async def save_model(
        self, version: str, timeframe: str, fitted_at: int, arrays: bytes, evidence: JsonObject
    ) -> None:
        """Once; of a version that is there only the evidence is renewed."""
        ...

    async def newest_model(self, timeframe: str) -> tuple[str, int, bytes, JsonObject] | None:
        """Version, when it was fitted, its arrays and evidence."""
        ...

    async def keep_models(self, timeframe: str, count: int) -> int:
        """Forget all but the newest; how many those were. Verdicts stay."""
        ...

    async def add_verdict(self, verdict: EncoderVerdict) -> None: ...

    async def newest_verdict(self, timeframe: str, version: str | None = None) -> EncoderVerdict | None:
        """The last one, or the last one of this model."""
        ...

    async def save_current(self, windows: Sequence[CurrentWindow]) -> None:
        """One per series: a newer bar, or another model, takes the place of what is there."""
        ...

    async def current(self, exchange: str, symbol: str, timeframe: str) -> CurrentWindow | None: ...

    async def save_setups(self, windows: Sequence[SetupWindow]) -> None:
        """Known ones are left alone, but for an outcome that was not known before; an outcome never changes."""
        ...

    async def similar(
        self, version: str, embedding: Embedding, before: int, *, count: int = 100, strategy: str | None = None
    ) -> list[SimilarWindow]:
        """The most alike of those *resolved* before that time, most alike first."""
        ...

    async def count(self, version: str) -> int:
        """Setups stored under this model, resolved or not."""
        ...

    async def look_again_from(self, version: str, exchange: str, symbol: str) -> int | None:
        """When the oldest setup of the market was found whose outcome is not known, else the newest; ``None``: none."""
        ...

    async def drop_other_models(self, timeframe: str, version: str) -> int:
        """Forget what other models made of this timeframe; how many setups that were."""
        ...


class ParameterRangeStore(Protocol):
    """Versions of the allowed ranges of each strategy's parameters, numbered 1, 2, 3; a version never changes."""

    async def add(self, ranges: RangesVersion) -> RangesVersion:
        """``ranges.version`` is the next one; ``ChangedMeanwhileError`` where somebody else has taken it."""
        ...

    async def newest(self, strategy: str) -> RangesVersion | None: ...

    async def history(self, strategy: str, *, limit: int = 50, before: int | None = None) -> list[RangesVersion]:
        """Newest first; ``before`` is a version."""
        ...


class PolicyStore(Protocol):
    """Versions of the policy of each book, numbered 1, 2, 3; a version never changes, but for what followed."""

    async def add(self, policy: Policy, situation: str, embedding: Embedding) -> Policy:
        """With the number it was given; its market state and its situation are stored with it."""
        ...

    async def get(self, book: str, version: int) -> Policy | None: ...

    async def history(self, book: str, *, limit: int = 50, before: int | None = None) -> list[Policy]:
        """Newest first; ``before`` is a version."""
        ...

    async def tokens_since(self, time: int) -> int:
        """Spent on language models for policies of all books that were issued at ``time`` or later."""
        ...

    async def unresolved(self, book: str, until: int) -> list[Policy]:
        """Issued at ``until`` or before, whose outcome is not known; oldest first, at most 100."""
        ...

    async def resolve(self, book: str, version: int, outcome: JsonObject, time: int) -> None:
        """The first outcome counts."""
        ...

    async def alike(self, book: str, embedding: Embedding, before: int, *, count: int = 5) -> list[Policy]:
        """Those whose situation was most alike, and whose outcome was known before ``before``."""
        ...
