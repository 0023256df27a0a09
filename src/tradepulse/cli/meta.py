"""The meta-controller: judge now, look at what was judged, go back to an earlier policy."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import TypeAdapter

from tradepulse.cli.jobs import with_application
from tradepulse.cli.options import AsJson, BookName, run, settings_for_command
from tradepulse.cli.screen import show_facts, show_json, show_line, show_table, utc
from tradepulse.domain.policy import PPM, Policy

if TYPE_CHECKING:
    from tradepulse.bootstrap import Application

Note = Annotated[list[str] | None, typer.Option("--note", help="News, as data for the language model; repeatable.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many, newest first.")]
Version = Annotated[int, typer.Argument(min=1, help="As 'tradepulse meta history' shows it.")]
By = Annotated[str, typer.Option("--by", help="Who says so; kept with the policy.")]

commands = typer.Typer(help="How much risk is allowed this hour.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="meta")


@commands.command("run")
def run_now(book: BookName = None, note: Note = None, as_json: AsJson = False) -> None:
    """Judge now, for one book or for every book that is traded, and hand the policy to its trader."""

    async def work(app: "Application") -> list[Policy]:
        from tradepulse.bootstrap import meta

        return await meta.run_meta(app, book, note or ())

    issued = run(with_application(settings_for_command(), work))
    if as_json:
        show_json([policy_json(one) for one in issued])
    elif not issued:
        show_line("Nobody trades a book now. Name one with --book, or start with: tradepulse up")
    for one in () if as_json else issued:
        _show(one)


@commands.command("history")
def history(book: BookName = None, limit: Limit = 20, as_json: AsJson = False) -> None:
    """List the policies of a book, newest first."""

    async def work(app: "Application") -> list[Policy]:
        from tradepulse.bootstrap import meta, requests

        name = await requests.known_book(app, book)
        return await meta.policy_store(app).history(name, limit=limit)

    found = run(with_application(settings_for_command(), work))
    if as_json:
        show_json([policy_json(one) for one in found])
    elif not found:
        show_line("There is no policy yet. Try: tradepulse meta run, or tradepulse schedules enable hourly-policy")
    else:
        columns = ["version#", "issued (UTC)", "until (UTC)", "state", "risk#", "paused", "by", "because"]
        show_table(columns, map(_row, found))


@commands.command("rollback")
def rollback(version: Version, book: BookName = None, by: By = "command line", as_json: AsJson = False) -> None:
    """Issue the bounds of an earlier policy again, until the next run; never looser than the rules are now."""

    async def work(app: "Application") -> Policy:
        from tradepulse.bootstrap import meta, requests

        return await meta.roll_back(app, await requests.known_book(app, book), version, by)

    issued = run(with_application(settings_for_command(), work))
    if as_json:
        show_json(policy_json(issued))
    else:
        _show(issued)


def policy_json(policy: Policy) -> dict[str, Any]:
    plain: dict[str, Any] = TypeAdapter(Policy).dump_python(policy, mode="json")
    return plain


def _show(policy: Policy) -> None:
    consulted = policy.consulted
    show_facts(
        [
            ("issued / until (UTC)", f"{utc(policy.issued_at)} / {utc(policy.valid_until)}"),
            ("market state", f"{policy.rules.state}, {policy.rules.conviction:.0%} of the facts known"),
            ("risk", f"{policy.bounds.risk_ppm / PPM:.0%} of the usual size"),
            ("paused", ", ".join(sorted(policy.bounds.paused)) or "nothing"),
            ("more confluence", f"{policy.bounds.confluence_bump_ppm / PPM:g}"),
            ("language model", f"{consulted.get('status', '')} {consulted.get('problem', '')}".strip()),
            ("by", policy.author),
            *[("because", reason) for reason in policy.reasons],
        ],
        title=f"policy {policy.version} of {policy.book}",
    )


def _row(policy: Policy) -> tuple[object, ...]:
    return (
        policy.version,
        utc(policy.issued_at),
        utc(policy.valid_until),
        str(policy.rules.state),
        f"{policy.bounds.risk_ppm / PPM:.0%}",
        ", ".join(sorted(policy.bounds.paused)),
        policy.author,
        "; ".join(policy.reasons),
    )
