"""The built page in a real browser, against a real server on a loopback port."""

import asyncio
import gzip
import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from tests.e2e.conftest import Console, sign_in
from tests.integration.api.people import PASSWORD, log_in
from tests.integration.api.scenario import BOOK, BTC, BTC_5M, START, Scenario
from tests.integration.api.serving import Server

from tradepulse.domain.inbox import Request, RequestKind
from tradepulse.domain.users import Role

CHART = "candle-chart"


def open_page(page: Page, server: Server, path: str = "/trading") -> None:
    page.goto(f"{server.address}{path}")
    expect(page.get_by_test_id("connection")).to_contain_text("Connected")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    if path == "/trading":
        expect(page.get_by_test_id(CHART)).to_be_visible()


def go(page: Page, screen: str) -> None:
    """By the menu, as a person does: without loading the page anew."""
    page.get_by_role("link", name=screen, exact=True).click()
    expect(page.get_by_role("heading", level=1, name=screen, exact=True)).to_be_visible()


def commands(server: Server) -> list[Request]:
    """What the page has left for the trader, which takes it."""

    async def taken() -> list[Request]:
        inbox, found = server.scenario.inbox, []
        while (request := await inbox.take(BOOK)) is not None:
            await inbox.finish(request.request_id, done=True, outcome="obeyed", time=START)
            found.append(request)
        return found

    # In a loop of its own: the browser's driver runs one already.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, taken()).result()


def plain(number: float) -> str:
    return f"{number:,.1f}"


def test_page_says_in_words_what_it_shows(page: Page, server: Server, console: Console) -> None:
    open_page(page, server)
    expect(page.get_by_test_id("mode")).to_have_text("PAPER")
    expect(page.get_by_test_id("simulated")).to_have_text("SIMULATED")
    expect(page.get_by_test_id("clock")).to_have_text("2026-01-31 00:00:00 UTC")
    expect(page.get_by_test_id("heartbeat")).to_contain_text("silent for")
    expect(page.get_by_role("link", name="TradingView", exact=True)).to_have_attribute(
        "href", "https://www.tradingview.com/"
    )
    go(page, "Journal")
    expect(page.get_by_test_id("precision")).to_contain_text(
        re.compile(r"Precision \d+\.\d %, at least \d+\.\d %.*n = \d+")
    )
    assert console.complaints == []


def test_candle_when_it_closes_then_chart_clock_and_position_move(page: Page, server: Server, console: Console) -> None:
    open_page(page, server)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    count = int(page.get_by_test_id(CHART).get_attribute("data-count") or 0)
    candle = server.scenario.book.close_candle(BTC, server.scenario.candles.rows[BTC][-1].close + 123.4)
    expect(page.get_by_test_id(CHART)).to_have_attribute("data-last", str(candle.open_time))
    expect(page.get_by_test_id(CHART)).to_have_attribute("data-count", str(count + 1))
    expect(page.get_by_test_id("last-close")).to_have_text(plain(candle.close))
    expect(page.get_by_test_id("position-now")).to_have_text(plain(candle.close))
    expect(page.get_by_test_id("clock")).to_have_text("2026-01-31 00:01:00 UTC")
    expect(page.get_by_test_id("heartbeat")).to_have_text(re.compile(r"^\d s ago$"))
    assert asked == [], "what the socket pushes is not asked for again"
    assert console.complaints == []


def test_position_has_its_levels_on_the_chart_and_in_the_table(page: Page, server: Server) -> None:
    open_page(page, server)
    position = server.scenario.position
    for name in ("entry", "stop", "target"):
        price = position[f"{name}_price"]
        expect(page.get_by_test_id(f"position-{name}")).to_have_text(plain(float(price)))
        expect(page.get_by_test_id("levels")).to_contain_text(f"{name} {price.removesuffix('.0')}")
    expect(page.get_by_test_id("position-r")).to_have_text(re.compile(r"^[+−]?\d+\.\d\d R$"))


def test_position_when_closed_then_it_becomes_a_trade_and_the_figures_follow(
    page: Page, server: Server, console: Console
) -> None:
    open_page(page, server)
    book = server.scenario.book
    trades = len(book.trade_rows)
    book.close(
        server.scenario.position, float(server.scenario.position["target_price"]), server.scenario.clock.now(), "target"
    )
    expect(page.get_by_text("No open position.")).to_be_visible()
    go(page, "Overview")
    expect(page.get_by_test_id("equity")).to_have_text(f"{float(book.equity_rows[-1]['equity']):,.2f}")
    go(page, "Journal")
    expect(page.get_by_test_id("trade-count")).to_have_text(str(trades + 1))
    expect(page.get_by_test_id("trades").locator("tbody tr").first).to_contain_text("target")
    expect(page.get_by_test_id("precision")).to_contain_text(f"n = {trades + 1}")
    assert console.complaints == []


