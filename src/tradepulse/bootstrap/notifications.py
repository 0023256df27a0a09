"""Delivers notices through Apprise, from a thread of its own: trading hands them over and never waits."""

import asyncio
import logging
import queue
import re
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import time
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo

from tradepulse.core.notices import Level, Notice, NoticePolicy, QuietHours, notice_of
from tradepulse.domain.events import EngineEvent
from tradepulse.ports import Clock
from tradepulse.shared.errors import ConfigurationError
from tradepulse.shared.secrets import register_secrets
from tradepulse.shared.settings import NotificationSettings

if TYPE_CHECKING:
    from apprise import Apprise

logger = logging.getLogger(__name__)
MOST_WAITING = 200
LOOK_SECONDS = 1.0
SECONDS_TO_END = 5.0
SERVICE_SECONDS = 10.0
_BETWEEN_PARTS = re.compile(r"[/@?&=]|(?<=\w):(?!//)")
_SHORTEST_SECRET = 6


class Channel(Protocol):
    """Where notices go. Blocks; tells what went wrong by names of services, never by their addresses."""

    def send(self, notice: Notice) -> list[str]:
        """The services that did not take it."""
        ...


class AppriseChannel:
    """``urls`` take everything, ``urgent`` only what is critical. Errors: ``ConfigurationError`` for a URL unknown."""

    def __init__(self, urls: Iterable[str], urgent: Iterable[str] = ()) -> None:
        self._all = [_service(url) for url in urls]
        self._urgent = [_service(url) for url in urgent]

    @property
    def services(self) -> int:
        return len(self._all) + len(self._urgent)

    def send(self, notice: Notice) -> list[str]:
        from apprise import NotifyType

        kinds = {Level.INFO: NotifyType.INFO, Level.WARNING: NotifyType.WARNING, Level.CRITICAL: NotifyType.FAILURE}
        chosen = self._all + (self._urgent if notice.level is Level.CRITICAL else [])
        failed = []
        for service in chosen:
            try:
                taken = service.notify(notice.text or notice.title, title=notice.title, notify_type=kinds[notice.level])
            except Exception as error:  # noqa: BLE001
                # The edge to a library with over a hundred services: none of them may end the others.
                failed.append(f"{_name(service)} ({type(error).__name__})")
            else:
                if not taken:
                    failed.append(_name(service))
        return failed


def _service(url: str) -> "Apprise":
    from apprise import Apprise, AppriseAsset

    register_secrets(secrets_of(url))
    service = Apprise(asset=AppriseAsset(service_timeout=SERVICE_SECONDS, secure_logging=True))
    if not service.add(url):
        raise ConfigurationError(
            f"A notification URL that begins with '{url.split(':', 1)[0]}:' is not one that Apprise knows.",
            "Write it as in https://github.com/caronc/apprise/wiki.",
        )
    return service


def _name(service: "Apprise") -> str:
    return ", ".join(str(one.service_name) for one in service)


def secrets_of(url: str) -> list[str]:
    """The URL and every part of it that may be a password or a token; not the host, which is in innocent texts too."""
    rest = url.split("://", 1)[-1]
    parts = [part for part in _BETWEEN_PARTS.split(rest) if len(part) >= _SHORTEST_SECRET]
    return [url, rest, *(part for part in parts if not re.fullmatch(r"localhost|[\d.]+|[\w-]+(\.[\w-]+)+", part))]


@dataclass(frozen=True, slots=True)
class _End:
    """Nothing comes after it."""


class Notifier:
    """``observe`` and ``tell`` never wait and never fail: where too much waits, notices are counted and dropped."""

    def __init__(self, channel: Channel, policy: NoticePolicy, clock: Clock) -> None:
        self._channel = channel
        self._policy = policy
        self._clock = clock
        self._waiting: queue.Queue[Notice | _End] = queue.Queue(MOST_WAITING)
        self._dropped = 0
        # A daemon: a service that does not answer must not keep the program from ending.
        self._thread = threading.Thread(target=self._deliver_until_the_end, name="notifications", daemon=True)

    def observe(self, event: EngineEvent) -> None:
        notice = notice_of(event)
        if notice is not None:
            self.tell(notice)

    def tell(self, notice: Notice) -> None:
        try:
            self._waiting.put_nowait(notice)
        except queue.Full:
            self._dropped += 1

    def start(self) -> None:
        self._thread.start()

    def end(self, seconds: float = SECONDS_TO_END) -> None:
        """What waits is delivered within these seconds, or not at all. Blocks."""
        try:
            self._waiting.put(_End(), timeout=seconds)
        except queue.Full:
            logger.warning("Notices were not delivered before the end: %s", self._waiting.qsize())
            return
        self._thread.join(seconds)

    def _deliver_until_the_end(self) -> None:
        while True:
            try:
                found = self._waiting.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                found = None
            if isinstance(found, _End):
                return
            now = self._clock.now()
            if found is not None and self._policy.admit(found, now):
                self._send(found)
            digest = self._policy.digest(now)
            if digest is not None:
                self._send(digest)

    def _send(self, notice: Notice) -> None:
        if self._dropped:
            logger.warning("Notices were dropped, more than %s waited: %s", MOST_WAITING, self._dropped)
            self._dropped = 0
        failed = self._channel.send(notice)
        if failed:
            logger.warning("A notice was not delivered ('%s'): %s", notice.title, ", ".join(failed))


def channel_of(settings: NotificationSettings) -> AppriseChannel:
    plain = [url.get_secret_value() for url in settings.urls]
    return AppriseChannel(plain, [url.get_secret_value() for url in settings.urgent_urls])


def policy_of(settings: NotificationSettings) -> NoticePolicy:
    quiet = None
    if settings.quiet_from is not None and settings.quiet_until is not None:
        begin, end = time.fromisoformat(settings.quiet_from), time.fromisoformat(settings.quiet_until)
        quiet = QuietHours(begin, end, ZoneInfo(settings.quiet_zone))
    return NoticePolicy(Level(settings.level), settings.per_minute, quiet)


class _Silence:
    def send(self, _: Notice) -> list[str]:
        return []


@asynccontextmanager
async def notifying(settings: NotificationSettings, clock: Clock) -> AsyncIterator[Notifier]:
    """A notifier at work; one that tells nobody where no URL is set."""
    configured = bool(settings.urls or settings.urgent_urls)
    notifier = Notifier(channel_of(settings) if configured else _Silence(), policy_of(settings), clock)
    notifier.start()
    try:
        yield notifier
    finally:
        await asyncio.to_thread(notifier.end)
