"""Logging in, staying so, leaving; one's own password, sessions, keys for scripts and tickets for the live socket."""

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Depends, Request, Response
from pydantic import Field

from tradepulse.api.accounts import Actor, Begun
from tradepulse.api.deps import (
    ConfirmedViewer,
    Doorkeeper,
    DoorkeeperDep,
    ServicesDep,
    Viewer,
    address_of,
    not_authenticated,
)
from tradepulse.api.errors import ApiError, Code, NotFoundError
from tradepulse.api.models import Given, Secret, Time, UserLine, View
from tradepulse.api.security import from_a_foreign_page
from tradepulse.api.tokens import joined_key
from tradepulse.domain.users import ApiKey, Scope, Session, User

COOKIE_PATH = "/api/auth"
LONGEST_KEY_LIFE = 3650


class Credentials(Given):
    name: str = Field(min_length=1, max_length=64)
    password: Secret
    cookie: bool = Field(default=True, description="the refresh token as a cookie; false: in the answer, for scripts")


class SetUp(Given):
    token: Secret
    name: str = Field(min_length=1, max_length=64)
    password: Secret
    cookie: bool = True


class Refresh(Given):
    refresh_token: Secret | None = Field(default=None, description="null: the one in the cookie")


class PasswordOnly(Given):
    password: Secret


class NewPassword(Given):
    current: Secret
    new: Secret


class NewKey(Given):
    name: str = Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f]+$")
    scopes: list[Scope] = Field(min_length=1)
    days: int | None = Field(default=90, ge=1, le=LONGEST_KEY_LIFE, description="null: it does not expire")


class SetUpState(View):
    needed: bool = Field(description="there is no user yet; `tradepulse up` prints the link that makes the first")


class Tokens(View):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the name of a scheme
    expires_at: Time
    expires_in: int = Field(description="seconds from now")
    user: UserLine
    refresh_token: str | None = Field(description="null where it is in the cookie")


class Me(View):
    user: UserLine
    session_id: str | None
    scopes: list[Scope] | None = Field(description="of the key that asks; null for a person")
    confirmed_until: Time | None = Field(description="until then the password need not be given again")


class SessionLine(View):
    session_id: str
    address: str
    agent: str
    created_at: Time
    expires_at: Time
    current: bool


class KeyLine(View):
    key_id: str
    name: str
    scopes: list[Scope]
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None


class KeyMade(KeyLine):
    key: str = Field(description="shown once; only its hash is kept")


class Ticket(View):
    ticket: str = Field(description="opens one connection of the live socket, from the same address")
    expires_at: Time


class Done(View):
    """What was asked for is so now."""

    done: Literal[True] = True


def _same_site(request: Request) -> None:
    """Whatever a browser sends along by itself (a cookie) must not be used by another page."""
    if from_a_foreign_page(request.headers):
        raise ApiError(
            Code.FOREIGN_ORIGIN, "This request comes from another page.", "Open the dashboard at its own address."
        )


open_router = APIRouter(prefix="/api/auth", tags=["auth"], dependencies=[Depends(_same_site)])
"""What is open to all: each takes a password, a token or a cookie instead."""
router = APIRouter(prefix="/api/auth", tags=["auth"])


@open_router.get("/set-up")
async def set_up_state(services: ServicesDep) -> SetUpState:
    return SetUpState(needed=not await services.accounts.users())


@open_router.post("/set-up")
async def set_up(body: SetUp, request: Request, response: Response, door: DoorkeeperDep) -> Tokens:
    """Make the first user, an admin, with the token of the link that `tradepulse up` printed."""
    address = address_of(request)
    _check_throttle(door, "", address)
    user = await door.accounts.set_up(body.token.get_secret_value(), body.name, _plain(body.password), address)
    if user is None:
        door.throttle.failed("", address)
        raise not_authenticated(
            "The set-up link is not good (any more).", "Start 'tradepulse up' again for a new one, or log in."
        )
    begun = await door.accounts.begin_session(user, _plain(body.password), address, _agent(request))
    return _tokens(request, response, door, begun, cookie=body.cookie)


