"""What the pinned ccxt sends for every call of live trading, compared with recorded requests.

The clients are real and unmodified; a local server stands where the exchange would. After a deliberate change, or an
upgrade of ccxt whose differences somebody has read, record again with ``TRADEPULSE_RENEW_GOLDEN=1`` and commit the
difference.
"""

import importlib.metadata
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest
from tests.local_exchanges.catch_all import Wire, wire_to
from tests.local_exchanges.traded_markets import HOSTS, traded_market

from tradepulse.domain.client_ids import ClientId, IdRole
from tradepulse.domain.market import MarketKind
from tradepulse.exchanges.order_calls import order_calls
from tradepulse.exchanges.unified_calls import Call, Exit, OrderCalls, OrderForm, PairIds, SentOrder
from tradepulse.exchanges.venue_facts import MarketBuy
from tradepulse.exchanges.venues import CCXT_VERSION, VENUES
from tradepulse.shared.errors import RefusedError

GOLDEN = Path(__file__).parent / "golden"
RENEW = os.environ.get("TRADEPULSE_RENEW_GOLDEN") == "1"
ENTRY = ClientId("abcdefgh234567", IdRole.ENTRY, 1)
PAIR = PairIds(*(str(ENTRY.as_role(role)) for role in (IdRole.PAIR, IdRole.STOP, IdRole.TARGET)))
EXIT = str(ENTRY.as_role(IdRole.EXIT))
QUANTITY, COST = Decimal("0.010009"), Decimal("500.129")
STOP, STOP_LIMIT, TARGET = Decimal("45000.001"), Decimal("44000.009"), Decimal("60000.001")
ASKED_BY_THEIR_OWN_ID = ("coinbase", "gate", "bitfinex")
SENT_AT = 1_767_225_600_000


def sent(form: OrderForm, exchange_id: str = "") -> SentOrder:
    client_id = {OrderForm.PLAIN: str(ENTRY), OrderForm.STOP: PAIR.stop, OrderForm.PAIR: PAIR.pair}[form]
    return SentOrder(client_id, form, SENT_AT, exchange_id)


def every_act(calls: OrderCalls) -> Iterator[tuple[str, Any]]:
    """Name and builder of everything that may be asked of an exchange."""
    yield "market entry", lambda: calls.market_entry(str(ENTRY), QUANTITY, COST)
    if calls.venue.market_buy.value is MarketBuy.COST:
        yield "market entry without cost", lambda: calls.market_entry(str(ENTRY), QUANTITY)
    yield "limit entry", lambda: calls.limit_entry(str(ENTRY), QUANTITY, Decimal("50000.009"))
    yield "immediate entry", lambda: calls.immediate_entry(str(ENTRY), QUANTITY, Decimal("50000.009"))
    yield "protective pair", lambda: calls.protective_pair(PAIR, Exit(QUANTITY, STOP, TARGET, STOP_LIMIT))
    yield "resting stop at market", lambda: calls.resting_stop(PAIR.stop, QUANTITY, STOP)
    yield "resting stop with a limit", lambda: calls.resting_stop(PAIR.stop, QUANTITY, STOP, STOP_LIMIT)
    yield "target exit", lambda: calls.target_exit(PAIR.target, QUANTITY, TARGET)
    yield "market exit", lambda: calls.market_exit(EXIT, QUANTITY)
    yield "open orders", calls.open_orders
    for form in (OrderForm.PLAIN, OrderForm.STOP, OrderForm.PAIR):
        if form is OrderForm.PAIR and calls.venue.pair_stop.value is None:
            continue
        yield f"cancel {form}", lambda form=form: calls.cancel(sent(form))
        yield f"query {form}", lambda form=form: calls.query(sent(form))
        if calls.venue.exchange in ASKED_BY_THEIR_OWN_ID:
            yield f"cancel {form} by the exchange's id", lambda form=form: calls.cancel(sent(form, "42"))
            yield f"query {form} by the exchange's id", lambda form=form: calls.query(sent(form, "42"))
    yield (
        "cancel a list",
        lambda: calls.cancel_each([sent(form, "42") for form in (OrderForm.PLAIN, OrderForm.STOP)]),
    )


async def recorded(wire: Wire, build: Any) -> Any:
    """The requests of an act, or why it is refused before anything goes out."""
    try:
        built = build()
    except RefusedError as refusal:
        return {"refused": str(refusal)}
    calls: tuple[Call, ...] = (built,) if isinstance(built, Call) else built
    return [{"call": call.method, **(await wire.makes(call)).as_json()} for call in calls]


async def acts_on_wire(exchange_id: str) -> dict[str, Any]:
    calls = order_calls(traded_market(exchange_id))
    async with wire_to(exchange_id) as wire:
        return {name: await recorded(wire, build) for name, build in every_act(calls)}


def golden(exchange_id: str) -> Mapping[str, Any]:
    content: dict[str, Any] = json.loads((GOLDEN / f"{exchange_id}.json").read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("exchange_id", HOSTS)
async def test_every_call_when_sent_by_the_pinned_ccxt_then_requests_are_the_recorded_ones(exchange_id: str) -> None:
    acts = await acts_on_wire(exchange_id)
    if RENEW:
        text = json.dumps({"ccxt": ccxt.__version__, "acts": acts}, indent=1, sort_keys=True, ensure_ascii=False)
        (GOLDEN / f"{exchange_id}.json").write_text(text + "\n", encoding="utf-8")
    kept = golden(exchange_id)
    assert kept["ccxt"] == ccxt.__version__
    assert sorted(acts) == sorted(kept["acts"])
    for name, act in acts.items():
        assert act == kept["acts"][name], name


def test_ccxt_when_installed_then_it_is_the_version_that_the_table_describes() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))
    assert f"ccxt=={CCXT_VERSION}" in project["project"]["dependencies"]
    assert ccxt.__version__ == importlib.metadata.version("ccxt") == CCXT_VERSION


def test_golden_files_when_listed_then_one_per_spot_venue() -> None:
    spot = {exchange for exchange, kind in VENUES if kind is MarketKind.SPOT}
    assert {file.stem for file in GOLDEN.glob("*.json")} == spot == set(HOSTS)


def leaves(value: Any) -> Iterator[tuple[str, Any]]:
    """Every named value of a request, however deep."""
    items = value.items() if isinstance(value, dict) else [("", item) for item in value]
    for name, item in items:
        if isinstance(item, dict | list):
            yield from leaves(item)
        else:
            yield name, item


@pytest.mark.parametrize("exchange_id", HOSTS)
def test_orders_when_recorded_then_every_number_in_them_is_a_decimal_string(exchange_id: str) -> None:
    not_amounts = {"cid", "flags", "expiration", "post_only"}
    for name, act in golden(exchange_id)["acts"].items():
        if isinstance(act, list) and name.split()[0] not in ("query", "cancel", "open"):
            for request in act:
                odd = {key for key, item in leaves(request["sent"]) if not isinstance(item, str)}
                assert odd <= not_amounts, (name, odd)


@pytest.mark.parametrize("exchange_id", HOSTS)
def test_market_orders_when_recorded_then_no_price_goes_along(exchange_id: str) -> None:
    for name in ("market entry", "market exit"):
        (request,) = golden(exchange_id)["acts"][name]
        assert not [key for key, _ in leaves(request["sent"]) if "price" in key.lower() or key == "px"]
