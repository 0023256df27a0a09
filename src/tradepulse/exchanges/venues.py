"""What each exchange can do for a live order, as data, and why we believe it.

An exchange's own description is no proof: ccxt's ``has`` and ``features`` promise what the wire does not keep. The
entries hold for the pinned ccxt; the golden wire tests check what can be checked without an exchange. Whatever is not
established reads as the careful answer.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tradepulse.domain.market import MarketKind
from tradepulse.domain.orders import ProtectionMode
from tradepulse.exchanges.venue_facts import ClientIdRule, Fact, IdForm, MarketBuy, StopType, Venue

CCXT_VERSION = "4.5.90"
"""The version whose behaviour the entries describe; it is the one pinned in ``pyproject.toml``."""
DAY_SECONDS = 86_400


def venue_of(exchange: str, kind: MarketKind) -> Venue:
    """The entry of an exchange, or a careful one that says that nothing is known of it."""
    return VENUES.get((exchange, kind)) or _unknown(exchange, kind)


def mode_for(
    venue: Venue, market_info: Mapping[str, Any], *, attached: bool = False, probed: bool = False
) -> Fact[ProtectionMode]:
    """The mode for one market. Market and ccxt can only take away from what the table grants.

    ``market_info``: the exchange's own words (ccxt's ``market['info']``). ``attached``: whether ccxt's
    ``feature_value(symbol, 'createOrder', 'attachedStopLossTakeProfit')`` gives anything. ``probed``: whether this
    account has passed the venue's probe.
    """
    granted = venue.protection
    if granted.value is ProtectionMode.EMULATED:
        return granted
    if venue.probe and not probed:
        return _emulated(f"not yet tried on this account: {venue.probe}")
    if granted.value is ProtectionMode.ATTACHED and not attached:
        return _emulated("ccxt does not offer a stop and target attached to orders of this market")
    if _tells_order_types(venue) and market_info.get("ocoAllowed") is not True:
        return _emulated("the exchange does not say ocoAllowed for this market")
    if granted.value is ProtectionMode.NATIVE and venue.pair_stop.value not in stop_types_for(venue, market_info):
        return _emulated(f"this market has no stop-{venue.pair_stop.value} orders, which a pair needs")
    return granted


def stop_types_for(venue: Venue, market_info: Mapping[str, Any]) -> frozenset[StopType]:
    """The kinds of stop that this market takes, by the exchange's own list of order types where it gives one."""
    if not _tells_order_types(venue):
        return venue.stop_types.value
    offered = set(market_info.get("orderTypes") or ())
    return frozenset(stop for stop in venue.stop_types.value if _BINANCE_STOP_NAMES[stop] in offered)


def _emulated(why: str) -> Fact[ProtectionMode]:
    return Fact(ProtectionMode.EMULATED, why)


def _tells_order_types(venue: Venue) -> bool:
    return venue.exchange in ("binance", "binanceus") and venue.kind is MarketKind.SPOT


_BINANCE_STOP_NAMES = {StopType.MARKET: "STOP_LOSS", StopType.LIMIT: "STOP_LOSS_LIMIT"}
_BOTH_STOPS = frozenset(StopType)
_NO_PAIR: Fact[StopType | None] = Fact(None, "there are no pairs here")
_RESTS: Fact[int | None] = Fact(None, "no expiry is documented")
_TICKS: Fact[int | None] = Fact(
    None, "prices are multiples of the tick size; ccxt rounds them half up, so we round first"
)
_BY_QUANTITY = Fact(MarketBuy.QUANTITY, "seen on the wire: the amount is sent as a quantity of the base")
_LOCKS_TWICE = Fact(False, "two independent sells need the coins twice, and the second is refused")
_NOT_ESTABLISHED = Fact(False, "not established, so one leg rests at a time")
_NO_REPLAY = "fills during a gap of the connection are never sent again: ask by REST after every connect"
_KLINES_UNCLOSED = "watchOHLCV drops the flag that says whether a candle is closed"


def _unknown(exchange: str, kind: MarketKind) -> Venue:
    unknown = f"nothing is established for {kind} markets on {exchange}"
    return Venue(
        exchange=exchange,
        kind=kind,
        protection=_emulated(f"unknown: {unknown}"),
        stop_types=Fact(frozenset(), unknown),
        pair_stop=Fact(None, unknown),
        locked_once=Fact(False, unknown),
        stop_beside_target=Fact(False, unknown),
        stop_expires_after=Fact(None, unknown),
        client_id=ClientIdRule("", "", "", unknown),
        market_buy=Fact(MarketBuy.QUANTITY, unknown),
        rounding=Fact(None, unknown),
        streams=(_NO_REPLAY,),
    )


