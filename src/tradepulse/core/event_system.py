"""Observers are told, they never decide: what one of them does wrong harms nobody else."""

import logging
from collections.abc import Callable, Iterable

from tradepulse.domain.events import EngineEvent

Observer = Callable[[EngineEvent], None]
logger = logging.getLogger(__name__)


class EventBus:
    def __init__(self) -> None:
        self._observers: list[Observer] = []

    def subscribe(self, observer: Observer) -> None:
        self._observers.append(observer)

    def tell(self, events: Iterable[EngineEvent]) -> None:
        if not self._observers:
            return
        for event in events:
            for observer in self._observers:
                try:
                    observer(event)
                except Exception:
                    # An observer may fail, trading may not.
                    logger.exception("An observer failed on %s", type(event).__name__)
