"""The training report as one page: what was judged, what passed, and every figure behind each verdict."""

import base64
import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from jinja2 import ChainableUndefined, Environment, FileSystemLoader, Undefined
from markupsafe import Markup

from tradepulse.domain.market import Timeframe
from tradepulse.domain.training import ANY_REGIME, JsonObject
from tradepulse.policy.report_pictures import family_pictures, is_number

VERDICTS = {
    "deployed": ("✓", "good"),
    "traded": ("✓", "good"),
    "falls back": ("↳", "middle"),
    "not traded": ("✕", "none"),
}
"""Sign and colour of a verdict; the word itself is always written too."""

REGIME_ORDER = ("bull", "sideways", "bear", ANY_REGIME)
UNKNOWN = "–"
EARLIEST, LATEST = 0, 253_402_300_799_000
"""UTC milliseconds that a date can be written for: 1970 to 9999."""


@dataclass(frozen=True, slots=True)
class Stop:
    """One gate step at which families or combinations ended, with one of the reasons given."""

    step: str
    title: str
    families: int
    combinations: int
    example: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """Verdicts of one strategy on one market: ``cells[timeframe][regime]``; a missing one was not judged."""

    strategy: str
    timeframes: tuple[str, ...]
    cells: dict[str, dict[str, JsonObject]]


@dataclass(frozen=True, slots=True)
class Market:
    """Everything judged on one symbol of one exchange. ``verdicts`` counts its combinations."""

    exchange: str
    symbol: str
    matrices: tuple[Matrix, ...]
    combinations: tuple[JsonObject, ...]
    verdicts: Counter[str]


def render_report(report: JsonObject) -> str:
    """One self-contained HTML page of a job's report: no request leaves it, equal reports give equal bytes.

    Absent or null fields are written as such; a job in which nothing passed is a result like any other.
    """
    families = [_numbered(family, "family", at) for at, family in enumerate(_listed(report, "families"))]
    combinations = [_numbered(item, "combination", at) for at, item in enumerate(_listed(report, "combinations"))]
    template = _environment().get_template("report.html.j2")
    return template.render(
        report=report,
        job=report.get("job") or {},
        families=[
            family | {"pictures": {kind: svg and Markup(svg) for kind, svg in pictures.items()}}  # noqa: S704
            for family, pictures in zip(families, family_pictures(families), strict=True)
        ],
        combinations=combinations,
        markets=_markets(combinations),
        verdicts=Counter(str(item.get("verdict")) for item in combinations),
        families_passed=sum(family.get("verdict") == "traded" for family in families),
        stops=_stops(families, combinations),
        left_out=_left_out(_listed(report, "left_out")),
        default_values=_default_values(families, combinations),
        regimes=REGIME_ORDER,
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": _count,
        "share": _share,
        "r": _r_multiple,
        "plain": _plain,
        "moment": _moment,
        "day": _day,
        "word": _word,
        "inline_hash": _inline_hash,
    }
    environment.globals["signs"] = VERDICTS
    return environment


def _listed(report: JsonObject, name: str) -> list[JsonObject]:
    return [item for item in report.get(name) or () if isinstance(item, dict)]


def _numbered(item: JsonObject, kind: str, position: int) -> JsonObject:
    """With an anchor made of nothing that came with the report, and its parameters under a name that dicts lack."""
    values = item.get("values") or (item.get("plateau") or {}).get("values") or {}
    return item | {"anchor": f"{kind}-{position + 1}", "chosen": values}


def _markets(combinations: Iterable[JsonObject]) -> list[Market]:
    grouped: dict[tuple[str, str], list[JsonObject]] = defaultdict(list)
    for item in combinations:
        grouped[str(item.get("exchange")), str(item.get("symbol"))].append(item)
    return [_market(*key, items) for key, items in sorted(grouped.items())]


def _market(exchange: str, symbol: str, combinations: Sequence[JsonObject]) -> Market:
    ordered = sorted(combinations, key=_reading_order)
    strategies = sorted({str(item.get("strategy")) for item in ordered})
    matrices = tuple(_matrix(name, [item for item in ordered if str(item.get("strategy")) == name])
                     for name in strategies)  # fmt: skip
    return Market(exchange, symbol, matrices, tuple(ordered), Counter(str(item.get("verdict")) for item in ordered))


def _matrix(strategy: str, combinations: Sequence[JsonObject]) -> Matrix:
    cells: dict[str, dict[str, JsonObject]] = defaultdict(dict)
    for item in combinations:
        cells[str(item.get("timeframe"))][str(item.get("regime"))] = item
    return Matrix(strategy, tuple(sorted(cells, key=_timeframe_order)), dict(cells))


