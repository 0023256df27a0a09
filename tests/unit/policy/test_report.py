"""The training report's page: complete, self-contained, the same bytes for the same report."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from tradepulse.policy import report_pictures
from tradepulse.policy.report import render_report

HOUR = 3_600_000
FIRST = 1_704_067_200_000
REGIMES = ("bull", "sideways", "bear", "any")
HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)> & $\\frac{1}{0}$'


class Page(HTMLParser):
    """What a browser would make of the page, as far as the tests ask."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, attribute: str) -> list[str]:
        return [attrs[attribute] or "" for _, attrs in self.tags if attribute in attrs]

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def figures(random: np.random.Generator, trades: int) -> dict[str, Any]:
    wins = int(random.binomial(trades, 0.45)) if trades else 0
    return {
        "trades": trades,
        "wins": wins,
        "precision": wins / trades if trades else None,
        "precision_lower": max(0.0, wins / trades - 0.12) if trades else 0.0,
        "break_even": 0.41 if trades else None,
        "payoff": 1.43 if trades else None,
        "expectancy_r": float(random.normal(0.05, 0.2)) if trades else None,
        "standard_error": 0.08 if trades else None,
    }


def steps(letters: str, failed: str | None) -> list[dict[str, Any]]:
    titles = {"A": "Data", "B": "Family", "C": "Plateau", "D": "Held out", "E": "Better than defaults",
              "F": "Robustness", "G": "Veto"}  # fmt: skip
    outcome = {letter: None if failed and letter > failed else letter != failed for letter in letters}
    return [
        {
            "step": letter,
            "title": titles[letter],
            "passed": outcome[letter],
            "reason": f"{titles[letter]}: p 0.31 is not below 0.05" if outcome[letter] is False else "as it should be",
            "figures": {"p_value": 0.3123456, "trades": 1234, "rule": "p < 0.05", "tiny": 3.2e-7},
        }
        for letter in letters
    ]


def family(random: np.random.Generator, strategy: str, timeframe: str, symbols: list[str], traded: bool) -> Any:
    in_sample = random.normal(0.0, 0.12, 2049)
    out = in_sample * 0.3 + random.normal(-0.02, 0.1, 2049)
    x, y = random.uniform(5, 60, 1500), random.uniform(0.5, 4.0, 1500)
    score = 2 * np.exp(-(((x - 35) / 12) ** 2) - (y - 2.5) ** 2) - 0.6 + random.normal(0, 0.5, 1500)
    exits = FIRST + np.sort(random.integers(0, 8760, 700)) * HOUR
    logits = random.normal(0.4, 1.5, 12_870)
    counts, edges = np.histogram(logits, bins=24)
    return {
        "strategy": strategy,
        "timeframe": timeframe,
        "series": [f"binance:{symbol}:{timeframe}" for symbol in symbols],
        "candles": 52_560,
        "first": FIRST,
        "last": FIRST + 8760 * HOUR,
        "recent_from": FIRST + 6132 * HOUR,
        "points": 2049,
        "design": {"id": "sobol-5f3a", "points": 2048, "seed": 0},
        "verdict": "traded" if traded else "not traded",
        "reason": "every step passed" if traded else "the best of the design is no better than chance (p 0.31)",
        "steps": steps("ABCFG", None if traded else "B"),
        "plateau": {
            "point": 17,
            "values": {"volume_window": 34, "range_factor": 2.6, "stop_mode": "swing"},
            "training": figures(random, 480),
            "held_out": figures(random, 210),
        },
        "defaults": {"training": figures(random, 390), "held_out": figures(random, 160)},
        "surface": {"parameters": ["volume_window", "range_factor"], "points": np.c_[x, y, score].tolist()},
        "in_out": np.c_[in_sample, out, random.integers(30, 400, 2049)].tolist(),
        "cscv": {
            "pbo": 0.39,
            "splits": 12_870,
            "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
            "loss_probability": 0.44,
            "slope": 0.12,
        },
        "equity": [
            [int(time), float(total), symbols[0]]
            for time, total in zip(exits, np.cumsum(random.normal(0.06, 1.1, 700)), strict=True)
        ],
    }


