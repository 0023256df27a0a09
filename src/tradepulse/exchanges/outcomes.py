"""What became of a request that may have changed something: taken, refused, not executed, or not known.

Only what is listed is believed. A bare ``ExchangeError`` is what ccxt makes of a cut answer, and an order without an
id what it makes of an HTML page, so both are unknown, like everything that is not listed.
"""

import json
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import ccxt.async_support as ccxt

from tradepulse.exchanges.rate_budget import BannedError
from tradepulse.shared.secrets import scrub

LONGEST_REASON = 300


class Outcome(StrEnum):
    ACCEPTED = "accepted"
    REFUSED = "refused"
    """The exchange said no: nothing of it exists."""
    NOT_EXECUTED = "not executed"
    """It did not get as far as being judged; the same request may be sent again after a pause."""
    UNKNOWN = "unknown"
    """It may exist. Ask, never assume, never send again before the answer."""


_REFUSALS = (
    ccxt.InsufficientFunds,
    ccxt.InvalidOrder,
    ccxt.BadRequest,
    ccxt.AuthenticationError,
    ccxt.ArgumentsRequired,
    ccxt.NotSupported,
    ccxt.OperationRejected,
)
REFUSED_FOR_THE_RATE = (ccxt.DDoSProtection, ccxt.RateLimitExceeded)
WRONG_TIME = (ccxt.InvalidNonce,)
_NOT_EXECUTED = (*REFUSED_FOR_THE_RATE, *WRONG_TIME, ccxt.OnMaintenance, BannedError)
# Our ids are used once: an id that is taken already says that an earlier attempt arrived.
_ID_IS_TAKEN = re.compile(
    r"duplicat|already (?:in use|used|exists?)|DUPLICATE_CLIENT_ORDER_ID|client.?o(?:rder_?)?id.*exist", re.IGNORECASE
)
# Sent by Coinbase with HTTP 200 and success: false, when it does not know itself.
_NOT_SURE = frozenset({"UNKNOWN_FAILURE_REASON", "UNKNOWN_ERROR", "INTERNAL", "PREVIEW_INTERNAL"})
_QUERY_OF_URL = re.compile(r"(https?://[^\s?\"']+)\?[^\s\"']*")


def outcome_of(result: object) -> Outcome:
    """``result``: the exception that a placing call raised, or its answer, unified or in the exchange's own JSON."""
    if isinstance(result, BaseException):
        return _outcome_of_error(result)
    if _says_failure(result):
        return _outcome_of_failure(result)
    return Outcome.ACCEPTED if order_id_in(result) else Outcome.UNKNOWN


def _outcome_of_error(error: BaseException) -> Outcome:
    if isinstance(error, ccxt.ExchangeError) and (
        isinstance(error, ccxt.DuplicateOrderId) or _ID_IS_TAKEN.search(str(error))
    ):
        return Outcome.UNKNOWN
    if isinstance(error, ccxt.OrderNotFound | ccxt.OrderNotCached):
        # No answer to placing an order: something is not as it seems.
        return Outcome.UNKNOWN
    if isinstance(error, _REFUSALS):
        return Outcome.REFUSED
    if type(error) is ccxt.ExchangeError and _says_failure(answer := _answer_in(error)):
        return _outcome_of_failure(answer)
    return Outcome.NOT_EXECUTED if isinstance(error, _NOT_EXECUTED) else Outcome.UNKNOWN


def _answer_in(error: BaseException) -> Any:
    """The whole answer, which ccxt quotes after the exchange's name; ``None`` where it is not whole."""
    try:
        return json.loads(str(error).partition(" ")[2])
    except ValueError:
        return None


def _says_failure(answer: object) -> bool:
    return isinstance(answer, Mapping) and answer.get("success") is False


def _outcome_of_failure(answer: Any) -> Outcome:
    error = answer.get("error_response") or {}
    named = {str(error.get("error")), str(answer.get("failure_reason"))}
    if not error or _ID_IS_TAKEN.search(str(error)):
        return Outcome.UNKNOWN
    # It never got further than its preview.
    previewed = str(error.get("preview_failure_reason") or "")
    if previewed.startswith("PREVIEW_") and previewed not in _NOT_SURE:
        return Outcome.REFUSED
    return Outcome.UNKNOWN if named & _NOT_SURE else Outcome.REFUSED


def wants_funds(result: object) -> bool:
    """Whether a refusal is one for want of money or coins."""
    return isinstance(result, ccxt.InsufficientFunds) or (
        _says_failure(result) and "INSUFFICIENT_FUND" in str(result).upper()
    )


def order_id_in(answer: object) -> str:
    """The exchange's id in the answer to placing an order, '' where there is none. The shapes exclude each other."""
    if isinstance(answer, Mapping):
        return _first(_ids_of(answer))
    if isinstance(answer, Sequence) and not isinstance(answer, str | bytes):
        return _bitfinex_id(answer)
    return ""


def _ids_of(answer: Mapping[str, Any]) -> list[Any]:
    inner = answer.get("result") or answer.get("data") or answer.get("success_response") or answer
    if isinstance(inner, Sequence) and not isinstance(inner, str):
        inner = inner[0] if inner and isinstance(inner[0], Mapping) else {}
    if not isinstance(inner, Mapping):
        return []
    pair = inner.get("orderListId")
    return [
        *list(inner.get("txid") or ())[:1],
        *(inner.get(name) for name in ("id", "orderId", "order_id", "algoId", "ordId")),
        None if pair in (-1, "-1") else pair,
    ]


def _bitfinex_id(answer: Sequence[Any]) -> str:
    """``[mts, 'on-req', null, null, [[id, ...]], null, 'SUCCESS', text]``"""
    if len(answer) < 7 or answer[6] != "SUCCESS" or not answer[4]:
        return ""
    order = answer[4][0]
    return _first(order[:1]) if isinstance(order, Sequence) else ""


def _first(found: Sequence[Any]) -> str:
    return next((str(each) for each in found if each not in (None, "", 0)), "")


def reason_of(result: object) -> str:
    """In words fit to be stored: an error's text carries the signed request, of which only the path is kept."""
    if isinstance(result, BaseException):
        text = f"{type(result).__name__}: {result}"
    elif _says_failure(result) and isinstance(result, Mapping):
        text = str(result.get("error_response") or result)
    else:
        text = "the answer names no order"
    return scrub(_QUERY_OF_URL.sub(r"\1", text))[:LONGEST_REASON]
