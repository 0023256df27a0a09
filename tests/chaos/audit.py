"""Does the trader's book equal the exchange's ledger? What is compared is what either of them has written down.

Nothing may be on its way when both are to be equal; ``differences`` says in words what is not.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import psycopg
from tests.local_exchanges.running import RunningExchange

from tradepulse.domain.client_ids import GENERATION_LENGTH, TRADE_LENGTH

ZERO = Decimal(0)
PRINTED = {"kraken": Decimal("0.00001")}
"""Where fees are printed with fewer digits than they are booked with: what one fill may differ by."""
STEP = TRADE_LENGTH + 1


@dataclass
class Flow:
    """What was bought or sold for one trade."""

    count: int = 0
    quantity: Decimal = ZERO
    cost: Decimal = ZERO

    def add(self, quantity: Decimal, price: Decimal) -> None:
        self.count += 1
        self.quantity += quantity
        self.cost += quantity * price


Flows = dict[tuple[str, str], Flow]


def _flows() -> Flows:
    return defaultdict(Flow)


@dataclass
class Theirs:
    """The exchange's ledger, read bit by bit."""

    exchange: RunningExchange
    flows: Flows = field(default_factory=_flows)
    executions: int = 0
    balances: dict[str, Decimal] = field(default_factory=dict)
    resting: list[dict[str, Any]] = field(default_factory=list)

    def read(self) -> None:
        told = self.exchange.statement(since=self.executions)
        for fill in told["fills"]:
            side = str(fill["side"])
            self.flows[fill["client_id"][:TRADE_LENGTH], side].add(Decimal(fill["quantity"]), Decimal(fill["price"]))
        self.executions = told["executions"]
        self.balances = {asset: Decimal(each["total"]) for asset, each in told["balances"].items()}
        self.resting = told["open"]


@dataclass
class Ours:
    """The trader's book as PostgreSQL has it."""

    database: psycopg.Connection[Any]
    book: str
    flows: Flows = field(default_factory=_flows)
    row: int = 0
    snapshot: dict[str, Any] = field(default_factory=dict)
    written_off: Decimal = ZERO
    alarms: dict[str, int] = field(default_factory=dict)
    trades: int = 0
    lots: dict[str, Decimal] = field(default_factory=dict)
    """Smallest quantity, by symbol."""

    def read(self) -> None:
        with self.database.transaction():
            self.database.execute("set transaction isolation level repeatable read")
            self._read()

    def _read(self) -> None:
        ask = self.database.execute
        found = ask("select snapshot::text from snapshots where book = %s", (self.book,)).fetchone()
        self.snapshot = {} if found is None else json.loads(found[0] or "{}")
        fresh = ask(
            'select client_id, side, quantity, price, "row" from fills where book = %s and "row" > %s order by "row"',
            (self.book, self.row),
        )
        for client_id, side, quantity, price, row in fresh:
            self.flows[client_id[:TRADE_LENGTH], "buy" if side > 0 else "sell"].add(quantity, price)
            self.row = row
        self.alarms = dict(
            ask(
                "select payload->>'alarm', count(*) from event_log where book = %s and type = 'ExecutionAlarm' "
                "group by 1",
                (self.book,),
            ).fetchall()
        )
        self.lots = dict(ask("select symbol, lot_size from markets").fetchall())
        counted = ask("select count(*) from trades where book = %s", (self.book,)).fetchone()
        self.trades = 0 if counted is None else counted[0]

    @property
    def cash(self) -> Decimal:
        return Decimal(self.snapshot.get("cash", 0))

    @property
    def entries(self) -> dict[str, Any]:
        found: dict[str, Any] = self.snapshot["execution"]["entries"]
        return found

    @property
    def guards(self) -> list[dict[str, Any]]:
        return [trade["guard"] for trade in self.snapshot["execution"]["trades"].values()]

    def held(self, symbol: str) -> Decimal:
        positions = self.snapshot["positions"].values()
        return self.lots[symbol] * sum(int(each["lots"]) for each in positions if each["series"]["symbol"] == symbol)


def unsettled(ours: Ours) -> list[str]:
    """What is still on its way by the book itself."""
    if not ours.snapshot:
        return ["there is no book yet"]
    found = [f"entry {name} is on its way" for name in ours.entries]
    for guard in ours.guards:
        legs = guard["legs"].values()
        found += [f"{leg['client_id']} is {leg['state']}" for leg in legs if leg["state"] in ("sent", "gone")]
        found += [f"{leg['client_id']} is being withdrawn" for leg in legs if leg["withdrawing"] and _live(leg)]
    return found


