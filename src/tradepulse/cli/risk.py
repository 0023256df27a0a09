"""Halting, resuming and closing by hand, whatever process trades; and what keeps entries from being made."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradepulse.cli.options import AsJson, BookName, run, settings_for_command
from tradepulse.cli.screen import show_facts, show_json, show_line, show_table, utc
from tradepulse.cli.training import BY
from tradepulse.domain.inbox import Request, RequestKind, RequestStatus
from tradepulse.shared.errors import RefusedError

if TYPE_CHECKING:
    from tradepulse.bootstrap import Application

JsonObject = dict[str, Any]

Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the event.")]
By = Annotated[str, typer.Option("--by", help="Who says so.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Leave it in the inbox and do not wait for the outcome.")]
Seconds = Annotated[float, typer.Option("--timeout", min=0, max=3600, help="Seconds to wait for the outcome.")]
PositionId = Annotated[str, typer.Argument(metavar="POSITION", help="Its id, as the dashboard and the API show it.")]
SetupId = Annotated[str, typer.Argument(metavar="SETUP", help="Id of the setup whose entry is on its way.")]
StopPrice = Annotated[str, typer.Option("--to", metavar="PRICE", help="Towards the target only; rounded to a tick.")]
DEFAULT_SECONDS = 30.0


def register(app: typer.Typer) -> None:
    app.command("halt")(halt)
    app.command("resume")(resume)
    app.command("close")(close)
    app.command("cancel-entry")(cancel_entry)
    app.command("move-stop")(move_stop)
    app.command("risk")(risk)


def halt(
    reason: Reason, book: BookName = None, by: By = BY, no_wait: NoWait = False,
    timeout: Seconds = DEFAULT_SECONDS, as_json: AsJson = False,
) -> None:  # fmt: skip
    """The kill switch: nothing new is entered, entries on their way are withdrawn; stops and targets stay."""
    run(_asked(RequestKind.HALT, reason, by, "", book, 0 if no_wait else timeout, as_json=as_json))


def resume(
    reason: Reason, book: BookName = None, by: By = BY, no_wait: NoWait = False,
    timeout: Seconds = DEFAULT_SECONDS, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Lift what only a person may lift; the daily loss ends with its day."""
    run(_asked(RequestKind.RESUME, reason, by, "", book, 0 if no_wait else timeout, as_json=as_json))


def close(
    position: PositionId, reason: Reason, book: BookName = None, by: By = BY, no_wait: NoWait = False,
    timeout: Seconds = DEFAULT_SECONDS, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Close one position at market; its stop and target are withdrawn in the same step."""
    run(_asked(RequestKind.CLOSE_POSITION, reason, by, position, book, 0 if no_wait else timeout, as_json=as_json))


def cancel_entry(
    setup: SetupId, reason: Reason, book: BookName = None, by: By = BY, no_wait: NoWait = False,
    timeout: Seconds = DEFAULT_SECONDS, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Withdraw an entry that was sent and has not filled."""
    run(_asked(RequestKind.CANCEL_ENTRY, reason, by, setup, book, 0 if no_wait else timeout, as_json=as_json))


def move_stop(
    position: PositionId, to: StopPrice, reason: Reason, book: BookName = None, by: By = BY, no_wait: NoWait = False,
    timeout: Seconds = DEFAULT_SECONDS, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Move the stop of one position towards its target. Away from it is refused, and beyond the price."""
    seconds = 0 if no_wait else timeout
    run(_asked(RequestKind.MOVE_STOP, reason, by, position, book, seconds, as_json=as_json, price=to))


def risk(book: BookName = None, as_json: AsJson = False) -> None:
    """What keeps entries from being made: state, holds, locks, and what is not ready."""
    run(_risk(book, as_json=as_json))


async def _asked(
    kind: RequestKind, reason: str, by: str, subject: str, book: str | None, seconds: float, *, as_json: bool,
    price: str = "",
) -> None:  # fmt: skip
    from tradepulse import bootstrap

    async with bootstrap.open_application(settings_for_command()) as app:
        request = await bootstrap.ask(app, kind, reason, by=by, subject=subject, price=price, book=book)
        if seconds:
            request = await bootstrap.answer_to(app, request, seconds)
        await _show(app, request, as_json=as_json)
    if request.status is RequestStatus.REFUSED:
        raise RefusedError(f"Refused: {request.outcome}.", "See: tradepulse risk")


async def _show(app: "Application", request: Request, *, as_json: bool) -> None:
    from tradepulse import bootstrap

    traded = await bootstrap.is_traded(app, request.book)
    if as_json:
        told = {"request_id": request.request_id, "book": request.book, "status": request.status.value}
        show_json(told | {"outcome": request.outcome, "traded": traded})
    elif request.status is RequestStatus.DONE:
        show_line(f"Done: {request.outcome}.")
    elif not request.status.answered:
        show_line(f"{_why_it_waits(request, traded=traded)} Its id is {request.request_id}.")


def _why_it_waits(request: Request, *, traded: bool) -> str:
    if traded:
        return f"Not answered yet: to {request.kind} waits in the inbox of book {request.book}."
    return f"Nothing trades book {request.book} now: to {request.kind} waits, and is done when 'tradepulse up' starts."


async def _risk(book: str | None, *, as_json: bool) -> None:
    from tradepulse import bootstrap

    async with bootstrap.open_application(settings_for_command()) as app:
        report = await bootstrap.risk_report(app, book)
    if as_json:
        show_json(report)
        return
    _show_report(report)


def _show_report(report: JsonObject) -> None:
    facts = [
        ("book", report["book"]),
        ("traded now", "yes" if report["traded"] else "no"),
        ("state", report["state"] if report["begun"] else "it has not begun"),
        ("market time", utc(report["time"]) if report["time"] else "-"),
        ("equity", report["equity"] or "-"),
        ("the day began with", report["day_began_with"]),
        ("peak", report["peak"]),
    ]
    show_facts(facts)
    rows = [
        (one["cause"], one["state"], one["reason"], utc(one["since"]), utc(one["until"])) for one in report["holds"]
    ]
    rows += [(one["cause"], "not ready", one["reason"], utc(one["since"]), "-") for one in report["not_ready"]]
    rows += [
        (one["cause"], f"lock on {_where(one)}", one["reason"], utc(one["since"]), utc(one["until"]))
        for one in report["locks"]
    ]
    if rows:
        show_table(("cause", "what it does", "reason", "since", "until"), rows, title="Keeps entries from being made")
    else:
        show_line("Nothing keeps entries from being made.")
    _show_limits(report["limits"])


def _show_limits(limits: list[JsonObject] | None) -> None:
    if limits:
        rows = [(one["limit"], one["about"], one["used"], one["allowed"], f"{one['share']:.1%}") for one in limits]
        show_table(("limit", "of", "used#", "allowed#", "share#"), rows, title="How much of each limit is used")


def _where(lock: JsonObject) -> str:
    market = lock["market"]
    return f"{market['symbol']} on {market['exchange']}" if market else "all markets"
