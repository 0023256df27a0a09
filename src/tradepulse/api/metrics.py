"""Figures for Prometheus, of this process and of the books as they are stored. One registry per app, none global."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from tradepulse.ports import JsonObject

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self._requests = Counter(
            "tradepulse_http_requests", "Requests answered.", ("method", "route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "tradepulse_http_request_seconds", "Time to an answer.", ("route",), buckets=SECONDS, registry=registry
        )
        self.live_clients = Gauge("tradepulse_live_clients", "Watchers of the live socket.", registry=registry)
        self.live_dropped = Counter(
            "tradepulse_live_dropped", "Watchers let go, by close code.", ("code",), registry=registry
        )
        self.last_sequence = Gauge("tradepulse_last_sequence", "Of the latest logged event.", registry=registry)
        self.feed_silence = Gauge(
            "tradepulse_feed_silence_seconds", "Since a candle or an event was last heard of.", registry=registry
        )
        self.ready = Gauge(
            "tradepulse_ready", "1 where a check of readiness holds, else 0.", ("check",), registry=registry
        )
        self._equity = Gauge("tradepulse_book_equity", "Equity in quote money.", ("book",), registry=registry)
        self._cash = Gauge("tradepulse_book_cash", "Cash in quote money.", ("book",), registry=registry)
        self._positions = Gauge("tradepulse_book_open_positions", "Open positions.", ("book",), registry=registry)
        self._trades = Gauge("tradepulse_book_trades", "Closed trades.", ("book",), registry=registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def show_books(self, summaries: Sequence[JsonObject]) -> None:
        """Money is a float here: a chart is drawn from it, nothing is booked."""
        for one in summaries:
            book = str(one["book"])
            if one["equity"] is not None:
                self._equity.labels(book).set(float(one["equity"]))
            self._cash.labels(book).set(float(one["cash"]))
            self._positions.labels(book).set(int(one["open_positions"]))
            self._trades.labels(book).set(int(one["trades"]))

    def text(self) -> bytes:
        return generate_latest(self.registry)