@open_router.post("/login")
async def login(
    body: Credentials, request: Request, response: Response, services: ServicesDep, door: DoorkeeperDep
) -> Tokens:
    """Wrong name and wrong password are answered alike, and equally late."""
    user = await services.accounts.user_named(body.name.strip())
    await _check_password(request, door, user, body.name, body.password)
    assert user is not None  # noqa: S101 - nobody has no password that fits
    begun = await door.accounts.begin_session(user, _plain(body.password), address_of(request), _agent(request))
    return _tokens(request, response, door, begun, cookie=body.cookie)


@open_router.post("/refresh")
async def refresh(
    request: Request, response: Response, door: DoorkeeperDep, body: Annotated[Refresh | None, Body()] = None
) -> Tokens:
    """Another access token and the next refresh token. One used twice ends the session: it may have been stolen."""
    address = address_of(request)
    _check_throttle(door, "", address)
    in_body = None if body is None or body.refresh_token is None else _plain(body.refresh_token)
    token = in_body or request.cookies.get(cookie_name(request))
    begun = None if token is None else await door.accounts.refresh(token, address)
    if begun is None:
        if token is not None:
            door.throttle.failed("", address)
        raise not_authenticated("There is no session to go on with.", "Log in.", Code.SESSION_ENDED)
    return _tokens(request, response, door, begun, cookie=in_body is None)


@router.post("/logout")
async def logout(request: Request, response: Response, who: Viewer, door: DoorkeeperDep) -> Done:
    """End this session, everywhere it is used."""
    _needs_session(who.session_id)
    await door.accounts.store.end_sessions(
        who.user.user_id, door.accounts.noted(who.actor, "logged out", who.user.name), who.session_id
    )
    response.delete_cookie(cookie_name(request), path=COOKIE_PATH)
    return Done()


@router.post("/logout-everywhere")
async def logout_everywhere(request: Request, response: Response, who: Viewer, door: DoorkeeperDep) -> Done:
    """End all sessions of this user, this one too."""
    _needs_session(who.session_id)
    note = door.accounts.noted(who.actor, "logged out everywhere", who.user.name)
    await door.accounts.store.end_sessions(who.user.user_id, note)
    response.delete_cookie(cookie_name(request), path=COOKIE_PATH)
    return Done()


@router.get("/me")
async def me(who: Viewer, door: DoorkeeperDep) -> Me:
    return Me(
        user=UserLine.of(who.user),
        session_id=who.session_id,
        scopes=None if who.scopes is None else sorted(who.scopes),
        confirmed_until=None if who.confirmed_at is None else who.confirmed_at + door.confirmed_ms,
    )


@router.post("/confirm")
async def confirm(body: PasswordOnly, request: Request, who: Viewer, services: ServicesDep, door: DoorkeeperDep) -> Me:
    """Give the password again, before what asks for it: live mode, limits, keys, users, lifting the kill switch."""
    session_id = _needs_session(who.session_id)
    await _check_password(request, door, who.user, who.user.name, body.password)
    now = services.clock.now()
    await services.accounts.confirm(session_id, now)
    return Me(user=UserLine.of(who.user), session_id=session_id, scopes=None, confirmed_until=now + door.confirmed_ms)


@router.put("/password")
async def change_password(body: NewPassword, request: Request, who: Viewer, door: DoorkeeperDep) -> Done:
    """Also ends all other sessions of this user."""
    session_id = _needs_session(who.session_id)
    await _check_password(request, door, who.user, who.user.name, body.current)
    await door.accounts.change_own_password(who.user, session_id, _plain(body.new), who.actor)
    return Done()


@router.get("/sessions")
async def sessions(who: Viewer, services: ServicesDep) -> list[SessionLine]:
    """One's own, newest first."""
    found = await services.accounts.sessions(who.user.user_id, services.clock.now())
    return [_session_line(one, who.session_id) for one in found]


@router.delete("/sessions/{session_id}")
async def end_session(session_id: str, who: Viewer, services: ServicesDep, door: DoorkeeperDep) -> Done:
    _needs_session(who.session_id)
    note = door.accounts.noted(who.actor, "session ended", session_id)
    if not await services.accounts.end_sessions(who.user.user_id, note, session_id):
        raise NotFoundError(f"You have no session '{session_id}'.", "GET /api/auth/sessions lists yours.")
    return Done()