_BINANCE = Venue(
    exchange="binance",
    kind=MarketKind.SPOT,
    protection=Fact(
        ProtectionMode.NATIVE,
        "POST /api/v3/orderList/oco places stop-market and limit target as one list, which ccxt offers only as the raw "
        "call; the sibling ends when the stop triggers or the target starts to fill, so the rest is armed again",
    ),
    stop_types=Fact(_BOTH_STOPS, "STOP_LOSS and STOP_LOSS_LIMIT, where the market's orderTypes name them"),
    pair_stop=Fact(StopType.MARKET, "belowType STOP_LOSS; a stop-limit that is gapped through leaves nothing working"),
    locked_once=Fact(True, "inferred from one quantity for both legs"),
    stop_beside_target=Fact(False, "two independent sells: the second is refused with -2010 insufficient balance"),
    stop_expires_after=_RESTS,
    client_id=ClientIdRule(
        "newClientOrderId",
        find="fetch_order with clientOrderId; a list by origClientOrderId",
        cancel="cancel_order with clientOrderId; a list by listClientOrderId",
        longest=36,
        alphabet=r"[.A-Z:/a-z0-9_-]",
        why="unique among open orders only, so a resend after a fill would trade twice; ccxt invents ids for a list "
        "and its legs unless all three are given",
    ),
    market_buy=Fact(MarketBuy.QUANTITY, "seen on the wire: with a price, ccxt sends quoteOrderQty = amount x price"),
    rounding=_TICKS,
    streams=(
        "listStatus events are ignored",
        _KLINES_UNCLOSED,
        _NO_REPLAY,
        "a dead connection is noticed after 6 to 9 minutes unless streaming.keepAlive is lowered to 15-20 s",
    ),
    quirks=("cancelling one leg cancels the list", "a query of a list reads a database that may lag"),
)

_BINANCEUS = replace(
    _BINANCE,
    exchange="binanceus",
    protection=Fact(
        ProtectionMode.NATIVE,
        "the older POST /api/v3/order/oco, which third-party documentation and ccxt name; ccxt also has orderList/oco "
        "here, but only because it inherits from binance",
    ),
    pair_stop=Fact(StopType.MARKET, "without stopLimitPrice the stop leg is STOP_LOSS"),
)

_KRAKEN = Venue(
    exchange="kraken",
    kind=MarketKind.SPOT,
    protection=_emulated(
        "no pairs: a conditional close carries one secondary order, and Kraken says that one-cancels-the-other is not "
        "possible"
    ),
    stop_types=Fact(_BOTH_STOPS, "ordertype stop-loss and stop-loss-limit"),
    pair_stop=_NO_PAIR,
    locked_once=_LOCKS_TWICE,
    stop_beside_target=_NOT_ESTABLISHED,
    stop_expires_after=_RESTS,
    client_id=ClientIdRule(
        "cl_ord_id",
        find="fetch_open_orders, then fetch_closed_orders, with clientOrderId (fetch_order sends it as userref)",
        cancel="cancel_order with clientOrderId",
        longest=18,
        alphabet=r"[0-9A-Za-z]",
        why="a UUID, 32 hexadecimal digits, or free text of at most 18 characters; unique among open orders",
    ),
    market_buy=_BY_QUANTITY,
    rounding=_TICKS,
    streams=(
        _NO_REPLAY,
        "fills have been missed by watchOrders",
        "only an order's first message names its market: watchOrders of one market hears no other",
        "without a market watchOrders hears later messages, bare of side, amount and filled",
        "clientOrderId is never there: info has cl_ord_id and cum_qty",
        "a trade comes on watchMyTrades alone",
        "a refused subscription, as with an expired token, leaves its watcher waiting",
        "no message tells that a candle is over",
    ),
    quirks=(
        "definite refusals are plain ExchangeErrors, as cut answers are: EOrder:Duplicate order, EOrder:Cost minimum",
        "maintenance (EService:Unavailable) is ExchangeNotAvailable, and so in doubt",
        "ccxt sends triggerPrice through unread: what was meant as a stop is a plain market order",
        "a nonce in milliseconds: one ccxt client per key",
    ),
)

