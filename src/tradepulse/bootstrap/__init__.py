"""The hall: the only place that builds adapters and knows backtest, paper and live."""

from tradepulse.bootstrap.application import Application, database_facts, open_application, sync_database_schema
from tradepulse.bootstrap.backtests import BacktestRequest, find_strategy, run_backtest
from tradepulse.bootstrap.data import analyse_stored_series, download_data, import_data
from tradepulse.bootstrap.exchange_keys import KeyNews, add_key, keys_of, recheck_keys
from tradepulse.bootstrap.installation import Installation, key_json, wallet_json
from tradepulse.bootstrap.paper import paper_book, run_paper
from tradepulse.bootstrap.requests import answer_to, ask, is_traded, risk_report
from tradepulse.bootstrap.signing_key import signing_key
from tradepulse.bootstrap.wallets_file import load_wallets
from tradepulse.exchanges.backfill_ohlcv import DownloadProgress, DownloadReport
from tradepulse.storage.candle_files import FileReport, ImportReport
from tradepulse.storage.exchange_keys import ExchangeKeys

__all__ = [
    "Application",
    "BacktestRequest",
    "DownloadProgress",
    "DownloadReport",
    "ExchangeKeys",
    "FileReport",
    "ImportReport",
    "Installation",
    "KeyNews",
    "add_key",
    "analyse_stored_series",
    "answer_to",
    "ask",
    "database_facts",
    "download_data",
    "find_strategy",
    "import_data",
    "is_traded",
    "key_json",
    "keys_of",
    "load_wallets",
    "open_application",
    "paper_book",
    "recheck_keys",
    "risk_report",
    "run_backtest",
    "run_paper",
    "signing_key",
    "sync_database_schema",
    "wallet_json",
]
