"""What each exchange can do, and the keys with which wallets reach them. A key goes in and never comes out."""

from fastapi import APIRouter, Depends
from pydantic import Field

from tradepulse.api.deps import BookDep, ConfirmedAdmin, DoorkeeperDep, ServicesDep, Trader, require
from tradepulse.api.errors import NotFoundError
from tradepulse.api.figures import all_trades, grouped
from tradepulse.api.models import Given, Secret, Time, TradeGroup, View
from tradepulse.api.routing import noun_router
from tradepulse.domain.users import Role
from tradepulse.shared.secrets import Credentials

router = noun_router("exchanges")
secret_router = APIRouter(prefix="/api/exchanges", tags=["exchanges"], dependencies=[Depends(require(Role.VIEWER))])
"""What is sent here holds a secret, so it is not kept under an idempotency key."""


class ExchangeLine(View):
    exchange: str
    market: str
    protection: str = Field(description="native pair, attached or emulated")
    protection_why: str
    stop_types: list[str]
    locks_once: bool = Field(description="a pair needs the coins for one of its legs only")
    stop_expires_after: int | None = Field(description="seconds; null: stops rest until cancelled")
    probe: str = Field(description="what must be tried on the account before a better way is used; empty: nothing")
    quirks: list[str]


class KeyLine(View):
    wallet: str
    exchange: str
    last_four: str = Field(description="of the key's id; more of it is never shown")
    state: str
    reason: str
    may_trade: bool | None = Field(description="null: the exchange does not say")
    may_read: bool | None
    may_withdraw: bool | None
    ip_restricted: bool | None
    expires_at: Time | None
    checked_at: Time
    consent_by: str | None


class ConnectionLine(View):
    wallet: str
    exchange: str
    mode: str | None = Field(description="null: the wallet is not in the wallets file any more")
    market: str | None
    key: KeyLine | None
    entries_refused: str | None = Field(description="why nothing is entered live with this key; null: it may")


class NewKey(Given):
    wallet: str = Field(min_length=1, max_length=40)
    api_key: Secret
    secret: Secret
    password: Secret | None = None
    accept_unverified: bool = Field(default=False, description="trade live although the exchange does not say all")


class StoredKey(KeyLine):
    warnings: list[str]


@router.get("/supported")
async def supported(services: ServicesDep) -> list[ExchangeLine]:
    """Every exchange and kind of market, with how a position is protected there and why."""
    return [ExchangeLine.model_validate(row) for row in services.installation.exchanges()]


@router.get("/connections")
async def connections(services: ServicesDep) -> list[ConnectionLine]:
    """The wallets with their keys: what each key may do, and whether it may trade live."""
    return [ConnectionLine.model_validate(row) for row in await services.installation.connections()]


@secret_router.post("/connections", status_code=201)
async def add_connection(body: NewKey, services: ServicesDep, door: DoorkeeperDep, who: ConfirmedAdmin) -> StoredKey:
    """Store the key of a wallet, encrypted, after asking its exchange what it may do.

    Needs the password given lately.
    """
    credentials = Credentials(api_key=body.api_key, secret=body.secret, password=body.password)
    consent = who.user.name if body.accept_unverified else None
    stored = await services.installation.add_key(body.wallet, credentials, consent_by=consent)
    facts = {name: stored[name] for name in ("exchange", "last_four", "state", "consent_by")}
    await services.accounts.note(door.accounts.noted(who.actor, "exchange key stored", body.wallet, **facts))
    return StoredKey.model_validate(stored)


@router.post("/connections/{wallet}/test")
async def check_connection(wallet: str, services: ServicesDep, _: Trader) -> KeyLine:
    """Ask the exchange now what the key may do. A right to withdraw found here stops the wallet's entries."""
    return KeyLine.model_validate(await services.installation.check_key(wallet))


@router.delete("/connections/{wallet}", status_code=204)
async def remove_connection(wallet: str, services: ServicesDep, door: DoorkeeperDep, who: ConfirmedAdmin) -> None:
    """Delete the stored key of a wallet here. Delete it at the exchange too. Needs the password given lately."""
    if not await services.installation.remove_key(wallet):
        raise NotFoundError(f"The wallet '{wallet}' has no stored key.", "GET /api/exchanges/connections lists them.")
    await services.accounts.note(door.accounts.noted(who.actor, "exchange key removed", wallet))


@router.get("/performance")
async def performance(services: ServicesDep, book: BookDep) -> list[TradeGroup]:
    """Closed trades of the book by exchange."""
    trades = [] if book is None else await all_trades(services.books, book)
    return grouped(trades, lambda trade: trade.exchange)