_COINBASE = Venue(
    exchange="coinbase",
    kind=MarketKind.SPOT,
    protection=Fact(
        ProtectionMode.NATIVE,
        "trigger_bracket_gtc closes a holding by limit or stop; the official client offers it, others say that it is "
        "not available on spot",
    ),
    stop_types=Fact(frozenset({StopType.LIMIT}), "there are no stop-market orders: ccxt refuses to build one"),
    pair_stop=Fact(
        StopType.LIMIT, "a triggered bracket places a limit 5 % through the stop: it may not fill in a crash"
    ),
    locked_once=Fact(True, "a bracket is one order with one base_size"),
    stop_beside_target=_NOT_ESTABLISHED,
    stop_expires_after=Fact(None, "good till cancelled (_gtc)"),
    client_id=ClientIdRule(
        "client_order_id",
        find="by reading the market's orders: nothing finds an order by this id",
        cancel="by the exchange's id only",
        why="ccxt drops clientOrderId and sends a random ccxt-<uuid>; the raw client_order_id goes through",
    ),
    market_buy=Fact(MarketBuy.COST, "a market buy is quote_size; ccxt refuses one without a cost"),
    rounding=_TICKS,
    streams=("watchMyTrades, watchOHLCV and watchBalance do not exist", _NO_REPLAY),
    quirks=(
        "a refusal has HTTP 200 and success: false; ccxt raises it, as a plain ExchangeError if it has no better class",
        "ccxt makes a sell with stopPrice a STOP_UP: only stop_direction STOP_DIRECTION_STOP_DOWN is a stop-loss",
        "reading open orders gives the first 100",
        "ccxt reads no amount and no levels of a bracket",
    ),
    probe="preview a trigger_bracket_gtc of this product (POST /api/v3/brokerage/orders/preview)",
)

_OKX = Venue(
    exchange="okx",
    kind=MarketKind.SPOT,
    protection=Fact(ProtectionMode.NATIVE, "POST /api/v5/trade/order-algo with ordType oco"),
    stop_types=Fact(_BOTH_STOPS, "ordType conditional with slOrdPx -1 (market) or a price"),
    pair_stop=Fact(
        StopType.MARKET,
        "slOrdPx -1; with a limit type ccxt would give stop and target the same price. The target is -1 too: whichever "
        "triggers ends the other, and a limit that is only touched would rest without a stop",
    ),
    locked_once=Fact(True, "an oco is one order with one sz"),
    stop_beside_target=_NOT_ESTABLISHED,
    stop_expires_after=_RESTS,
    client_id=ClientIdRule(
        "clOrdId",
        stop_parameter="algoClOrdId",
        find="fetch_order with clientOrderId; stops and pairs by private_get_trade_order_algo with algoClOrdId",
        cancel="cancel_order with clientOrderId; stops and pairs by private_post_trade_cancel_algos",
        longest=32,
        alphabet=r"[0-9A-Za-z]",
        why="letters and digits only; for a stop or pair ccxt sends clientOrderId as clOrdId, by which no algo "
        "order is found, and invents a clOrdId and a tag when it is left out",
    ),
    market_buy=Fact(MarketBuy.QUANTITY, "seen on the wire: tgtCcy base_ccy goes along"),
    rounding=_TICKS,
    streams=(
        "stops and pairs come on watchOrders with trigger, the order they place on the plain one: both are needed",
        _NO_REPLAY,
    ),
    quirks=(
        "a triggered algo order is 'closed' and filled to ccxt: it is neither, the order in ordIdList is",
        "open algo orders are listed for one ordType at a time, and without one only 'trigger' is",
        "ccxt sends stops and pairs with tdMode cross, having seen cash refused; cross may borrow, so ours is cash",
        "an order that a trigger placed has the id of the triggered one in ccxt; its own is ordId",
        "the stream gives a fee as a change of the balance: what was paid is negative",
    ),
    probe="a far oco of more than is held, refused for its funds alone: which tdMode an account takes for stops and "
    "pairs is not documented",
)

