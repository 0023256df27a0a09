"""The live hub: what is committed reaches every watcher in order, and a slow watcher never holds up the others.

Logged events carry the global sequence. A client that names the last one it saw gets what it missed from the log
before anything new; a client too far behind is told to read everything anew (``reset``). Candles are pushed without
a sequence: they are stored data, and are read anew over HTTP.

The first message carries a ticket, good once; who is logged out, or loses a key, is let go within seconds.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from fastapi import WebSocket
from pydantic import ValidationError
from starlette.websockets import WebSocketDisconnect

from tradepulse.api.figures import explained
from tradepulse.api.metrics import Metrics
from tradepulse.api.models import LiveCandle, LiveEvent, LiveMessage, LiveRequest, SetupRow, Topic
from tradepulse.domain.signals import Verdict
from tradepulse.ports import AccountStore, BookReader, Clock, JsonObject
from tradepulse.shared.errors import TradePulseError
from tradepulse.shared.passwords import token_hash

logger = logging.getLogger(__name__)

QUEUE_LIMIT = 1000
MOST_CONNECTIONS = 500
"""Those that have not shown a ticket yet among them."""
REPLAY_PAGE = 1000
REPLAY_LIMIT = 5000
HEARTBEAT_SECONDS = 3.0
RETRY_SECONDS = 1.0
SUBSCRIBE_SECONDS = 10.0
LOOK_SECONDS = 2.0
"""Between looks at whether the watchers are still logged in."""

SERVER_ERROR, TRY_AGAIN_LATER, POLICY_VIOLATION = 1011, 1013, 1008

TOPIC_OF_KIND = {
    "candle_closed": Topic.CANDLES,
    "gap_found": Topic.GAPS,
    "regime_changed": Topic.REGIMES,
    "setup_evaluated": Topic.SETUPS,
    "entry_planned": Topic.SETUPS,
    "setup_dropped": Topic.SETUPS,
    "order_accepted": Topic.ORDERS,
    "order_rejected": Topic.ORDERS,
    "order_filled": Topic.ORDERS,
    "order_ended": Topic.ORDERS,
    "order_in_doubt": Topic.ORDERS,
    "order_not_found": Topic.ORDERS,
    "position_opened": Topic.POSITIONS,
    "position_resized": Topic.POSITIONS,
    "protection_placed": Topic.POSITIONS,
    "protection_lost": Topic.POSITIONS,
    "execution_alarm": Topic.RISK,
    "position_closed": Topic.TRADES,
    "ledger_posted": Topic.LEDGER,
    "equity_marked": Topic.EQUITY,
    "size_changed": Topic.RELIABILITY,
    "policy_changed": Topic.RISK,
    "trading_day_began": Topic.RISK,
    "drawdown_warned": Topic.RISK,
    "risk_state_changed": Topic.RISK,
    "entries_locked": Topic.RISK,
    "request_answered": Topic.RISK,
    "not_ready": Topic.RISK,
    "ready": Topic.RISK,
}


def kind_in_words(kind: str) -> str:
    """``position_opened`` for an event written as its class, ``PositionOpened``, or in words already."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower()


def kind_as_written(words: str) -> str:
    """``PositionOpened`` for ``position_opened``, and for itself."""
    return "".join(part[:1].upper() + part[1:] for part in words.split("_"))


def event_message(event: JsonObject) -> LiveMessage:
    """An evaluated setup is told as the setups list answers it, so that a watcher need not ask for it."""
    kind = kind_in_words(str(event["kind"]))
    payload: JsonObject = event["data"]
    if kind == "setup_evaluated":
        row = SetupRow.model_validate({**payload, "taken": payload["verdict"] == Verdict.ACCEPTED})
        payload = explained(row).model_dump(mode="json")
    told = LiveEvent(kind=kind, book=event["book"], time=event["time"], payload=payload)
    topic = TOPIC_OF_KIND.get(kind, Topic.OTHER)
    return LiveMessage(topic=topic, sequence=int(event["sequence"]), data=told.model_dump())


