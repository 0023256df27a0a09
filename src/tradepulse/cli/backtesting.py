"""Backtests, and the question whether a strategy looks ahead."""

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import typer

from tradepulse.cli.jobs import Background, submit
from tradepulse.cli.options import (
    AsJson,
    ExchangeName,
    Overrides,
    Since,
    Symbol,
    TimeframeName,
    Until,
    overrides_of,
    run,
    series_of,
    settings_for_command,
    span,
)
from tradepulse.cli.screen import progress, show_facts, show_json, show_line, show_table, utc
from tradepulse.domain.market import Timeframe
from tradepulse.shared.errors import ConfigurationError, RefusedError
from tradepulse.shared.settings import nearest

JsonObject = dict[str, Any]


class Method(StrEnum):
    REPLAY = "replay"
    KERNEL = "kernel"


StrategyName = Annotated[str, typer.Argument(help="htf_sweep, volume_breakout or divergence_capitulation.")]
MethodName = Annotated[Method, typer.Option("--method", help="replay: the whole engine; kernel: fast, same trades.")]
Fine = Annotated[str | None, typer.Option("--fine", help="Finer timeframe that decides inside a bar (kernel only).")]
Samples = Annotated[int, typer.Option("--samples", min=1, max=10_000, help="How many cuts of each kind to compare.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed cuts at the same bars.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many, newest first.")]
BacktestId = Annotated[str, typer.Argument(help="As list-backtests shows it.")]


def register(app: typer.Typer) -> None:
    app.command("backtest")(backtest)
    app.command("lookahead-analysis")(lookahead_analysis)
    app.command("list-backtests")(list_backtests)
    app.command("show-backtest")(show_backtest)


def backtest(
    strategy: StrategyName,
    symbol: Symbol,
    timeframe: TimeframeName,
    exchange: ExchangeName = None,
    since: Since = None,
    until: Until = None,
    method: MethodName = Method.REPLAY,
    fine: Fine = None,
    overrides: Overrides = None,
    background: Background = False,
    as_json: AsJson = False,
) -> None:
    """Run one strategy over stored candles, store the result and show it."""
    from tradepulse import bootstrap

    settings = settings_for_command()
    _known_strategy(strategy)
    first, end = span(since, until)
    series = series_of(settings, exchange, symbol, timeframe)
    if background:
        asked = {
            "strategy": strategy,
            "exchange": series.exchange,
            "symbol": series.symbol,
            "timeframe": str(series.timeframe),
            "since": first,
            "until": end,
            "method": method.value,
            "fine": fine,
            "overrides": overrides_of(overrides),
        }
        submit(settings, "backtest", asked, as_json=as_json)
        return
    request = bootstrap.BacktestRequest(
        strategy=strategy,
        series=series,
        since=first,
        until=end,
        method=method.value,
        fine=None if fine is None else Timeframe.parse(fine),
        overrides=overrides_of(overrides),
    )

    async def work() -> JsonObject:
        async with bootstrap.open_application(settings) as app:
            with progress(f"Backtest of {strategy}", "candles", shown=not as_json) as advance:
                return await bootstrap.run_backtest(app, request, advance)

    report = run(work())
    show_json(report) if as_json else _show_report(report)