@router.get("/keys")
async def keys(who: Viewer, services: ServicesDep) -> list[KeyLine]:
    """One's own keys for scripts; never their secrets."""
    return [_key_line(key) for key in await services.accounts.keys(who.user.user_id)]


@router.post("/keys")
async def make_key(body: NewKey, who: ConfirmedViewer, door: DoorkeeperDep) -> KeyMade:
    """Needs the password given lately. A key never may more than its user. Its answer is not kept for a second one."""
    key, secret = await door.accounts.add_key(who.user, body.name, frozenset(body.scopes), body.days, who.actor)
    return KeyMade(**_key_line(key).model_dump(), key=joined_key(key.key_id, secret))


@router.delete("/keys/{key_id}")
async def remove_key(key_id: str, who: Viewer, services: ServicesDep, door: DoorkeeperDep) -> Done:
    _needs_session(who.session_id)
    note = door.accounts.noted(who.actor, "key removed", who.user.name, key=key_id)
    if not await services.accounts.remove_key(who.user.user_id, key_id, note):
        raise NotFoundError(f"You have no key '{key_id}'.", "GET /api/auth/keys lists yours.")
    return Done()


@router.post("/live-ticket")
async def live_ticket(who: Viewer, door: DoorkeeperDep) -> Ticket:
    """Good once, for 30 seconds: the first message to `/api/live` carries it."""
    grant = {"user_id": who.user.user_id, "session_id": who.session_id, "key_id": who.key_id, "address": who.address}
    ticket, expires_at = await door.accounts.ticket(grant)
    return Ticket(ticket=ticket, expires_at=expires_at)


def cookie_name(request: Request) -> str:
    """With the port: a browser does not keep apart what two programs on one machine set."""
    return f"tradepulse_session_{request.url.port or request.url.scheme}"


async def _check_password(request: Request, door: Doorkeeper, user: User | None, name: str, password: Secret) -> None:
    account, address = name.strip().lower(), address_of(request)
    _check_throttle(door, account, address)
    if await door.accounts.password_fits(_plain(password), user):
        door.throttle.succeeded(account, address)
        return
    door.throttle.failed(account, address)
    # For a name that nobody has too, so that it takes as long; it is not written down: it may be a password.
    note = door.accounts.noted(Actor("unknown", address), "password refused", "" if user is None else user.name)
    await door.accounts.store.note(note)
    raise not_authenticated("The name or the password is wrong.", "Try again; an admin can set a new password.")


def _check_throttle(door: Doorkeeper, account: str, address: str) -> None:
    seconds = door.throttle.seconds_left(account, address)
    if seconds:
        raise ApiError(
            Code.TOO_MANY_ATTEMPTS,
            f"Too many wrong attempts: wait {seconds} s.",
            "Then try again; the wait doubles with every wrong attempt.",
            {"Retry-After": str(seconds)},
        )


def _needs_session(session_id: str | None) -> str:
    if session_id is None:
        raise ApiError(Code.FORBIDDEN, "A key for scripts has no session and no password.", "Log in as a person.")
    return session_id


def _tokens(request: Request, response: Response, door: Doorkeeper, begun: Begun, *, cookie: bool) -> Tokens:
    if cookie:
        response.set_cookie(
            cookie_name(request),
            begun.refresh_token,
            max_age=(begun.session.expires_at - begun.session.created_at) // 1000,
            path=COOKIE_PATH,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
    access = door.tokens.issue(begun.user, begun.session)
    return Tokens(
        access_token=access.text,
        expires_at=access.expires_at,
        expires_in=door.tokens.seconds,
        user=UserLine.of(begun.user),
        refresh_token=None if cookie else begun.refresh_token,
    )


def _plain(secret: Secret) -> str:
    return secret.get_secret_value()


def _agent(request: Request) -> str:
    return request.headers.get("user-agent", "")


def _session_line(session: Session, current: str | None) -> SessionLine:
    return SessionLine(
        session_id=session.session_id,
        address=session.address,
        agent=session.agent,
        created_at=session.created_at,
        expires_at=session.expires_at,
        current=session.session_id == current,
    )


def _key_line(key: ApiKey) -> KeyLine:
    return KeyLine(
        key_id=key.key_id,
        name=key.name,
        scopes=sorted(key.scopes),
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
    )
