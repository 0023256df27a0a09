"""What is believed of each exchange has a reason, and what is unknown is treated with care."""

import dataclasses
import re

import pytest

from tradepulse.domain.market import MarketKind
from tradepulse.domain.orders import ProtectionMode
from tradepulse.exchanges.venue_facts import ClientIdRule, Fact, IdForm, StopType, Venue
from tradepulse.exchanges.venues import VENUES, mode_for, stop_types_for, venue_of

SPOT = ("binance", "binanceus", "kraken", "coinbase", "okx", "bybit", "kucoin", "gate", "bitget", "bitfinex")
ALL = [pytest.param(venue, id=f"{exchange} {kind}") for (exchange, kind), venue in VENUES.items()]
WITH_PAIRS = {"ocoAllowed": True, "orderTypes": ["LIMIT", "STOP_LOSS", "STOP_LOSS_LIMIT"]}


def spot(exchange: str) -> Venue:
    return venue_of(exchange, MarketKind.SPOT)


def test_table_when_listed_then_every_exchange_has_a_spot_entry_under_its_own_name() -> None:
    assert {exchange for exchange, kind in VENUES if kind is MarketKind.SPOT} == set(SPOT)
    assert all((venue.exchange, venue.kind) == key for key, venue in VENUES.items())


@pytest.mark.parametrize("venue", ALL)
def test_entry_when_read_then_every_fact_has_a_reason_in_words(venue: Venue) -> None:
    values = [getattr(venue, field.name) for field in dataclasses.fields(venue)]
    reasons = [value.why for value in values if isinstance(value, Fact | ClientIdRule)]
    assert len(reasons) == 9
    assert all(len(reason.split()) >= 3 for reason in (*reasons, *venue.streams, *venue.quirks))


@pytest.mark.parametrize("venue", ALL)
def test_entry_when_it_names_a_pair_then_pair_and_mode_agree(venue: Venue) -> None:
    assert (venue.pair_stop.value is not None) == (venue.protection.value is ProtectionMode.NATIVE)
    assert venue.pair_stop.value is None or venue.pair_stop.value in venue.stop_types.value


@pytest.mark.parametrize("exchange", SPOT)
def test_spot_entry_when_read_then_a_stop_can_rest_and_an_order_can_be_named_and_found(exchange: str) -> None:
    venue = spot(exchange)
    assert venue.stop_types.value
    assert venue.client_id.parameter
    assert venue.client_id.find
    assert venue.client_id.cancel
    assert re.compile(venue.client_id.alphabet)
    assert (venue.client_id.form is IdForm.INTEGER) == (exchange == "bitfinex")


@pytest.mark.parametrize("kind", MarketKind)
def test_exchange_when_unknown_then_emulated_and_it_says_so(kind: MarketKind) -> None:
    venue = venue_of("nowhere", kind)
    assert (venue.exchange, venue.kind) == ("nowhere", kind)
    assert "unknown" in venue.why
    assert "nowhere" in venue.why
    assert not venue.stop_types.value
    assert mode_for(venue, WITH_PAIRS, attached=True, probed=True).value is ProtectionMode.EMULATED


def test_perpetuals_when_nothing_is_established_then_emulated() -> None:
    assert "unknown" in venue_of("kraken", MarketKind.SWAP).why
    assert venue_of("binanceus", MarketKind.SWAP).protection.value is ProtectionMode.EMULATED


@pytest.mark.parametrize("exchange", ["binance", "binanceus"])
def test_mode_when_the_market_allows_pairs_then_native_else_emulated(exchange: str) -> None:
    venue = spot(exchange)
    assert mode_for(venue, WITH_PAIRS) == venue.protection
    for info in ({}, WITH_PAIRS | {"ocoAllowed": False}, WITH_PAIRS | {"orderTypes": ["LIMIT", "STOP_LOSS_LIMIT"]}):
        mode = mode_for(venue, info, attached=True, probed=True)
        assert mode.value is ProtectionMode.EMULATED
        assert mode.why


def test_stops_when_a_market_lists_its_order_types_then_only_those() -> None:
    info = {"orderTypes": ["LIMIT", "STOP_LOSS_LIMIT"]}
    assert stop_types_for(spot("binance"), info) == {StopType.LIMIT}
    assert stop_types_for(spot("binance"), {}) == frozenset()
    assert stop_types_for(spot("kraken"), info) == {StopType.LIMIT, StopType.MARKET}


@pytest.mark.parametrize("exchange", ["coinbase", "okx"])
def test_mode_when_the_account_was_not_probed_then_emulated(exchange: str) -> None:
    venue = spot(exchange)
    careful = mode_for(venue, {})
    assert careful.value is ProtectionMode.EMULATED
    assert venue.probe in careful.why
    assert mode_for(venue, {}, probed=True).value is ProtectionMode.NATIVE


@pytest.mark.parametrize("exchange", ["okx", "bybit", "kucoin", "bitget"])
def test_mode_when_ccxt_offers_no_attachment_then_the_grant_is_withdrawn(exchange: str) -> None:
    venue = venue_of(exchange, MarketKind.SWAP)
    assert mode_for(venue, {}, attached=True).value is ProtectionMode.ATTACHED
    assert mode_for(venue, {}, attached=False).value is ProtectionMode.EMULATED


@pytest.mark.parametrize("exchange", ["kraken", "bybit", "gate", "bitget"])
def test_mode_when_the_table_says_emulated_then_nothing_grants_more(exchange: str) -> None:
    assert mode_for(spot(exchange), WITH_PAIRS, attached=True, probed=True).value is ProtectionMode.EMULATED


@pytest.mark.parametrize("exchange", ["kucoin", "bitfinex"])
def test_mode_when_features_say_nothing_of_pairs_then_still_native(exchange: str) -> None:
    assert mode_for(spot(exchange), {}).value is ProtectionMode.NATIVE
