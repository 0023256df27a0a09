"""The entry point: all commands, and the one edge where errors become a line and an exit code.

Exit codes: 0 done, 1 unexpected, 2 a person must act, 3 try again, 4 refused, 5 halted, 130 interrupted.
"""

import logging
import sys
import traceback
from collections.abc import Sequence
from types import TracebackType
from typing import Annotated

import typer

from tradepulse.cli import (
    accounts,
    backtesting,
    candles,
    configurations,
    database,
    encoder,
    installation,
    jobs,
    meta,
    notifications,
    parameters,
    risk,
    running,
    schedules,
    trading,
    training,
    wallets,
    worker,
)
from tradepulse.cli.screen import show_error
from tradepulse.shared.errors import ConfigurationError, TradePulseError
from tradepulse.shared.secrets import Redactor

INTERRUPTED = 130
DEBUG = "--debug"
logger = logging.getLogger(__name__)

EPILOG = (
    "Exit codes: 0 done, 1 unexpected, 2 something for you to correct, 3 try again, 4 refused, "
    "5 halted because the book would be wrong, 130 interrupted. Every command takes --json; --debug shows tracebacks."
)

app = typer.Typer(
    name="tradepulse",
    help="TradePulse IQ: patience and precision in crypto trading.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
FAMILIES = (
    running,
    trading,
    risk,
    training,
    parameters,
    encoder,
    jobs,
    schedules,
    meta,
    worker,
    configurations,
    wallets,
    accounts,
    backtesting,
    candles,
    database,
    notifications,
    installation,
)
for family in FAMILIES:
    family.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        installation.version()
        raise typer.Exit


@app.callback()
def before_any_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """TradePulse IQ: patience and precision in crypto trading."""


def main() -> None:
    sys.excepthook = _show_traceback
    sys.exit(run(sys.argv[1:]))


def _show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """With --debug: a traceback quotes the errors of libraries word for word, signed URLs included."""
    sys.stderr.write(Redactor()("".join(traceback.format_exception(kind, error, trace))))


def run(arguments: Sequence[str]) -> int:
    """Run one command; answers the exit code. Raises nothing unless ``--debug`` is among the arguments."""
    debug = DEBUG in arguments
    given = [argument for argument in arguments if argument != DEBUG]
    try:
        return _invoke(given)
    except KeyboardInterrupt:
        show_error("Interrupted; what was finished is kept.")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone, for example `| head`.
        sys.stderr.close()
        return 1
    except TradePulseError as error:
        if debug:
            raise
        show_error(Redactor()(str(error)))
        return error.exit_code
    except Exception as error:
        # An edge: nobody above would tell it without its secrets.
        if debug:
            raise
        show_error(Redactor()(f"Unexpected {type(error).__name__}: {error}. Run it again with --debug to see where."))
        return 1


def _invoke(arguments: list[str]) -> int:
    try:
        code = app(args=arguments, prog_name="tradepulse", standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except typer.Exit as leaving:
        return int(leaving.exit_code)
    except typer.TyperException as error:
        problem = error.format_message() if hasattr(error, "format_message") else str(error)
        sentence = problem if problem.endswith("?") else f"{problem.rstrip('.')}."
        show_error(f"{sentence} See: tradepulse {_command_in(arguments)}--help")
        return ConfigurationError.exit_code
    return code if isinstance(code, int) else 0


def _command_in(arguments: list[str]) -> str:
    known = {command.name for command in app.registered_commands} | {group.name for group in app.registered_groups}
    named = next((argument for argument in arguments if not argument.startswith("-")), "")
    return f"{named} " if named in known else ""