def test_setup_when_opened_by_keyboard_then_it_tells_every_condition_and_why(page: Page, server: Server) -> None:
    open_page(page, server, "/setups")
    page.get_by_text("Not taken", exact=True).click()
    setup = page.get_by_test_id("setups").locator("details", has_text="4/5").first
    setup.locator("summary").focus()
    page.keyboard.press("Enter")
    table = setup.get_by_test_id("conditions")
    expect(table.locator("tbody tr")).to_have_count(5)
    failed = table.locator("tr", has_text="volume / average volume")
    expect(failed).to_contain_text(re.compile(r"1\.83.*≥ 2\.5.*not.*required"))
    expect(table.locator("tr", has_text="regime agrees")).to_contain_text(re.compile("held.*context"))
    expect(setup).to_contain_text("Not taken: confluence too low.")


def test_setup_when_evaluated_then_it_appears_by_itself(page: Page, server: Server) -> None:
    open_page(page, server, "/setups")
    rows = page.get_by_test_id("setups").locator("> li")
    expect(rows.first).to_be_visible()
    before = rows.count()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    server.scenario.book.evaluate(900, BTC, -1, "confluence too low")
    expect(rows).to_have_count(before + 1)
    expect(rows.first).to_contain_text("not taken")
    assert asked == [], "what the socket pushes is not asked for again"


def test_setups_when_one_is_read_then_the_list_stands_still(page: Page, server: Server) -> None:
    open_page(page, server, "/setups")
    rows = page.get_by_test_id("setups").locator("> li")
    expect(rows.first).to_be_visible()
    before = rows.count()
    rows.nth(1).locator("summary").click()
    server.scenario.book.evaluate(901, BTC, -1, "confluence too low")
    newer = page.get_by_role("button", name="1 newer setup: show")
    expect(newer).to_be_visible()
    expect(rows).to_have_count(before)
    newer.click()
    expect(rows).to_have_count(before + 1)


def test_connection_when_lost_then_shown_and_healed_with_what_was_missed(page: Page, server: Server) -> None:
    open_page(page, server)
    book = server.scenario.book
    trades = len(book.trade_rows)
    server.stop()
    expect(page.get_by_test_id("connection")).to_contain_text("Connection lost")
    expect(page.get_by_test_id("loss")).to_contain_text("reconnects by itself")
    missed = book.close_candle(BTC, 99_999.9)
    book.close(server.scenario.position, 99_999.9, missed.open_time, "manual")
    server.start()
    expect(page.get_by_test_id("connection")).to_contain_text("Connected")
    expect(page.get_by_test_id("loss")).to_have_count(0)
    expect(page.get_by_test_id(CHART)).to_have_attribute("data-last", str(missed.open_time))
    expect(page.get_by_text("No open position.")).to_be_visible()
    go(page, "Journal")
    expect(page.get_by_test_id("trade-count")).to_have_text(str(trades + 1))


def test_page_when_the_server_comes_back_with_another_build_then_it_asks_to_be_loaded_again(
    page: Page, server: Server
) -> None:
    open_page(page, server)
    expect(page.get_by_test_id("connection")).to_contain_text("Connected")
    expect(page.get_by_test_id("new-version")).to_have_count(0)
    server.stop()
    expect(page.get_by_test_id("connection")).to_contain_text("Connection lost")
    # Loading the page itself is no fetch; only what the old page asks for is of the next build.
    page.route(
        lambda url: url == f"{server.address}/",
        lambda route: (
            route.fulfill(body='<script type="module" src="/assets/index-next.js"></script>')
            if route.request.resource_type == "fetch"
            else route.continue_()
        ),
    )
    server.start()
    expect(page.get_by_test_id("new-version")).to_contain_text("another version")
    page.unroute_all()
    page.get_by_role("button", name="Load it again").click()
    expect(page.get_by_test_id("connection")).to_contain_text("Connected")
    expect(page.get_by_test_id("new-version")).to_have_count(0)


def test_asset_and_timeframe_when_chosen_then_shown_kept_in_the_address_and_missing_candles_named(
    page: Page, server: Server, console: Console
) -> None:
    open_page(page, server)
    page.get_by_role("radio", name="5m", exact=True).check(force=True)
    expect(page.get_by_test_id(CHART)).to_have_attribute("aria-label", re.compile("BTC/USDT on simulated, 5m"))
    page.get_by_label("Asset").select_option(label="SOL/USDT · simulated")
    expect(page.get_by_test_id(CHART)).to_have_attribute("aria-label", re.compile("SOL/USDT on simulated, 15m"))
    expect(page.get_by_text("4 candles missing")).to_be_visible()
    page.reload()
    expect(page.get_by_test_id(CHART)).to_have_attribute("aria-label", re.compile("SOL/USDT"))
    page.go_back()
    expect(page.get_by_test_id(CHART)).to_have_attribute("aria-label", re.compile("BTC/USDT"))
    assert console.complaints == []


