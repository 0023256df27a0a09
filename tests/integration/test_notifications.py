"""Notices on their way out: to a Telegram bot, a webhook and a mail server on this machine, and what failing costs."""

import json
import logging
import threading
import time as wall
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from apprise.plugins.telegram import NotifyTelegram
from tests.free_port import free_port

from tradepulse.bootstrap.notifications import MOST_WAITING, AppriseChannel, Notifier, policy_of
from tradepulse.cli import main
from tradepulse.core.notices import Level, Notice
from tradepulse.domain.events import ProtectionLost
from tradepulse.shared.errors import ConfigurationError
from tradepulse.shared.settings import NotificationSettings

TOKEN = "123456789:the-secret-of-the-bot-abcdefghij"
ALARM = Notice(Level.CRITICAL, "A position is without its stop", "p1, 3 lots: refused")


class Server:
    """Takes what is posted to it; answers as Telegram does, or with an error."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, dict[str, object]]] = []
        self.status = 200
        self.may_answer = threading.Event()
        self.may_answer.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.may_answer.wait(10)
                outer.posted.append((self.path, json.loads(body)))
                answer = b'{"ok": true, "result": {}}'
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self.may_answer.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


class SystemTime:
    def now(self) -> int:
        return 1_900_000_000_000


def notifier_to(channel: AppriseChannel) -> Notifier:
    notifier = Notifier(channel, policy_of(NotificationSettings()), SystemTime())
    notifier.start()
    return notifier


def test_alarm_when_a_stop_is_lost_then_the_bot_and_the_webhook_are_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NotifyTelegram, "notify_url", f"http://127.0.0.1:{server.port}/bot")
    notifier = notifier_to(AppriseChannel([f"tgram://{TOKEN}/4711/", f"json://127.0.0.1:{server.port}/hook"]))
    notifier.observe(ProtectionLost("p1", 3, "refused", 0))
    notifier.end()
    told = dict(server.posted)
    assert told["/hook"]["title"] == ALARM.title
    assert told["/hook"]["message"] == ALARM.text
    assert told["/hook"]["type"] == "failure"
    telegram = told[f"/bot{TOKEN}/sendMessage"]
    assert str(telegram["chat_id"]) == "4711"
    assert ALARM.text in str(telegram["text"])


def test_alarm_when_sent_by_mail_then_the_mail_server_takes_it() -> None:
    mails: list[object] = []

    class Box(Message):
        def handle_message(self, message: object) -> None:
            mails.append(message)

    port = free_port()
    controller = Controller(Box(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        url = f"mailto://127.0.0.1:{port}/?from=us@example.com&to=you@example.com&mode=insecure"
        assert AppriseChannel([url]).send(ALARM) == []
    finally:
        controller.stop()
    (mail,) = mails
    assert mail["Subject"] == ALARM.title
    assert mail["To"] == "you@example.com"


def test_delivery_when_the_service_hangs_then_nobody_waits_and_what_is_too_much_is_counted(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.may_answer.clear()
    notifier = notifier_to(AppriseChannel([f"json://127.0.0.1:{server.port}/"]))
    began = wall.monotonic()
    for _ in range(2 * MOST_WAITING):
        notifier.observe(ProtectionLost("p1", 3, "refused", 0))
    assert wall.monotonic() - began < 1
    server.may_answer.set()
    notifier.end()
    assert any("dropped" in record.getMessage() for record in caplog.records)
    assert 0 < len(server.posted) < MOST_WAITING


def test_failure_when_logged_then_it_names_the_service_and_no_secret(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server.status = 500
    monkeypatch.setattr(NotifyTelegram, "notify_url", f"http://127.0.0.1:{server.port}/bot")
    caplog.set_level(logging.INFO)
    notifier = notifier_to(AppriseChannel([f"tgram://{TOKEN}/4711/"]))
    notifier.tell(ALARM)
    notifier.end()
    ours = [one.getMessage() for one in caplog.records if one.name.startswith("tradepulse")]
    assert ours == [f"A notice was not delivered ('{ALARM.title}'): Telegram"]
    assert TOKEN.split(":")[1] not in caplog.text


def test_channel_when_the_url_is_of_nothing_known_then_refused_without_showing_it() -> None:
    with pytest.raises(ConfigurationError, match="begins with 'bogus:'") as refused:
        AppriseChannel(["bogus://the-secret-token"])
    assert "the-secret-token" not in str(refused.value)


def test_test_command_when_one_does_not_take_it_then_it_is_named_and_the_exit_code_says_try_again(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"json://127.0.0.1:{server.port}/hook"
    monkeypatch.setenv("TRADEPULSE__NOTIFICATIONS__URLS", f"{url} json://127.0.0.1:1/the-secret-path")
    assert main.run(["notifications", "test"]) == 3
    said = capsys.readouterr().err
    assert "1 of 2 did not take it: JSON" in said
    assert "the-secret-path" not in said
    monkeypatch.setenv("TRADEPULSE__NOTIFICATIONS__URLS", url)
    assert main.run(["notifications", "test"]) == 0
    assert [path for path, _ in server.posted] == ["/hook", "/hook"]
