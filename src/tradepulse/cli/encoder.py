"""What markets look like: fit and judge the encoder, and keep its memory up to date."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradepulse.cli.jobs import Background, submit, with_application
from tradepulse.cli.options import AsJson, run, settings_for_command
from tradepulse.cli.screen import Advance, progress, show_json, show_line, show_table

if TYPE_CHECKING:
    from tradepulse.bootstrap import Application

JsonObject = dict[str, Any]
Timeframes = Annotated[list[str] | None, typer.Option("--timeframe", "-t", help="Only this; repeatable.")]
Symbols = Annotated[list[str] | None, typer.Option("--symbol", "-s", help="Only of this market; repeatable.")]
Exchanges = Annotated[list[str] | None, typer.Option("--exchange", "-e", help="Only of this exchange; repeatable.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed and candles give the same model.")]

commands = typer.Typer(
    help="What markets look like, and what followed on setups that looked alike.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="encoder")


@commands.command("train")
def train(
    timeframe: Timeframes = None,
    symbol: Symbols = None,
    exchange: Exchanges = None,
    seed: Seed = 0,
    background: Background = False,
    as_json: AsJson = False,
) -> None:
    """Fit a model per timeframe, judge it on held-out time, and embed every setup with it."""
    frames, symbols, exchanges = timeframe or [], symbol or [], exchange or []
    if background:
        asked = {"timeframes": frames, "symbols": symbols, "exchanges": exchanges, "seed": seed}
        submit(settings_for_command(), "encoder-train", asked, as_json=as_json)
        return

    async def work(app: "Application", advance: Advance) -> JsonObject:
        from tradepulse.bootstrap import encoder

        return await encoder.train_encoder(app, frames, symbols, exchanges, seed, advance)

    _show_judgements(_answer("train", "timeframes", work, quiet=as_json), as_json=as_json)


@commands.command("evaluate")
def evaluate(
    timeframe: Timeframes = None, seed: Seed = 0, background: Background = False, as_json: AsJson = False
) -> None:
    """Judge the models again on what is stored by now: lift, controls, whether the prior has earned its place."""
    frames = timeframe or []
    if background:
        asked = {"timeframes": frames, "seed": seed}
        submit(settings_for_command(), "encoder-evaluate", asked, as_json=as_json)
        return

    async def work(app: "Application", advance: Advance) -> JsonObject:
        from tradepulse.bootstrap import encoder

        return await encoder.evaluate_encoder(app, frames, seed, advance)

    _show_judgements(_answer("evaluate", "timeframes", work, quiet=as_json), as_json=as_json)


@commands.command("run")
def run_now(timeframe: Timeframes = None, background: Background = False, as_json: AsJson = False) -> None:
    """Embed the newest windows, new setups and what became of open ones; a schedule does so every hour."""
    frames = timeframe or []
    if background:
        submit(settings_for_command(), "encoder", {"timeframes": frames}, as_json=as_json)
        return

    async def work(app: "Application", advance: Advance) -> JsonObject:
        from tradepulse.bootstrap import encoder

        return await encoder.run_encoder(app, frames, advance)

    found = _answer("run", "series", work, quiet=as_json)
    if as_json:
        show_json(found)
    elif "state" in found:
        show_line(found["state"])
    else:
        columns = ["timeframe", "model", "series#", "setups looked at#", "resolved#", "left out"]
        show_table(columns, [_run_row(name, told) for name, told in found.items()])


def _answer(
    title: str, unit: str, work: Callable[["Application", Advance], Coroutine[Any, Any, JsonObject]], *, quiet: bool
) -> JsonObject:
    async def watched(app: "Application") -> JsonObject:
        with progress(title, unit, shown=not quiet) as advance:
            return await work(app, advance)

    return run(with_application(settings_for_command(), watched))


def _run_row(timeframe: str, told: JsonObject) -> tuple[object, ...]:
    left_out = "; ".join(told["left_out"])
    return timeframe, told["model"], told["series"], f"{told['setups']:,}", f"{told['resolved']:,}", left_out


def _show_judgements(found: JsonObject, *, as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    for timeframe, told in found.items():
        what = (
            "HAS EARNED its place" if told["earned"] else "has NOT earned its place: it is shown, and changes no size"
        )
        title = f"{timeframe}, model {told['model']}: {told['setups']:,} setups held out, {told['wins']:.1%} won"
        rows = [_lift_row(name, lift) for name, lift in told["top"].items()]
        rows.append(_lift_row("logistic head, WORST fifth", told["bottom"]))
        show_table(["best fifth by", "setups#", "precision, points (95 %)#", "R (95 %)#"], rows, title=title)
        for reason in told["reasons"]:
            show_line(f"  {reason}")
        show_line(f"The prior of {timeframe} {what}.\n")


def _lift_row(name: str, lift: JsonObject) -> tuple[object, ...]:
    points, r = lift["precision"], lift["r"]
    return (
        name,
        f"{lift['setups']:,}",
        f"{points['value'] * 100:+.1f} ({points['low'] * 100:+.1f} to {points['high'] * 100:+.1f})",
        f"{r['value']:+.3f} ({r['low']:+.3f} to {r['high']:+.3f})",
    )