_BYBIT = Venue(
    exchange="bybit",
    kind=MarketKind.SPOT,
    protection=_emulated(
        "pairs on a holding exist on the website only; stop and target attached to a limit entry are placed when it "
        "has filled completely, so a partial fill would be unprotected"
    ),
    stop_types=Fact(_BOTH_STOPS, "orderFilter StopOrder, as market or limit"),
    pair_stop=_NO_PAIR,
    locked_once=Fact(False, "a StopOrder locks nothing until it triggers, a resting target locks the coins"),
    stop_beside_target=Fact(
        True,
        "orderFilter StopOrder occupies no coins until triggered (tpslOrder does); after a target fill the stop must "
        "be cancelled, or it sells other holdings",
    ),
    stop_expires_after=_RESTS,
    client_id=ClientIdRule(
        "orderLinkId",
        find="private_get_v5_order_realtime, then private_get_v5_order_history, with orderLinkId",
        cancel="cancel_order with orderLinkId (clientOrderId is sent on unread); stops with orderFilter StopOrder",
        longest=36,
        why="always unique; fetch_order demands 'acknowledged'",
    ),
    market_buy=Fact(MarketBuy.QUANTITY, "seen on the wire: marketUnit baseCoin goes along; with a price, cost is sent"),
    rounding=_TICKS,
    streams=(_NO_REPLAY,),
    quirks=("ccxt's stopLossPrice places a tpslOrder, which locks the coins",),
    ccxt_options={"enableUnifiedMargin": False, "enableUnifiedAccount": True},
)

_KUCOIN = Venue(
    exchange="kucoin",
    kind=MarketKind.SPOT,
    protection=Fact(
        ProtectionMode.NATIVE,
        "POST /api/v3/oco/order of the classic account, which ccxt offers only as the raw call",
    ),
    stop_types=Fact(_BOTH_STOPS, "POST /api/v1/stop-order with stop loss, as market or limit"),
    pair_stop=Fact(StopType.LIMIT, "a triggered pair places limitPrice: set it wide, and watch for a gap"),
    locked_once=Fact(True, "a pair is one order with one size"),
    stop_beside_target=_NOT_ESTABLISHED,
    stop_expires_after=_RESTS,
    client_id=ClientIdRule(
        "clientOid",
        find="fetch_order with clientOrderId, stops with trigger; pairs by private_get_oco_client_order_clientoid",
        cancel="cancel_order with clientOrderId, stops with trigger; pairs by "
        "private_delete_oco_client_order_clientoid",
        longest=40,
        why="letters, digits, _ and -; cancelling only sends the request, so it is confirmed by asking",
    ),
    market_buy=_BY_QUANTITY,
    rounding=_TICKS,
    streams=("stops and pairs come on watchOrders with trigger, their fills on the plain one", _NO_REPLAY),
    quirks=("with the option uta ccxt sends every order to the unified account, which has no pairs",),
    ccxt_options={"uta": False, "hf": False},
)

_GATE = Venue(
    exchange="gate",
    kind=MarketKind.SPOT,
    protection=_emulated(
        "no pairs on a holding; a stop and target can be attached to a spot order, but what becomes of the sibling is "
        "not documented"
    ),
    stop_types=Fact(_BOTH_STOPS, "POST /api/v4/spot/price_orders, with a market or limit order behind the trigger"),
    pair_stop=_NO_PAIR,
    locked_once=Fact(False, "a price-triggered order is said to lock nothing until it triggers"),
    stop_beside_target=Fact(False, "said to be possible, but not established, so one leg rests at a time"),
    stop_expires_after=Fact(
        DAY_SECONDS,
        "ccxt sets expiration 86400 and no longer time is known to be taken: the stop must be placed again within "
        "a day",
    ),
    client_id=ClientIdRule(
        "text",
        stop_parameter="",
        find="fetch_order with 't-' and the id while the order is open, then among the closed ones; stops by the "
        "exchange's id, or among all by market, trigger and amount",
        cancel="cancel_order with 't-' and the id in place of the exchange's (clientOrderId asks for order None); "
        "stops by the exchange's id only",
        longest=30,
        alphabet=r"[0-9A-Za-z_.-]",
        prefix="t-",
        why="'t-' and at most 28 bytes; text of the order behind a trigger is reserved for its origin, and ccxt puts "
        "the id where the interface has no field",
    ),
    market_buy=Fact(MarketBuy.COST, "a market buy is an amount of the quote; ccxt refuses one without a cost"),
    rounding=_TICKS,
    streams=(_NO_REPLAY,),
    quirks=(
        "attached stopLoss and takeProfit objects are sent on as they are",
        "a stop has no id of ours: after a restart it is not told from others, and in doubt while one rests",
    ),
    ccxt_options={"unifiedAccount": False},
)