def combination(random: np.random.Generator, symbol: str, strategy: str, timeframe: str, regime: str, verdict: str):
    deployed = verdict == "deployed"
    return {
        "exchange": "binance",
        "symbol": symbol,
        "timeframe": timeframe,
        "strategy": strategy,
        "regime": regime,
        "verdict": verdict,
        "falls_back_to": "any" if verdict == "falls back" else None,
        "reason": "every step passed" if deployed else "precision is above break-even with probability 0.61 only",
        "steps": steps("ADEF", None if deployed else "D"),
        "origin": "plateau",
        "values": {"volume_window": 34, "range_factor": 2.6, "stop_mode": "swing"},
        "parameters_id": "9f2c41d0",
        "point": 17,
        "training": figures(random, int(random.integers(0, 90))),
        "held_out": figures(random, int(random.integers(0, 40))),
        "published": {
            "precision": 0.561,
            "precision_lower": 0.492,
            "break_even": 0.43,
            "expectancy_r": 0.21,
            "expectancy_lower": 0.04,
            "probability_above_break_even": 0.97,
            "probability_positive": 0.99,
            "effective_trades": 143.2,
        }
        if deployed
        else None,
        "data": {"hash": "a1b2c3d4", "first": FIRST, "last": FIRST + 8760 * HOUR, "candles": 8760},
    }


def job_report(
    symbols: int = 2, timeframes: tuple[str, ...] = ("1h", "4h"), strategies: int = 2, deployed: bool = True
) -> dict[str, Any]:
    random = np.random.default_rng(7)
    names = [f"{base}/USDT" for base in ("BTC", "ETH", "SOL", "XRP", "ADA", "LINK")[:symbols]]
    rules = ("volume_breakout", "htf_sweep", "divergence_capitulation")[:strategies]
    traded = [(rule, timeframe, deployed and at == 0) for at, rule in enumerate(rules) for timeframe in timeframes]
    combinations = [
        combination(random, symbol, rule, timeframe, regime, _verdict(passes, regime))
        for symbol in names
        for rule, timeframe, passes in traded
        for regime in REGIMES
    ]
    return {
        "job": {
            "id": "job-42",
            "request": {"symbols": names, "exchanges": ["binance"], "since": FIRST, "until": None, "points": 2048},
            "code_version": "0.1.0",
            "started_at": FIRST,
            "finished_at": FIRST + HOUR,
        },
        "families": [family(random, rule, timeframe, names, passes) for rule, timeframe, passes in traded],
        "combinations": combinations,
        "left_out": [{"series": "binance:DOGE/USDT:1d", "strategy": "htf_sweep", "reason": "too few candles"}],
        "honesty": {"trials": 885_168, "effective_trials": 212.4, "rules": {"family_p": 0.05, "most_overfit": 0.5}},
        "summary": {"deployed": 1, "judged": len(combinations), "families_passed": 1},
    }


def _verdict(passes: bool, regime: str) -> str:
    return {"any": "deployed", "bull": "deployed"}.get(regime, "falls back") if passes else "not traded"


