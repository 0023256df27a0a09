"""``config/wallets.json`` at the wall: read strictly, refused as a whole, with all that is wrong said at once."""

import json
import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tradepulse.bootstrap.application import account_limits
from tradepulse.domain.market import TRADED_TIMEFRAMES, MarketKind, SeriesKey, Timeframe
from tradepulse.domain.risk import WalletLimits
from tradepulse.domain.wallets import PPM, Assignment, Wallet, WalletMode, Wallets
from tradepulse.exchanges.venues import VENUES
from tradepulse.shared.errors import ConfigurationError
from tradepulse.shared.settings import Exposure, RiskSettings, Settings, Share, nearest
from tradepulse.strategies import STRATEGIES

SIMULATED = "simulated"
LARGEST_FILE = 1_000_000
_SECRET = re.compile(r"key|secret|pass(word|phrase|wd)|private|token|credential|signature", re.IGNORECASE)
_SYMBOL = re.compile(r"[A-Z0-9]+/(?P<quote>[A-Z0-9]+)(:(?P<settle>[A-Z0-9]+))?")

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Texts = Annotated[tuple[str, ...], Field(min_length=1, max_length=1000)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Trades(_Part):
    strategies: Texts
    symbols: Texts
    timeframes: Annotated[tuple[Timeframe, ...], Field(min_length=1)]


class _Entry(_Part):
    name: Name
    exchange: str
    market: MarketKind = MarketKind.SPOT
    mode: WalletMode = WalletMode.PAPER
    base_currency: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,12}$")]
    book: Name
    trades: Annotated[tuple[_Trades, ...], Field(min_length=1, max_length=100)]
    limits: dict[str, Any] = Field(default_factory=dict)


class _Totals(_Part):
    max_exposure: Exposure = Decimal(0)
    daily_loss: Share = Decimal(0)


class _File(_Part):
    wallets: Annotated[tuple[_Entry, ...], Field(min_length=1, max_length=100)]
    totals: _Totals = _Totals()


@dataclass(frozen=True, slots=True)
class _Fault:
    """``shown`` is the value as it may be told; None where it may not."""

    wallet: str
    field: str
    shown: str | None
    rule: str
    remedy: str

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.wallet and f"wallet {self.wallet}", self.field) if part)
        return f"{where}{'' if self.shown is None else f'={self.shown}'}: {self.rule}"


def load_wallets(settings: Settings) -> Wallets:
    """All wallets, or ``ConfigurationError`` that names file, wallet, field, value, rule and remedy."""
    return parse_wallets(_text(settings.wallets_file), settings.wallets_file, settings.risk)


def parse_wallets(text: str, file: Path, risk: RiskSettings) -> Wallets:
    content = _json(text, file)
    _refuse(file, _plain_faults(content))
    try:
        read = _File.model_validate(content)
    except ValidationError as error:
        _refuse(file, (_explained(detail, content) for detail in error.errors(include_url=False)))
        raise
    limits = [_limits(entry, risk) for entry in read.wallets]
    _refuse(file, [*(fault for faults, _ in limits for fault in faults), *_contradictions(read)])
    wallets = tuple(
        _wallet(entry, allowed) for entry, (_, allowed) in zip(read.wallets, limits, strict=True) if allowed
    )
    return Wallets(wallets, WalletLimits(_ppm(read.totals.max_exposure), _ppm(read.totals.daily_loss)))


def _refuse(file: Path, faults: Iterable[_Fault]) -> None:
    found = list(faults)
    if found:
        problems = "; ".join(map(str, found))
        raise ConfigurationError(f"{file}: {problems}.", " ".join(dict.fromkeys(fault.remedy for fault in found)))


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise ConfigurationError(f"{file} is larger than {LARGEST_FILE:,} bytes.", "It holds wallets only.")
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigurationError(
            f"There is no {file}.", "Copy config/wallets.example.json there, or set wallets_file to where it is."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}.", "Correct its permissions or encoding.") from None


def _json(text: str, file: Path) -> object:
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_no_number, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{file} is not valid JSON: {error}.", "Correct that place.") from None


def _no_number(word: str) -> object:
    raise ValueError(f"{word} is no number")


def _without_doubles(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    if doubled := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"the field '{doubled[0]}' stands twice in one object")
    return dict(pairs)


