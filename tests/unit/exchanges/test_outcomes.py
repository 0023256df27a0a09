"""The table of outcomes: every class that ccxt can raise, and every shape of an answer."""

import asyncio
import inspect
import json
from typing import Any

import ccxt.async_support as ccxt
import pytest
from ccxt.base import errors

from tradepulse.exchanges.outcomes import Outcome, order_id_in, outcome_of, reason_of

REFUSED = {
    "AccountNotEnabled", "AccountSuspended", "ArgumentsRequired", "AuthenticationError", "BadRequest", "BadSymbol",
    "ContractUnavailable", "InsufficientFunds", "InvalidOrder", "ManualInteractionNeeded", "MarginModeAlreadySet",
    "MarketClosed", "NoChange", "NotSupported", "OperationRejected", "OrderImmediatelyFillable", "OrderNotFillable",
    "PermissionDenied", "RestrictedLocation",
}  # fmt: skip
NOT_EXECUTED = {"ChecksumError", "DDoSProtection", "InvalidNonce", "OnMaintenance", "RateLimitExceeded"}
UNKNOWN = {
    "AddressPending", "BadResponse", "BaseError", "CancelPending", "DuplicateOrderId", "ExchangeClosedByUser",
    "ExchangeError", "ExchangeNotAvailable", "InvalidAddress", "InvalidProxySettings", "NetworkError", "NullResponse",
    "OperationFailed", "OrderNotCached", "OrderNotFound", "RequestTimeout", "UnsubscribeError",
}  # fmt: skip
CLASSES = {name: each for name, each in vars(errors).items() if inspect.isclass(each) and issubclass(each, Exception)}


def test_table_when_ccxt_has_a_class_of_errors_then_it_stands_in_exactly_one_row() -> None:
    assert set(CLASSES) == REFUSED | NOT_EXECUTED | UNKNOWN
    assert len(REFUSED) + len(NOT_EXECUTED) + len(UNKNOWN) == len(CLASSES)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_outcome_when_ccxt_raises_then_as_the_table_says(name: str) -> None:
    expected = next(
        outcome
        for outcome, names in (
            (Outcome.REFUSED, REFUSED),
            (Outcome.NOT_EXECUTED, NOT_EXECUTED),
            (Outcome.UNKNOWN, UNKNOWN),
        )
        if name in names
    )
    assert outcome_of(CLASSES[name]("binance something")) is expected


@pytest.mark.parametrize(
    "error",
    [
        asyncio.CancelledError(),
        TimeoutError(),
        ConnectionResetError("peer"),
        json.JSONDecodeError("no", "", 0),
        KeyError("orderId"),
        TypeError("None"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_outcome_when_anything_else_is_raised_then_unknown(error: BaseException) -> None:
    assert outcome_of(error) is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "error",
    [
        ccxt.InvalidOrder('binance {"code":-2010,"msg":"Duplicate order sent."}'),
        ccxt.BadRequest('okx {"code":"51016","msg":"Duplicated client order ID."}'),
        ccxt.ExchangeError("kraken EOrder:Client order id already in use"),
        ccxt.BadRequest('bybit {"retCode":170141,"retMsg":"Duplicate clientOrderId"}'),
    ],
)
def test_outcome_when_the_id_is_taken_then_it_may_be_ours_and_is_asked_for(error: Exception) -> None:
    assert outcome_of(error) is Outcome.UNKNOWN


TAKEN: list[tuple[Any, str]] = [
    ({"id": "42", "status": None, "clientOrderId": None}, "42"),
    ({"symbol": "BTCUSDT", "orderId": 42, "orderListId": -1}, "42"),
    ({"orderListId": 7, "contingencyType": "OCO", "orders": []}, "7"),
    ({"error": [], "result": {"descr": {"order": "sell"}, "txid": ["OUF4EM"]}}, "OUF4EM"),
    ({"success": True, "success_response": {"order_id": "a-b", "client_order_id": "c"}}, "a-b"),
    ({"code": "0", "data": [{"algoId": "9", "algoClOrdId": "c", "sCode": "0"}]}, "9"),
    ({"retCode": 0, "result": {"orderId": "11", "orderLinkId": "c"}}, "11"),
    ({"code": "200000", "data": {"orderId": "12"}}, "12"),
    ({"code": "00000", "data": {"orderId": "13", "clientOid": "c"}}, "13"),
    ([1, "on-req", None, None, [[14, None, 5]], None, "SUCCESS", "Submitting"], "14"),
]


@pytest.mark.parametrize(("answer", "exchange_id"), TAKEN)
def test_outcome_when_the_answer_names_the_order_then_accepted(answer: Any, exchange_id: str) -> None:
    assert outcome_of(answer) is Outcome.ACCEPTED
    assert order_id_in(answer) == exchange_id


@pytest.mark.parametrize(
    "answer",
    [
        {"id": None, "info": "<html>"},
        {"id": "", "info": {}},
        {"symbol": "BTCUSDT", "orderListId": -1},
        {"result": {"txid": []}},
        {"code": "0", "data": []},
        {"success": True},
        {"success": True, "success_response": {}},
        {},
        None,
        "",
        "<html></html>",
        b"",
        [],
        [1, "on-req", None, None, [], None, "SUCCESS", ""],
        [1, "on-req", None, None, [[14]], None, "ERROR", ""],
        {"success": False},
        {"success": False, "error_response": {"error": "UNKNOWN_FAILURE_REASON"}},
        {"success": False, "error_response": {"error": "DUPLICATE_CLIENT_ORDER_ID"}},
    ],
)
def test_outcome_when_the_answer_names_no_order_then_unknown(answer: Any) -> None:
    assert outcome_of(answer) is Outcome.UNKNOWN


def test_outcome_when_coinbase_says_no_with_status_200_then_refused_with_its_reason() -> None:
    answer = {"success": False, "error_response": {"error": "INSUFFICIENT_FUND", "message": "Insufficient balance"}}
    assert outcome_of(answer) is Outcome.REFUSED
    assert "INSUFFICIENT_FUND" in reason_of(answer)


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        ({"error": "UNTRADABLE_PRODUCT", "preview_failure_reason": "PREVIEW_UNTRADABLE_PRODUCT"}, Outcome.REFUSED),
        ({"error": "UNKNOWN_FAILURE_REASON", "preview_failure_reason": "PREVIEW_INVALID_LIMIT_PRICE"}, Outcome.REFUSED),
        ({"error": "UNKNOWN_FAILURE_REASON", "preview_failure_reason": ""}, Outcome.UNKNOWN),
        ({"error": "INTERNAL", "preview_failure_reason": "PREVIEW_INTERNAL"}, Outcome.UNKNOWN),
    ],
)
def test_outcome_when_ccxt_raises_what_coinbase_says_then_as_the_answer_says(
    words: dict[str, str], outcome: Outcome
) -> None:
    body = json.dumps({"success": False, "error_response": words})
    assert outcome_of(ccxt.ExchangeError(f"coinbase {body}")) is outcome
    assert outcome_of(ccxt.ExchangeError(f"coinbase {body[:-9]}")) is Outcome.UNKNOWN


def test_reason_when_an_error_carries_a_signed_request_then_only_its_path_is_told() -> None:
    error = ccxt.RequestTimeout("binance POST https://api.binance.com/api/v3/order?quantity=1&signature=abc")
    assert reason_of(error) == "RequestTimeout: binance POST https://api.binance.com/api/v3/order"
