"""The table of venues as the page that people read, ``docs/exchanges.md``."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tradepulse.domain.market import MarketKind
from tradepulse.exchanges.venue_facts import Fact, Venue
from tradepulse.exchanges.venues import CCXT_VERSION, VENUES

_INTRODUCTION = f"""# Exchanges

What each exchange can do for a live order, and why we believe it. This page is made from the data in
`src/tradepulse/exchanges/venues.py`; a test fails when it is out of date and tells how to renew it. The entries
describe ccxt {CCXT_VERSION}: what it sends for every call is recorded in `tests/integration/exchanges/golden/`.

- **native**: stop and target rest on the exchange as one pair, and the exchange cancels the sibling.
- **attached**: stop and target belong to the position and rest on the exchange.
- **emulated**: the stop rests on the exchange; the target is watched, and the stop cancelled before the exit is sent.

A market or an account can take a mode away, never grant one: where an exchange says that a market has no pairs, or the
probe that an entry names has not been made, the mode is emulated. An exchange that is not listed is unknown and
emulated, and no orders are built for it. Orders are built for spot only. What happens to an order on its way, and how
candles and fills come back: [the gateway](gateway.md).
"""


def venues_page() -> str:
    spot = [venue for venue in VENUES.values() if venue.kind is MarketKind.SPOT]
    swap = [venue for venue in VENUES.values() if venue.kind is MarketKind.SWAP]
    parts = [_INTRODUCTION, "## Spot at a glance\n", _glance(spot), "## Perpetuals\n", _perpetuals(swap)]
    return "\n".join([*parts, *map(_section, spot)])


def _glance(venues: Iterable[Venue]) -> str:
    header = ("exchange", "stop and target", "stops", "stop of a pair", "stop expires", "market buy by", "client id")
    return _table(header, map(_glance_row, venues))


def _glance_row(venue: Venue) -> tuple[str, ...]:
    return (
        venue.exchange,
        _mode(venue),
        _shown(venue.stop_types),
        _shown(venue.pair_stop),
        _expiry(venue),
        _shown(venue.market_buy),
        _id_shape(venue),
    )


def _perpetuals(venues: Iterable[Venue]) -> str:
    rows = ((venue.exchange, str(venue.protection.value), venue.why, venue.stop_beside_target.why) for venue in venues)
    return _table(("exchange", "stop and target", "why", "stop beside target"), rows)


def _section(venue: Venue) -> str:
    facts = (
        ("stop and target", _mode(venue), venue.why),
        ("stops", _shown(venue.stop_types), venue.stop_types.why),
        ("stop of a pair", _shown(venue.pair_stop), venue.pair_stop.why),
        ("coins locked once", _shown(venue.locked_once), venue.locked_once.why),
        ("stop beside target", _shown(venue.stop_beside_target), venue.stop_beside_target.why),
        ("stop expires", _expiry(venue), venue.stop_expires_after.why),
        ("market buy by", _shown(venue.market_buy), venue.market_buy.why),
        ("significant digits", _shown(venue.rounding), venue.rounding.why),
        ("client id", _id_shape(venue), venue.client_id.why),
    )
    return "\n".join([f"## {venue.exchange}\n", _table(("what", "is", "why"), facts), *_remarks(venue), ""])


def _remarks(venue: Venue) -> Iterator[str]:
    yield f"- Found by its client id: {venue.client_id.find}."
    yield f"- Cancelled by its client id: {venue.client_id.cancel}."
    if venue.probe:
        yield f"- To be tried first on every account: {venue.probe}."
    yield from (f"- Stream: {gap}." for gap in venue.streams)
    yield from (f"- {quirk}." for quirk in venue.quirks)


def _mode(venue: Venue) -> str:
    return f"{venue.protection.value}, once probed" if venue.probe else str(venue.protection.value)


def _id_shape(venue: Venue) -> str:
    rule = venue.client_id
    length = f", at most {rule.longest}" if rule.longest else ""
    of_stops = "" if rule.of_stops == rule.parameter else f"; of stops: `{rule.of_stops}`"
    return f"`{rule.parameter}`: {rule.form}{length}{of_stops if rule.of_stops else '; stops have none'}"


def _expiry(venue: Venue) -> str:
    seconds = venue.stop_expires_after.value
    return "-" if seconds is None else f"after {seconds // 3600} h"


def _shown(fact: Fact[Any]) -> str:
    value = fact.value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, frozenset):
        return ", ".join(sorted(value))
    return "-" if value is None else str(value)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"
