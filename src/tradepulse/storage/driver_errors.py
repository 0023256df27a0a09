"""The driver's errors in our terms: each with one clear line and a remedy."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors as pg
from psycopg_pool import PoolTimeout

from tradepulse.shared.errors import ConfigurationError, InvariantError, TradePulseError, TransientError


def without_password(url: str) -> str:
    in_user = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", url)
    return re.sub(r"(password=)[^&\s]*", r"\1***", in_user)


# While connecting, the driver knows the server's refusals by their words only.
REFUSED_USER = ("password", "role ", "pg_hba.conf", "permission denied for database")


@contextmanager
def database_errors(url: str) -> Iterator[None]:
    """Turns the driver's errors into ours."""
    try:
        yield
    except (psycopg.Error, PoolTimeout) as error:
        raise _explained(error, without_password(url)) from error


def _explained(error: Exception, url: str) -> TradePulseError:
    said = str(error).strip().splitlines()
    line = said[0] if said else type(error).__name__
    if isinstance(error, pg.UniqueViolation | pg.CheckViolation | pg.NotNullViolation | pg.ForeignKeyViolation):
        return InvariantError(f"The database refused a contradiction: {line}", "The book would no longer add up; stop.")
    if isinstance(error, pg.DiskFull) or "No space left" in line:
        return ConfigurationError(f"The database's disk is full ({url}).", "Free some space; nothing was half-written.")
    if isinstance(error, pg.InvalidCatalogName) or ('database "' in line and "does not exist" in line):
        return ConfigurationError(
            f"The database does not exist ({url}).", "Create it with 'createdb', or correct DATABASE_URL."
        )
    if isinstance(error, pg.InsufficientPrivilege):
        return ConfigurationError(f"The database user may not do this: {line} ({url}).", "Grant it, or own the schema.")
    if isinstance(error, psycopg.OperationalError) and any(words in line for words in REFUSED_USER):
        return ConfigurationError(
            f"The database refused the user or the password ({url}).", "Correct DATABASE_URL (user:password@host)."
        )
    if isinstance(error, pg.UndefinedTable | pg.UndefinedColumn):
        return ConfigurationError(f"The database schema is not up to date: {line}", "Run 'tradepulse db sync'.")
    if isinstance(error, psycopg.ProgrammingError) and error.sqlstate is None:
        return ConfigurationError(f"DATABASE_URL is not a PostgreSQL URL: {line}", "Write postgresql://user@host/name.")
    if isinstance(error, psycopg.OperationalError | PoolTimeout):
        return TransientError(f"The database does not answer ({url}): {line}", "Start the server, then try again.")
    return InvariantError(f"The database refused a statement: {line}", "This is a defect of the program; report it.")
