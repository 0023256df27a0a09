"""What a person asks for: once, in the same step as its answer, whenever the program is killed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.integration.engine.planned import BOOK, Life, Scene, Wish, lived
from tests.integration.engine.scripted import CASH, MARKET, OTHER

from tradepulse.core.runner import Runner
from tradepulse.domain.events import (
    MarketEvent,
    PositionClosed,
    RequestAnswered,
    RequestTaken,
    RiskStateChanged,
    SetupDropped,
)
from tradepulse.domain.inbox import Request, RequestKind, RequestStatus
from tradepulse.domain.risk import AccountLimits, RiskState
from tradepulse.domain.signals import ExitReason, Verdict
from tradepulse.exchanges.simulated_exchange import SimulatedExchange
from tradepulse.shared.errors import InvariantError
from tradepulse.storage.db import Database, held_alone, is_held
from tradepulse.storage.inbox import PostgresCommandInbox
from tradepulse.storage.journal import PostgresJournal

FLAT = [100.0] * 10


def asked(kind: RequestKind, about: str = "", key: str = "") -> Request:
    name = {RequestKind.CLOSE_POSITION: "position_id", RequestKind.CANCEL_ENTRY: "setup_id"}.get(kind)
    return Request(BOOK, kind, "Ada", "because", key or f"{kind} {about}", 0, {name: about} if name else {})


def answers(life: Life) -> list[tuple[RequestKind, bool, str]]:
    return [(one.kind, one.done, one.outcome) for one in life.told if isinstance(one, RequestAnswered)]


async def setup_id(scene: Scene, bar: int) -> str:
    """Of the setup on the first market's candle of this number; it is the same whenever it is found."""
    life = await Life(replace(scene, requests={})).live()
    return next(
        event.setup.setup_id
        for event in life.told
        if hasattr(event, "setup") and event.setup.bar_time + scene.timeframe.milliseconds == scene.time(bar)
    )


def scene(*wishes: Wish, prices: list[float] | None = None) -> Scene:
    return Scene(AccountLimits(), {MARKET: prices or FLAT, OTHER: FLAT}, wishes)


async def test_position_closed_by_hand_is_closed_once_at_the_next_open_and_its_pair_is_withdrawn() -> None:
    plain = scene(Wish(MARKET, 1))
    position = await setup_id(plain, 1)
    requests = {plain.time(4): [asked(RequestKind.CLOSE_POSITION, position)]}
    life = await lived(replace(plain, requests=requests), every=1)
    (trade,) = [event.trade for event in life.told if isinstance(event, PositionClosed)]
    assert (trade.exit_reason, trade.exit_time) == (ExitReason.MANUAL, plain.time(4))
    assert answers(life) == [(RequestKind.CLOSE_POSITION, True, "the exit is sent")]
    assert not life.engine.portfolio.positions
    assert not life.venue().balances()["USD"][0] - life.venue().balances()["USD"][1]


async def test_position_that_is_not_there_is_refused_in_words_and_those_behind_it_are_not_held_up() -> None:
    plain = scene(Wish(MARKET, 1))
    requests = {plain.time(4): [asked(RequestKind.CLOSE_POSITION, "nobody's"), asked(RequestKind.HALT)]}
    life = await lived(replace(plain, requests=requests), every=1)
    assert answers(life) == [
        (RequestKind.CLOSE_POSITION, False, "There is no open position nobody's"),
        (RequestKind.HALT, True, "trading is halted"),
    ]
    for number, status in ((1, RequestStatus.REFUSED), (2, RequestStatus.DONE)):
        stored = await life.inbox.get(f"request {number}")
        assert stored is not None
        assert stored.status is status


