"""The hall: the only place that builds adapters and knows backtest, paper and live."""

from tradepulse.bootstrap.application import Application, open_application
from tradepulse.bootstrap.backtests import BacktestRequest, find_strategy, run_backtest
from tradepulse.bootstrap.data import analyse_stored_series
from tradepulse.bootstrap.paper import paper_book, run_paper
from tradepulse.bootstrap.schema import sync_database_schema

__all__ = [
    "Application",
    "BacktestRequest",
    "analyse_stored_series",
    "find_strategy",
    "open_application",
    "paper_book",
    "run_backtest",
    "run_paper",
    "sync_database_schema",
]
