"""Faults by script: which request is hit, whether it is executed all the same, and what comes back instead.

Made by the functions below, each of which takes how to recognise the request (``method``, ``path`` and ``contains``,
searched as regular expressions in the path and in query and body) and when (``after`` so many that are let through,
``times`` at most, with ``probability``):

    exchange.fault(lost_answer(path="/api/v3/order", method="POST"))
    exchange.fault(too_many(retry_after=3, times=None, probability=0.2))
"""

import random
import re
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any


class Broken(StrEnum):
    """What the client gets."""

    NOTHING = "the real answer"
    RESET = "connection reset"
    HANG = "no answer, the connection stays open"
    TRUNCATED = "body cut off"
    CUT_CHUNKS = "chunked body cut off"
    CUT_JSON = "complete body, half of the JSON"
    HTML = "HTML with status 200"
    EMPTY = "empty body with status 200"
    EMPTY_OBJECT = "{} with status 200"
    BODY = "this body with this status"
    STATUS = "this status without JSON"
    CODE = "the exchange's own error"
    MAINTENANCE = "the exchange's own words for maintenance"


@dataclass
class FaultRule:
    broken: Broken
    executes: bool = False
    method: str = ""
    path: str = ""
    contains: str = ""
    after: int = 0
    times: int | None = 1
    probability: float = 1.0
    delay: float = 0.0
    """Seconds before the request is looked at."""
    delay_answer: float = 0.0
    """Seconds between its execution and the answer."""
    status: int = 503
    retry_after: int | None = None
    body: str = ""
    code: str = ""
    message: str = ""
    kills: int | None = None
    """A process that is killed: before the request is executed, or once it is."""
    kill_delay: float = 0.0
    """Seconds from there to its death, in which the answer goes out."""
    number: int = 0
    seen: int = 0
    hits: int = 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, sent: dict[str, Any]) -> "FaultRule":
        rule = cls(**{each.name: sent[each.name] for each in fields(cls) if each.name in sent})
        return replace(rule, broken=Broken(rule.broken))

    def recognises(self, method: str, path: str, said: str) -> bool:
        return (
            self.method in ("", method)
            and re.search(self.path, path) is not None
            and re.search(self.contains, said) is not None
        )


@dataclass
class Faults:
    seed: int
    rules: list[FaultRule] = field(default_factory=list)
    _numbers: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)  # noqa: S311

    def add(self, rule: FaultRule) -> int:
        self._numbers += 1
        self.rules.append(replace(rule, number=self._numbers, seen=0, hits=0))
        return self._numbers

    def clear(self) -> None:
        self.rules.clear()

    def hits(self, number: int) -> int:
        return next((rule.hits for rule in self.rules if rule.number == number), 0)

    def of_request(self, method: str, path: str, said: str) -> FaultRule | None:
        """The first rule that hits this request. Rules that only recognise it count it."""
        hit = None
        for rule in self.rules:
            if rule.recognises(method, path, said):
                rule.seen += 1
                if hit is None and self._strikes(rule):
                    rule.hits += 1
                    hit = rule
        return hit

    def _strikes(self, rule: FaultRule) -> bool:
        if rule.seen <= rule.after or (rule.times is not None and rule.hits >= rule.times):
            return False
        return rule.probability >= 1 or self._chance.random() < rule.probability


def lost_request(**match: Any) -> FaultRule:
    """Never reaches the exchange; the connection is reset."""
    return FaultRule(Broken.RESET, **match)


def lost_answer(**match: Any) -> FaultRule:
    """Executed, then the connection is reset."""
    return FaultRule(Broken.RESET, executes=True, **match)


def slow(seconds: float, **match: Any) -> FaultRule:
    """Executed and answered, but late."""
    return FaultRule(Broken.NOTHING, executes=True, delay=seconds, **match)


def slow_answer(seconds: float, **match: Any) -> FaultRule:
    """Executed at once, answered late."""
    return FaultRule(Broken.NOTHING, executes=True, delay_answer=seconds, **match)


def hangs(*, executes: bool = False, **match: Any) -> FaultRule:
    """Half-open: the connection stays and nothing comes, whether or not the request was executed."""
    return FaultRule(Broken.HANG, executes=executes, **match)


def truncated(*, executes: bool = True, **match: Any) -> FaultRule:
    return FaultRule(Broken.TRUNCATED, executes=executes, **match)


def cut_chunks(*, executes: bool = True, **match: Any) -> FaultRule:
    return FaultRule(Broken.CUT_CHUNKS, executes=executes, **match)


def cut_json(*, executes: bool = True, **match: Any) -> FaultRule:
    return FaultRule(Broken.CUT_JSON, executes=executes, **match)


def html(*, executes: bool = False, **match: Any) -> FaultRule:
    return FaultRule(Broken.HTML, executes=executes, **match)


def empty(*, executes: bool = False, **match: Any) -> FaultRule:
    return FaultRule(Broken.EMPTY, executes=executes, **match)


def empty_object(*, executes: bool = False, **match: Any) -> FaultRule:
    return FaultRule(Broken.EMPTY_OBJECT, executes=executes, **match)


def answers(body: str, *, status: int = 200, executes: bool = False, **match: Any) -> FaultRule:
    """This JSON text, whatever was asked."""
    return FaultRule(Broken.BODY, executes=executes, status=status, body=body, **match)


def too_many(*, status: int = 429, retry_after: int | None = 7, **match: Any) -> FaultRule:
    """429, or 418 for a ban; not executed."""
    return FaultRule(Broken.STATUS, status=status, retry_after=retry_after, **match)


def unavailable(*, status: int = 503, executes: bool = False, **match: Any) -> FaultRule:
    return FaultRule(Broken.STATUS, status=status, executes=executes, **match)


def exchange_error(code: str, message: str = "", *, executes: bool = False, **match: Any) -> FaultRule:
    """The exchange's own error by its code, in its own shape; -1007 may or may not have been executed."""
    return FaultRule(Broken.CODE, code=code, message=message, executes=executes, **match)


def killed(process: int, *, executes: bool, kill_delay: float = 0.0, **match: Any) -> FaultRule:
    """The process that asks is killed: before anything was done; or when it was, before the answer or after it."""
    return FaultRule(Broken.NOTHING, executes=executes, kills=process, kill_delay=kill_delay, **match)


def maintenance(**match: Any) -> FaultRule:
    return FaultRule(Broken.MAINTENANCE, **{"times": None, **match})
