"""Candles: download them from exchanges, import them from files, list what is stored."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradepulse.cli.jobs import Background, submit
from tradepulse.cli.options import AsJson, Until, run, settings_for_command, span, symbol_of
from tradepulse.cli.screen import progress, show_json, show_line, show_table, tell, utc
from tradepulse.domain.market import Timeframe
from tradepulse.ports import SeriesCoverage
from tradepulse.shared.errors import ConfigurationError, RefusedError

if TYPE_CHECKING:
    from tradepulse.bootstrap import DownloadReport, ImportReport

REFUSED_ROWS_SHOWN = 5
Paths = Annotated[list[Path], typer.Argument(help="Files or folders: CSV, Parquet, feather, JSON or Binance zips.")]
Exchange = Annotated[str, typer.Option("--exchange", "-e", help="ccxt id, for example binance or kraken.")]
GivenExchange = Annotated[str | None, typer.Option("--exchange", "-e", help="ccxt id, where names do not tell it.")]
Symbols = Annotated[list[str], typer.Option("--symbol", "-s", help="BTC/USDT or BTC-USDT; repeatable.")]
GivenSymbol = Annotated[str | None, typer.Option("--symbol", "-s", help="BTC/USDT, where names do not tell it.")]
Timeframes = Annotated[list[str], typer.Option("--timeframe", "-t", help="1m, 5m, 15m, 1h, 4h, 1d, 1w; repeatable.")]
GivenTimeframe = Annotated[str | None, typer.Option("--timeframe", "-t", help="1m ..., where names do not tell it.")]
FirstMoment = Annotated[str, typer.Option("--since", help="First moment, UTC: 2025-01-31, 2025-01-31T12:00 or ms.")]


def register(app: typer.Typer) -> None:
    app.command("download-data")(download_data)
    app.command("import-data")(import_data)
    app.command("list-data")(list_data)
    app.command("simulate-data")(simulate_data)


def download_data(
    exchange: Exchange,
    symbol: Symbols,
    timeframe: Timeframes,
    since: FirstMoment,
    until: Until = None,
    background: Background = False,
    as_json: AsJson = False,
) -> None:
    """Download candles of a real exchange; no key is needed. Interrupted, it goes on where it stopped."""
    from tradepulse import bootstrap

    settings = settings_for_command()
    first, end = span(since, until)
    symbols = [symbol_of(name) for name in symbol]
    timeframes = [Timeframe.parse(name) for name in timeframe]
    if background:
        asked = {
            "exchange": exchange,
            "symbols": symbols,
            "timeframes": [str(one) for one in timeframes],
            "since": first or 0,
            "until": end,
        }
        submit(settings, "backfill", asked, as_json=as_json)
        return

    async def work() -> "DownloadReport":
        async with bootstrap.open_application(settings) as app:
            with progress(f"Downloading from {exchange}", "candles", shown=not as_json) as advance:
                return await bootstrap.download_data(
                    app,
                    exchange,
                    symbols,
                    timeframes,
                    first or 0,
                    end,
                    lambda news: advance(news.rows, news.expected, f"{news.series}"),
                )

    report = run(work())
    if as_json:
        show_json(asdict(report))
        return
    rows = [
        (entry.series, f"{entry.inserted:,}", f"{entry.unchanged:,}", entry.refused, utc(entry.first), utc(entry.last))
        for entry in report.series
    ]
    show_table(["series", "new#", "there already#", "refused#", "from (UTC)", "to (UTC)"], rows)
    for entry in report.series:
        for notice in entry.notices:
            tell(f"{entry.series}: {notice}")


def import_data(
    paths: Paths,
    exchange: GivenExchange = None,
    symbol: GivenSymbol = None,
    timeframe: GivenTimeframe = None,
    background: Background = False,
    as_json: AsJson = False,
) -> None:
    """Import candle files. Good rows are stored once; rows that break a rule are refused and named (exit code 4)."""
    from tradepulse import bootstrap

    settings = settings_for_command()
    for path in paths:
        if not path.exists():
            raise ConfigurationError(f"There is no file or folder '{path}'.", "Correct the path.")
    given_symbol = None if symbol is None else symbol_of(symbol)
    given_timeframe = None if timeframe is None else Timeframe.parse(timeframe)
    if background:
        asked = {
            "paths": [str(path.absolute()) for path in paths],
            "exchange": exchange,
            "symbol": given_symbol,
            "timeframe": given_timeframe and str(given_timeframe),
        }
        submit(settings, "import", asked, as_json=as_json)
        return

    async def work() -> "ImportReport":
        async with bootstrap.open_application(settings) as app:
            with progress("Importing", "files", shown=not as_json) as advance:
                return await bootstrap.import_data(
                    app,
                    paths,
                    exchange=exchange,
                    symbol=given_symbol,
                    timeframe=given_timeframe,
                    progress=lambda done, total, file: advance(done, total, Path(file.file).name),
                )

    report = run(work())
    if not report.files:
        raise ConfigurationError("No candle file is there.", "Name CSV, Parquet, feather, JSON or zip files.")
    show_json(_import_json(report)) if as_json else _show_import(report)
    _refuse_what_was_refused(report)


def _import_json(report: "ImportReport") -> dict[str, Any]:
    return {
        "inserted": report.inserted,
        "unchanged": report.unchanged,
        "refused": report.refused,
        "seconds": report.seconds,
        "rows_per_second": round(report.rows_per_second),
        "files": [{**asdict(file), "series": file.series and str(file.series)} for file in report.files],
    }


def _show_import(report: "ImportReport") -> None:
    rows = [
        (Path(file.file).name, file.series or "-", f"{file.inserted:,}", f"{file.unchanged:,}", f"{file.refused:,}")
        for file in report.files
        if not file.error
    ]
    if rows:
        show_table(["file", "series", "new#", "there already#", "refused#"], rows)
        show_line(f"{report.rows:,} rows in {report.seconds:.1f} s ({report.rows_per_second:,.0f} rows/s)")
    for line in _refusals(report):
        show_line(f"refused: {line}")


def _refusals(report: "ImportReport") -> Iterator[str]:
    for file in report.files:
        for row in file.refused_rows[:REFUSED_ROWS_SHOWN]:
            place = f"line {row.line}" if row.line is not None else utc(row.open_time)
            yield f"{Path(row.file).name}, {place}: {row.rule} ({row.detail})"


def _refuse_what_was_refused(report: "ImportReport") -> None:
    if report.errors:
        others = len(report.errors) - 1
        raise RefusedError(f"{report.errors[0]}{f' (and {others} more files)' if others else ''}")
    without = [Path(file.file).name for file in report.files if not file.rows]
    if without:
        raise RefusedError(f"{', '.join(without)}: there is no candle inside.", "Name files that hold candles.")
    if report.refused:
        first = next(_refusals(report), "")
        raise RefusedError(
            f"{report.refused:,} of {report.rows:,} rows were refused, first {first}.",
            "The other rows are stored; correct these and import again.",
        )


def list_data(as_json: AsJson = False) -> None:
    """List the stored candles of every series, with what is missing in between."""
    from tradepulse import bootstrap

    settings = settings_for_command()

    async def work() -> list[SeriesCoverage]:
        async with bootstrap.open_application(settings) as app:
            return await app.candles.coverage()

    _show_coverage(run(work()), as_json=as_json)


def simulate_data(as_json: AsJson = False) -> None:
    """Write the history of the simulated market, as the first start of 'up' does: candles to try everything on.

    They are marked SIMULATED and have no edge. What is stored already is left as it is.
    """
    from tradepulse import bootstrap

    settings = settings_for_command()

    async def work() -> list[SeriesCoverage]:
        async with bootstrap.open_application(settings) as app:
            await bootstrap.store_simulated_history(app)
            return [entry for entry in await app.candles.coverage() if entry.simulated]

    _show_coverage(run(work()), as_json=as_json)


def _show_coverage(coverage: list[SeriesCoverage], *, as_json: bool) -> None:
    if as_json:
        show_json([_coverage_json(entry) for entry in coverage])
    elif not coverage:
        show_line("No candles are stored yet. Try: tradepulse simulate-data, or: tradepulse download-data --help")
    else:
        show_table(["series", "candles#", "from (UTC)", "to (UTC)", "missing#", "origin"], map(_row, coverage))


def _coverage_json(entry: SeriesCoverage) -> dict[str, object]:
    return {
        "exchange": entry.series.exchange,
        "symbol": entry.series.symbol,
        "timeframe": str(entry.series.timeframe),
        "candles": entry.rows,
        "first": entry.first,
        "last": entry.last,
        "missing": entry.missing,
        "simulated": entry.simulated,
    }


def _row(entry: SeriesCoverage) -> tuple[object, ...]:
    origin = "SIMULATED" if entry.simulated else "real"
    return entry.series, f"{entry.rows:,}", utc(entry.first), utc(entry.last), f"{entry.missing:,}", origin
