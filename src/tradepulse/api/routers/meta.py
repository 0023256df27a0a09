"""What the meta-controller judged: the policy in force, its versions and reasons, and the way back."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field

from tradepulse.api.deps import BookDep, CursorDep, LimitDep, Services, ServicesDep, Trader, find_book
from tradepulse.api.errors import NotFoundError
from tradepulse.api.models import Given, Page, Time, View
from tradepulse.api.routing import OnceRoute
from tradepulse.domain.policy import PPM, Bounds, MarketState, Policy
from tradepulse.domain.users import Note
from tradepulse.ports import JsonObject

router = APIRouter(prefix="/api/intelligence/meta", tags=["meta"], route_class=OnceRoute)
LATEST_VERSION = 2**62
Version = Annotated[int, Path(ge=1, le=LATEST_VERSION)]


class BoundsView(View):
    risk: float = Field(description="share of the usual size that is left at most, 0 to 1")
    paused: list[str] = Field(description="strategies of which nothing is entered")
    confluence_bump: float = Field(description="by how much more of the conditions must hold, 0 to 1")


class PolicyLine(View):
    """One version. `bounds` are in force while it holds; `rules` is what the rules alone left."""

    book: str
    version: int
    issued_at: Time
    valid_until: Time
    author: str = Field(description="`rules`, `rules and language model`, or the person who went back to it")
    bounds: BoundsView
    rules: BoundsView
    state: MarketState
    conviction: float = Field(description="share of the facts about markets that were known")
    reward_weights: dict[str, float]
    reasons: list[str]
    consulted: JsonObject = Field(description="what a language model was asked and answered, or why it was not asked")
    outcome: JsonObject = Field(description="what followed within a day; empty until then")


class PolicyChange(View):
    """A field of the bounds that is not what it was in the version before."""

    field: str
    before: Any
    after: Any


class PolicyDetail(PolicyLine):
    diff: list[PolicyChange] = Field(description="against the version before; empty for the first")
    facts: JsonObject = Field(description="what the rules looked at")


class PolicyInForce(View):
    in_force: PolicyDetail | None = Field(description="null: nothing is taken away, the settings alone hold")
    latest: PolicyDetail | None = Field(description="the newest version, its time may be over")


class MarketStateLine(View):
    version: int
    time: Time
    state: MarketState
    conviction: float
    facts: JsonObject


class RollBack(Given):
    book: str | None = Field(default=None, max_length=100, description="default: the first book")


@router.get("/policy")
async def policy_in_force(services: ServicesDep, book: BookDep) -> PolicyInForce:
    """What holds now for entries of the book."""
    newest = [] if book is None else await services.policies.history(book, limit=1)
    if book is None or not newest:
        return PolicyInForce(in_force=None, latest=None)
    latest = await _detail(services, newest[0])
    now = await _now(services, book)
    return PolicyInForce(in_force=latest if newest[0].holds_at(now) else None, latest=latest)


@router.get("/history")
async def policies(
    services: ServicesDep, book: BookDep, limit: LimitDep = 50, cursor: CursorDep = None
) -> Page[PolicyLine]:
    """Newest first."""
    found = [] if book is None else await services.policies.history(book, limit=limit, before=cursor)
    return Page[PolicyLine](items=[PolicyLine(**_told(one)) for one in found], next_cursor=_next(found, limit))


@router.get("/market-state")
async def market_states(
    services: ServicesDep, book: BookDep, limit: LimitDep = 50, cursor: CursorDep = None
) -> Page[MarketStateLine]:
    """How the markets of the book were judged, newest first."""
    found = [] if book is None else await services.policies.history(book, limit=limit, before=cursor)
    lines = [
        MarketStateLine(
            version=one.version,
            time=one.issued_at,
            state=one.rules.state,
            conviction=one.rules.conviction,
            facts=one.facts,
        )
        for one in found
    ]
    return Page[MarketStateLine](items=lines, next_cursor=_next(found, limit))


@router.get("/policy/{version}")
async def policy(version: Version, services: ServicesDep, book: BookDep) -> PolicyDetail:
    """One version with its facts, and what differs from the version before."""
    return await _detail(services, await _policy(services, book, version))


@router.post("/policy/{version}/rollback")
async def roll_back(version: Version, body: RollBack, services: ServicesDep, who: Trader) -> PolicyDetail:
    """Issue its bounds again as a new version, until the next run: never looser than the rules are now."""
    names = [str(one["book"]) for one in await services.books.books()]
    book = body.book if body.book is not None else next(iter(names), None)
    if book not in names:
        raise NotFoundError(f"There is no book '{book}'.", f"Books that exist: {', '.join(names) or 'none yet'}.")
    await _policy(services, book, version)
    issued = await services.roll_back(book, version, who.actor.name)
    facts = {"book": book, "version": issued.version, "back_to": version}
    note = Note(services.clock.now(), who.actor.name, "went back to a policy", str(version), who.address, facts)
    await services.accounts.note(note)
    return await _detail(services, issued)


async def _policy(services: Services, book: str | None, version: int) -> Policy:
    found = None if book is None else await services.policies.get(book, version)
    if found is None:
        raise NotFoundError(f"There is no policy {version}.", "GET /api/intelligence/meta/history lists them.")
    return found


async def _now(services: Services, book: str) -> int:
    """By the book's own time where that is simulated and behind or ahead of ours."""
    simulated = any(line.simulated for line in await services.candles.coverage())
    found = await find_book(services, book) if simulated else None
    return services.clock.now() if found is None else int(found["last_event_time"])


async def _detail(services: Services, policy: Policy) -> PolicyDetail:
    before = await services.policies.get(policy.book, policy.version - 1)
    return PolicyDetail(**_told(policy), facts=policy.facts, diff=[] if before is None else _diff(before, policy))


def _diff(before: Policy, after: Policy) -> list[PolicyChange]:
    old, new = _bounds(before.bounds).model_dump(), _bounds(after.bounds).model_dump()
    return [PolicyChange(field=name, before=old[name], after=new[name]) for name in old if old[name] != new[name]]


def _told(policy: Policy) -> dict[str, Any]:
    return {
        "book": policy.book,
        "version": policy.version,
        "issued_at": policy.issued_at,
        "valid_until": policy.valid_until,
        "author": policy.author,
        "bounds": _bounds(policy.bounds),
        "rules": _bounds(policy.rules.bounds),
        "state": policy.rules.state,
        "conviction": policy.rules.conviction,
        "reward_weights": policy.rules.reward_weights,
        "reasons": list(policy.reasons),
        "consulted": policy.consulted,
        "outcome": policy.outcome,
    }


def _bounds(bounds: Bounds) -> BoundsView:
    return BoundsView(
        risk=bounds.risk_ppm / PPM, paused=sorted(bounds.paused), confluence_bump=bounds.confluence_bump_ppm / PPM
    )


def _next(found: list[Policy], limit: int) -> int | None:
    return found[-1].version if len(found) == limit and found[-1].version > 1 else None
