"""Everything in one process: database, API, dashboard and the paper trader."""

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
import uvicorn

from tradepulse.cli.options import AsJson, known_secrets, run
from tradepulse.cli.screen import show_json, show_line, tell
from tradepulse.cli.supervision import supervisor
from tradepulse.domain.trading_state import ELSEWHERE, STARTING, TradingState
from tradepulse.shared.errors import ConfigurationError, InvariantError
from tradepulse.shared.logging import configure_logging
from tradepulse.shared.settings import ApiSettings, Settings, load_settings

if TYPE_CHECKING:
    from tradepulse.api.deps import Services
    from tradepulse.bootstrap import Application

SECONDS_TO_CLOSE = 5

Host = Annotated[str | None, typer.Option("--host", help="Address to serve on; default: the api.host setting.")]
Port = Annotated[int | None, typer.Option("--port", "-p", help="Port to serve on; default: the api.port setting.")]
Train = Annotated[
    bool | None,
    typer.Option("--train/--no-train", help="Train before trading, or not; default: where nothing was trained yet."),
]
HIGHEST_PORT = 65_535
LARGEST_MESSAGE = 1 << 16
"""That a watcher may send over the live socket."""


def register(app: typer.Typer) -> None:
    app.command("up")(up)
    app.command("api")(api)


def up(host: Host = None, port: Port = None, train: Train = None, as_json: AsJson = False) -> None:
    """Start database, API, dashboard and paper trader in one; Ctrl-C ends all of them cleanly.

    The first start trains on the stored history before it trades; what passes the gate is traded.
    """
    from tradepulse import bootstrap

    settings = _settings_to_serve(host, port)
    if settings.trading.mode != "paper":
        raise ConfigurationError(
            f"'up' trades on paper only, the settings say TRADING_MODE={settings.trading.mode}.",
            "Use 'tradepulse trade --mode live', or set TRADING_MODE=paper.",
        )
    bootstrap.refuse_other_exchanges(settings)
    run(_up(settings, train=train, as_json=as_json))


def api(host: Host = None, port: Port = None, as_json: AsJson = False) -> None:
    """Serve the API and the dashboard alone; another program trades. Any number may serve one database."""
    run(_serve(_settings_to_serve(host, port), as_json=as_json))


def _settings_to_serve(host: str | None, port: int | None) -> Settings:
    from tradepulse.api.security import check_exposure

    settings = load_settings()
    configure_logging(settings.logging, known_secrets(settings))
    if port is not None and not 1 <= port <= HIGHEST_PORT:
        raise ConfigurationError(f"--port {port} is not a port.", f"Choose one from 1 to {HIGHEST_PORT}.")
    chosen = settings.api.model_copy(update={"host": host or settings.api.host, "port": port or settings.api.port})
    check_exposure(chosen)
    return settings.model_copy(update={"api": chosen})


async def _serve(settings: Settings, *, as_json: bool) -> None:
    from tradepulse import bootstrap

    stop = asyncio.Event()
    with _listening(settings.api) as listener:
        async with (
            signals_to(stop),
            bootstrap.open_application(settings) as app,
            bootstrap.on_this_schema(app),
            supervisor().watching(),
        ):
            ready = partial(_announce, settings, app.database_label, await _set_up_token(app), as_json=as_json)
            server = _server(app, settings, ready, _Board(ELSEWHERE))
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                await _until_one_ends([serving], stop)
            finally:
                server.should_exit = True
                await asyncio.gather(serving, return_exceptions=True)


async def _set_up_token(app: "Application") -> str | None:
    from tradepulse.api.accounts import Accounts

    return await Accounts(app.accounts, app.clock).offer_set_up()


async def _up(settings: Settings, *, train: bool | None, as_json: bool) -> None:
    from tradepulse import bootstrap
    from tradepulse.bootstrap import beside_trading

    board = _Board(STARTING)

    stop = asyncio.Event()
    with _listening(settings.api) as listener:
        async with signals_to(stop):
            tell("Starting the database ...")
            async with (
                bootstrap.open_application(settings) as app,
                bootstrap.on_this_schema(app),
                supervisor().watching(),
                bootstrap.notifying(settings.notifications, app.clock) as notifier,
            ):
                set_up = await _set_up_token(app)
                ready = partial(_announce, settings, app.database_label, set_up, as_json=as_json)
                server = _server(app, settings, ready, board)
                serving = asyncio.create_task(server.serve(sockets=[listener]))
                trading = asyncio.create_task(bootstrap.run_paper(app, notifier.observe, told=board.show, train=train))
                working = asyncio.create_task(beside_trading.keep_working_beside())
                try:
                    await _until_one_ends([trading, serving], stop)
                finally:
                    await _end(server, serving, trading, working)
    tell("Stopped. Everything is stored; the next start goes on from here.")