async def test_halt_and_resume_each_once_whenever_it_is_killed() -> None:
    plain = scene(Wish(MARKET, 1), Wish(OTHER, 5), Wish(OTHER, 8))
    requests = {
        plain.time(3): [asked(RequestKind.HALT)],
        plain.time(6): [asked(RequestKind.RESUME), asked(RequestKind.RESUME, key="once more")],
    }
    life = await lived(replace(plain, requests=requests), every=1)
    assert [event.state for event in life.told if isinstance(event, RiskStateChanged)] == [
        RiskState.HALTED, RiskState.ACTIVE
    ]  # fmt: skip
    assert life.verdicts()["XYZ/USD", 5] == [Verdict.HALTED_BY_HAND]
    assert life.verdicts()["XYZ/USD", 8] == [Verdict.ACCEPTED]
    assert [outcome for _, _, outcome in answers(life)] == ["trading is halted", *["trading is active"] * 2]


async def test_halt_that_waited_while_nothing_ran_is_in_force_before_what_was_missed_is_acted_on() -> None:
    plain = scene(Wish(MARKET, 5), Wish(OTHER, 8))
    life = Life(replace(plain, requests={0: []}))
    await life.start(bars=4)
    await life.inbox.post(asked(RequestKind.HALT))
    await life.start()
    assert set(life.verdicts().values().__iter__().__next__()) == {Verdict.HALTED_BY_HAND}
    assert not life.engine.portfolio.positions


@pytest.mark.parametrize("kind", [RequestKind.HALT, RequestKind.CANCEL_ENTRY])
async def test_entry_on_its_way_is_withdrawn_before_it_fills(kind: RequestKind) -> None:
    plain = scene(Wish(MARKET, 3), Wish(OTHER, 3))
    subject = await setup_id(plain, 3) if kind is RequestKind.CANCEL_ENTRY else ""
    # The setups are found on the very candle with which the request arrives, and fill at the next open.
    life = await Life(replace(plain, requests={plain.time(3): [asked(kind, subject)]})).live()
    dropped = [(event.verdict, event.time) for event in life.told if isinstance(event, SetupDropped)]
    assert dropped == [(Verdict.WITHDRAWN, plain.time(3))]
    # The other market's candle comes after the request.
    expected = Verdict.HALTED_BY_HAND if kind is RequestKind.HALT else Verdict.ACCEPTED
    assert life.verdicts()["XYZ/USD", 3] == [expected]
    assert len(life.engine.portfolio.positions) == (kind is RequestKind.CANCEL_ENTRY)
    assert life.engine.portfolio.free_cash == life.venue().balances()["USD"][1] or life.engine.portfolio.positions


async def test_entry_withdrawn_is_never_filled_whenever_it_is_killed() -> None:
    plain = scene(Wish(MARKET, 3), prices=FLAT)
    requests = {plain.time(3): [asked(RequestKind.HALT)]}
    undisturbed = await Life(replace(plain, requests=requests)).live()
    for moment in range(1, undisturbed.fuse.ticks + 1):
        life = await Life(replace(plain, requests=requests), [moment]).live()
        assert not life.engine.portfolio.positions, f"killed at write {moment}"
        assert not life.engine.execution.state.entries, f"killed at write {moment}"
        assert not life.engine.portfolio.reserved, f"killed at write {moment}"
        assert len(answers(life)) == 1, f"killed at write {moment}"
        total, free = life.venue().balances()["USD"]
        assert total == free, f"killed at write {moment}"


async def test_entry_sent_before_a_limit_changed_the_state_is_withdrawn_too() -> None:
    # 2 % are lost at 91 on the candle that comes just after the first market's entry was sent.
    prices = [*[100.0] * 4, 91, 91, 91, 91]
    limits = AccountLimits(drawdown_reduce_ppm=20_000)
    scene = Scene(limits, {MARKET: [100.0] * 8, OTHER: prices}, [Wish(OTHER, 1, stop=80), Wish(MARKET, 4)])
    life = await lived(scene, every=1)
    assert [event.verdict for event in life.told if isinstance(event, SetupDropped)] == [Verdict.WITHDRAWN]
    assert life.verdicts()["ABC/USD", 4] == [Verdict.ACCEPTED]
    just_below = replace(scene, account=AccountLimits(drawdown_reduce_ppm=25_000))
    assert len((await Life(just_below).live()).engine.portfolio.positions) == 2


