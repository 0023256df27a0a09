"""Users and the audit log from the terminal of the machine: for the first user, and for who forgot a password."""

import sys
from getpass import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from tradepulse.cli.options import AsJson, run, settings_for_command
from tradepulse.cli.screen import show_json, show_line, show_table, utc
from tradepulse.domain.users import Role, User, verify_chain
from tradepulse.shared.errors import ConfigurationError, InvariantError

if TYPE_CHECKING:
    from tradepulse.api.accounts import Accounts, Actor
    from tradepulse.bootstrap import Application

Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name, in any case.")]
TheRole = Annotated[Role, typer.Option("--role", help="Each may do all that those before it may.")]
Again = Annotated[bool, typer.Option("--enable", help="Let the user log in again.")]
Known = Annotated[
    str | None,
    typer.Option("--known", metavar="NUMBER:HASH", help="An entry noted earlier, which must still be there."),
]
ON_THE_MACHINE = "command line"


def register(app: typer.Typer) -> None:
    users = typer.Typer(help="Who may log in. A password is asked for, or read from a pipe; never an argument.")
    users.command("add")(add)
    users.command("list")(listed)
    users.command("password")(password)
    users.command("disable")(disable)
    app.add_typer(users, name="users", no_args_is_help=True)
    audit = typer.Typer(help="The log of who did what.")
    audit.command("verify")(verify)
    app.add_typer(audit, name="audit", no_args_is_help=True)


def add(name: Name, role: TheRole = Role.VIEWER, as_json: AsJson = False) -> None:
    """Add a user."""
    run(_add(name, role, as_json=as_json))


def listed(as_json: AsJson = False) -> None:
    """Who there is."""
    run(_list(as_json=as_json))


def password(name: Name, as_json: AsJson = False) -> None:
    """Give a user a new password; their sessions end."""
    run(_password(name, as_json=as_json))


def disable(name: Name, enable: Again = False, as_json: AsJson = False) -> None:
    """Keep a user from logging in; their sessions end. The last admin stays."""
    run(_disable(name, enable=enable, as_json=as_json))


def verify(known: Known = None, as_json: AsJson = False) -> None:
    """Check that every entry of the audit log follows from the one before it. Exit code 5 where one does not.

    Who may write to the database can make a whole chain anew: note number and hash elsewhere, and give them as --known.
    """
    run(_verify(_noted(known), as_json=as_json))


async def _add(name: str, role: Role, *, as_json: bool) -> None:
    from tradepulse import bootstrap

    async with bootstrap.open_application(settings_for_command()) as app:
        accounts = _accounts(app)
        given = _asked(f"Password of {name}")
        _show(await accounts.add_user(name, given, role, _by()), "added", as_json=as_json)


async def _list(*, as_json: bool) -> None:
    from tradepulse import bootstrap

    async with bootstrap.open_application(settings_for_command()) as app:
        users = await app.accounts.users()
    if as_json:
        show_json([_told(user) for user in users])
        return
    rows = [(user.name, user.role, "disabled" if user.disabled else "", utc(user.created_at)) for user in users]
    show_table(("name", "role", "", "since"), rows)


async def _password(name: str, *, as_json: bool) -> None:
    from tradepulse import bootstrap
    from tradepulse.api.accounts import named_user

    async with bootstrap.open_application(settings_for_command()) as app:
        user = await named_user(app.accounts, name)
        given = _asked(f"New password of {user.name}")
        changed = await _accounts(app).change_user(user, _by(), password=given)
    _show(changed, "has a new password", as_json=as_json)


async def _disable(name: str, *, enable: bool, as_json: bool) -> None:
    from tradepulse import bootstrap
    from tradepulse.api.accounts import named_user

    async with bootstrap.open_application(settings_for_command()) as app:
        user = await named_user(app.accounts, name)
        changed = await _accounts(app).change_user(user, _by(), disabled=not enable)
    _show(changed, "may log in" if enable else "is disabled", as_json=as_json)


async def _verify(known: tuple[int, str] | None, *, as_json: bool) -> None:
    from tradepulse import bootstrap

    async with bootstrap.open_application(settings_for_command()) as app:
        report = verify_chain([entry async for entry in app.accounts.chain()], known)
    if as_json:
        show_json({"entries": report.entries, "head": report.head, "problem": report.problem})
    elif not report.problem:
        noted = f" Note for the next time: --known {report.entries}:{report.head}" if report.entries else ""
        show_line(f"The audit log is whole: {report.entries} entries.{noted}")
    if report.problem:
        raise InvariantError(f"The audit log was changed: {report.problem}.", "Find out who wrote to the database.")


def _accounts(app: "Application") -> "Accounts":
    from tradepulse.api.accounts import Accounts

    return Accounts(app.accounts, app.clock)


def _by() -> "Actor":
    from tradepulse.api.accounts import Actor

    return Actor(ON_THE_MACHINE)


def _asked(what: str) -> str:
    """Without an echo and twice on a terminal, or the first line of a pipe."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    try:
        chosen = getpass(f"{what}: ")
        again = getpass("The same again: ")
    except EOFError:
        raise KeyboardInterrupt from None
    if again != chosen:
        raise ConfigurationError("The two passwords differ.", "Nothing was changed; start again.")
    return chosen


def _noted(known: str | None) -> tuple[int, str] | None:
    if known is None:
        return None
    number, colon, noted = known.partition(":")
    if not (number.isdigit() and colon and noted):
        raise ConfigurationError(f"--known {known} is not NUMBER:HASH.", "Copy it as 'audit verify' showed it.")
    return int(number), noted


def _show(user: User, became: str, *, as_json: bool) -> None:
    if as_json:
        show_json(_told(user))
    else:
        show_line(f"{user.name} ({user.role}) {became}.")


def _told(user: User) -> dict[str, object]:
    return {
        "user_id": user.user_id,
        "name": user.name,
        "role": user.role.value,
        "disabled": user.disabled,
        "created_at": user.created_at,
    }
