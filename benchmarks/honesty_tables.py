"""The tables of ``make honesty``: goals first, then where families end and why.

Outcomes are the lines that ``benchmarks.honesty`` makes, one per job.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise, product

import numpy as np
from scipy import special, stats

from benchmarks.null_markets import KINDS
from benchmarks.planted_markets import ANY, BREADTHS
from tradepulse.domain.training import JsonObject
from tradepulse.strategies import STRATEGIES

STRENGTHS = {"strong": 0.3, "weak": 0.14}
ENOUGH_REALISED = 30
ONE_SIDED_95 = 1.6448536269514722
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(41)

Outcomes = Sequence[JsonObject]


def count_of(words: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for word in words:
        found[word] = found.get(word, 0) + 1
    return found


def interval(hits: int, of: int) -> tuple[float, float]:
    """95 % interval of a share (Clopper & Pearson 1934)."""
    low = 0.0 if hits == 0 else float(stats.beta.ppf(0.025, hits, of - hits + 1))
    high = 1.0 if hits == of else float(stats.beta.ppf(0.975, hits + 1, of - hits))
    return low, high


def share(hits: int, of: int) -> str:
    if of == 0:
        return "–"
    low, high = interval(hits, of)
    return f"{hits}/{of} = {hits / of:.1%} ({low:.1%} – {high:.1%})"


def verdict(kept: bool | None) -> str:
    return "–" if kept is None else ("kept" if kept else "**MISSED**")


def _rate_row(what: str, goal: float, hits: int, of: int, *, at_most: bool) -> tuple[str, ...]:
    kept = None if of == 0 else (hits / of <= goal if at_most else hits / of >= goal)
    return what, f"{'≤' if at_most else '≥'} {goal:.0%}", share(hits, of), verdict(kept)


def of_null(outcomes: Outcomes) -> list[JsonObject]:
    return [outcome for outcome in outcomes if outcome["task"]["edge"] == 0.0]


def of_planted(outcomes: Outcomes, edge: float, *breadths: str) -> list[JsonObject]:
    tasks = ((outcome, outcome["task"]) for outcome in outcomes)
    return [outcome for outcome, task in tasks if task["edge"] == edge and task["breadth"] in (breadths or BREADTHS)]


def families(outcomes: Outcomes) -> list[JsonObject]:
    return [family for outcome in outcomes for family in outcome["families"]]


def goal_rows(outcomes: Outcomes) -> Iterator[tuple[str, ...]]:
    null = of_null(outcomes)
    hard = [outcome for outcome in null if not outcome["task"]["costs"]]
    for name, chosen in (("null", null), ("hard null (no costs)", hard)):
        deployed = sum(family["deployed"] > 0 for family in families(chosen))
        yield _rate_row(f"{name}: families deployed", 0.02, deployed, len(families(chosen)), at_most=True)
        jobs = sum(any(family["deployed"] for family in outcome["families"]) for outcome in chosen)
        yield _rate_row(f"{name}: jobs with any deployment", 0.05, jobs, len(chosen), at_most=True)
    for breadth, (name, goal) in product(BREADTHS, (("strong", 0.95), ("weak", 0.70))):
        chosen = of_planted(outcomes, STRENGTHS[name], breadth)
        found = sum(family["deployed"] > 0 for family in families(chosen))
        what = f"planted {name} ({STRENGTHS[name]} R), {breadth}: families deployed"
        yield _rate_row(what, goal, found, len(chosen), at_most=False)
    yield from _published_rows(outcomes)
    yield _regime_row(outcomes)


def _deployed(outcomes: Outcomes) -> list[JsonObject]:
    rows = [row for outcome in outcomes for row in outcome.get("combinations", ())]
    return [row for row in rows if row["deployed"] and row["published"] and row["trades"] > 0]


def _published_rows(outcomes: Outcomes) -> Iterator[tuple[str, ...]]:
    rows = _deployed(outcomes)
    trades = sum(row["trades"] for row in rows)
    if not trades:
        yield "published precision against realised", "within 2 points", "no deployment", "–"
        return
    claimed = sum(row["published"]["precision"] * row["trades"] for row in rows) / trades
    made = sum(row["wins"] for row in rows) / trades
    text = f"{claimed:.1%} claimed, {made:.1%} made in {trades:,} trades of {len(rows)} combinations"
    yield "published precision against realised", "within 2 points", text, verdict(abs(claimed - made) <= 0.02)
    expected = sum(row["published"]["expectancy_r"] * row["trades"] for row in rows) / trades
    realised = sum(row["sum_r"] for row in rows) / trades
    yield "published expectancy against realised", "report", f"{expected:+.3f} R claimed, {realised:+.3f} R made", "–"
    enough = [row for row in rows if row["trades"] >= ENOUGH_REALISED]
    if not enough:
        return
    plausible = sum(chance_of_so_few(row) >= 0.05 for row in enough)
    what = "lower bound of precision holds (n ≥ 30), the chance of n trades allowed for"
    yield _rate_row(what, 0.90, plausible, len(enough), at_most=False)
    above = sum(row["wins"] / row["trades"] >= row["published"]["precision_lower"] for row in enough)
    expected = np.mean([chance_above_bound(row) for row in enough])
    text = f"{share(above, len(enough))}; {expected:.1%} expected where every bound is exactly right"
    yield "realised share itself lies above the bound (n ≥ 30)", "report", text, "–"


def _published_shares(row: JsonObject) -> tuple[np.ndarray, np.ndarray]:
    """True precisions that the published figures hold to be possible, and their weights: normal on the log-odds."""
    centre = special.logit(row["published"]["precision"])
    spread = (centre - special.logit(row["published"]["precision_lower"])) / ONE_SIDED_95
    return special.expit(centre + spread * _NODES), _WEIGHTS / _WEIGHTS.sum()


def chance_of_so_few(row: JsonObject) -> float:
    """Probability, if what was published is right, of as few wins as were made, or fewer, in so many trades.

    Below 0.05 the bound has failed. To ask instead whether the share of n trades lies above a bound for the true
    precision would blame the bound for the luck of those trades.
    """
    shares, weights = _published_shares(row)
    return float(weights @ stats.binom.cdf(row["wins"], row["trades"], shares))


def chance_above_bound(row: JsonObject) -> float:
    """Probability, if what was published is right, that the share of so many trades is at least the bound."""
    shares, weights = _published_shares(row)
    fewest = int(np.ceil(row["published"]["precision_lower"] * row["trades"] - 1e-9))
    return float(weights @ stats.binom.sf(fewest - 1, row["trades"], shares))


def _regime_row(outcomes: Outcomes) -> tuple[str, ...]:
    """Per planted family: mean R of the deployed regimes less that of the parameters of all regimes in them."""
    gaps = []
    for outcome in outcomes:
        rows = [row for row in outcome.get("combinations", ()) if row["deployed"] and row["slot"] != ANY]
        trades, of_parent = (sum(row[name] for row in rows) for name in ("trades", "parent_trades"))
        if trades and of_parent:
            split = sum(row["sum_r"] for row in rows) / trades
            gaps.append(split - sum(row["parent_sum_r"] for row in rows) / of_parent)
    what, goal = "regime split against one set for all, out of sample", "never worse beyond noise"
    if len(gaps) < 2:
        return what, goal, "too few", "–"
    mean, error = float(np.mean(gaps)), float(np.std(gaps, ddof=1) / np.sqrt(len(gaps)))
    text = f"{mean:+.3f} ± {error:.3f} R per trade over {len(gaps)} families"
    return what, goal, text, verdict(mean > -2 * error)


def null_rows(outcomes: Outcomes) -> Iterator[tuple[str, ...]]:
    """Null families by strategy, kind and cost: where they end, and how uniform the p-values are."""
    null = of_null(outcomes)
    groups: list[tuple[str, Callable[[JsonObject, JsonObject], bool]]] = [
        *((name, lambda _, family, name=name: family["strategy"] == name) for name in STRATEGIES),
        *((kind, lambda task, _, kind=kind: task["kind"] == kind) for kind in KINDS),
        ("reference fees", lambda task, _: task["costs"]),
        ("no costs", lambda task, _: not task["costs"]),
        ("spot", lambda task, _: not task["swap"]),
        ("both ways", lambda task, _: task["swap"]),
    ]
    for name, belongs in groups:
        chosen = [family for outcome in null for family in outcome["families"] if belongs(outcome["task"], family)]
        if not chosen:
            continue
        passed, deployed = sum(row["passed"] for row in chosen), sum(row["deployed"] > 0 for row in chosen)
        ends = count_of(row["refused_by"] or "passes" for row in chosen)
        yield (
            name,
            str(len(chosen)),
            share(passed, len(chosen)),
            share(deployed, len(chosen)),
            ", ".join(f"{step} {ends[step]}" for step in sorted(ends)),
        )


def p_value_rows(outcomes: Outcomes) -> Iterator[tuple[str, ...]]:
    """Where there is nothing to find and nothing to pay, a p-value should be uniform, or err on the safe side."""
    hard = [outcome for outcome in of_null(outcomes) if not outcome["task"]["costs"]]
    for step, name in product(("B", "C"), (*STRATEGIES, "all")):
        rows = [family for family in families(hard) if name in (family["strategy"], "all")]
        values = np.array([row["p"][step] for row in rows if row["p"][step] is not None])
        if len(values) < 2:
            continue
        below = (f"{(values < level).mean():.1%}" for level in (0.01, 0.05, 0.10, 0.25, 0.50))
        yield step, name, str(len(values)), *below, f"{stats.kstest(values, 'uniform').pvalue:.3f}"


def planted_rows(outcomes: Outcomes) -> Iterator[tuple[str, ...]]:
    """Planted families by strategy and strength, beside what the hidden parameters themselves could have shown."""
    for breadth, name, (strength, edge) in product(BREADTHS, (*STRATEGIES, "all"), STRENGTHS.items()):
        chosen = [row for row in of_planted(outcomes, edge, breadth) if name in (row["task"]["strategies"][0], "all")]
        if not chosen:
            continue
        lines = families(chosen)
        ends = count_of(row["refused_by"] or ("passes" if row["deployed"] else "cells") for row in lines)
        oracle = sum(row["planted"]["oracle_p"] < 0.05 for row in chosen)
        yield (
            name,
            f"{strength}, {breadth}",
            f"{np.mean([row['planted']['expectancy'] for row in chosen]):+.3f}",
            f"{np.median([row['planted']['trades'] for row in chosen]):,.0f}",
            share(sum(row["passed"] for row in lines), len(lines)),
            share(sum(row["deployed"] > 0 for row in lines), len(lines)),
            share(oracle, len(chosen)),
            ", ".join(f"{step} {ends[step]}" for step in sorted(ends)),
        )


def power_rows(outcomes: Outcomes) -> Iterator[tuple[str, ...]]:
    """What can be found depends on how often it shows: planted families by trades of the hidden parameters."""
    limits = (0, 200, 400, 800, 1_600, 10**9)
    for breadth, (strength, edge), (low, high) in product(BREADTHS, STRENGTHS.items(), pairwise(limits)):
        chosen = [row for row in of_planted(outcomes, edge, breadth) if low <= row["planted"]["trades"] < high]
        if not chosen:
            continue
        found = sum(row["families"][0]["deployed"] > 0 for row in chosen)
        oracle = sum(row["planted"]["oracle_p"] < 0.05 for row in chosen)
        label = f"{low:,} – {high:,}" if high < limits[-1] else f"{low:,} or more"
        yield f"{strength}, {breadth}", label, share(found, len(chosen)), share(oracle, len(chosen))


def refusal_rows(outcomes: Outcomes) -> Iterator[tuple[str, ...]]:
    """Combinations of planted families that passed: which step stopped them."""
    for strength, edge in STRENGTHS.items():
        total: dict[str, int] = {}
        for family in families(of_planted(outcomes, edge)):
            if family["passed"]:
                for step, count in family["cell_refusals"].items():
                    total[step] = total.get(step, 0) + count
        if total:
            yield strength, *(str(total.get(step, 0)) for step in ("A", "D", "F", "G", "none"))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"### {title}", "", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join((*lines, ""))


def tables_of(outcomes: Outcomes) -> str:
    levels = ("p < 0.01", "p < 0.05", "p < 0.10", "p < 0.25", "p < 0.50")
    ends = "where they end"
    parts = [
        table("Goals", ("what", "goal", "measured (95 % interval)", ""), goal_rows(outcomes)),
        table("Null families", ("group", "families", "pass B, C, G", "deployed", ends), null_rows(outcomes)),
        table(
            "p-values on the hard null", ("step", "strategy", "families", *levels, "KS p-value"), p_value_rows(outcomes)
        ),
        table(
            "Planted families",
            ("strategy", "strength", "planted R", "trades", "pass B, C, G", "deployed", "oracle p < 0.05", ends),
            planted_rows(outcomes),
        ),
        table(
            "Planted families by trades of the hidden parameters",
            ("strength", "trades", "deployed", "oracle p < 0.05"),
            power_rows(outcomes),
        ),
        table(
            "Combinations of planted families that passed, by the step that stopped them",
            ("strength", "A", "D", "F", "G", "deployed"),
            refusal_rows(outcomes),
        ),
    ]
    return "\n".join(parts)
