"""What a trader is born with. Apart from the trader, which may only be imported in a process of its own."""

import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Life:
    """As plain JSON. ``facts``: the file its facts go to, ``log``: what it says."""

    launch: dict[str, Any]
    facts: str
    log: str

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> "Life":
        return cls(**json.loads(text))
