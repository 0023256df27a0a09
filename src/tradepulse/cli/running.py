"""Everything in one process: database, API, dashboard and the paper trader."""

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import AsyncIterator, Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
import uvicorn

from tradepulse.cli.options import AsJson, known_secrets, run
from tradepulse.cli.screen import show_json, show_line, tell
from tradepulse.domain.trading_state import STARTING, TradingState
from tradepulse.shared.errors import ConfigurationError, InvariantError
from tradepulse.shared.logging import configure_logging
from tradepulse.shared.settings import ApiSettings, Settings, load_settings

if TYPE_CHECKING:
    from tradepulse.bootstrap import Application

SECONDS_TO_CLOSE = 5

Host = Annotated[str | None, typer.Option("--host", help="Address to serve on; default: the api.host setting.")]
Port = Annotated[int | None, typer.Option("--port", "-p", help="Port to serve on; default: the api.port setting.")]
Train = Annotated[
    bool | None,
    typer.Option("--train/--no-train", help="Train before trading, or not; default: where nothing was trained yet."),
]
HIGHEST_PORT = 65_535


def register(app: typer.Typer) -> None:
    app.command("up")(up)


def up(host: Host = None, port: Port = None, train: Train = None, as_json: AsJson = False) -> None:
    """Start database, API, dashboard and paper trader in one; Ctrl-C ends all of them cleanly.

    The first start trains on the stored history before it trades; what passes the gate is traded.
    """
    settings = load_settings()
    if settings.trading.mode != "paper":
        raise ConfigurationError(
            f"'up' trades on paper only, the settings say TRADING_MODE={settings.trading.mode}.",
            "Use 'tradepulse trade --mode live', or set TRADING_MODE=paper.",
        )
    configure_logging(settings.logging, known_secrets(settings))
    if port is not None and not 1 <= port <= HIGHEST_PORT:
        raise ConfigurationError(f"--port {port} is not a port.", f"Choose one from 1 to {HIGHEST_PORT}.")
    api = ApiSettings(host=host or settings.api.host, port=port or settings.api.port)
    run(_up(settings.model_copy(update={"api": api}), train=train, as_json=as_json))


async def _up(settings: Settings, *, train: bool | None, as_json: bool) -> None:
    from tradepulse import bootstrap

    board = _Board()

    stop = asyncio.Event()
    with _listening(settings.api) as listener:
        async with signals_to(stop):
            tell("Starting the database ...")
            async with bootstrap.open_application(settings) as app:
                ready = partial(_announce, settings, app.database_label, as_json=as_json)
                server = _server(app, settings, ready, board)
                serving = asyncio.create_task(server.serve(sockets=[listener]))
                trading = asyncio.create_task(bootstrap.run_paper(app, told=board.show, train=train))
                try:
                    await _until_one_ends(serving, trading, stop)
                finally:
                    await _end(server, serving, trading)
    tell("Stopped. Everything is stored; the next start goes on from here.")


class _Board:
    """What the trader is doing, for the page, and on the terminal when it changes."""

    def __init__(self) -> None:
        self.state = STARTING

    def show(self, state: TradingState) -> None:
        if state != self.state:
            tell(state.text)
        self.state = state


def _server(app: "Application", settings: Settings, ready: Callable[[], None], board: _Board) -> uvicorn.Server:
    from tradepulse.api.app import create_app
    from tradepulse.api.deps import Services
    from tradepulse.strategies import STRATEGIES

    services = Services(
        books=app.reader,
        candles=app.candles,
        results=app.results,
        clock=app.clock,
        database=app.database_label,
        strategies=tuple(STRATEGIES.values()),
        trading=lambda: board.state,
    )
    web = create_app(services, settings=settings)
    config = uvicorn.Config(
        web, log_config=None, log_level="warning", access_log=False, timeout_graceful_shutdown=SECONDS_TO_CLOSE
    )
    return _Server(config, ready)


class _Server(uvicorn.Server):
    """Leaves the signals to us: the trader and the database must end too, and in order."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@contextlib.contextmanager
def _listening(api: ApiSettings) -> Generator[socket.socket, None, None]:
    """The port is taken before anything is started, so that a port in use costs nothing."""
    family = socket.AF_INET6 if ":" in api.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((api.host, api.port))
            listener.listen()
        except OSError as error:
            raise _cannot_listen(api, error) from None
        yield listener
    finally:
        listener.close()


def _cannot_listen(api: ApiSettings, error: OSError) -> ConfigurationError:
    if error.errno == errno.EADDRINUSE:
        return ConfigurationError(
            f"Port {api.port} on {api.host} is taken by another program (perhaps TradePulse IQ already runs).",
            f"Stop it, or choose another port: tradepulse up --port {api.port % HIGHEST_PORT + 1}",
        )
    if error.errno == errno.EACCES:
        return ConfigurationError(f"Port {api.port} may not be used by this account.", "Choose one above 1023.")
    return ConfigurationError(
        f"Cannot serve on {api.host}:{api.port}: {error.strerror or error}.", "Correct --host, or use 127.0.0.1."
    )


@contextlib.asynccontextmanager
async def signals_to(stop: asyncio.Event) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in watched:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in watched:
            loop.remove_signal_handler(number)


def _announce(settings: Settings, database: str, *, as_json: bool) -> None:
    url = f"http://{settings.api.host}:{settings.api.port}"
    mode, exchange = settings.trading.mode, settings.exchange
    if as_json:
        show_json({"url": url, "mode": mode, "exchange": exchange, "database": database})
    else:
        show_line(f"TradePulse IQ runs at {url} ({mode.upper()} trading, exchange: {exchange}). Ctrl-C ends it.")


async def _until_one_ends(serving: asyncio.Task[None], trading: asyncio.Task[None], stop: asyncio.Event) -> None:
    """Returns when a person stops it. Raises what made the trader or the server end by itself."""
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, trading, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
    if stop.is_set():
        return
    for task in (trading, serving):
        if task.done():
            await task
    raise InvariantError("The paper trader or the web server ended by itself.", "See the log above; start again.")


async def _end(server: uvicorn.Server, serving: asyncio.Task[None], trading: asyncio.Task[None]) -> None:
    """The trader first, so that nothing is traded any more while watchers are let go."""
    trading.cancel()
    await asyncio.gather(trading, return_exceptions=True)
    server.should_exit = True
    await asyncio.gather(serving, return_exceptions=True)