class _Board:
    """What the trader is doing, for the page, and on the terminal when it changes."""

    def __init__(self, state: TradingState) -> None:
        self.state = state

    def show(self, state: TradingState) -> None:
        if state != self.state:
            tell(state.text)
        self.state = state


def services_of(app: "Application", trading: Callable[[], TradingState] = lambda: STARTING) -> "Services":
    """All that the API answers from. ``trading``: what the trader of this process is doing."""
    from tradepulse import bootstrap
    from tradepulse.api.deps import Services
    from tradepulse.bootstrap.jobs import jobs_of
    from tradepulse.bootstrap.meta import policy_store, roll_back
    from tradepulse.bootstrap.schedules import schedules_of
    from tradepulse.bootstrap.training import parameter_ranges, trained_assets
    from tradepulse.strategies import STRATEGIES

    return Services(
        books=app.reader,
        candles=app.candles,
        results=app.results,
        clock=app.clock,
        database=app.database_label,
        accounts=app.accounts,
        answers=app.answers,
        inbox=app.inbox,
        jobs=jobs_of(app),
        schedules=schedules_of(app),
        trained=trained_assets(app),
        embeddings=app.embeddings,
        signing_key=bootstrap.signing_key(app.settings),
        is_traded=partial(bootstrap.is_traded, app),
        installation=bootstrap.Installation(app),
        policies=policy_store(app),
        ranges=parameter_ranges(app),
        risk_report=partial(bootstrap.risk_report, app),
        database_facts=partial(bootstrap.database_facts, app),
        roll_back=partial(roll_back, app),
        strategies=tuple(STRATEGIES.values()),
        trading=trading,
    )


def _server(app: "Application", settings: Settings, ready: Callable[[], None], board: _Board) -> uvicorn.Server:
    from tradepulse.api.app import create_app

    web = create_app(services_of(app, lambda: board.state), settings=settings)
    config = uvicorn.Config(
        web,
        log_config=None,
        log_level="warning",
        access_log=False,
        ws_max_size=LARGEST_MESSAGE,
        timeout_graceful_shutdown=SECONDS_TO_CLOSE,
        ssl_certfile=settings.api.tls_certificate,
        ssl_keyfile=settings.api.tls_key,
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
            supervisor().ready()

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


def _announce(settings: Settings, database: str, set_up: str | None, *, as_json: bool) -> None:
    scheme = "http" if settings.api.tls_certificate is None else "https"
    url = f"{scheme}://{settings.api.host}:{settings.api.port}"
    # Behind the #, so that no server and no log ever sees it.
    link = None if set_up is None else f"{url}/set-up#{set_up}"
    mode, exchange = settings.trading.mode, settings.exchange
    if as_json:
        show_json({"url": url, "mode": mode, "exchange": exchange, "database": database, "set_up": link})
        return
    show_line(f"TradePulse IQ runs at {url} ({mode.upper()} trading, exchange: {exchange}). Ctrl-C ends it.")
    if link is not None:
        show_line(f"Nobody may log in yet. Make the first user here, within an hour: {link}")


async def _until_one_ends(running: Sequence[asyncio.Task[None]], stop: asyncio.Event) -> None:
    """Returns when a person stops it. Raises what made the trader or the server end by itself."""
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({*running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
    if stop.is_set():
        return
    for task in running:
        if task.done():
            await task
    raise InvariantError("The paper trader or the web server ended by itself.", "See the log above; start again.")


async def _end(
    server: uvicorn.Server, serving: asyncio.Task[None], trading: asyncio.Task[None], working: asyncio.Task[None]
) -> None:
    """The trader first, so that nothing is traded any more while watchers are let go."""
    trading.cancel()
    working.cancel()
    await asyncio.gather(trading, working, return_exceptions=True)
    server.should_exit = True
    await asyncio.gather(serving, return_exceptions=True)
