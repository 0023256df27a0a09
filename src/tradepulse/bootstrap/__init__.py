"""The hall: the only place that builds adapters and knows backtest, paper and live."""

from tradepulse.bootstrap.application import Application, open_application, sync_database_schema
from tradepulse.bootstrap.backtests import BacktestRequest, find_strategy, run_backtest
from tradepulse.bootstrap.connection_test import Check, check_connection
from tradepulse.bootstrap.data import analyse_stored_series, download_data, import_data
from tradepulse.bootstrap.exchange_access import Outside
from tradepulse.bootstrap.exchange_keys import KeyNews, add_key, keys_of, recheck_keys
from tradepulse.bootstrap.live import chosen_wallets, run_live
from tradepulse.bootstrap.paper import paper_book, run_paper, run_paper_wallets
from tradepulse.bootstrap.requests import answer_to, ask, is_traded, risk_report
from tradepulse.bootstrap.wallets_file import load_wallets
from tradepulse.exchanges.backfill_ohlcv import DownloadProgress, DownloadReport
from tradepulse.storage.candle_files import FileReport, ImportReport
from tradepulse.storage.exchange_keys import ExchangeKeys

__all__ = [
    "Application",
    "BacktestRequest",
    "Check",
    "DownloadProgress",
    "DownloadReport",
    "ExchangeKeys",
    "FileReport",
    "ImportReport",
    "KeyNews",
    "Outside",
    "add_key",
    "analyse_stored_series",
    "answer_to",
    "ask",
    "check_connection",
    "chosen_wallets",
    "download_data",
    "find_strategy",
    "import_data",
    "is_traded",
    "keys_of",
    "load_wallets",
    "open_application",
    "paper_book",
    "recheck_keys",
    "risk_report",
    "run_backtest",
    "run_live",
    "run_paper",
    "run_paper_wallets",
    "sync_database_schema",
]
