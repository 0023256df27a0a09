"""What a person asks of a book, and what became of it: the words of the command inbox."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tradepulse.shared.errors import ConfigurationError


class RequestKind(StrEnum):
    HALT = "halt"
    RESUME = "resume"
    CLOSE_POSITION = "close position"
    CANCEL_ENTRY = "cancel entry"


# What a request is about, by the name in its payload.
SUBJECTS = {RequestKind.CLOSE_POSITION: "position_id", RequestKind.CANCEL_ENTRY: "setup_id"}


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

    @property
    def subject(self) -> str:
        return str(self.payload.get(SUBJECTS.get(self.kind, ""), ""))
