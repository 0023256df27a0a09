"""What a language model may say, and nothing else: a reply is read strictly, or it is no reply.

Pure. Whatever stands in it, what is in force afterwards is at most what the rules leave.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr, ValidationError

from tradepulse.domain.policy import PPM, Bounds
from tradepulse.shared.errors import RefusedError

LONGEST_REPLY = 4_000
LONGEST_NOTE, MOST_NOTES = 280, 5
MOST_BUMP = 0.25
_LINKS = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_MARKS = re.compile(r"[`<>{}\[\]|#*_~\\]+")

Share = Annotated[StrictFloat | StrictInt, Field(ge=0, le=1)]


class Reply(BaseModel):
    """``risk``: share of the usual risk that is left; ``confluence_bump``: how much more must hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    risk: Share
    paused: list[Annotated[StrictStr, Field(max_length=40)]] = Field(max_length=10)
    confluence_bump: Annotated[StrictFloat | StrictInt, Field(ge=0, le=MOST_BUMP)]
    reasons: list[Annotated[StrictStr, Field(min_length=1, max_length=200)]] = Field(min_length=1, max_length=5)


class UnusableReplyError(RefusedError):
    """The rules alone hold."""


def read_reply(text: str, strategies: Collection[str]) -> Reply:
    """``UnusableReplyError`` for everything that is not exactly one reply about known strategies."""
    if len(text) > LONGEST_REPLY:
        raise UnusableReplyError(f"The reply has {len(text)} characters, more than {LONGEST_REPLY}.")
    try:
        reply = Reply.model_validate_json(text)
    except (ValidationError, ValueError) as error:
        problems = error.errors() if isinstance(error, ValidationError) else []
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problems[:3])
        raise UnusableReplyError(f"The reply is not what was asked for: {told[:300] or 'it cannot be read'}.") from None
    unknown = sorted(set(reply.paused) - set(strategies))
    if unknown:
        raise UnusableReplyError(f"The reply pauses what there is not: {unknown[0][:40]!r}.")
    return reply


def bounds_of(reply: Reply) -> Bounds:
    return Bounds(int(reply.risk * PPM), frozenset(reply.paused), int(reply.confluence_bump * PPM))


def effective_bounds(rules: Bounds, reply: Reply | None) -> Bounds:
    """min(rules, language model)."""
    return rules if reply is None else rules.together(bounds_of(reply))


def reasons_of(reply: Reply) -> tuple[str, ...]:
    return tuple(told for told in (plain(one) for one in reply.reasons) if told)


def plain(text: str) -> str:
    """One line of plain words, without links, markup and invisible letters, cut to ``LONGEST_NOTE``."""
    shown = "".join(
        letter if unicodedata.category(letter)[0] != "C" else " " for letter in unicodedata.normalize("NFKC", text)
    )
    return " ".join(_MARKS.sub(" ", _LINKS.sub("(link)", shown)).split())[:LONGEST_NOTE]


def quoted_notes(notes: Iterable[str]) -> list[str]:
    """News and notes as data: they go into the question as JSON strings, and are never instructions."""
    return [told for told in (plain(note) for note in list(notes)[:MOST_NOTES]) if told]
