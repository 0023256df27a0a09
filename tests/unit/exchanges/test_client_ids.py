"""One id for every exchange: accepted by each, and read back from what it shows."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradepulse.domain.client_ids import BASE32, GENERATIONS, LENGTH, TRADE_BITS, ClientId, IdRole, new_trade
from tradepulse.domain.market import MarketKind
from tradepulse.exchanges.client_ids import LARGEST_INTEGER, id_from_wire, id_on_wire
from tradepulse.exchanges.venue_facts import ClientIdRule, IdForm, Venue
from tradepulse.exchanges.venues import VENUES
from tradepulse.shared.errors import RefusedError

SPOT = [venue for venue in VENUES.values() if venue.kind is MarketKind.SPOT]
trades = st.text(BASE32, min_size=14, max_size=14)
client_ids = st.builds(ClientId, trades, st.sampled_from(IdRole), st.integers(0, GENERATIONS - 1))


def accepts(rule: ClientIdRule, told: str | int) -> bool:
    if rule.form is IdForm.INTEGER:
        return isinstance(told, int) and 0 < told <= LARGEST_INTEGER
    longest = rule.longest or LENGTH + len(rule.prefix)
    assert isinstance(told, str)
    return (
        told.startswith(rule.prefix) and 0 < len(told) <= longest and bool(re.fullmatch(f"(?:{rule.alphabet})+", told))
    )


@given(client_ids)
def test_id_when_written_then_it_reads_back_as_the_same(client_id: ClientId) -> None:
    text = str(client_id)
    assert len(text) == LENGTH == 18
    assert text == text.lower()
    assert ClientId.parse(text) == client_id


@pytest.mark.parametrize("venue", SPOT, ids=lambda venue: venue.exchange)
@given(client_id=client_ids)
def test_id_when_sent_then_it_satisfies_the_venue_and_is_known_again(venue: Venue, client_id: ClientId) -> None:
    told = id_on_wire(str(client_id), venue.client_id)
    assert accepts(venue.client_id, told)
    shown = str(told)
    others = [str(client_id.as_role(role)) for role in IdRole]
    assert id_from_wire(shown, venue.client_id, others) == str(client_id)


@given(st.integers(0, 2**TRADE_BITS - 1), st.integers(0, 2**TRADE_BITS - 1))
def test_trades_when_drawn_differently_then_named_differently(one: int, other: int) -> None:
    names = [new_trade(lambda bits, drawn=drawn: drawn) for drawn in (one, other)]
    assert (names[0] == names[1]) == (one == other)
    assert all(str(ClientId(name, IdRole.STOP, 0)) for name in names)


def test_trade_when_drawn_then_70_bits_are_asked_for() -> None:
    asked: list[int] = []
    new_trade(lambda bits: asked.append(bits) or 0)
    assert asked == [70]


def test_generations_when_counted_on_then_ids_differ_until_there_are_none_left() -> None:
    first = ClientId("abcdefgh234567", IdRole.STOP, 0)
    assert [str(first), str(first.next_generation())] == ["abcdefgh234567s000", "abcdefgh234567s001"]
    last = ClientId("abcdefgh234567", IdRole.STOP, GENERATIONS - 1)
    assert str(last) == "abcdefgh234567szzz"
    with pytest.raises(RefusedError, match="46656"):
        last.next_generation()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x-TKT5PX2F2ee68ee09e88fa406a2068",
        "abcdefgh234567s0001",
        "abcdefgh234567q001",
        "ABCDEFGH234567s001",
        "abcdefgh234567s0-1",
        "abcdefgh23456 s001",
        "abcdefgh234567s00A",
        "abcdefgh018967s001",
    ],
)
def test_id_when_it_is_not_ours_then_refused_and_not_recognised(text: str) -> None:
    with pytest.raises(RefusedError, match="not a client order id of ours"):
        ClientId.parse(text)
    for venue in SPOT:
        if venue.client_id.form is IdForm.TEXT:
            assert id_from_wire(venue.client_id.prefix + text, venue.client_id, []) is None


def test_id_when_the_prefix_is_missing_or_the_integer_unknown_then_not_ours() -> None:
    rules = {venue.exchange: venue.client_id for venue in SPOT}
    assert id_from_wire("abcdefgh234567s001", rules["gate"], []) is None
    assert id_from_wire("17", rules["bitfinex"], ["abcdefgh234567s001"]) is None
    assert id_from_wire(17, rules["bitfinex"], []) is None
    for nothing in (None, "", "abcdefgh234567s001"):
        assert id_from_wire(nothing, rules["bitfinex"], ["abcdefgh234567s001"]) is None
    assert id_from_wire(None, rules["okx"], []) is None
