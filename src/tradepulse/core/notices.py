"""What people are told of trading, and when: a text for each fact that matters, quiet hours, and no flood."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from enum import StrEnum
from zoneinfo import ZoneInfo

from tradepulse.domain.events import (
    DrawdownWarned,
    EngineEvent,
    EntriesLocked,
    ExecutionAlarm,
    OrderRejected,
    PositionClosed,
    PositionOpened,
    ProtectionLost,
    RequestAnswered,
    RiskStateChanged,
)
from tradepulse.domain.market import MINUTE
from tradepulse.domain.risk import NotReady, Ready, RiskState

MOST_IN_A_DIGEST = 20


class Level(StrEnum):
    """In the order of urgency."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def urgency(self) -> int:
        return tuple(Level).index(self)


@dataclass(frozen=True, slots=True)
class Notice:
    level: Level
    title: str
    text: str = ""


def notice_of(event: EngineEvent) -> Notice | None:
    """``None`` for what nobody needs to be told."""
    match event:
        case ProtectionLost(position_id=position, lots=lots, reason=reason):
            return Notice(Level.CRITICAL, "A position is without its stop", f"{position}, {lots} lots: {reason}")
        case ExecutionAlarm(position_id=position, alarm=alarm, reason=reason):
            return Notice(Level.CRITICAL, f"Look at it: {alarm}", f"{position}: {reason}")
        case RiskStateChanged(state=state, reason=reason):
            level = Level.INFO if state is RiskState.ACTIVE else Level.CRITICAL
            return Notice(level, f"Trading is {state}", reason)
        case DrawdownWarned(peak=peak, equity=equity):
            return Notice(Level.WARNING, "Drawdown", f"equity {equity} after a highest of {peak}")
        case EntriesLocked(lock=lock):
            return Notice(Level.WARNING, "Entries are locked", str(lock.reason))
        case NotReady(cause=cause, reason=reason):
            return Notice(Level.WARNING, f"Nothing is entered: {cause}", reason)
        case OrderRejected(client_id=client_id, reason=reason):
            return Notice(Level.WARNING, "The exchange refused an order", f"{client_id}: {reason}")
        case Ready(cause=cause):
            return Notice(Level.INFO, f"Over: {cause}")
        case PositionOpened(position=position):
            return Notice(Level.INFO, f"Opened {position.series}", f"{position.lots} lots")
        case PositionClosed(trade=trade):
            text = f"{trade.exit_reason}, profit {trade.profit} ({trade.r_multiple:+.2f} R)"
            return Notice(Level.INFO, f"Closed {trade.series}", text)
        case RequestAnswered(kind=kind, by=by, outcome=outcome):
            return Notice(Level.INFO, f"{kind} by {by}", outcome)
        case _:
            return None


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``begin`` to ``end`` of each day in ``zone``, over midnight where the end is earlier."""

    begin: time
    end: time
    zone: ZoneInfo

    def holds_at(self, now: int) -> bool:
        at = datetime.fromtimestamp(now / 1000, UTC).astimezone(self.zone).time()
        if self.begin <= self.end:
            return self.begin <= at < self.end
        return at >= self.begin or at < self.end


@dataclass(slots=True)
class NoticePolicy:
    """What may be sent now. What is critical passes quiet hours, and has a rate of its own.

    Nothing is lost without a word: what was held back is told in one digest as soon as that is allowed.
    """

    least: Level
    per_minute: int
    quiet: QuietHours | None = None
    _sent: dict[bool, deque[int]] = field(default_factory=lambda: {True: deque(), False: deque()})
    _held: list[Notice] = field(default_factory=list)

    def admit(self, notice: Notice, now: int) -> bool:
        """Whether it is sent now; if not, it is held for the digest, or nobody wants it."""
        if notice.level.urgency < self.least.urgency:
            return False
        critical = notice.level is Level.CRITICAL
        if (critical or not self._is_quiet(now)) and self._within_rate(critical, now):
            return True
        self._held.append(notice)
        return False

    def digest(self, now: int) -> Notice | None:
        """What was held back, in one notice, once it is allowed; ``None`` while it is not, or nothing was."""
        if not self._held or self._is_quiet(now) or not self._within_rate(critical=False, now=now):
            return None
        held, self._held = self._held, []
        return digest_of(held)

    def _is_quiet(self, now: int) -> bool:
        return self.quiet is not None and self.quiet.holds_at(now)

    def _within_rate(self, critical: bool, now: int) -> bool:
        sent = self._sent[critical]
        while sent and sent[0] <= now - MINUTE:
            sent.popleft()
        if len(sent) >= self.per_minute:
            return False
        sent.append(now)
        return True


def digest_of(held: Sequence[Notice]) -> Notice:
    level = max((notice.level for notice in held), key=lambda one: one.urgency)
    lines = [f"{notice.title}: {notice.text}" if notice.text else notice.title for notice in held[-MOST_IN_A_DIGEST:]]
    more = len(held) - len(lines)
    text = "\n".join(lines) + (f"\nand {more} before these" if more else "")
    return Notice(level, f"{len(held)} notices were held back", text)
