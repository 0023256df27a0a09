"""Candles: download, import, list. (The first two are filled in with the hall's own functions.)"""

import typer

from tradepulse.cli.options import AsJson, run, settings_for_command
from tradepulse.cli.screen import show_json, show_line, show_table, utc
from tradepulse.ports import SeriesCoverage


def register(app: typer.Typer) -> None:
    app.command("list-data")(list_data)


def list_data(as_json: AsJson = False) -> None:
    """List the stored candles of every series, with what is missing in between."""
    from tradepulse import bootstrap

    settings = settings_for_command()

    async def work() -> list[SeriesCoverage]:
        async with bootstrap.open_application(settings) as app:
            return await app.candles.coverage()

    coverage = run(work())
    if as_json:
        show_json([_as_json(entry) for entry in coverage])
    elif not coverage:
        show_line("No candles are stored yet. Try: tradepulse download-data --help")
    else:
        show_table(["series", "candles#", "from (UTC)", "to (UTC)", "missing#", "origin"], map(_row, coverage))


def _as_json(entry: SeriesCoverage) -> dict[str, object]:
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