_BITGET = Venue(
    exchange="bitget",
    kind=MarketKind.SPOT,
    protection=_emulated(
        "no pairs on a holding; preset stop and target of a limit entry exist, but what becomes of the sibling is not "
        "established, and ccxt refuses them on spot although its features name them"
    ),
    stop_types=Fact(_BOTH_STOPS, "place-plan-order, as market or limit"),
    pair_stop=_NO_PAIR,
    locked_once=_LOCKS_TWICE,
    stop_beside_target=_NOT_ESTABLISHED,
    stop_expires_after=_RESTS,
    client_id=ClientIdRule(
        "clientOid",
        find="fetch_order with clientOrderId; stops among the open and ended plan orders (fetch_order asks elsewhere)",
        cancel="cancel_order with clientOrderId, stops with trigger",
        why="not valid for an order that is itself a take-profit or stop-loss leg (tpslType)",
    ),
    market_buy=Fact(MarketBuy.COST, "a market buy is a size in the quote; ccxt refuses one without a cost"),
    rounding=_TICKS,
    streams=(_NO_REPLAY,),
    quirks=("ccxt triggers by mark_price unless told: the last trade is triggerType fill_price",),
    ccxt_options={"uta": False},
)

_BITFINEX = Venue(
    exchange="bitfinex",
    kind=MarketKind.SPOT,
    protection=Fact(
        ProtectionMode.NATIVE,
        "one EXCHANGE LIMIT with flag 16384 and price_oco_stop makes two linked orders; each cancels the other when it "
        "is filled, even in part, so the rest is armed again",
    ),
    stop_types=Fact(_BOTH_STOPS, "EXCHANGE STOP and EXCHANGE STOP LIMIT"),
    pair_stop=Fact(StopType.MARKET, "inferred: price_oco_stop makes an EXCHANGE STOP, which is at market"),
    locked_once=Fact(True, "a pair is one submission with one amount"),
    stop_beside_target=_NOT_ESTABLISHED,
    stop_expires_after=_RESTS,
    client_id=ClientIdRule(
        "cid",
        find="private_post_auth_r_orders_symbol with cid and cid_date, then the history of the market",
        cancel="private_post_auth_w_order_cancel with cid and cid_date (ccxt's cancel_order refuses them)",
        form=IdForm.INTEGER,
        alphabet=r"[0-9]",
        why="an integer below 2^45, unique per UTC day; ccxt sends text on as it is",
    ),
    market_buy=_BY_QUANTITY,
    rounding=Fact(5, "prices have five significant digits; ccxt rounds to them half up, so we round first"),
    streams=(_NO_REPLAY,),
    quirks=(
        "stopLossPrice and takeProfitPrice are ignored: an EXCHANGE MARKET order goes out at once",
        "a sell has a negative amount",
        "the second order of a pair has no cid of ours: after a restart only the first is found by it",
    ),
)


def _swap(exchange: str, protection: Fact[ProtectionMode], beside: Fact[bool]) -> Venue:
    """The perpetuals of an exchange: only how they protect a position is established, so no order is built for them."""
    return replace(
        _unknown(exchange, MarketKind.SWAP),
        protection=protection,
        locked_once=Fact(True, "an exit only reduces a position and needs no coins of its own"),
        stop_beside_target=beside,
    )


_ATTACHED = Fact(ProtectionMode.ATTACHED, "stop and target attached to an order belong to the position that it opens")
_NO_ATTACHMENT = _emulated("ccxt attaches nothing to orders of perpetuals here, so the stop rests alone")
_BOTH_ATTACHED = Fact(True, "both belong to the position")
_TWO_TRIGGERS = Fact(True, "two separate reduce-only triggers may rest; the sibling is ours to cancel")

VENUES: Mapping[tuple[str, MarketKind], Venue] = {
    (venue.exchange, venue.kind): venue
    for venue in (
        _BINANCE,
        _BINANCEUS,
        _KRAKEN,
        _COINBASE,
        _OKX,
        _BYBIT,
        _KUCOIN,
        _GATE,
        _BITGET,
        _BITFINEX,
        _swap("okx", _ATTACHED, _BOTH_ATTACHED),
        _swap("bybit", _ATTACHED, _BOTH_ATTACHED),
        _swap("kucoin", _ATTACHED, _BOTH_ATTACHED),
        _swap("bitget", _ATTACHED, _BOTH_ATTACHED),
        _swap("binance", _NO_ATTACHMENT, _TWO_TRIGGERS),
        _swap("gate", _NO_ATTACHMENT, _TWO_TRIGGERS),
        _swap("coinbase", _NO_ATTACHMENT, _NOT_ESTABLISHED),
        _swap("bitfinex", _NO_ATTACHMENT, _NOT_ESTABLISHED),
    )
}
