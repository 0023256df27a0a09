"""What the API needs to answer, handed in by whoever builds it. Nothing here opens a connection."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from hmac import compare_digest
from typing import Annotated, Protocol

from fastapi import Depends, Query, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from tradepulse.api.accounts import Accounts, Actor
from tradepulse.api.errors import ApiError, Code, NotFoundError
from tradepulse.api.throttle import LoginThrottle
from tradepulse.api.tokens import AccessTokens, InvalidTokenError, split_key
from tradepulse.bootstrap.jobs import BackgroundJobs
from tradepulse.bootstrap.schedules import Schedules
from tradepulse.domain.market import Timeframe
from tradepulse.domain.policy import Policy
from tradepulse.domain.trading_state import STARTING, TradingState
from tradepulse.domain.users import SCOPE_OF_ROLE, Role, Scope, User
from tradepulse.policy.parameter_ranges import ParameterRanges
from tradepulse.policy.trained_assets import TrainedAssetsManager
from tradepulse.ports import (
    AccountStore,
    AnswerStore,
    BookReader,
    CandleStore,
    Clock,
    CommandInbox,
    DatabaseFacts,
    EmbeddingStore,
    JsonObject,
    PolicyStore,
    ResultStore,
)
from tradepulse.shared.errors import ConfigurationError, RefusedError
from tradepulse.shared.passwords import token_hash
from tradepulse.shared.secrets import Credentials
from tradepulse.shared.settings import Settings
from tradepulse.strategies.base_strategy import Strategy

USED_AGAIN_MS = 60_000
"""How exactly it is known when a key was last used: not every request is a write."""


async def _nobody(_book: str) -> bool:
    return False


class Installation(Protocol):
    """What the hall knows beyond the stores: wallets, keys, exchanges, settings. See ``bootstrap.Installation``."""

    async def wallets(self) -> list[JsonObject]: ...

    async def connections(self) -> list[JsonObject]: ...

    async def add_key(self, wallet: str, credentials: Credentials, *, consent_by: str | None) -> JsonObject: ...

    async def remove_key(self, wallet: str) -> bool: ...

    async def check_key(self, wallet: str) -> JsonObject: ...

    def exchanges(self) -> list[JsonObject]: ...

    def configuration(self) -> list[JsonObject]: ...


async def _no_report(_book: str | None) -> JsonObject:
    return {}


async def _no_way_back(_book: str, _version: int, _by: str) -> Policy:
    raise RefusedError("Nothing here issues policies.", "Start the API with: tradepulse up")


async def _no_facts() -> DatabaseFacts:
    return DatabaseFacts(schema_problem="", clock_offset_ms=0)


@dataclass(frozen=True, slots=True)
class Services:
    """The ports the API reads and writes through; ``database`` says in words where the data live."""

    books: BookReader
    candles: CandleStore
    results: ResultStore
    clock: Clock
    database: str
    accounts: AccountStore
    answers: AnswerStore
    inbox: CommandInbox
    jobs: BackgroundJobs
    schedules: Schedules
    trained: TrainedAssetsManager
    embeddings: EmbeddingStore
    signing_key: bytes
    """Of access tokens; 32 bytes at least."""
    installation: Installation
    policies: PolicyStore
    ranges: ParameterRanges
    strategies: tuple[Strategy, ...] = ()
    trading: Callable[[], TradingState] = lambda: STARTING
    """What the trader of this process is doing."""
    is_traded: Callable[[str], Awaitable[bool]] = _nobody
    """Whether any process trades the book now."""
    risk_report: Callable[[str | None], Awaitable[JsonObject]] = _no_report
    """State, holds, locks and what is not ready of a book."""
    roll_back: Callable[[str, int, str], Awaitable[Policy]] = _no_way_back
    """The bounds of an earlier policy once more: book, version, and who says so."""
    database_facts: Callable[[], Awaitable[DatabaseFacts]] = _no_facts


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """What says who is there; made once by ``create_app``."""

    accounts: Accounts
    tokens: AccessTokens
    throttle: LoginThrottle
    confirmed_ms: int
    """How long a password that was given confirms what its user does."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a user in a session, or a script with a key of theirs."""

    user: User
    address: str
    session_id: str | None = None
    confirmed_at: int | None = None
    key_id: str | None = None
    scopes: frozenset[Scope] | None = None
    """``None``: no key, so all that the role may."""

    @property
    def actor(self) -> Actor:
        return Actor(self.user.name if self.key_id is None else f"{self.user.name} (key {self.key_id})", self.address)

    def may(self, role: Role, scope: Scope | None = None) -> bool:
        if not self.user.role.covers(role):
            return False
        if self.scopes is None:
            return True
        granted = [held for held, of in SCOPE_OF_ROLE.items() if of in self.scopes and held.covers(role)]
        return bool(granted) or (scope is not None and scope in self.scopes)


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def settings_of(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


def doorkeeper_of(request: Request) -> Doorkeeper:
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    return doorkeeper


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""


ServicesDep = Annotated[Services, Depends(services_of)]
DoorkeeperDep = Annotated[Doorkeeper, Depends(doorkeeper_of)]
SettingsDep = Annotated[Settings, Depends(settings_of)]


async def authenticate(request: Request) -> Principal:
    """Who sends this request; asked once per request. 401 where nobody can be made out."""
    known: Principal | None = getattr(request.state, "principal", None)
    if known is None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise not_authenticated(
                "This needs a login.", "Send 'Authorization: Bearer ...', see POST /api/auth/login."
            )
        known = await (_script if split_key(token) else _person)(request, token)
        request.state.principal = known
    return known


async def _person(request: Request, token: str) -> Principal:
    services, doorkeeper = services_of(request), doorkeeper_of(request)
    try:
        session_id = doorkeeper.tokens.session_of(token)
    except InvalidTokenError:
        raise not_authenticated("The access token is not good.", "POST /api/auth/refresh for another.") from None
    found = await services.accounts.active(session_id, services.clock.now())
    if found is None:
        raise not_authenticated("The session has ended.", "Log in again.", Code.SESSION_ENDED)
    user, session = found
    return Principal(user, address_of(request), session.session_id, session.confirmed_at)


async def _script(request: Request, token: str) -> Principal:
    services = services_of(request)
    key_id, secret = split_key(token) or ("", "")
    found = await services.accounts.key_owner(key_id, services.clock.now())
    if found is None or not compare_digest(found[1].secret_hash, token_hash(secret)):
        raise not_authenticated("This key is not known, has expired, or was removed.", "Make another one.")
    now, last = services.clock.now(), found[1].last_used_at
    if last is None or now - last > USED_AGAIN_MS:
        await services.accounts.key_used(key_id, now)
    return Principal(found[0], address_of(request), key_id=key_id, scopes=found[1].scopes)


def not_authenticated(problem: str, remedy: str, code: Code = Code.NOT_AUTHENTICATED) -> ApiError:
    return ApiError(code, problem, remedy, {"WWW-Authenticate": "Bearer"})


_bearer = HTTPBearer(auto_error=False, description="An access token from POST /api/auth/login, or a key for scripts.")


@cache
def require(role: Role, *, scope: Scope | None = None, confirmed: bool = False) -> Callable[..., Awaitable[Principal]]:
    """The dependency of every route that is not open to all: answers who asks, or 401 or 403.

    ``scope``: one that is enough besides the role's own. ``confirmed``: the password was given in the last minutes.
    """

    async def allowed(
        request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
    ) -> Principal:
        principal = await authenticate(request)
        if not principal.may(role, scope):
            raise ApiError(
                Code.FORBIDDEN,
                f"This needs the role {role}{'' if principal.scopes is None else ' and a key with its scope'}; "
                f"{principal.user.name} has the role {principal.user.role}.",
                "Ask an admin for the role, or make a key with the scope.",
            )
        if confirmed:
            _check_confirmation(request, principal)
        return principal

    return allowed


def _check_confirmation(request: Request, principal: Principal) -> None:
    latest = services_of(request).clock.now() - doorkeeper_of(request).confirmed_ms
    if principal.confirmed_at is None or principal.confirmed_at < latest:
        raise ApiError(
            Code.CONFIRMATION_NEEDED,
            "This needs your password again." if principal.key_id is None else "A key for scripts may not do this.",
            "POST /api/auth/confirm with the password, then send this again.",
        )


Viewer = Annotated[Principal, Depends(require(Role.VIEWER))]
Trader = Annotated[Principal, Depends(require(Role.TRADER))]
Admin = Annotated[Principal, Depends(require(Role.ADMIN))]
ConfirmedViewer = Annotated[Principal, Depends(require(Role.VIEWER, confirmed=True))]
ConfirmedTrader = Annotated[Principal, Depends(require(Role.TRADER, confirmed=True))]
ConfirmedAdmin = Annotated[Principal, Depends(require(Role.ADMIN, confirmed=True))]


def parse_symbol(text: str) -> str:
    """The ccxt unified symbol behind ``BTC/USDT``, ``BTC-USDT`` or ``BTC%2FUSDT`` (``:USDT`` of a swap is kept)."""
    symbol = text.replace("%2F", "/").replace("%2f", "/").replace("%3A", ":").replace("%3a", ":").strip().upper()
    if "/" not in symbol:
        symbol = symbol.replace("-", "/", 1)
    base, slash, quote = symbol.partition("/")
    if not (slash and base and quote):
        raise ConfigurationError(f"'{text}' is not a symbol.", "Write it as BTC/USDT, BTC-USDT or BTC%2FUSDT.")
    return symbol


def _symbol(symbol: Annotated[str, Query(description="BTC/USDT, BTC-USDT or BTC%2FUSDT")]) -> str:
    return parse_symbol(symbol)


def _optional_symbol(
    symbol: Annotated[str | None, Query(description="BTC/USDT, BTC-USDT or BTC%2FUSDT")] = None,
) -> str | None:
    return None if symbol is None else parse_symbol(symbol)


def _timeframe(timeframe: Annotated[str, Query(description="1m, 5m, 15m, 1h, 4h, 1d or 1w")]) -> Timeframe:
    return Timeframe.parse(timeframe)


SymbolDep = Annotated[str, Depends(_symbol)]
OptionalSymbolDep = Annotated[str | None, Depends(_optional_symbol)]
TimeframeDep = Annotated[Timeframe, Depends(_timeframe)]
LimitDep = Annotated[int, Query(ge=1, le=1000, description="rows of one page")]
CursorDep = Annotated[int | None, Query(ge=0, description="`next_cursor` of the page before")]


async def find_book(services: Services, name: str | None) -> JsonObject | None:
    """The book of that name, or the first one when none is named; ``None`` while no book has begun."""
    books = await services.books.books()
    if name is None:
        return books[0] if books else None
    for book in books:
        if book["book"] == name:
            return book
    known = ", ".join(str(book["book"]) for book in books) or "none yet"
    raise NotFoundError(f"There is no book '{name}'.", f"Books that exist: {known}.")


async def _book_name(
    services: ServicesDep, book: Annotated[str | None, Query(description="default: the first book")] = None
) -> str | None:
    found = await find_book(services, book)
    return None if found is None else str(found["book"])


BookDep = Annotated[str | None, Depends(_book_name)]
"""Name of the book asked for; ``None`` while no book has begun, which is an empty answer and not an error."""
