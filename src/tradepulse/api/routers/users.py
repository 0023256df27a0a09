"""The users and the audit log: for admins."""

from typing import Annotated

from fastapi import Depends, Query
from pydantic import Field

from tradepulse.api.deps import Admin, ConfirmedAdmin, CursorDep, DoorkeeperDep, LimitDep, ServicesDep, require
from tradepulse.api.errors import NotFoundError
from tradepulse.api.models import AuditLine, ChainState, Given, Page, Secret, UserLine
from tradepulse.api.routing import noun_router
from tradepulse.domain.users import Role, User, verify_chain
from tradepulse.ports import AccountStore

router = noun_router("auth")
router.dependencies.append(Depends(require(Role.ADMIN)))
HASH = r"^[0-9a-f]{64}$"


class NewUser(Given):
    name: str = Field(min_length=1, max_length=64)
    password: Secret
    role: Role


class UserChange(Given):
    """What is left out, or null, stays as it is."""

    role: Role | None = None
    disabled: bool | None = None
    password: Secret | None = None


@router.get("/users")
async def users(services: ServicesDep) -> list[UserLine]:
    return [UserLine.of(user) for user in await services.accounts.users()]


@router.post("/users")
async def add_user(body: NewUser, who: ConfirmedAdmin, door: DoorkeeperDep) -> UserLine:
    added = await door.accounts.add_user(body.name, body.password.get_secret_value(), body.role, who.actor)
    return UserLine.of(added)


@router.patch("/users/{user_id}")
async def change_user(
    user_id: str, body: UserChange, who: ConfirmedAdmin, services: ServicesDep, door: DoorkeeperDep
) -> UserLine:
    """Ends the user's sessions. The last admin stays one."""
    user = await _found(services.accounts, user_id)
    password = None if body.password is None else body.password.get_secret_value()
    changed = await door.accounts.change_user(
        user, who.actor, role=body.role, disabled=body.disabled, password=password
    )
    return UserLine.of(changed)


@router.delete("/users/{user_id}")
async def remove_user(user_id: str, who: ConfirmedAdmin, services: ServicesDep, door: DoorkeeperDep) -> UserLine:
    """With sessions and keys; what they did stays in the audit log."""
    user = await _found(services.accounts, user_id)
    await services.accounts.remove_user(user_id, door.accounts.noted(who.actor, "user removed", user.name))
    return UserLine.of(user)


@router.get("/audit")
async def audit(_: Admin, services: ServicesDep, limit: LimitDep = 100, cursor: CursorDep = None) -> Page[AuditLine]:
    """Who did what, newest first."""
    entries = await services.accounts.notes(limit=limit, before=cursor)
    return Page(
        items=[AuditLine.of(entry) for entry in entries],
        next_cursor=entries[-1].number if len(entries) == limit else None,
    )


@router.get("/audit/verification")
async def verification(
    _: Admin,
    services: ServicesDep,
    number: Annotated[int | None, Query(ge=1, description="of an entry whose hash was noted earlier")] = None,
    noted_hash: Annotated[str | None, Query(alias="hash", pattern=HASH)] = None,
) -> ChainState:
    """Whether every entry follows from the one before, and, where one was noted earlier, whether it is still there."""
    known = None if number is None or noted_hash is None else (number, noted_hash)
    report = verify_chain([entry async for entry in services.accounts.chain()], known)
    return ChainState(entries=report.entries, head=report.head, problem=report.problem)


async def _found(accounts: AccountStore, user_id: str) -> User:
    user = await accounts.user(user_id)
    if user is None:
        raise NotFoundError(f"There is no user '{user_id}'.", "GET /api/auth/users lists them.")
    return user