@dataclass(eq=False, slots=True)
class Client:
    """One connected watcher; ``seen`` is the last sequence it was sent or skipped."""

    topics: frozenset[str]
    seen: int
    session_id: str | None = None
    key_id: str | None = None
    queue: asyncio.Queue[LiveMessage | None] = field(default_factory=lambda: asyncio.Queue(QUEUE_LIMIT))
    close_code: int | None = None

    def offer(self, message: LiveMessage) -> None:
        if self.close_code is None and self.queue.full():
            self.end(TRY_AGAIN_LATER)
        elif self.close_code is None:
            self.queue.put_nowait(message)

    def end(self, code: int) -> None:
        """Drop what waits: a client that is let go reads the log again when it comes back."""
        if self.close_code is not None:
            return
        self.close_code = code
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(None)

    def wants(self, message: LiveMessage) -> bool:
        """Also moves ``seen`` on, so that an event that came by replay is not sent a second time by the push."""
        if message.sequence is not None:
            if message.sequence <= self.seen:
                return False
            self.seen = message.sequence
        return message.topic in self.topics


class LiveHub:
    """Follows the book's changes with one reader for all clients. ``run`` lives as long as the app."""

    def __init__(
        self,
        books: BookReader,
        accounts: AccountStore,
        clock: Clock,
        metrics: Metrics,
        *,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._books = books
        self._accounts = accounts
        self._metrics = metrics
        self._clock = clock
        self._heartbeat_seconds = heartbeat_seconds
        self._clients: set[Client] = set()
        self._connections = 0
        self._sequence = 0
        self._following = asyncio.Event()
        self._heard_at: int | None = None

    @property
    def client_count(self) -> int:
        return len(self._clients)

    async def is_following(self) -> None:
        """Returns once what is committed reaches the watchers."""
        await self._following.wait()

    def admit(self, client: Client) -> None:
        self._clients.add(client)

    def silence_seconds(self) -> float | None:
        """Since the last candle or event; ``None`` where none came since the start."""
        return None if self._heard_at is None else (self._clock.now() - self._heard_at) / 1000

    async def run(self) -> None:
        await asyncio.gather(self._follow_for_ever(), self._look_for_ever())

    async def _look_for_ever(self) -> None:
        """An edge as the next one: while nobody can be asked who is logged in, those who are connected stay so."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self._let_go_who_left()
            except TradePulseError as error:
                logger.warning("The live feed cannot ask who is logged in: %s", error)
            except Exception:
                # An edge: were this task to end, people who have logged out would go on watching.
                logger.exception("The live feed failed to ask who is logged in")

    async def _let_go_who_left(self) -> None:
        now, clients = self._clock.now(), list(self._clients)
        named = {client.session_id for client in clients if client.session_id is not None}
        here = await self._accounts.active_sessions(sorted(named), now) if named else set()
        for client in clients:
            if client.session_id is not None:
                left = client.session_id not in here
            else:
                left = client.key_id is None or await self._accounts.key_owner(client.key_id, now) is None
            if left:
                client.end(POLICY_VIOLATION)

    async def _follow_for_ever(self) -> None:
        """An edge: whatever fails here is logged, the clients see the connection go, and following starts again."""
        while True:
            try:
                await self._follow()
            except TradePulseError as error:
                logger.warning("The live feed lost the book and tries again: %s", error)
            except Exception:
                # An edge: were this task to end, every watcher would be shown the past without a word.
                logger.exception("The live feed failed and starts again")
            self._following.clear()
            self._end_all(SERVER_ERROR)
            await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self) -> None:
        changes = self._books.changes()
        self._sequence = await self._books.last_sequence()
        self._following.set()
        async for change in changes:
            self._heard_at = self._clock.now()
            if change["kind"] == "candle":
                candle = LiveCandle.model_validate(change).model_dump(mode="json")
                self._tell(LiveMessage(topic=Topic.CANDLES, sequence=None, data=candle))
            else:
                await self._tell_new_events()

    async def _tell_new_events(self) -> None:
        async for event in self._events_after(self._sequence):
            self._sequence = int(event["sequence"])
            self._tell(event_message(event))

    async def _events_after(self, sequence: int) -> AsyncIterator[JsonObject]:
        while True:
            page = await self._books.events_since(sequence, limit=REPLAY_PAGE)
            for event in page:
                yield event
            if len(page) < REPLAY_PAGE:
                return
            sequence = int(page[-1]["sequence"])

    def _tell(self, message: LiveMessage) -> None:
        for client in self._clients:
            client.offer(message)

    def _end_all(self, code: int) -> None:
        for client in self._clients:
            client.end(code)

    async def serve(self, socket: WebSocket) -> None:
        """One connection, from its subscription to its end."""
        await socket.accept()
        if self._connections >= MOST_CONNECTIONS:
            await socket.close(TRY_AGAIN_LATER, "too many connections")
            return
        self._connections += 1
        try:
            await self._serve(socket)
        finally:
            self._connections -= 1

    async def _serve(self, socket: WebSocket) -> None:
        request = await _read_request(socket)
        if request is None:
            return
        grant = await self._grant_of(socket, request)
        if grant is None:
            await _refuse(
                socket,
                "The ticket is not good: it was used, has expired, or is of another address.",
                "POST /api/auth/live-ticket for another one.",
            )
            return
        if not self._following.is_set():
            await socket.close(TRY_AGAIN_LATER, "the server does not follow the book yet")
            return
        client = Client(
            topics=frozenset(request.subscribe),
            seen=self._sequence,
            session_id=grant["session_id"],
            key_id=grant["key_id"],
        )
        self.admit(client)
        try:
            await self._run_client(socket, client, request)
        finally:
            self._clients.discard(client)
            if client.close_code is not None:
                self._metrics.live_dropped.labels(str(client.close_code)).inc()

    async def _grant_of(self, socket: WebSocket, request: LiveRequest) -> JsonObject | None:
        grant = await self._accounts.take_ticket(token_hash(request.ticket), self._clock.now())
        address = socket.client.host if socket.client else ""
        return grant if grant is not None and grant["address"] == address else None

    async def _run_client(self, socket: WebSocket, client: Client, request: LiveRequest) -> None:
        tasks = (
            asyncio.create_task(self._send_all(socket, client, request)),
            asyncio.create_task(self._send_heartbeats(client)),
            asyncio.create_task(_wait_until_gone(socket)),
        )
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            error = None if task.cancelled() else task.exception()
            if error is not None and not isinstance(error, WebSocketDisconnect):
                logger.error("A live connection failed", exc_info=error)
                await _close(socket, SERVER_ERROR)

    async def _send_all(self, socket: WebSocket, client: Client, request: LiveRequest) -> None:
        known = client.seen
        await _send(socket, LiveMessage(topic="subscribed", sequence=known, data={"topics": sorted(client.topics)}))
        if request.after is not None and request.after != known:
            await self._replay(socket, client, request.after, known)
        while True:
            message = await client.queue.get()
            if message is None:
                await _close(socket, client.close_code or SERVER_ERROR)
                return
            if message.topic == "heartbeat" or client.wants(message):
                await _send(socket, message)

    async def _replay(self, socket: WebSocket, client: Client, after: int, until: int) -> None:
        """Send what was logged in ``(after, until]``; later events wait in the client's queue meanwhile."""
        if after > until:
            await _send(socket, LiveMessage(topic="reset", sequence=until, data={"reason": "another log"}))
            return
        missed: list[LiveMessage] = []
        async for event in self._events_after(after):
            if int(event["sequence"]) > until:
                break
            missed.append(event_message(event))
            if len(missed) > REPLAY_LIMIT:
                await _send(socket, LiveMessage(topic="reset", sequence=until, data={"reason": "too far behind"}))
                return
        for message in missed:
            if message.topic in client.topics:
                await _send(socket, message)

    async def _send_heartbeats(self, client: Client) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            client.offer(
                LiveMessage(topic="heartbeat", sequence=self._sequence, data={"server_time": self._clock.now()})
            )


async def _read_request(socket: WebSocket) -> LiveRequest | None:
    try:
        text = await asyncio.wait_for(socket.receive_text(), SUBSCRIBE_SECONDS)
        return LiveRequest.model_validate_json(text)
    except WebSocketDisconnect:
        return None
    except (ValueError, KeyError, TimeoutError) as error:
        topics = ", ".join(Topic)
        await _refuse(
            socket,
            f"The first message must subscribe within {SUBSCRIBE_SECONDS:.0f} seconds: {_without_input(error)}",
            f'Send {{"ticket": "...", "subscribe": [...], "after": null}} with topics of: {topics}.',
        )
        return None


async def _refuse(socket: WebSocket, problem: str, remedy: str) -> None:
    await _send(socket, LiveMessage(topic="error", sequence=None, data={"problem": problem, "remedy": remedy}))
    await _close(socket, POLICY_VIOLATION)


def _without_input(error: Exception) -> str:
    """What is wrong, without what was sent: it may hold the ticket."""
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
    return type(error).__name__


async def _wait_until_gone(socket: WebSocket) -> None:
    """Reads on so that a closed connection is noticed; what a client says after subscribing is ignored."""
    while True:
        await socket.receive_text()


async def _send(socket: WebSocket, message: LiveMessage) -> None:
    await socket.send_text(message.model_dump_json())


async def _close(socket: WebSocket, code: int) -> None:
    try:
        await socket.close(code)
    except (RuntimeError, WebSocketDisconnect):
        logger.debug("The live connection was closed by the other side first")