def test_render_report_when_report_is_full_then_page_is_complete_and_asks_nothing_of_others() -> None:
    report = job_report()

    text = render_report(report)
    page = Page(text)

    for one in report["families"]:
        assert f"{one['strategy'].replace('_', ' ')} · {one['timeframe']}" in page.text
    anchors = page.values("id")
    assert len(anchors) == len(set(anchors))
    assert {f"combination-{at + 1}" for at in range(len(report["combinations"]))} <= set(anchors)
    assert {f"family-{at + 1}" for at in range(len(report["families"]))} <= set(anchors)
    assert page.count("svg") == 4 * len(report["families"])
    links = page.values("href") + page.values("src")
    assert all(link.startswith(("#", "data:")) for link in links)
    assert {link[1:] for link in links if link.startswith("#")} <= set(anchors)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(anchors)
    assert not re.search(r"https?:|//www|@import", text)
    script = text[text.index("<script>") + len("<script>") : text.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert any("default-src 'none'" in policy and f"'sha256-{digest}'" in policy for policy in page.values("content"))


def test_render_report_when_called_twice_then_same_bytes_and_report_untouched() -> None:
    report = job_report(symbols=1, timeframes=("1h",), strategies=1)
    before = json.dumps(report)

    assert render_report(report) == render_report(json.loads(before))
    assert json.dumps(report) == before


def test_render_report_when_something_is_deployed_then_summary_counts_it_and_cells_say_it_in_words() -> None:
    page = Page(render_report(job_report(symbols=1, timeframes=("1h",), strategies=1)))

    assert "2 of 4 combinations passed and are deployed" in page.text
    assert "2 more trade with the parameters of their parent" in page.text
    assert "56.1 %" in page.text
    assert "≥ 49.2 %" in page.text
    assert "+0.210R" in page.text


def test_render_report_when_nothing_passed_then_says_so_first_with_the_most_frequent_reason() -> None:
    page = Page(render_report(job_report(deployed=False)))

    summary = page.text[: page.text.index("Regime by timeframe")]
    assert "Nothing passed" in summary
    assert "normal outcome" in summary
    assert "Plateau: p 0.31" not in summary
    assert re.search(r"B\s*Family\s*4\s*0\s*Family: p 0.31 is not below 0.05", summary)
    assert re.search(r"D\s*Held out\s*0\s*32\s*", summary)


def test_render_report_when_step_e_failed_and_f_refused_then_refusal_is_counted_at_f() -> None:
    report = job_report(symbols=1, timeframes=("1h",), strategies=1)
    item = report["combinations"][0]
    item |= {"verdict": "not traded", "steps": steps("ADEF", "F")}
    item["steps"][2] |= {"passed": False, "reason": "no better than the defaults"}
    report["combinations"] = [item]

    page = Page(render_report(report))

    summary = page.text[: page.text.index("Regime by timeframe")]
    assert re.search(r"F\s*Robustness\s*0\s*1", summary)
    assert "defaults instead" in page.text
    assert "Better than defaults" not in summary


def test_render_report_when_parameters_differ_from_defaults_then_both_stand_side_by_side() -> None:
    report = job_report(symbols=1, timeframes=("1h",), strategies=1)
    report["families"][0]["defaults"]["values"] = {"volume_window": 20, "range_factor": 2.6}

    page = Page(render_report(report))

    assert re.search(
        r"volume window\s*34\s*20\s*range factor\s*2.6\s*2.6\s*stop mode\s*swing\s*not recorded", page.text
    )


def test_render_report_when_texts_are_hostile_then_nothing_of_them_is_markup() -> None:
    report = job_report(symbols=1, timeframes=("1h",), strategies=1)
    for item in (*report["families"], *report["combinations"]):
        item["reason"] = item["strategy"] = HOSTILE
        item["steps"][0] |= {"reason": HOSTILE, "title": HOSTILE, "figures": {HOSTILE: HOSTILE}}
    report["combinations"][0] |= {"symbol": HOSTILE, "verdict": HOSTILE, "values": {HOSTILE: HOSTILE}}
    surface, plateau = report["families"][0]["surface"], report["families"][0]["plateau"]
    surface["parameters"] = [HOSTILE, "range_factor"]
    plateau["values"] = {HOSTILE: 30, "range_factor": 2.0}
    report["job"]["id"] = report["left_out"][0]["reason"] = HOSTILE

    page = Page(render_report(report))

    assert page.count("script") == 1
    assert page.count("img") == 0
    assert not page.values("onerror")
    assert page.text.count('<script>alert("x")</script>') > 10


def _every_field_null(value: Any) -> Any:
    """Each report that has exactly one more field null, at any depth (first element of a list for all)."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield value | {key: None}
            yield {other: kept for other, kept in value.items() if other != key}
            yield from (value | {key: changed} for changed in _every_field_null(part))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from ([changed, *value[1:]] for changed in _every_field_null(value[0]))


def test_render_report_when_any_one_field_is_null_or_absent_then_page_is_rendered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = job_report(symbols=1, timeframes=("1h",), strategies=1)
    report["combinations"] = report["combinations"][:1]
    for item in (*report["families"], *report["combinations"]):
        item["steps"] = item["steps"][:1]
    one = report["families"][0]
    one |= {"in_out": one["in_out"][:5], "equity": one["equity"][:5]}
    one["surface"]["points"] = one["surface"]["points"][:5]
    monkeypatch.setattr(report_pictures, "_picture", lambda *_: "<svg></svg>")

    variants = list(_every_field_null(report))

    assert len(variants) > 200
    for variant in variants:
        assert "Regime by timeframe" in render_report(variant)


def test_render_report_when_report_is_empty_then_words_stand_for_everything() -> None:
    page = Page(render_report({}))

    assert "Nothing was judged." in page.text
    assert "No family was judged." in page.text
    assert "No combination was judged." in page.text


def test_render_report_when_family_has_no_trades_then_words_stand_where_pictures_would() -> None:
    report = job_report(symbols=1, timeframes=("1h",), strategies=1, deployed=False)
    nothing = dict.fromkeys(("trades", "wins"), 0) | dict.fromkeys(("precision", "break_even", "expectancy_r"))
    report["families"][0] |= {
        "plateau": None,
        "defaults": {"training": nothing, "held_out": nothing},
        "surface": {"parameters": ["a", "b"], "points": []},
        "in_out": [],
        "cscv": {"pbo": float("nan"), "histogram": {"edges": [], "counts": []}},
        "equity": [],
    }
    for item in report["combinations"]:
        item |= {"training": nothing, "held_out": nothing, "published": None}

    page = Page(render_report(report))

    assert page.count("svg") == 0
    assert "No parameter set had enough trades" in page.text
    assert "There is no surface" in page.text
    assert "The splits could not be compared" in page.text
    assert "The plateau made no trade" in page.text
    assert "No plateau was chosen" in page.text
    assert "No trade, so there are no figures" in page.text


@pytest.mark.parametrize("rows", [[[FIRST, 1.0, "BTC/USDT"]], [[FIRST, 0.0, "BTC/USDT"], [FIRST, -2.0, "ETH/USDT"]]])
def test_equity_when_one_moment_only_then_drawn_without_warning(rows: list[list[Any]]) -> None:
    family = {"anchor": "p", "equity": rows, "recent_from": FIRST}

    assert report_pictures.family_pictures([family])[0]["equity"] is not None


def test_telling_moments_when_trades_are_many_then_both_extremes_and_ends_are_kept() -> None:
    total = np.cumsum(np.random.default_rng(3).normal(size=50_000))

    kept = report_pictures._telling(total)

    assert len(kept) <= report_pictures.MOST_MOMENTS
    assert {0, len(total) - 1, int(total.argmin()), int(total.argmax())} <= set(kept.tolist())


def test_dots_when_points_exceed_the_cap_then_extremes_survive_and_size_is_bounded() -> None:
    random = np.random.default_rng(5)
    points = random.normal(size=(20_000, 3)).tolist()

    svg = report_pictures.family_pictures([{"anchor": "p", "in_out": points}])[0]["in_out"]

    assert svg is not None
    assert len(svg) < 120_000


def test_render_report_when_job_is_as_large_as_they_come_then_page_stays_below_six_megabytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = job_report(symbols=1, timeframes=("1h",), strategies=1)["families"][0] | {"anchor": "family-18"}
    pictures = sum(len(svg or "") for svg in report_pictures.family_pictures([small])[0].values())
    report = job_report(symbols=6, timeframes=("1m", "5m", "15m", "1h", "4h", "1d"), strategies=3)
    monkeypatch.setattr(report_pictures, "_picture", lambda *_: "<svg></svg>")

    text = render_report(report)

    assert (len(report["families"]), len(report["combinations"])) == (18, 432)
    assert len(text.encode()) + 18 * pictures < 6_000_000