def _plain_faults(content: object, path: tuple[str | int, ...] = ()) -> Iterator[_Fault]:
    """What no field may be: a secret, or true and false, which would be read as the limits 1 and 0."""
    if isinstance(content, bool):
        yield _Fault("", _dotted(path), str(content).lower(), "should be a number or a text", "Write the value itself.")
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for name, value in items:
        if isinstance(name, str) and _SECRET.search(name):
            yield _Fault("", _dotted((*path, name)), None, "keys and secrets never stand in this file", _OUT_WITH_IT)
        else:
            yield from _plain_faults(value, (*path, name))


_OUT_WITH_IT = (
    "Remove it, delete that key at the exchange because it lay open, and store a new one encrypted: "
    "tradepulse keys add --wallet NAME"
)


def _explained(detail: Any, content: Any) -> _Fault:
    wallet, path = _place(detail["loc"], content)
    if detail["type"] == "extra_forbidden":
        known = _fields_at(detail["loc"])
        near = nearest(str(path[-1]), known)
        remedy = f"Did you mean '{near}'?" if near else f"Fields there: {', '.join(known)}."
        return _Fault(wallet, _dotted(path), None, "there is no such field", remedy)
    shown = None if detail["type"] == "missing" else _shown(detail["input"])
    rule = re.sub(r"^(Input|String|Tuple|Value|Decimal input) should", "should", detail["msg"])
    return _Fault(wallet, _dotted(path), shown, rule[0].lower() + rule[1:], "See config/wallets.example.json.")


def _fields_at(loc: Sequence[str | int]) -> list[str]:
    parts: dict[int, type[BaseModel]] = {1: _File, 2: _Totals, 3: _Entry, 5: _Trades}
    return list(parts.get(len(loc), _File).model_fields)


def _place(loc: Sequence[str | int], content: Any) -> tuple[str, Sequence[str | int]]:
    """The wallet as its author knows it, and where in it."""
    if len(loc) >= 2 and loc[0] == "wallets" and isinstance(loc[1], int):
        entry = content["wallets"][loc[1]]
        name = entry.get("name") if isinstance(entry, dict) else None
        return (repr(name[:40]) if isinstance(name, str) else f"#{loc[1] + 1}"), loc[2:]
    return "", loc