def _reading_order(item: JsonObject) -> tuple[int, str, tuple[int, str], int]:
    """What is traded first, then by strategy, timeframe and regime."""
    verdict, regime = str(item.get("verdict")), str(item.get("regime"))
    rank = list(VERDICTS).index(verdict) if verdict in VERDICTS else len(VERDICTS)
    place = REGIME_ORDER.index(regime) if regime in REGIME_ORDER else len(REGIME_ORDER)
    return rank, str(item.get("strategy")), _timeframe_order(str(item.get("timeframe"))), place


def _timeframe_order(timeframe: str) -> tuple[int, str]:
    known = [str(member) for member in Timeframe]
    return (known.index(timeframe) if timeframe in known else len(known)), timeframe


def _stops(families: Iterable[JsonObject], combinations: Iterable[JsonObject]) -> list[Stop]:
    """Where the gate closed, most frequent first."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    examples: dict[tuple[str, str], str] = {}
    for kind, items, passed in (("family", families, "traded"), ("combination", combinations, "deployed")):
        for item in items:
            if item.get("verdict") != passed:
                place, example = _stopped_at(item)
                counts[place][kind] += 1
                examples.setdefault(place, example)
    stops = [Stop(*place, count["family"], count["combination"], examples[place]) for place, count in counts.items()]
    return sorted(stops, key=lambda stop: (-stop.families, -stop.combinations, stop.step, stop.title))


def _stopped_at(item: JsonObject) -> tuple[tuple[str, str], str]:
    """(step, title) of what refused it and the reason; without a step the verdict's reason less its numbers.

    Step E refuses nothing: where it fails, the defaults are judged instead.
    """
    reason = str(item.get("reason") or "no reason was recorded")
    refused_by = item.get("refused_by")
    for step in item.get("steps") or ():
        if step.get("step") == refused_by or (
            not refused_by and step.get("passed") is False and step.get("step") != "E"
        ):
            return (str(step.get("step")), str(step.get("title") or "")), str(step.get("reason") or reason)
    return (UNKNOWN, re.sub(r"[-+]?\d[\d.,]*", "…", reason)), reason


def _left_out(rows: Iterable[JsonObject]) -> list[tuple[str, list[str]]]:
    """(reason, what was left out because of it), in order of first appearance."""
    grouped: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        what = (row.get("strategy"), row.get("series"))
        grouped[str(row.get("reason") or "no reason was recorded")].append(
            " on ".join(_plain(part) for part in what if part is not None)
        )
    return list(grouped.items())


def _default_values(families: Iterable[JsonObject], combinations: Iterable[JsonObject]) -> dict[str, JsonObject]:
    """Default parameters by strategy, as far as the report tells them."""
    found: dict[str, JsonObject] = {}
    for item in combinations:
        if item.get("origin") == "defaults" and item.get("values"):
            found.setdefault(str(item.get("strategy")), item["values"])
    for family in families:
        values = (family.get("defaults") or {}).get("values")
        if values:
            found[str(family.get("strategy"))] = values
    return found


def _count(value: Any) -> str:
    return f"{value:,.0f}" if is_number(value) else UNKNOWN


def _share(value: Any) -> str:
    return f"{100 * value:.1f} %" if is_number(value) else UNKNOWN


def _r_multiple(value: Any) -> str:
    return f"{value:+.3f}R".replace("-", "−") if is_number(value) else UNKNOWN


def _plain(value: Any) -> str:
    """Any value of the report in words: four significant digits, thousands apart."""
    if value is None or isinstance(value, Undefined):
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{int(value):,}".replace("-", "−")
    if isinstance(value, Real):
        return _significant(float(value))
    if isinstance(value, dict):
        return ", ".join(f"{_word(key)} {_plain(part)}" for key, part in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "none"
    return str(value)


def _significant(value: float) -> str:
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "unbounded"
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.3g}".replace("-", "−")
    decimals = max(0, 3 - math.floor(math.log10(abs(value)))) if value else 0
    text = f"{value:,.{decimals}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def _time(value: Any, form: str) -> str:
    if not is_number(value) or not EARLIEST <= value <= LATEST:
        return _plain(value)
    return datetime.fromtimestamp(value / 1000, tz=UTC).strftime(form)


def _moment(value: Any) -> str:
    return _time(value, "%Y-%m-%d %H:%M UTC")


def _day(value: Any) -> str:
    return _time(value, "%Y-%m-%d")


def _word(name: Any) -> str:
    return str(name).replace("_", " ")


def _inline_hash(script: str) -> str:
    """What a content security policy wants to see of the one script that may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
