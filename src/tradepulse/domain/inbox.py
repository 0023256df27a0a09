"""What a person asks of a book, and what became of it: the words of the command inbox."""

from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from tradepulse.shared.errors import ConfigurationError


class RequestKind(StrEnum):
    HALT = "halt"
    RESUME = "resume"
    CLOSE_POSITION = "close position"
    CANCEL_ENTRY = "cancel entry"
    MOVE_STOP = "move stop"
    APPLY_POLICY = "apply policy"


# What a request is about, by the name in its payload.
SUBJECTS = {
    RequestKind.CLOSE_POSITION: "position_id",
    RequestKind.CANCEL_ENTRY: "setup_id",
    RequestKind.MOVE_STOP: "position_id",
}


class RequestStatus(StrEnum):
    WAITING = "waiting"
    TAKEN = "taken"
    """Given to the engine; a kill may have come before its answer was written down, then it is given again."""
    DONE = "done"
    REFUSED = "refused"

    @property
    def answered(self) -> bool:
        return self in (RequestStatus.DONE, RequestStatus.REFUSED)


@dataclass(frozen=True, slots=True)
class Request:
    """``key``: a request posted again under the same key is the same request."""

    book: str
    kind: RequestKind
    by: str
    reason: str
    key: str
    requested_at: int
    payload: dict[str, Any] = field(default_factory=dict)
    request_id: str = ""
    """Given by the inbox."""
    status: RequestStatus = RequestStatus.WAITING
    outcome: str = ""

    def __post_init__(self) -> None:
        if not self.reason.strip() or not self.by.strip():
            raise ConfigurationError(f"To {self.kind} needs a reason and a name.", "Say why, and who says so.")
        name = SUBJECTS.get(self.kind)
        if name is not None and not str(self.payload.get(name, "")).strip():
            raise ConfigurationError(f"To {self.kind} needs the {name} it is about.", f"Name the {name}.")
        if self.kind is RequestKind.MOVE_STOP and not self.price > 0:
            raise ConfigurationError(
                f"To {self.kind} needs a price above 0, not {self.payload.get('price')!r:.40}.",
                "Say where it is to stand.",
            )

    @property
    def price(self) -> Decimal:
        """Where a stop is to stand; 0 where none, or none that can be read, is named."""
        try:
            price = Decimal(str(self.payload.get("price", 0)))
        except InvalidOperation:
            return Decimal(0)
        return price if price.is_finite() else Decimal(0)

    @property
    def subject(self) -> str:
        return str(self.payload.get(SUBJECTS.get(self.kind, ""), ""))