class ForgetsItsAnswer(Runner):
    """Knows no id of what it obeyed: a kill before the answer is stored makes it obey twice."""

    async def take(self, event: object) -> None:
        if isinstance(event, RequestTaken):
            self._engine.answered = None
        await super().take(event)  # type: ignore[arg-type]


async def test_runner_that_obeys_twice_is_caught_by_these_tests() -> None:
    plain = scene(Wish(MARKET, 1))
    requests = {plain.time(4): [asked(RequestKind.HALT)]}
    with pytest.raises(AssertionError, match="killed at write"):
        await lived(replace(plain, requests=requests, runner=ForgetsItsAnswer), every=1)


async def test_request_that_the_engine_does_not_answer_stops_the_trader() -> None:
    class Deaf(Runner):
        async def take(self, event: object) -> None:
            if not isinstance(event, RequestTaken):
                await super().take(event)  # type: ignore[arg-type]

    plain = scene(Wish(MARKET, 1))
    requests = {plain.time(4): [asked(RequestKind.HALT)]}
    with pytest.raises(InvariantError, match="was taken and not answered"):
        await Life(replace(plain, requests=requests, runner=Deaf)).live()


class Silent(SimulatedExchange):
    """An exchange on which nothing happens until the test says so."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene.tape(), {"USD": CASH})
        self.spoken = asyncio.Event()

    async def events(self) -> AsyncIterator[MarketEvent]:
        await self.spoken.wait()
        async for event in super().events():
            yield event


async def test_request_while_the_market_is_silent_is_obeyed_at_once(database: Database) -> None:
    plain = scene(Wish(MARKET, 1), Wish(OTHER, 1))
    exchange, inbox = Silent(plain), PostgresCommandInbox(database)
    journal, engine = PostgresJournal(database), plain.engine()
    runner = Runner(engine, exchange, exchange, journal, exchange.clock, inbox=inbox)
    trading = asyncio.create_task(runner.run(CASH))
    await asyncio.sleep(0.5)
    posted = await inbox.post(asked(RequestKind.HALT))
    for _ in range(100):
        found = await inbox.get(posted.request_id)
        assert found is not None
        if found.status.answered:
            break
        await asyncio.sleep(0.02)
    assert (found.status, found.outcome) == (RequestStatus.DONE, "trading is halted")
    exchange.spoken.set()
    await trading
    assert not engine.portfolio.positions


async def test_trader_that_is_stopped_while_it_waits_leaves_nothing_running(database: Database) -> None:
    plain = scene(Wish(MARKET, 1))
    exchange, engine = Silent(plain), plain.engine()
    inbox = PostgresCommandInbox(database)
    runner = Runner(engine, exchange, exchange, PostgresJournal(database), exchange.clock, inbox=inbox)
    before = asyncio.all_tasks()
    trading = asyncio.create_task(runner.run(CASH))
    await asyncio.sleep(0.5)
    trading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trading
    assert asyncio.all_tasks() == before


async def test_trader_hears_requests_again_after_the_database_has_dropped_its_connection(database: Database) -> None:
    inbox = PostgresCommandInbox(database)
    waiting = asyncio.create_task(inbox.news(BOOK))
    await asyncio.sleep(0.5)
    async with database.transaction() as connection:
        found = await connection.execute(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid() and query like '%%commands%%'"
        )
        assert (await found.fetchone() or [0])[0] == 1
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await inbox.post(asked(RequestKind.HALT))
    await asyncio.wait_for(waiting, 5)


async def test_book_is_traded_only_while_somebody_holds_it(database: Database) -> None:
    assert not await is_held(database, BOOK)
    async with held_alone(database, BOOK):
        assert await is_held(database, BOOK)
        assert not await is_held(database, "other")
    # The server ends the session a moment after the client has left.
    for _ in range(100):
        if not await is_held(database, BOOK):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("still held")