def test_timeframe_when_not_stored_then_offered_and_joined_by_itself(page: Page, server: Server) -> None:
    open_page(page, server)
    page.get_by_role("radio", name="15m").check(force=True)
    chart = page.get_by_test_id(CHART)
    expect(chart).to_have_attribute("aria-label", re.compile("BTC/USDT on simulated, 15m"))
    last = int(chart.get_attribute("data-last") or 0)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for step in range(3):
        server.scenario.book.close_candle(BTC_5M, 99_000.0 + step)
    expect(chart).to_have_attribute("data-last", str(last + 900_000))
    expect(page.get_by_test_id("last-close")).to_have_text("99,002.0")
    assert asked == [], "what the socket pushes is not asked for again"


def test_theme_when_toggled_then_kept(page: Page, server: Server) -> None:
    open_page(page, server)
    page.get_by_role("button", name="Switch to the light theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_story_of_a_trade_opens_by_keyboard_and_has_an_address(page: Page, server: Server, console: Console) -> None:
    open_page(page, server, "/journal")
    page.get_by_test_id("trades").locator("tbody a").first.focus()
    page.keyboard.press("Enter")
    story = page.get_by_test_id("story")
    for word in ("Setup", "Orders", "Fills", "Result"):
        expect(story.get_by_role("heading", name=word).first).to_be_visible()
    page.reload()
    expect(story.get_by_role("heading", name="Result")).to_be_visible()
    page.go_back()
    expect(page.get_by_test_id("trades")).to_be_visible()
    assert console.complaints == []


def test_position_when_closed_from_the_page_then_it_asks_why_and_leaves_one_command(page: Page, server: Server) -> None:
    open_page(page, server)
    page.get_by_role("button", name="Close the long BTC/USDT position").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("on paper")
    dialog.get_by_role("button", name="Close at market").click()
    expect(dialog).to_be_visible()
    assert commands(server) == [], "nothing happens without a reason"
    dialog.get_by_label("Reason").fill("news")
    dialog.get_by_role("button", name="Close at market").click()
    expect(page.locator(".toast")).to_contain_text("Nothing trades this book now")
    expect(dialog).to_have_count(0)
    [command] = commands(server)
    position = server.scenario.position["position_id"]
    assert (command.kind, command.reason, command.subject) == (RequestKind.CLOSE_POSITION, "news", position)


def test_kill_switch_when_its_phrase_is_not_typed_then_nothing_is_sent(page: Page, server: Server) -> None:
    open_page(page, server, "/setups")
    page.get_by_role("button", name="Stop…").click()
    dialog = page.get_by_role("dialog")
    stop = dialog.get_by_role("button", name="Stop everything")
    dialog.get_by_label("Reason").fill("news")
    dialog.get_by_label("Type “stop everything” to go on").fill("stop")
    expect(stop).to_be_disabled()
    dialog.get_by_label("Type “stop everything” to go on").fill("stop everything")
    stop.click()
    expect(dialog).to_have_count(0)
    assert [command.kind for command in commands(server)] == [RequestKind.HALT]


def test_trading_when_resumed_long_after_the_log_in_then_the_password_is_asked_for_in_place(
    page: Page, server: Server
) -> None:
    cause = {"cause": "by hand", "state": "halted", "reason": "news", "since": START, "until": None}
    server.scenario.holds.append(cause)
    open_page(page, server, "/risk")
    expect(page.get_by_test_id("risk-state")).to_contain_text("halted")
    expect(page.get_by_test_id("causes")).to_contain_text("a person, with a reason")
    server.scenario.clock.advance_to(server.scenario.clock.now() + 11 * 60_000)
    page.get_by_role("button", name="Resume…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("read them")
    dialog.get_by_role("button", name="Resume").click()
    dialog.get_by_label("Your password").fill(PASSWORD)
    dialog.get_by_role("button", name="Resume").click()
    expect(dialog).to_have_count(0)
    [command] = commands(server)
    assert (command.kind, command.reason) == (RequestKind.RESUME, "read them")


def test_page_when_the_book_is_of_a_live_wallet_then_says_live_and_asks_for_more(page: Page, server: Server) -> None:
    server.scenario.hall.mode = "live"
    open_page(page, server)
    expect(page.get_by_test_id("mode")).to_have_text("LIVE")
    page.get_by_role("button", name="Close the long BTC/USDT position").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("with real money")
    expect(dialog.get_by_label("Type “close BTC/USDT” to go on")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert commands(server) == []


def test_viewer_is_offered_nothing_that_is_refused_to_a_viewer(browser: Browser, server: Server) -> None:
    context = browser.new_context()
    sign_in(context, server, Role.VIEWER)
    page = context.new_page()
    open_page(page, server, "/risk")
    expect(page.get_by_text("Stopping and resuming is for traders and admins.")).to_be_visible()
    go(page, "Market")
    expect(page.get_by_test_id("positions")).to_be_visible()
    for name in (re.compile("Stop"), re.compile("Close the"), re.compile("Kill")):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    context.close()


def test_times_when_the_local_zone_is_chosen_then_read_in_it_and_kept(page: Page, server: Server) -> None:
    open_page(page, server, "/journal")
    page.get_by_role("radio", name="Local").check(force=True)
    expect(page.get_by_test_id("clock")).to_have_text("2026-01-30 19:00:00 UTC\u22125")
    page.reload()
    expect(page.get_by_test_id("trades").locator("tbody a").first).to_have_text("2026-01-30 16:30")


@pytest.mark.parametrize("width", [360, 768])
def test_page_when_narrow_then_never_wider_than_the_screen(browser: Browser, server: Server, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800})
    sign_in(context, server)
    page = context.new_page()
    open_page(page, server)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_page_when_nothing_has_happened_yet_then_says_what_to_do(page: Page, server: Server) -> None:
    server.scenario.candles.rows.clear()
    page.goto(f"{server.address}/trading")
    expect(page.get_by_text("No candles are stored yet.")).to_be_visible()
    expect(page.get_by_text("tradepulse up").first).to_be_visible()


def test_page_when_no_engine_has_run_then_candles_show_and_each_panel_says_what_is_missing(
    page: Page, server: Server
) -> None:
    server.scenario.book.begun = False
    open_page(page, server)
    for screen, words in (
        ("Overview", "No book has begun yet."),
        ("Market", "No open position."),
        ("Journal", "No closed trade yet."),
        ("Setups", "No setup was evaluated yet."),
    ):
        go(page, screen)
        expect(page.get_by_text(words).first).to_be_visible()


def test_page_when_nobody_is_logged_in_then_it_asks_and_tells_what_is_wrong(browser: Browser, server: Server) -> None:
    page = browser.new_page()
    console = Console(page)
    page.goto(f"{server.address}/?exchange=simulated")
    page.get_by_label("Name").fill("Tom")
    page.get_by_label("Password").fill("wrong")
    assert console.complaints == []
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("The name or the password is wrong.")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("user")).to_contain_text("Tom (trader)")
    expect(page.get_by_test_id("connection")).to_contain_text("Connected")
    kept = page.evaluate("[document.cookie, {...localStorage}, {...sessionStorage}]")
    assert kept == ["", {"theme": "dark", "tradepulse.known": "yes"}, {}], "no script can read a token"
    page.reload()
    expect(page.get_by_test_id("user")).to_contain_text("Tom (trader)")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    page.close()


def test_page_when_its_session_is_ended_elsewhere_then_it_asks_for_a_login(page: Page, server: Server) -> None:
    open_page(page, server)
    with log_in(server.address, Role.TRADER) as elsewhere:
        elsewhere.post("/api/auth/logout-everywhere").raise_for_status()
    expect(page.get_by_text("Your session has ended.")).to_be_visible(timeout=10_000)


def test_api_description_is_drawn_without_any_outside_help(page: Page, server: Server, console: Console) -> None:
    outside: list[str] = []
    page.on("request", lambda request: outside.append(request.url) if server.address not in request.url else None)
    page.goto(f"{server.address}/docs")
    expect(page.locator(".opblock").first).to_be_visible()
    assert [url for url in outside if not url.startswith("data:")] == []
    assert console.complaints == []


def test_built_page_has_no_inline_script(server: Server) -> None:
    html = httpx.get(server.address).text
    assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []


def test_first_load_stays_below_300_kb_of_javascript(server: Server) -> None:
    html = httpx.get(server.address).text
    scripts = re.findall(r'(?:src|href)="(/[^"]+\.js)"', html)
    sizes = {path: len(gzip.compress(httpx.get(f"{server.address}{path}").content)) for path in scripts}
    assert any("index-" in path for path in sizes)
    assert sum(sizes.values()) <= 300 * 1024, sizes


def test_scenario_is_the_same_every_time() -> None:
    assert Scenario().book.trade_rows == Scenario().book.trade_rows