def _dotted(path: Iterable[str | int]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _shown(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)[:60]


def _limits(entry: _Entry, risk: RiskSettings) -> tuple[list[_Fault], RiskSettings | None]:
    """The limits of the account with those of the wallet in their place, by the same rules."""
    try:
        return [], RiskSettings.model_validate({**risk.model_dump(), **entry.limits})
    except ValidationError as error:
        return [_limit_fault(entry, detail) for detail in error.errors(include_url=False)], None


def _limit_fault(entry: _Entry, detail: Any) -> _Fault:
    name = str(detail["loc"][0])
    known = list(RiskSettings.model_fields)
    if detail["type"] == "extra_forbidden":
        near = nearest(name, known)
        remedy = f"Did you mean '{near}'?" if near else f"Limits are: {', '.join(known)}."
        return _Fault(repr(entry.name), f"limits.{name}", None, "there is no such limit", remedy)
    rule = re.sub(r"^(Input|Value|Decimal input) should", "should", detail["msg"])
    return _Fault(repr(entry.name), f"limits.{name}", _shown(detail["input"]), rule, "See docs/guides/risk.md.")


def _contradictions(read: _File) -> Iterator[_Fault]:
    yield from _doubles(read.wallets, "name")
    yield from _doubles(read.wallets, "book")
    for entry in read.wallets:
        yield from _venue_faults(entry)
        yield from _trade_faults(entry)
    for mode in WalletMode:
        currencies = sorted({entry.base_currency for entry in read.wallets if entry.mode is mode})
        if len(currencies) > 1 and (read.totals.max_exposure or read.totals.daily_loss):
            yield _Fault(
                "",
                "totals",
                None,
                f"{mode} wallets count in {' and '.join(currencies)}, which cannot be added up",
                "Give them one base currency, or leave totals out.",
            )


def _doubles(entries: Sequence[_Entry], field: str) -> Iterator[_Fault]:
    seen: dict[str, str] = {}
    for number, entry in enumerate(entries, 1):
        value = getattr(entry, field)
        if value in seen:
            rule = f"wallet {seen[value]} has the same {field}"
            yield _Fault(
                f"#{number} {entry.name!r}", field, _shown(value), rule, f"Give each wallet a {field} of its own."
            )
        seen.setdefault(value, f"#{number} {entry.name!r}")


def _venue_faults(entry: _Entry) -> Iterator[_Fault]:
    wallet = repr(entry.name)
    exchanges = sorted({exchange for exchange, _ in VENUES})
    if entry.exchange == SIMULATED:
        if entry.mode is WalletMode.LIVE:
            rule = "the simulated exchange has no real money"
            yield _Fault(wallet, "exchange", _shown(entry.exchange), rule, "Set the mode to paper.")
    elif entry.exchange not in exchanges:
        near = nearest(entry.exchange, [*exchanges, SIMULATED])
        hint = f"Did you mean '{near}'? " if near else ""
        remedy = f"{hint}Known are: {', '.join([*exchanges, SIMULATED])}."
        yield _Fault(wallet, "exchange", _shown(entry.exchange), "there is no such exchange here", remedy)
    elif (entry.exchange, entry.market) not in VENUES:
        rule = f"nothing is known of {entry.market} on {entry.exchange}"
        yield _Fault(wallet, "market", _shown(entry.market), rule, "See docs/exchanges.md.")
    if entry.mode is WalletMode.LIVE and entry.market is MarketKind.SWAP:
        rule = "only spot can be traded live in this version"
        yield _Fault(wallet, "market", _shown(entry.market), rule, "Set the mode to paper, or the market to spot.")


def _trade_faults(entry: _Entry) -> Iterator[_Fault]:
    wallet = repr(entry.name)
    for number, trades in enumerate(entry.trades):
        at = f"trades[{number}]"
        for strategy in trades.strategies:
            if strategy not in STRATEGIES:
                near = nearest(strategy, STRATEGIES)
                remedy = f"Did you mean '{near}'?" if near else f"Strategies are: {', '.join(sorted(STRATEGIES))}."
                yield _Fault(wallet, f"{at}.strategies", _shown(strategy), "there is no such strategy", remedy)
        for timeframe in trades.timeframes:
            if timeframe not in TRADED_TIMEFRAMES:
                remedy = f"Trade one of: {', '.join(TRADED_TIMEFRAMES)}."
                yield _Fault(wallet, f"{at}.timeframes", _shown(timeframe), "is a context timeframe", remedy)
        for symbol in trades.symbols:
            if rule := _symbol_rule(entry, symbol):
                remedy = f"For example BTC/{entry.base_currency}."
                yield _Fault(wallet, f"{at}.symbols", _shown(symbol), rule, remedy)
    for one in _repeated(_assignments(entry)):
        rule = "is traded twice by this wallet"
        yield _Fault(wallet, "trades", f"{one.strategy} on {one.series}", rule, "Name each combination once.")


def _symbol_rule(entry: _Entry, symbol: str) -> str | None:
    found = _SYMBOL.fullmatch(symbol)
    if found is None:
        return "is not a symbol as ccxt writes it"
    if (found["settle"] is not None) is (entry.market is MarketKind.SPOT):
        return f"is not a symbol of a {entry.market} market"
    if (found["settle"] or found["quote"]) != entry.base_currency:
        return f"is not settled in the wallet's {entry.base_currency}"
    return None


def _repeated(all_of: Iterable[Assignment]) -> Iterator[Assignment]:
    seen: set[Hashable] = set()
    for one in all_of:
        if one in seen:
            yield one
        seen.add(one)


def _assignments(entry: _Entry) -> Iterator[Assignment]:
    for trades in entry.trades:
        for strategy, symbol, timeframe in product(trades.strategies, trades.symbols, trades.timeframes):
            yield Assignment(strategy, SeriesKey(entry.exchange, symbol, timeframe))


def _wallet(entry: _Entry, risk: RiskSettings) -> Wallet:
    return Wallet(
        name=entry.name,
        exchange=entry.exchange,
        kind=entry.market,
        mode=entry.mode,
        base_currency=entry.base_currency,
        book=entry.book,
        assignments=tuple(_assignments(entry)),
        limits=account_limits(risk),
    )


def _ppm(share: Decimal) -> int:
    return int(share * PPM)
