"""Facts as JSON: Decimal as text, enums as their value, a number that is not finite as null."""

from typing import Any, get_args

from pydantic import TypeAdapter

from tradepulse.domain.events import EngineEvent
from tradepulse.domain.orders import EntryPlan
from tradepulse.domain.signals import Condition

_EVENTS: dict[type, TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in get_args(EngineEvent)}
_CONDITIONS = TypeAdapter(tuple[Condition, ...])
_PLAN = TypeAdapter(EntryPlan)


def event_json(event: EngineEvent) -> str:
    return _EVENTS[type(event)].dump_json(event).decode()


def conditions_json(conditions: tuple[Condition, ...]) -> str:
    return _CONDITIONS.dump_json(conditions).decode()


def plan_json(plan: EntryPlan) -> str:
    return _PLAN.dump_json(plan).decode()
