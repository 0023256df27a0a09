"""What each exchange answers when asked what a key may do, as its documentation shows it, and what that means.

``path``: where the pinned ccxt asks. ``good``: a key that trades and reads, and cannot withdraw. ``withdrawing`` and
``reading``: what is different in the answer for a key that may withdraw, and for one that may only read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Change = Callable[[Any], object]
OUR_KEY_ID = "a-key-id-of-ours-4711"


@dataclass(frozen=True)
class Payload:
    path: str
    good: Any
    withdrawing: Change
    reading: Change
    unrestricted: Change | None
    """``None``: the exchange does not tell."""
    nameless: Change
    """Takes away what the answer is about."""


PAYLOADS: dict[str, Payload] = {
    "binance": Payload(
        "GET /sapi/v1/account/apiRestrictions",
        {
            "ipRestrict": True, "createTime": 1698645219000, "enableReading": True, "enableWithdrawals": False,
            "enableInternalTransfer": False, "enableMargin": False, "enableFutures": False,
            "permitsUniversalTransfer": False, "enableVanillaOptions": False, "enableFixApiTrade": False,
            "enableFixReadOnly": True, "enableSpotAndMarginTrading": True, "enablePortfolioMarginTrading": False,
        },
        lambda answer: answer.update(enableWithdrawals=True),
        lambda answer: answer.update(enableSpotAndMarginTrading=False),
        lambda answer: answer.update(ipRestrict=False),
        lambda answer: answer.pop("enableWithdrawals"),
    ),
    "bybit": Payload(
        "GET /v5/user/query-api",
        {
            "retCode": 0, "retMsg": "", "retExtInfo": {}, "time": 1676891757649,
            "result": {
                "id": "13770661", "note": "readwrite", "apiKey": OUR_KEY_ID, "readOnly": 0, "secret": "",
                "permissions": {
                    "ContractTrade": [], "Spot": ["SpotTrade"], "Wallet": ["AccountTransfer"], "Options": [],
                    "Derivatives": [], "CopyTrading": [], "BlockTrade": [], "Exchange": [], "NFT": [],
                },
                "ips": ["203.0.113.7"], "type": 1, "deadlineDay": 83, "expiredAt": "2099-05-15T03:21:05Z",
                "createdAt": "2022-10-16T02:24:40Z", "unified": 0, "uta": 1, "userID": 24617703, "isMaster": True,
            },
        },
        lambda answer: answer["result"]["permissions"]["Wallet"].append("Withdraw"),
        lambda answer: answer["result"].update(readOnly=1),
        lambda answer: answer["result"].update(ips=["*"]),
        lambda answer: answer["result"].pop("permissions"),
    ),
    "okx": Payload(
        "GET /api/v5/account/config",
        {
            "code": "0", "msg": "",
            "data": [{
                "acctLv": "2", "uid": "44705892343619584", "label": "trader", "perm": "read_only,trade",
                "ip": "203.0.113.7", "posMode": "long_short_mode", "type": "0",
            }],
        },
        lambda answer: answer["data"][0].update(perm="read_only,withdraw,trade"),
        lambda answer: answer["data"][0].update(perm="read_only"),
        lambda answer: answer["data"][0].update(ip=""),
        lambda answer: answer["data"][0].update(perm="read_only,trade,something_new"),
    ),
    "kucoin": Payload(
        "GET /api/v1/user/api-key",
        {
            "code": "200000",
            "data": {
                "remark": "trader", "apiKey": OUR_KEY_ID, "apiVersion": 3, "permission": "General,Spot",
                "ipWhitelist": "203.0.113.7", "createdAt": 1725602502000, "uid": 165111215, "isMaster": True,
            },
        },
        lambda answer: answer["data"].update(permission="General,Spot,Withdrawal"),
        lambda answer: answer["data"].update(permission="General"),
        lambda answer: answer["data"].update(ipWhitelist=""),
        lambda answer: answer["data"].pop("permission"),
    ),
    "coinbase": Payload(
        "GET /api/v3/brokerage/key_permissions",
        {
            "can_view": True, "can_trade": True, "can_transfer": False,
            "portfolio_uuid": "5a3e0000-0000-0000-0000-000000000000", "portfolio_type": "DEFAULT",
        },
        lambda answer: answer.update(can_transfer=True),
        lambda answer: answer.update(can_trade=False),
        None,
        lambda answer: answer.update(can_transfer="no"),
    ),
    "kraken": Payload(
        "POST /0/private/GetApiKeyInfo",
        {
            "error": [],
            "result": {
                "apiKeyName": "trader", "apiKey": OUR_KEY_ID, "nonce": "1772627060997", "nonceWindow": 0,
                "permissions": ["query-funds", "query-open-trades", "query-closed-trades", "modify-trades"],
                "iban": "AA88 N84G WOAK NMOI", "validUntil": "0", "queryFrom": "0", "queryTo": "0",
                "createdTime": "1772542900", "modifiedTime": "1772543095", "ipAllowlist": ["203.0.113.7"],
                "lastUsed": "1772627061",
            },
        },
        lambda answer: answer["result"]["permissions"].append("withdraw-funds"),
        lambda answer: answer["result"]["permissions"].remove("modify-trades"),
        lambda answer: answer["result"].update(ipAllowlist=[]),
        lambda answer: answer["result"].pop("permissions"),
    ),
    "bitfinex": Payload(
        "POST /v2/auth/r/permissions",
        [
            ["account", 1, 0], ["history", 1, 0], ["orders", 1, 1], ["positions", 1, 0], ["funding", 1, 0],
            ["settings", 0, 0], ["wallets", 1, 0], ["withdraw", 0, 0], ["ui_withdraw", 0, 0],
        ],
        lambda answer: answer.__setitem__(7, ["withdraw", 0, 1]),
        lambda answer: answer.__setitem__(2, ["orders", 1, 0]),
        None,
        lambda answer: answer.__delitem__(7),
    ),
    "gate": Payload(
        "GET /api/v4/account/main_keys",
        [
            {"name": "another", "key": "not-ours", "perms": [{"name": "withdraw", "read_only": False}]},
            {
                "state": 1, "mode": 1, "name": "trader", "currency_pairs": [], "user_id": 100,
                "ip_whitelist": ["203.0.113.7"], "key": OUR_KEY_ID, "created_at": "1698645219",
                "perms": [{"name": "spot", "read_only": False}, {"name": "wallet", "read_only": True}],
            },
        ],
        lambda answer: answer[1]["perms"].append({"name": "withdraw", "read_only": False}),
        lambda answer: answer[1]["perms"][0].update(read_only=True),
        lambda answer: answer[1].update(ip_whitelist=[]),
        lambda answer: answer[1].update(key="another-one"),
    ),
    "bitget": Payload(
        "GET /api/v2/spot/account/info",
        {
            "code": "00000", "msg": "success", "requestTime": 1698645219000,
            "data": {
                "userId": "1", "inviterId": "2", "channelCode": "x", "channel": "x", "ips": "203.0.113.7",
                "authorities": ["trade", "readonly"], "parentId": 1, "traderType": "trader",
            },
        },
        lambda answer: answer["data"]["authorities"].append("withdraw"),
        lambda answer: answer["data"].update(authorities=["readonly"]),
        lambda answer: answer["data"].update(ips=""),
        lambda answer: answer["data"].update(authorities=["trade", "readonly", "wtow"]),
    ),
}  # fmt: skip
