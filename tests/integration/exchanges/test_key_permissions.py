"""What a key may do: the unmodified ccxt asks a local server, which answers as the exchange's documentation shows."""

import copy
from typing import Any

import pytest
import trustme
from tests.integration.exchanges.key_payloads import OUR_KEY_ID, PAYLOADS, Change
from tests.local_exchanges.fixed_answer import FixedAnswer
from tests.local_exchanges.network import private_internet
from tests.local_exchanges.traded_markets import HOSTS

from tradepulse.domain.market import MarketKind
from tradepulse.domain.wallets import KeyAnswer, KeyVerdict, judge_answer
from tradepulse.exchanges.key_permissions import ask_permissions
from tradepulse.shared.secrets import Credentials

NOW = 1_767_225_600_000


def credentials(exchange: str) -> Credentials:
    if exchange == "coinbase":
        pem = trustme.CA().private_key_pem.bytes().decode()
        return Credentials(api_key="organizations/none/apiKeys/none", secret=pem)
    return Credentials(api_key=OUR_KEY_ID, secret="bm9ib2R5bm9ib2R5", password="nothing-to-see")


async def answered(exchange: str, content: Any, status: int = 200) -> tuple[KeyAnswer, list[str]]:
    there = FixedAnswer(HOSTS[exchange], content, status)
    async with private_internet([there]) as session:
        return await ask_permissions(exchange, MarketKind.SPOT, credentials(exchange), session=session), there.asked


def changed(exchange: str, change: Change) -> Any:
    answer = copy.deepcopy(PAYLOADS[exchange].good)
    change(answer)
    return answer


@pytest.mark.parametrize("exchange", PAYLOADS)
async def test_key_when_it_may_trade_and_not_withdraw_then_verified_by_the_documented_question(exchange: str) -> None:
    payload = PAYLOADS[exchange]
    answer, asked = await answered(exchange, payload.good)
    assert asked == [payload.path]
    assert judge_answer(answer, NOW).verdict is KeyVerdict.VERIFIED, answer
    assert answer.permissions is not None
    assert answer.permissions.ip_restricted is (None if payload.unrestricted is None else True)


@pytest.mark.parametrize("exchange", PAYLOADS)
async def test_key_when_it_may_withdraw_then_refused(exchange: str) -> None:
    answer, _ = await answered(exchange, changed(exchange, PAYLOADS[exchange].withdrawing))
    judged = judge_answer(answer, NOW)
    assert (judged.verdict, judged.reason) == (KeyVerdict.REFUSED, "it may withdraw")


@pytest.mark.parametrize("exchange", PAYLOADS)
async def test_key_when_it_may_only_read_then_refused(exchange: str) -> None:
    answer, _ = await answered(exchange, changed(exchange, PAYLOADS[exchange].reading))
    judged = judge_answer(answer, NOW)
    assert (judged.verdict, judged.reason) == (KeyVerdict.REFUSED, "it may not trade")


@pytest.mark.parametrize("exchange", PAYLOADS)
async def test_key_when_it_works_from_every_address_then_warned(exchange: str) -> None:
    unrestricted = PAYLOADS[exchange].unrestricted
    answer, _ = await answered(exchange, changed(exchange, unrestricted or (lambda _: None)))
    (warning,) = judge_answer(answer, NOW).warnings
    assert "restrict" in warning


@pytest.mark.parametrize("exchange", PAYLOADS)
async def test_answer_when_it_does_not_say_or_says_something_unknown_then_unverified(exchange: str) -> None:
    answer, _ = await answered(exchange, changed(exchange, PAYLOADS[exchange].nameless))
    judged = judge_answer(answer, NOW)
    assert judged.verdict is KeyVerdict.UNVERIFIED
    assert judged.reason


@pytest.mark.parametrize("exchange", PAYLOADS)
@pytest.mark.parametrize(
    ("content", "status"),
    [("", 503), ("<html>maintenance</html>", 200), ("", 200), ("{", 200), ("[]", 200), ("{}", 200), ("null", 200)],
)
async def test_exchange_when_it_gives_no_fit_answer_then_unverified_with_the_reason(
    exchange: str, content: str, status: int
) -> None:
    answer, _ = await answered(exchange, content, status)
    judged = judge_answer(answer, NOW)
    assert judged.verdict is KeyVerdict.UNVERIFIED
    assert exchange in judged.reason


REFUSALS = {
    "binance": ({"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}, 401),
    "bybit": ({"retCode": 10003, "retMsg": "API key is invalid.", "result": {}}, 200),
    "okx": ({"code": "50111", "msg": "Invalid OK-ACCESS-KEY", "data": []}, 401),
    "kucoin": ({"code": "400003", "msg": "KC-API-KEY not exists"}, 401),
    "coinbase": ("Unauthorized\n", 401),
    "kraken": ({"error": ["EAPI:Invalid key"]}, 200),
    "bitfinex": (["error", 10100, "apikey: invalid"], 500),
    "gate": ({"label": "INVALID_KEY", "message": "Invalid key provided"}, 401),
    "bitget": ({"code": "40006", "msg": "Invalid ACCESS_KEY"}, 400),
}


@pytest.mark.parametrize("exchange", REFUSALS)
async def test_exchange_when_it_does_not_take_the_key_then_refused_with_its_words(exchange: str) -> None:
    answer, _ = await answered(exchange, *REFUSALS[exchange])
    judged = judge_answer(answer, NOW)
    assert judged.verdict is KeyVerdict.REFUSED, answer
    assert judged.reason.startswith("the exchange does not take it")


async def test_key_when_it_may_not_ask_this_question_then_unverified() -> None:
    answer, _ = await answered("gate", {"label": "FORBIDDEN", "message": "not allowed"}, 403)
    assert judge_answer(answer, NOW).verdict is KeyVerdict.UNVERIFIED


async def test_exchange_when_it_has_no_such_question_then_unverified() -> None:
    answer = await ask_permissions("binanceus", MarketKind.SPOT, credentials("binanceus"))
    assert judge_answer(answer, NOW).verdict is KeyVerdict.UNVERIFIED


async def test_credentials_when_the_exchange_needs_a_password_and_none_is_given_then_refused_by_name() -> None:
    given = Credentials(api_key=OUR_KEY_ID, secret="bm9ib2R5bm9ib2R5")
    there = FixedAnswer(HOSTS["okx"], PAYLOADS["okx"].good)
    async with private_internet([there]) as session:
        answer = await ask_permissions("okx", MarketKind.SPOT, given, session=session)
    assert there.asked == []
    assert answer.refused
    assert "password" in answer.problem


def test_payloads_when_listed_then_every_exchange_that_is_traded_but_one() -> None:
    assert set(PAYLOADS) == set(HOSTS) - {"binanceus"}
