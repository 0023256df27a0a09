import psycopg
import pytest
from psycopg import errors as pg
from psycopg_pool import PoolTimeout

from tradepulse.shared.errors import ConfigurationError, InvariantError, TransientError
from tradepulse.storage.driver_errors import database_errors, without_password

URL = "postgresql://me:se@cret@host:5432/tradepulse"


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (psycopg.OperationalError('connection failed: FATAL: password authentication failed for user "me"'),
         ConfigurationError, "refused the user or the password"),
        (psycopg.OperationalError('connection failed: FATAL: database "tradepulse" does not exist'),
         ConfigurationError, "does not exist"),
        (psycopg.OperationalError("connection failed: Connection refused"), TransientError, "does not answer"),
        (psycopg.OperationalError("FATAL: the database system is starting up"), TransientError, "does not answer"),
        (PoolTimeout("couldn't get a connection after 30.00 sec"), TransientError, "does not answer"),
        (pg.AdminShutdown("terminating connection"), TransientError, "does not answer"),
        (pg.DiskFull("could not extend file"), ConfigurationError, "disk is full"),
        (pg.InsufficientPrivilege("permission denied for table trades"), ConfigurationError, "may not do this"),
        (pg.UndefinedTable('relation "trades" does not exist'), ConfigurationError, "tradepulse db sync"),
        (pg.UniqueViolation("duplicate key"), InvariantError, "contradiction"),
        (pg.SyntaxError("syntax error at end of input\nLINE 1"), InvariantError, "refused a statement"),
    ],
)  # fmt: skip
def test_driver_error_then_the_right_kind_in_one_line_without_the_password(
    raised: Exception, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught, database_errors(URL):
        raise raised
    assert "\n" not in str(caught.value)
    assert "cret" not in str(caught.value)
    assert caught.value.__cause__ is raised


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (URL, "postgresql://me:***@host:5432/tradepulse"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("postgresql://host/db?user=me&password=secret&x=1", "postgresql://host/db?user=me&password=***&x=1"),
        ("host=a password=secret dbname=b", "host=a password=*** dbname=b"),
    ],
)
def test_url_when_shown_then_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown
