"""What may be asked of the API: of every operation once how it is done, and once how it is refused.

Whose the things are that an operation names by id is said with it: a user's own, or the installation's and why.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import SecretStr
from tests.integration.api.people import PASSWORD, ensure_user, user_of
from tests.integration.api.scenario import BOOK, Scenario
from tests.integration.api.test_background_work import BACKFILL, BACKTEST, REPORT, TRADES
from tests.integration.api.test_training import CONFIGURATION, START

from tradepulse.api.errors import Code
from tradepulse.domain.inbox import Request, RequestKind
from tradepulse.domain.users import Role
from tradepulse.shared.secrets import Credentials

Json = Any
Operation = tuple[str, str]
NEW_USER = {"name": "Eve", "password": "four random words", "role": "viewer"}
NEW_KEY = {"name": "bot", "scopes": ["read"]}
WALLET_KEY = {"wallet": "main", "api_key": "key-of-the-wallet", "secret": "a-secret-that-nobody-sees-again"}
WHY = {"reason": "news"}
RANGES = WHY | {"ranges": {"reward_risk": {"low": 2, "high": 3}}}
ASKED = Request(BOOK, RequestKind.HALT, "Ada", "news", "k", 1)
CANDLES = "exchange=simulated&symbol=BTC-USDT&timeframe=1m"


@dataclass(frozen=True)
class World:
    app: FastAPI
    scenario: Scenario
    client: httpx.AsyncClient
    """Of the one who asks."""


Given = Callable[[World], Awaitable[Mapping[str, str]]]
"""Makes what the operation is about; answers the ids for its path, and for ``body`` what only now is known."""


@dataclass(frozen=True)
class Refused:
    """The same operation with something wrong about it. ``ids`` replaces every id of the path."""

    code: Code
    ids: str | None = None
    query: str = ""
    body: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str | None = None


@dataclass(frozen=True)
class Row:
    least: Role | None
    """Who may do no less; ``None``: open to all."""
    refused: Refused | None = None
    """``None``: nothing can be wrong with it but who asks."""
    query: str = ""
    body: Json = None
    given: Given | None = None
    status: int = 200
    confirmed: bool = False
    """The password must have been given lately."""
    belongs: str = ""
    """Of one that names an id: ``OWN``, or why it is everybody's who may do this."""


OWN = "to its user"
ADMINS = "users are the admins' business, whoever they are"
TRADES_OF_BOOKS = "books are the installation's: those who may trade in it share them"
STORED = "candles and exchanges are the market's"
KNOWLEDGE = "strategies, configurations and policies are the installation's: the one trader acts by them"
WORK = "jobs and what they found are the installation's: its machine does them one after the other for all"
WALLETS = "wallets and their keys are the installation's: its wallets file names them, and only admins change keys"


# --- what must be there first


async def _made(world: World, path: str, body: Json) -> Json:
    return (await world.client.post(path, json=body)).raise_for_status().json()


async def _session(world: World) -> Mapping[str, str]:
    return {"session_id": (await world.client.get("/api/auth/me")).json()["session_id"]}


async def _key(world: World) -> Mapping[str, str]:
    return {"key_id": (await _made(world, "/api/auth/keys", NEW_KEY))["key_id"]}


async def _user(world: World) -> Mapping[str, str]:
    return {"user_id": (await _made(world, "/api/auth/users", NEW_USER))["user_id"]}


async def _set_up_token(world: World) -> Mapping[str, str]:
    token = await world.app.state.doorkeeper.accounts.offer_set_up()
    assert token is not None
    return {"token": token}


async def _ada(world: World) -> Mapping[str, str]:
    await ensure_user(world.scenario.accounts, user_of(Role.ADMIN))
    return {}


async def _refresh_token(world: World) -> Mapping[str, str]:
    await _ada(world)
    login = {"name": "Ada", "password": PASSWORD, "cookie": False}
    return {"refresh_token": (await _made(world, "/api/auth/login", login))["refresh_token"]}


async def _trade(world: World) -> Mapping[str, str]:
    return {"trade_id": str(world.scenario.book.trade_rows[0]["trade_id"])}


async def _position(world: World) -> Mapping[str, str]:
    return {"position_id": str(world.scenario.position["position_id"])}


async def _command(world: World) -> Mapping[str, str]:
    posted = await world.scenario.inbox.post(ASKED)
    return {"command_id": posted.request_id}


async def _setup(world: World) -> Mapping[str, str]:
    return {"setup_id": str(world.scenario.book.setup_rows[0]["setup_id"])}


async def _strategy(_: World) -> Mapping[str, str]:
    return {"strategy_id": "volume_breakout"}


async def _walk_forward(world: World) -> Mapping[str, str]:
    return {"walk_forward_id": await world.scenario.results.save_walk_forward({"strategy": "htf_sweep"})}


async def _symbol(_: World) -> Mapping[str, str]:
    return {"symbol": "BTC-USDT"}


async def _wallet(world: World) -> Mapping[str, str]:
    key = Credentials(api_key=SecretStr("key-of-the-wallet"), secret=SecretStr("a-secret-that-nobody-sees-again"))
    await world.scenario.hall.add_key("main", key, consent_by=None)
    return {"wallet": "main"}


async def _import_folder(world: World) -> Mapping[str, str]:
    folder = world.app.state.settings.data_directory / "import"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text("")
    return {}


async def _backtest(world: World) -> Mapping[str, str]:
    await world.scenario.results.save_backtest(REPORT, TRADES, backtest_id="a")
    return {"backtest_id": "a"}


async def _training(world: World) -> Mapping[str, str]:
    job = await world.scenario.services.trained.start_training(
        ["BTC/USDT"], ["simulated"], ["volume_breakout"], ["bull"], ["5m"], by="Ada"
    )
    return {"job_id": job}


async def _trained(world: World) -> Mapping[str, str]:
    told = await _training(world)
    await world.scenario.training.save_report(told["job_id"], {"families": [], "combinations": []})
    return told


async def _configuration(world: World) -> Mapping[str, str]:
    added = await world.scenario.configurations.add(CONFIGURATION, reason="for the test")
    return {"configuration_id": added.configuration_id}


async def _parameters(_: World) -> Mapping[str, str]:
    return {"symbol": "BTC-USDT", "exchange": "simulated", "strategy_id": "volume_breakout"}


async def _schedule(_: World) -> Mapping[str, str]:
    return {"name": "nightly-backfill"}


async def _job(world: World) -> Mapping[str, str]:
    return {"job_id": (await world.scenario.services.jobs.submit("backfill", BACKFILL, by="Ada")).job_id}


async def _cancelled_job(world: World) -> Mapping[str, str]:
    told = await _job(world)
    await world.scenario.services.jobs.cancel(told["job_id"])
    return told


async def _policy(world: World) -> Mapping[str, str]:
    await world.scenario.judge(drawdown=0.06)
    return {"version": "1"}


# --- the rows

UNKNOWN = Refused(Code.NOT_FOUND, ids="unknown")
NO_BOOK = Refused(Code.NOT_FOUND, query="book=another")
NO_PAGE = Refused(Code.INVALID_REQUEST, query="limit=0")
BY_ANOTHER_METHOD = Refused(Code.METHOD_NOT_ALLOWED, method="PATCH")
FOREIGN = Refused(Code.FOREIGN_ORIGIN, headers={"Origin": "http://evil.example"})


def unreadable(**body: Json) -> Refused:
    return Refused(Code.INVALID_REQUEST, body=body)


def invalid(**body: Json) -> Refused:
    return Refused(Code.INVALID_VALUE, body=body)


V, T, A = Role.VIEWER, Role.TRADER, Role.ADMIN
ROWS: dict[Operation, Row] = {
    ("GET", "/health"): Row(None, BY_ANOTHER_METHOD),
    ("GET", "/health/ready"): Row(None, BY_ANOTHER_METHOD),
    ("GET", "/metrics"): Row(V),
    # auth
    ("GET", "/api/auth/set-up"): Row(None, FOREIGN),
    ("POST", "/api/auth/set-up"): Row(
        None,
        Refused(Code.NOT_AUTHENTICATED, body={"token": "wrong", "name": "Ada", "password": "four random words"}),
        body={"name": "Ada", "password": "four random words"},
        given=_set_up_token,
    ),
    ("POST", "/api/auth/login"): Row(
        None,
        Refused(Code.NOT_AUTHENTICATED, body={"name": "Ada", "password": "wrong"}),
        body={"name": "Ada", "password": PASSWORD},
        given=_ada,
    ),
    ("POST", "/api/auth/refresh"): Row(
        None, Refused(Code.SESSION_ENDED, body={"refresh_token": "made up"}), body={}, given=_refresh_token
    ),
    ("POST", "/api/auth/logout"): Row(V),
    ("POST", "/api/auth/logout-everywhere"): Row(V),
    ("GET", "/api/auth/me"): Row(V),
    ("POST", "/api/auth/confirm"): Row(
        V, Refused(Code.NOT_AUTHENTICATED, body={"password": "wrong"}), body={"password": PASSWORD}
    ),
    ("PUT", "/api/auth/password"): Row(
        V,
        invalid(current=PASSWORD, new="vera vera vera vera"),
        body={"current": PASSWORD, "new": "another four random words"},
        given=_ada,
    ),
    ("GET", "/api/auth/sessions"): Row(V),
    ("DELETE", "/api/auth/sessions/{session_id}"): Row(V, UNKNOWN, given=_session, belongs=OWN),
    ("GET", "/api/auth/keys"): Row(V),
    ("POST", "/api/auth/keys"): Row(V, unreadable(name="bot", scopes=[]), body=NEW_KEY, confirmed=True),
    ("DELETE", "/api/auth/keys/{key_id}"): Row(V, UNKNOWN, given=_key, belongs=OWN),
    ("POST", "/api/auth/live-ticket"): Row(V),
    ("GET", "/api/auth/users"): Row(A),
    ("POST", "/api/auth/users"): Row(A, invalid(**NEW_USER | {"password": "short"}), body=NEW_USER, confirmed=True),
    ("PATCH", "/api/auth/users/{user_id}"): Row(
        A, UNKNOWN, body={"role": "trader"}, given=_user, confirmed=True, belongs=ADMINS
    ),
    ("DELETE", "/api/auth/users/{user_id}"): Row(A, UNKNOWN, given=_user, confirmed=True, belongs=ADMINS),
    ("GET", "/api/auth/audit"): Row(A, NO_PAGE),
    ("GET", "/api/auth/audit/verification"): Row(A, Refused(Code.INVALID_REQUEST, query="number=1&hash=short")),
    # system
    ("GET", "/api/system/readiness"): Row(V),
    ("GET", "/api/system/status"): Row(V),
    ("GET", "/api/system/version"): Row(V),
    ("GET", "/api/system/resources"): Row(V),
    ("GET", "/api/system/config"): Row(A),
    # portfolio
    ("GET", "/api/portfolio/summary"): Row(V, NO_BOOK, belongs=TRADES_OF_BOOKS),
    ("GET", "/api/portfolio/history"): Row(V, NO_BOOK, belongs=TRADES_OF_BOOKS),
    ("GET", "/api/portfolio/books"): Row(V),
    ("GET", "/api/portfolio/performance"): Row(V, NO_BOOK, belongs=TRADES_OF_BOOKS),
    ("GET", "/api/portfolio/holdings"): Row(V, NO_BOOK, belongs=TRADES_OF_BOOKS),
    ("GET", "/api/portfolio/oco-orders"): Row(V, NO_BOOK, belongs=TRADES_OF_BOOKS),
    ("GET", "/api/portfolio/risk-management"): Row(V, NO_BOOK, belongs=TRADES_OF_BOOKS),
    ("GET", "/api/portfolio/wallets"): Row(V),
    # trades
    ("GET", "/api/trades/active"): Row(V, NO_BOOK, belongs=TRADES_OF_BOOKS),
    ("GET", "/api/trades/history"): Row(V, NO_BOOK, query="symbol=BTC-USDT", belongs=TRADES_OF_BOOKS),
    ("GET", "/api/trades/statistics"): Row(V, NO_BOOK, belongs=TRADES_OF_BOOKS),
    ("GET", "/api/trades/daily-pnl"): Row(V, NO_BOOK, belongs=TRADES_OF_BOOKS),
    ("GET", "/api/trades/logs"): Row(V, NO_BOOK, belongs=TRADES_OF_BOOKS),
    ("POST", "/api/trades/pause"): Row(T, unreadable(reason=" "), body=WHY, status=202, belongs=TRADES_OF_BOOKS),
    ("POST", "/api/trades/resume"): Row(
        T, unreadable(reason=""), body=WHY, status=202, confirmed=True, belongs=TRADES_OF_BOOKS
    ),
    ("POST", "/api/trades/kill-switch"): Row(
        T, unreadable(close_positions=True), body=WHY, status=202, belongs=TRADES_OF_BOOKS
    ),
    ("GET", "/api/trades/commands/{command_id}"): Row(V, UNKNOWN, given=_command, belongs=TRADES_OF_BOOKS),
    ("POST", "/api/trades/{position_id}/close"): Row(
        T,
        Refused(Code.NOT_FOUND, body=WHY | {"book": "another"}),
        body=WHY | {"book": BOOK},
        given=_position,
        status=202,
        belongs=TRADES_OF_BOOKS,
    ),
    ("GET", "/api/trades/{trade_id}/similar"): Row(V, UNKNOWN, given=_trade, belongs=TRADES_OF_BOOKS),
    ("GET", "/api/trades/{trade_id}"): Row(V, UNKNOWN, given=_trade, belongs=TRADES_OF_BOOKS),
    # patterns
    ("GET", "/api/patterns/strategies"): Row(V),
    ("GET", "/api/patterns/performance"): Row(V, NO_BOOK, belongs=TRADES_OF_BOOKS),
    ("GET", "/api/patterns/pattern-library"): Row(V),
    ("GET", "/api/patterns/setups"): Row(V, NO_BOOK, belongs=TRADES_OF_BOOKS),
    ("GET", "/api/patterns/setups/{setup_id}/similar"): Row(V, UNKNOWN, given=_setup, belongs=TRADES_OF_BOOKS),
    ("GET", "/api/patterns/{strategy_id}"): Row(V, UNKNOWN, given=_strategy, belongs=KNOWLEDGE),
    ("GET", "/api/patterns/{strategy_id}/parameters"): Row(V, UNKNOWN, given=_strategy, belongs=KNOWLEDGE),
    ("PUT", "/api/patterns/{strategy_id}/parameters"): Row(
        T,
        Refused(Code.INVALID_VALUE, body=RANGES | {"ranges": {"reward_risk": {"low": 3, "high": 2}}}),
        body=RANGES,
        given=_strategy,
        belongs=KNOWLEDGE,
    ),
    ("GET", "/api/patterns/{strategy_id}/parameters/versions"): Row(V, UNKNOWN, given=_strategy, belongs=KNOWLEDGE),
    # analytics
    ("GET", "/api/analytics/candles"): Row(
        V, Refused(Code.INVALID_REQUEST, query=CANDLES + "&limit=0"), query=CANDLES, belongs=STORED
    ),
    ("GET", "/api/analytics/similar-windows"): Row(
        V, Refused(Code.INVALID_VALUE, query=CANDLES.replace("1m", "7m")), query=CANDLES, belongs=STORED
    ),
    ("GET", "/api/analytics/market-overview"): Row(V),
    ("GET", "/api/analytics/asset-ranking"): Row(V, NO_BOOK, belongs=TRADES_OF_BOOKS),
    ("GET", "/api/analytics/walk-forward-results"): Row(V, NO_PAGE),
    ("GET", "/api/analytics/walk-forward-results/{walk_forward_id}"): Row(
        V, UNKNOWN, given=_walk_forward, belongs=WORK
    ),
    ("GET", "/api/analytics/correlation-matrix"): Row(
        V, Refused(Code.INVALID_REQUEST, query="timeframe=15m&bars=2"), query="timeframe=15m&bars=200"
    ),
    ("GET", "/api/analytics/assets/{symbol}"): Row(
        V, Refused(Code.NOT_FOUND, ids="XRP-USDT"), given=_symbol, belongs=STORED
    ),
    # exchanges
    ("GET", "/api/exchanges/connections"): Row(V),
    ("POST", "/api/exchanges/connections"): Row(
        A,
        Refused(Code.REFUSED, body=WALLET_KEY | {"api_key": "withdraw-key"}),
        body=WALLET_KEY,
        status=201,
        confirmed=True,
        belongs=WALLETS,
    ),
    ("GET", "/api/exchanges/supported"): Row(V),
    ("POST", "/api/exchanges/connections/{wallet}/test"): Row(
        T, Refused(Code.REFUSED, ids="unknown"), given=_wallet, belongs=WALLETS
    ),
    ("DELETE", "/api/exchanges/connections/{wallet}"): Row(
        A, UNKNOWN, given=_wallet, status=204, confirmed=True, belongs=WALLETS
    ),
    ("GET", "/api/exchanges/performance"): Row(V, NO_BOOK, belongs=TRADES_OF_BOOKS),
    # data
    ("POST", "/api/data/backfill"): Row(T, unreadable(**BACKFILL | {"days": 0}), body=BACKFILL, status=202),
    ("POST", "/api/data/import"): Row(
        T, invalid(files=["../secrets.csv"]), body={"files": ["a.csv"]}, given=_import_folder, status=202
    ),
    ("GET", "/api/data/coverage"): Row(V),
    ("GET", "/api/data/gaps"): Row(
        V, Refused(Code.INVALID_VALUE, query=CANDLES.replace("1m", "7m")), query=CANDLES, belongs=STORED
    ),
    # backtests
    ("POST", "/api/backtests"): Row(T, unreadable(**BACKTEST | {"timeframe": "1w"}), body=BACKTEST, status=202),
    ("GET", "/api/backtests"): Row(V, NO_PAGE),
    ("GET", "/api/backtests/{backtest_id}"): Row(V, UNKNOWN, given=_backtest, belongs=WORK),
    ("DELETE", "/api/backtests/{backtest_id}"): Row(T, UNKNOWN, given=_backtest, status=204, belongs=WORK),
    ("GET", "/api/backtests/{backtest_id}/trades"): Row(V, UNKNOWN, given=_backtest, belongs=WORK),
    ("GET", "/api/backtests/{backtest_id}/equity"): Row(V, UNKNOWN, given=_backtest, belongs=WORK),
    # training
    ("POST", "/api/training/start-multi-dimensional"): Row(T, invalid(**START | {"points": 3}), body=START, status=202),
    ("GET", "/api/training/system-status"): Row(V),
    ("GET", "/api/training/strategy-parameters/{symbol}/{exchange}/{strategy_id}"): Row(
        V, Refused(Code.INVALID_VALUE, ids="unknown"), given=_parameters, belongs=KNOWLEDGE
    ),
    ("GET", "/api/training/jobs"): Row(V, NO_PAGE),
    ("GET", "/api/training/jobs/{job_id}"): Row(V, UNKNOWN, given=_training, belongs=WORK),
    ("DELETE", "/api/training/jobs/{job_id}"): Row(T, UNKNOWN, given=_training, belongs=WORK),
    ("POST", "/api/training/jobs/{job_id}/resume"): Row(T, UNKNOWN, given=_training, status=202, belongs=WORK),
    ("GET", "/api/training/jobs/{job_id}/results"): Row(V, UNKNOWN, given=_trained, belongs=WORK),
    ("GET", "/api/training/configurations"): Row(V, Refused(Code.INVALID_VALUE, query="regime=bulll")),
    ("GET", "/api/training/configurations/{configuration_id}"): Row(
        V, UNKNOWN, given=_configuration, belongs=KNOWLEDGE
    ),
    ("POST", "/api/training/configurations/{configuration_id}/activate"): Row(
        T, Refused(Code.NOT_FOUND, ids="unknown", body={}), body={}, given=_configuration, belongs=KNOWLEDGE
    ),
    ("POST", "/api/training/configurations/{configuration_id}/deactivate"): Row(
        T, Refused(Code.NOT_FOUND, ids="unknown", body={}), body={}, given=_configuration, belongs=KNOWLEDGE
    ),
    ("GET", "/api/training/matrix"): Row(
        V,
        Refused(Code.INVALID_VALUE, query="symbol=BTC&exchange=simulated"),
        query="symbol=BTC-USDT&exchange=simulated",
        belongs=KNOWLEDGE,
    ),
    ("GET", "/api/training/market-regimes"): Row(V, Refused(Code.INVALID_VALUE, query="timeframe=7m")),
    # jobs
    ("GET", "/api/jobs"): Row(V, NO_PAGE),
    ("GET", "/api/jobs/schedules"): Row(V),
    ("PATCH", "/api/jobs/schedules/{name}"): Row(
        T, Refused(Code.NOT_FOUND, ids="unknown", body={"enabled": True}), body={"enabled": True}, given=_schedule,
        belongs=WORK,
    ),
    ("POST", "/api/jobs/schedules/{name}/run"): Row(T, UNKNOWN, given=_schedule, status=202, belongs=WORK),
    ("GET", "/api/jobs/{job_id}"): Row(V, UNKNOWN, given=_job, belongs=WORK),
    ("DELETE", "/api/jobs/{job_id}"): Row(T, UNKNOWN, given=_job, belongs=WORK),
    ("POST", "/api/jobs/{job_id}/resume"): Row(T, UNKNOWN, given=_cancelled_job, status=202, belongs=WORK),
    # intelligence
    ("GET", "/api/intelligence/encoder"): Row(V),
    ("GET", "/api/intelligence/meta/policy"): Row(V, NO_BOOK, belongs=TRADES_OF_BOOKS),
    ("GET", "/api/intelligence/meta/history"): Row(V, NO_BOOK, belongs=TRADES_OF_BOOKS),
    ("GET", "/api/intelligence/meta/market-state"): Row(V, NO_BOOK, belongs=TRADES_OF_BOOKS),
    ("GET", "/api/intelligence/meta/policy/{version}"): Row(
        V, Refused(Code.NOT_FOUND, ids="99"), given=_policy, belongs=KNOWLEDGE
    ),
    ("POST", "/api/intelligence/meta/policy/{version}/rollback"): Row(
        T, Refused(Code.NOT_FOUND, ids="99", body={}), body={}, given=_policy, belongs=KNOWLEDGE
    ),
}  # fmt: skip
