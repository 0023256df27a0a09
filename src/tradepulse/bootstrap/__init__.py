"""The hall: the only place that builds adapters and knows backtest, paper and live."""

from tradepulse.bootstrap.application import (
    Application,
    back_up,
    database_facts,
    drift_of_schema,
    mend_database_schema,
    open_application,
    restore_backup,
    revision_of_database,
    sync_database_schema,
)
from tradepulse.bootstrap.backtests import BacktestRequest, find_strategy, run_backtest
from tradepulse.bootstrap.connection_test import Check, check_connection
from tradepulse.bootstrap.data import analyse_stored_series, download_data, import_data
from tradepulse.bootstrap.exchange_access import Outside
from tradepulse.bootstrap.exchange_keys import KeyNews, add_key, keys_of, recheck_keys
from tradepulse.bootstrap.heartbeat import Heartbeats
from tradepulse.bootstrap.installation import Installation, key_json, wallet_json
from tradepulse.bootstrap.live import chosen_wallets, run_live
from tradepulse.bootstrap.notifications import Notifier, channel_of, notifying
from tradepulse.bootstrap.paper import paper_book, refuse_other_exchanges, run_paper, store_simulated_history
from tradepulse.bootstrap.paper_wallets import run_paper_wallets
from tradepulse.bootstrap.requests import answer_to, ask, is_traded, risk_report
from tradepulse.bootstrap.retention import remove_what_is_old
from tradepulse.bootstrap.schema_watch import on_this_schema
from tradepulse.bootstrap.signing_key import signing_key
from tradepulse.bootstrap.wallets_file import load_wallets
from tradepulse.exchanges.backfill_ohlcv import DownloadProgress, DownloadReport
from tradepulse.storage.candle_files import FileReport, ImportReport
from tradepulse.storage.drift import Repair
from tradepulse.storage.exchange_keys import ExchangeKeys

__all__ = [
    "Application",
    "BacktestRequest",
    "Check",
    "DownloadProgress",
    "DownloadReport",
    "ExchangeKeys",
    "FileReport",
    "Heartbeats",
    "ImportReport",
    "Installation",
    "KeyNews",
    "Notifier",
    "Outside",
    "Repair",
    "add_key",
    "analyse_stored_series",
    "answer_to",
    "ask",
    "back_up",
    "channel_of",
    "check_connection",
    "chosen_wallets",
    "database_facts",
    "download_data",
    "drift_of_schema",
    "find_strategy",
    "import_data",
    "is_traded",
    "key_json",
    "keys_of",
    "load_wallets",
    "mend_database_schema",
    "notifying",
    "on_this_schema",
    "open_application",
    "paper_book",
    "recheck_keys",
    "refuse_other_exchanges",
    "remove_what_is_old",
    "restore_backup",
    "revision_of_database",
    "risk_report",
    "run_backtest",
    "run_live",
    "run_paper",
    "run_paper_wallets",
    "signing_key",
    "store_simulated_history",
    "sync_database_schema",
    "wallet_json",
]
