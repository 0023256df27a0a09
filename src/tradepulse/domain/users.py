"""Who may do what: users, their sessions, keys for scripts, and the chain of what they did."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tradepulse.shared.errors import ConfigurationError

SHORTEST_NAME, LONGEST_NAME = 2, 64
SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 1024
FEWEST_LETTERS = 5
"""Different letters of a password."""
NO_HASH = "0" * 64
"""What the first entry of the chain names as its predecessor."""


class Role(StrEnum):
    """Each may do all that those before it may."""

    VIEWER = "viewer"
    TRADER = "trader"
    ADMIN = "admin"

    def covers(self, needed: "Role") -> bool:
        order = list(Role)
        return order.index(self) >= order.index(needed)


class Scope(StrEnum):
    """What a key for scripts may do. It never may more than its user."""

    READ = "read"
    TRADE = "trade"
    ADMIN = "admin"
    METRICS = "metrics"


SCOPE_OF_ROLE = {Role.VIEWER: Scope.READ, Role.TRADER: Scope.TRADE, Role.ADMIN: Scope.ADMIN}


@dataclass(frozen=True, slots=True)
class User:
    user_id: str
    name: str
    role: Role
    password_hash: str = field(repr=False)
    created_at: int
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """One log-in and all refresh tokens that came of it: what other people call a family of tokens."""

    session_id: str
    user_id: str
    address: str
    agent: str
    created_at: int
    confirmed_at: int
    """When the password was last given."""
    expires_at: int
    ended_at: int | None = None
    ended_because: str = ""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """``secret_hash`` is what is kept of the secret."""

    key_id: str
    user_id: str
    name: str
    scopes: frozenset[Scope]
    secret_hash: str = field(repr=False)
    created_at: int
    expires_at: int | None = None
    last_used_at: int | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """What is written into the audit log, in the same transaction as what it tells of."""

    time: int
    actor: str
    action: str
    subject: str = ""
    address: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A note with its place in the chain."""

    number: int
    note: Note
    previous_hash: str
    hash: str


def chained(number: int, note: Note, previous_hash: str) -> AuditEntry:
    content = [number, note.time, note.actor, note.action, note.subject, note.address, note.facts, previous_hash]
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return AuditEntry(number, note, previous_hash, hashlib.sha256(text.encode()).hexdigest())


@dataclass(frozen=True, slots=True)
class ChainReport:
    """``problem`` is empty where every entry follows from the one before it."""

    entries: int
    head: str
    problem: str = ""


def verify_chain(entries: Iterable[AuditEntry], known: tuple[int, str] | None = None) -> ChainReport:
    """``known``: number and hash of an entry noted earlier, so that a chain cut short or made anew is noticed too."""
    number, head, met = 0, NO_HASH, known is None
    for entry in entries:
        if entry.number != number + 1:
            return ChainReport(number, head, f"entry {number + 1} is missing")
        if entry.previous_hash != head or chained(entry.number, entry.note, head).hash != entry.hash:
            return ChainReport(number, head, f"entry {entry.number} is not what was written there")
        number, head = entry.number, entry.hash
        if known is not None and number == known[0]:
            if head != known[1]:
                return ChainReport(number, head, f"entry {number} has another hash than the one noted")
            met = True
    return ChainReport(number, head, "" if met or known is None else f"entry {known[0]} is missing")


def checked_name(name: str) -> str:
    name = name.strip()
    if not SHORTEST_NAME <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise ConfigurationError(
            f"A user name has {SHORTEST_NAME} to {LONGEST_NAME} printable characters.", "Choose another name."
        )
    return name


def checked_password(password: str, name: str) -> str:
    """Length counts, not kinds of letters (NIST SP 800-63B)."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise ConfigurationError(
            f"The password has {len(password)} characters; {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} are allowed.",
            "Take four or more random words.",
        )
    if len(set(password)) < FEWEST_LETTERS or name.lower() in password.lower():
        raise ConfigurationError(
            f"The password contains the user name, or fewer than {FEWEST_LETTERS} different characters.",
            "Take four or more random words.",
        )
    return password
