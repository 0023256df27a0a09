"""What the API needs to answer, handed in by whoever builds it. Nothing here opens a connection."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request

from tradepulse.domain.market import Timeframe
from tradepulse.domain.trading_state import STARTING, TradingState
from tradepulse.ports import BookReader, CandleStore, Clock, JsonObject, ResultStore
from tradepulse.shared.errors import ConfigurationError
from tradepulse.shared.settings import Settings
from tradepulse.strategies.base_strategy import Strategy


@dataclass(frozen=True, slots=True)
class Services:
    """The ports the API reads through; ``database`` says in words where the data live."""

    books: BookReader
    candles: CandleStore
    results: ResultStore
    clock: Clock
    database: str
    strategies: tuple[Strategy, ...] = ()
    trading: Callable[[], TradingState] = lambda: STARTING
    """What the trader of this process is doing."""


class NotFoundError(LookupError):
    """The address is well formed, but nothing is there. ``remedy`` says what to do next."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.problem = problem
        self.remedy = remedy


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def settings_of(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


ServicesDep = Annotated[Services, Depends(services_of)]
SettingsDep = Annotated[Settings, Depends(settings_of)]


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
