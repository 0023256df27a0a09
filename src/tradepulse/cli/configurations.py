"""Trained assets: the matrix of what is traded where, one configuration's evidence and life, and sharing them."""

import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from tradepulse.cli.configuration_screen import (
    configuration_json,
    configuration_row,
    matrix_json,
    move_json,
    short_id,
    show_evidence,
    show_matrix,
)
from tradepulse.cli.options import AsJson, run, settings_for_command
from tradepulse.cli.screen import show_json, show_line, show_table
from tradepulse.cli.training import BY, write_new
from tradepulse.domain.training import Configuration, Stage, StageMove
from tradepulse.shared.errors import ConfigurationError

if TYPE_CHECKING:
    from tradepulse.policy.trained_assets import Matrix, TrainedAssetsManager

JsonObject = dict[str, Any]
Answer = TypeVar("Answer")

SymbolName = Annotated[str, typer.Argument(metavar="SYMBOL", help="BTC/USDT or BTC-USDT.")]
Identity = Annotated[str, typer.Argument(metavar="ID", help="As list-configurations shows it; a beginning is enough.")]
Reason = Annotated[str, typer.Option("--reason", help="Kept in the configuration's life.")]
GivenReason = Annotated[str, typer.Option("--reason", help="Why; kept in the configuration's life.")]
To = Annotated[Stage | None, typer.Option("--to", help="The stage that you mean; never more than one further.")]
Exchange = Annotated[str | None, typer.Option("--exchange", "-e", help="ccxt id; default: every one with this symbol.")]
OnlyExchange = Annotated[str | None, typer.Option("--exchange", "-e", help="Only those of this exchange.")]
OnlySymbol = Annotated[str | None, typer.Option("--symbol", "-s", help="Only those of this symbol.")]
OnlyTimeframe = Annotated[str | None, typer.Option("--timeframe", "-t", help="Only those on this timeframe.")]
OnlyStrategy = Annotated[str | None, typer.Option("--strategy", help="Only those of this strategy.")]
OnlyRegime = Annotated[str | None, typer.Option("--regime", help="bull, bear, sideways, or any for the parents.")]
OnlyActive = Annotated[bool, typer.Option("--active", help="Only those in force.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="A file that is not there yet; else the screen.")]
Document = Annotated[Path, typer.Argument(metavar="FILE", help="As export-configurations wrote it.")]


def register(app: typer.Typer) -> None:
    app.command("matrix")(matrix)
    app.command("list-configurations")(list_configurations)
    app.command("show-configuration")(show_configuration)
    app.command("promote")(promote)
    app.command("retire")(retire)
    app.command("activate")(activate)
    app.command("deactivate")(deactivate)
    app.command("rollback")(rollback)
    app.command("export-configurations")(export_configurations)
    app.command("import-configurations")(import_configurations)


def matrix(symbol: SymbolName, exchange: Exchange = None, as_json: AsJson = False) -> None:
    """Show all 54 combinations of a symbol: what is traded, with which figures, or why not."""

    async def work(manager: "TrainedAssetsManager") -> list["Matrix"]:
        return [await manager.matrix(symbol, name) for name in await _exchanges_of(manager, symbol, exchange)]

    found = _with_manager(work)
    if as_json:
        show_json([matrix_json(one) for one in found])
        return
    for one in found:
        show_matrix(one)


async def _exchanges_of(manager: "TrainedAssetsManager", symbol: str, exchange: str | None) -> list[str]:
    there = list(await manager.exchanges_of(symbol))
    chosen = exchange and exchange.strip().lower()
    if chosen and chosen not in there:
        raise ConfigurationError(f"Nothing of {symbol} is stored on '{chosen}'.", f"It is on: {', '.join(there)}.")
    return [chosen] if chosen else there


def list_configurations(
    symbol: OnlySymbol = None,
    exchange: OnlyExchange = None,
    strategy: OnlyStrategy = None,
    regime: OnlyRegime = None,
    timeframe: OnlyTimeframe = None,
    active: OnlyActive = False,
    as_json: AsJson = False,
) -> None:
    """List configurations: every version, whether it is in force, and the figures it was deployed upon."""
    chosen = _filters(symbol, exchange, strategy, regime, timeframe, active=active)

    async def work(manager: "TrainedAssetsManager") -> list[Configuration]:
        return list(await manager.list(**chosen))

    found = _with_manager(work)
    if as_json:
        show_json([configuration_json(one) for one in found])
    elif not found:
        show_line("No such configuration. Train first: tradepulse train --help")
    else:
        columns = ["id", "combination", "version#", "stage", "in force", "origin", "trades#", "precision (at least)#"]
        show_table([*columns, "expectancy#"], map(configuration_row, found))


def show_configuration(configuration: Identity, as_json: AsJson = False) -> None:
    """Show one configuration: parameters, evidence gate by gate, in sample beside out of sample, and its life."""

    async def work(manager: "TrainedAssetsManager") -> tuple[Configuration, list[StageMove]]:
        found = await manager.configuration(configuration)
        return found, list(await manager.life(found.configuration_id))

    found, life = _with_manager(work)
    if as_json:
        moves = [move_json(move) for move in life]
        show_json({**configuration_json(found), "evidence": found.evidence, "life": moves})
    else:
        show_evidence(found, life)


def promote(configuration: Identity, reason: Reason, to: To = None, as_json: AsJson = False) -> None:
    """Move a configuration in force one stage on: validation, confirmation, mature (full size)."""
    _act(lambda manager: manager.promote(configuration, by=BY, reason=reason, to=to), as_json=as_json)


def retire(configuration: Identity, reason: GivenReason = "", as_json: AsJson = False) -> None:
    """Take a configuration out of force for good."""
    _act(lambda manager: manager.retire(configuration, by=BY, reason=reason), as_json=as_json)


def activate(configuration: Identity, reason: GivenReason = "", as_json: AsJson = False) -> None:
    """Put a configuration into force; the one in force so far is deactivated."""
    _act(lambda manager: manager.activate(configuration, by=BY, reason=reason), as_json=as_json)


def deactivate(configuration: Identity, reason: GivenReason = "", as_json: AsJson = False) -> None:
    """Take a configuration out of force; it can be activated again."""
    _act(lambda manager: manager.deactivate(configuration, by=BY, reason=reason), as_json=as_json)


def rollback(configuration: Identity, reason: GivenReason = "", as_json: AsJson = False) -> None:
    """Put the version into force again that was in force before this one."""
    _act(lambda manager: manager.rollback(configuration, by=BY, reason=reason), as_json=as_json)


def export_configurations(
    output: Output = None,
    symbol: OnlySymbol = None,
    exchange: OnlyExchange = None,
    strategy: OnlyStrategy = None,
    regime: OnlyRegime = None,
    timeframe: OnlyTimeframe = None,
    active: OnlyActive = False,
    as_json: AsJson = False,
) -> None:
    """Write configurations with their evidence as one JSON document that can be imported elsewhere."""
    chosen = _filters(symbol, exchange, strategy, regime, timeframe, active=active)

    async def work(manager: "TrainedAssetsManager") -> JsonObject:
        found = await manager.list(**chosen)
        if not found:
            raise ConfigurationError("There is no such configuration.", "See them with: tradepulse list-configurations")
        return await manager.export(found)

    document = _with_manager(work)
    if output is None:
        show_json(document)
        return
    write_new(output, json.dumps(document, indent=2, allow_nan=False) + "\n")
    written = {"file": str(output), "configurations": len(document["configurations"])}
    written["content_hash"] = document["content_hash"]
    show_json(written) if as_json else show_line(f"{written['configurations']} configurations written to {output}")


def import_configurations(file: Document, as_json: AsJson = False) -> None:
    """Import configurations of others: checked as a whole, stored inactive, in validation."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text"
        raise ConfigurationError(f"'{file}' cannot be read: {reason}.", "Correct the path.") from None

    async def work(manager: "TrainedAssetsManager") -> list[Configuration]:
        from tradepulse.policy.configuration_documents import parsed_document

        return list(await manager.import_(parsed_document(text), by=BY))

    added = _with_manager(work)
    if as_json:
        show_json([configuration_json(one) for one in added])
    elif not added:
        show_line("Nothing new: everything in the document is stored already.")
    else:
        show_line(f"{len(added)} configurations imported. None is in force: activate those you trust.")
        show_table(["id", "combination", "version#"], ((short_id(one), one.combination, one.version) for one in added))


# --- inside


def _with_manager(work: Callable[["TrainedAssetsManager"], Coroutine[Any, Any, Answer]]) -> Answer:
    settings = settings_for_command()

    async def opened() -> Answer:
        from tradepulse import bootstrap
        from tradepulse.bootstrap import training

        async with bootstrap.open_application(settings) as app:
            return await work(training.trained_assets(app))

    return run(opened())


def _act(act: Callable[["TrainedAssetsManager"], Coroutine[Any, Any, Configuration]], *, as_json: bool) -> None:
    moved = _with_manager(act)
    if as_json:
        show_json(configuration_json(moved))
    else:
        force = "in force" if moved.active else "not in force"
        show_line(f"{moved.combination}, version {moved.version}: {moved.stage}, {force}")


def _filters(
    symbol: str | None,
    exchange: str | None,
    strategy: str | None,
    regime: str | None,
    timeframe: str | None,
    *,
    active: bool,
) -> dict[str, Any]:
    named = {"symbol": symbol, "exchange": exchange, "strategy": strategy, "regime": regime, "timeframe": timeframe}
    return {**named, "active": True if active else None}