def differences(theirs: Theirs, ours: Ours) -> list[str]:
    found = [*_of_flows(theirs, ours), *_of_money(theirs, ours), *_of_orders(theirs, ours)]
    for symbol in ours.lots:
        found += _of_coins(theirs, ours, symbol)
        found += _of_cover(theirs, ours, symbol)
    return found


def _of_flows(theirs: Theirs, ours: Ours) -> Iterator[str]:
    for key in sorted(set(theirs.flows) | set(ours.flows)):
        if theirs.flows.get(key) != ours.flows.get(key):
            yield f"{' '.join(key)}: the exchange has {theirs.flows.get(key)}, the book {ours.flows.get(key)}"


def _of_money(theirs: Theirs, ours: Ours) -> Iterator[str]:
    quote = next(iter(ours.lots)).split("/")[1]
    there = theirs.balances.get(quote, ZERO)
    tolerance = theirs.executions * PRINTED.get(theirs.exchange.reach.exchange_id, ZERO)
    if abs(there - ours.cash) > tolerance:
        yield f"cash: the exchange has {there}, the book {ours.cash}"


def _of_coins(theirs: Theirs, ours: Ours, symbol: str) -> Iterator[str]:
    kept = kept_of(theirs, ours, symbol)
    allowed = ours.lots[symbol] * (1 + ours.trades + len(ours.guards)) + written_off(ours, symbol)
    if not 0 <= kept <= allowed:
        yield f"{symbol}: {kept} more is there than the book says; fees and dust explain {allowed}"


def kept_of(theirs: Theirs, ours: Ours, symbol: str) -> Decimal:
    """Coins that no order can sell: less than a lot of each trade, and what was too little for any order."""
    return theirs.balances.get(symbol.split("/", maxsplit=1)[0], ZERO) - ours.held(symbol)


def written_off(ours: Ours, symbol: str) -> Decimal:
    found = ours.database.execute(
        "select coalesce(sum(-quantity), 0) from ledger where book = %s and symbol = %s and reference = 'dust'",
        (ours.book, symbol),
    ).fetchone()
    return ZERO if found is None else Decimal(found[0])


def _of_orders(theirs: Theirs, ours: Ours) -> Iterator[str]:
    """Pairs have names of their own on some exchanges: orders are known by trade and generation."""
    there = {_name(_id_of(order)) for order in theirs.resting}
    here = {_name(leg["client_id"]) for guard in ours.guards for leg in guard["legs"].values() if _live(leg)}
    yield from (f"order {name} rests on the exchange and not in the book" for name in sorted(there - here))
    yield from (f"order {name} rests in the book and not on the exchange" for name in sorted(here - there))


def _of_cover(theirs: Theirs, ours: Ours, symbol: str) -> Iterator[str]:
    stops = [o for o in theirs.resting if o["symbol"] == symbol and o["stop"] is not None]
    stopped, held = sum((Decimal(o["remaining"]) for o in stops), ZERO), ours.held(symbol)
    if stopped != held:
        yield f"{symbol}: {held} is held and stops rest for {stopped}"


def doubled(orders: Iterable[dict[str, Any]], intended: dict[str, Decimal]) -> list[str]:
    """Over a whole campaign: client ids that name two orders, orders that nobody intended, entries that bought more
    than was intended.
    """
    seen: dict[str, int] = defaultdict(int)
    bought: dict[str, Decimal] = defaultdict(Decimal)
    for order in orders:
        if order["client_id"]:
            seen[order["client_id"]] += 1
        if order["side"] == "buy":
            bought[order["client_id"]] += Decimal(order["filled"])
    names = {_name(client_id) for client_id in intended}
    found = [f"{count} orders are called {name}" for name, count in seen.items() if count > 1]
    found += [f"nobody intended {name}" for name in seen if _name(name) not in names]
    return found + [
        f"{name} bought {amount} of {intended.get(name, ZERO)}"
        for name, amount in bought.items()
        if amount > intended.get(name, ZERO)
    ]


def _live(leg: dict[str, Any]) -> bool:
    return bool(leg["state"] == "live")


def _id_of(order: dict[str, Any]) -> str:
    return str(order["client_id"] or order["parent_client_id"])


def _name(client_id: str) -> str:
    return f"{client_id[:TRADE_LENGTH]} {client_id[STEP : STEP + GENERATION_LENGTH]}"
