"""Our book against the exchange's: what is found to differ, what is done about it, and whether entries may go on.

Pure. The same two views give the same findings with the same ids, so that a second look, or a second start, tells
nothing twice. What became of orders that the book knows is not asked here: the engine asks that order by order.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from tradepulse.domain.client_ids import TRADE_LENGTH
from tradepulse.domain.commands import CancelOrder, Command, QueryOrder
from tradepulse.domain.orders import AccountView, RestingOrder

NOTHING = Decimal(0)


class Difference(StrEnum):
    FOREIGN_ORDER = "an order that is not ours"
    ORPHAN = "an order of ours whose trade is not in the book"
    UNEXPECTED = "an order of ours that the book believes to have ended"
    MISSING_COINS = "less is held than the book says"
    EXTRA_COINS = "more is held than the book says"
    MISSING_CASH = "less money is there than the book says"


class Action(StrEnum):
    IGNORE = "ignore"
    ALARM = "alarm"
    """Tell, and go on."""
    HOLD = "hold"
    """Tell, and no entries while it lasts."""
    ADOPT = "adopt"
    """Ask about it, so that the engine hears of it."""
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class ReconciliationPolicy:
    """What is done about each difference. Coins that are too few are never sold, whatever the policy says.

    An orphan can still sell what a later trade buys: it is cancelled. ``dust`` is the value of a difference that no
    order could trade, per asset.
    """

    actions: Mapping[Difference, Action] = field(
        default_factory=lambda: {
            Difference.FOREIGN_ORDER: Action.ALARM,
            Difference.ORPHAN: Action.CANCEL,
            Difference.UNEXPECTED: Action.ADOPT,
            Difference.MISSING_COINS: Action.HOLD,
            Difference.EXTRA_COINS: Action.IGNORE,
            Difference.MISSING_CASH: Action.HOLD,
        }
    )
    dust: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BookView:
    """What the book says. ``open_ids``: of orders that may still rest; ``trades``: names of those not closed."""

    cash: Mapping[str, Decimal]
    coins: Mapping[str, Decimal]
    open_ids: frozenset[str]
    trades: frozenset[str]


@dataclass(frozen=True, slots=True)
class Finding:
    """``finding_id`` follows from what was found, so that it is known again."""

    finding_id: str
    difference: Difference
    action: Action
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """``commands`` carry out what is to be cancelled or asked; ``obstacle`` says why no entries, '' where they may."""

    findings: tuple[Finding, ...]
    commands: tuple[Command, ...]

    @property
    def obstacle(self) -> str:
        held = [finding for finding in self.findings if finding.action is Action.HOLD]
        return "; ".join(f"{finding.subject}: {finding.detail}" for finding in held)


def reconcile(book: BookView, account: AccountView, policy: ReconciliationPolicy | None = None) -> Reconciliation:
    """Compare a book with its account. Both must be of the same moment, with nothing on its way in between."""
    rules = ReconciliationPolicy() if policy is None else policy
    found = [*_orders(book, account), *_holdings(book, account, rules.dust)]
    findings, commands = [], list[Command]()
    for difference, subject, detail, order in sorted(found, key=lambda each: each[:3]):
        action = rules.actions[difference]
        if action is Action.IGNORE:
            continue
        findings.append(
            Finding(_id(account.exchange, difference, subject, detail), difference, action, subject, detail)
        )
        if order is not None and order.client_id is not None and action in (Action.CANCEL, Action.ADOPT):
            ask = CancelOrder if action is Action.CANCEL else QueryOrder
            commands.append(ask(order.client_id, order.market))
    return Reconciliation(tuple(findings), tuple(commands))


Found = tuple[Difference, str, str, RestingOrder | None]


def _orders(book: BookView, account: AccountView) -> list[Found]:
    found: list[Found] = []
    for order in account.resting:
        if order.client_id in book.open_ids:
            continue
        side = "buys" if order.buys else "sells"
        detail = f"{side} {order.quantity.normalize():f} on {order.market}"
        if order.client_id is None:
            found.append((Difference.FOREIGN_ORDER, order.exchange_id, detail, order))
        elif order.client_id[:TRADE_LENGTH] in book.trades:
            found.append((Difference.UNEXPECTED, order.client_id, detail, order))
        else:
            found.append((Difference.ORPHAN, order.client_id, detail, order))
    return found


def _holdings(book: BookView, account: AccountView, dust: Mapping[str, Decimal]) -> list[Found]:
    found: list[Found] = []
    for kind, expected in ((Difference.MISSING_COINS, book.coins), (Difference.MISSING_CASH, book.cash)):
        for asset, amount in expected.items():
            held = account.totals.get(asset, NOTHING)
            difference = held - amount
            if abs(difference) <= dust.get(asset, NOTHING):
                continue
            detail = f"{held.normalize():f} is held where the book says {amount.normalize():f}"
            if difference < 0:
                found.append((kind, asset, detail, None))
            elif kind is Difference.MISSING_COINS:
                found.append((Difference.EXTRA_COINS, asset, detail, None))
    return found


def _id(*parts: str) -> str:
    return "r" + hashlib.sha256("|".join(parts).encode()).hexdigest()[:20]