def lookahead_analysis(
    strategy: StrategyName,
    symbol: Symbol,
    timeframe: TimeframeName,
    exchange: ExchangeName = None,
    since: Since = None,
    until: Until = None,
    overrides: Overrides = None,
    samples: Samples = 50,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Check that no setup changes when later candles are cut off. Ends with exit code 4 when one does.

    A strategy of your own is named package.module:Class, looked up from the current folder.
    """
    from tradepulse import bootstrap

    settings = settings_for_command()
    if ":" not in strategy:
        _known_strategy(strategy)
    first, end = span(since, until)
    series = series_of(settings, exchange, symbol, timeframe)
    chosen = overrides_of(overrides)

    async def work() -> Any:
        async with bootstrap.open_application(settings) as app:
            return await bootstrap.analyse_stored_series(
                app, strategy, series, since=first, until=end, overrides=chosen, samples=samples, seed=seed
            )

    report = run(work())
    if as_json:
        show_json({**asdict(report), "causal": report.causal})
    elif report.causal:
        show_line(str(report))
    if not report.causal:
        raise RefusedError(str(report), "Do not trade this strategy before it is corrected.")


def list_backtests(limit: Limit = 20, as_json: AsJson = False) -> None:
    """List finished backtests, newest first."""
    from tradepulse import bootstrap

    settings = settings_for_command()

    async def work() -> list[JsonObject]:
        async with bootstrap.open_application(settings) as app:
            return await app.results.backtests(limit=limit)

    found = run(work())
    if as_json:
        show_json(found)
    elif not found:
        show_line("No backtest has been run yet. Try: tradepulse backtest --help")
    else:
        columns = ["id", "strategy", "series", "from", "to", "trades#", "precision (at least)#", "profit#"]
        show_table(columns, (_summary(report) for report in found))


def show_backtest(backtest_id: BacktestId, as_json: AsJson = False) -> None:
    """Show one finished backtest again."""
    from tradepulse import bootstrap

    settings = settings_for_command()

    async def work() -> JsonObject | None:
        async with bootstrap.open_application(settings) as app:
            return await app.results.backtest(backtest_id)

    report = run(work())
    if report is None:
        raise ConfigurationError(f"There is no backtest '{backtest_id}'.", "See them with: tradepulse list-backtests")
    show_json(report) if as_json else _show_report(report)


def _known_strategy(name: str) -> None:
    from tradepulse.strategies import STRATEGIES

    if name not in STRATEGIES:
        near = nearest(name, STRATEGIES)
        remedy = f"Did you mean '{near}'?" if near else f"Use one of: {', '.join(sorted(STRATEGIES))}."
        raise ConfigurationError(f"'{name}' is not a strategy.", remedy)


def _summary(report: JsonObject) -> tuple[object, ...]:
    statistics = report["statistics"]
    return (
        _id(report),
        report["strategy"],
        f"{report['exchange']}:{report['symbol']}:{report['timeframe']}",
        utc(report["first"]),
        utc(report["last"]),
        statistics["trades"],
        _precision(statistics),
        report["profit"],
    )


def _id(report: JsonObject) -> str:
    """A fresh report names itself ``id``, a stored one ``backtest_id``."""
    return str(report.get("backtest_id") or report["id"])


def _precision(statistics: JsonObject) -> str:
    if not statistics["trades"]:
        return "no trades"
    return f"{statistics['precision']:.1%} ({statistics['precision_lower']:.1%})"


def _show_report(report: JsonObject) -> None:
    statistics, market, account = report["statistics"], report["market"], report["account"]
    simulated = " SIMULATED CANDLES" if report["simulated"] else ""
    series = f"{report['exchange']}:{report['symbol']}:{report['timeframe']}"
    show_facts(
        [
            ("range (UTC)", f"{utc(report['first'])} to {utc(report['last'])}"),
            ("candles", f"{report['candles']:,} ({report['missing']:,} missing)"),
            ("parameters", ", ".join(f"{name}={value}" for name, value in report["parameters"].items())),
            (
                "costs",
                f"maker {market['maker_ppm']}, taker {market['taker_ppm']}, slippage {market['slippage_ppm']} ppm",
            ),
            ("market rules from", market["source"]),
            ("trades", f"{statistics['trades']:,}{' (and one left open at the end)' if report['left_open'] else ''}"),
            ("precision (at least, 95 %)", _precision(statistics)),
            ("expectancy", _figure(statistics["expectancy_r"], "R per trade")),
            ("total", _figure(statistics["total_r"], "R")),
            ("profit factor", _figure(statistics["profit_factor"])),
            ("largest drawdown, at closed trades", f"{statistics['max_drawdown']:.2%}"),
            (
                "profit of closed trades, after costs",
                f"{report['profit']} (from {account['initial_cash']} to {report['final_cash']})",
            ),
            ("data / code", f"{report['data_hash'][:12]} / {report['code_version']}"),
            ("id", _id(report)),
        ],
        title=f"Backtest of {report['strategy']} on {series} ({report['method']}){simulated}",
    )
    verdicts = sorted(report["verdicts"].items(), key=lambda entry: -entry[1])
    if verdicts:
        show_line("")
        show_table(["what became of the setups", "count#"], verdicts)


def _figure(value: float | None, unit: str = "") -> str:
    return "-" if value is None else f"{value:,.2f} {unit}".strip()
