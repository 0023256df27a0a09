"""Guards for a loopback service: a foreign web page may neither rebind its name to us nor open our socket."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tradepulse.shared.errors import ConfigurationError
from tradepulse.shared.settings import ApiSettings

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]", "::1")

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def allowed_hosts(bind_host: str, names: Iterable[str] = ()) -> list[str]:
    """Host names a request may carry: the loopback ones, the address the server is bound to, and those it was given."""
    wildcard = bind_host in ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound
    return sorted({*LOOPBACK_HOSTS, *names} | (set() if wildcard else {bind_host}))


def check_exposure(settings: ApiSettings) -> None:
    """Other machines reach it over TLS, on purpose, or not at all."""
    if (settings.tls_certificate is None) is not (settings.tls_key is None):
        raise ConfigurationError("A TLS certificate needs its key.", "Set api.tls_certificate and api.tls_key.")
    if settings.host in LOOPBACK_HOSTS:
        return
    if not settings.allow_remote or settings.tls_certificate is None:
        raise ConfigurationError(
            f"Listening on {settings.host} would let other machines in without encryption.",
            "Use 127.0.0.1, or set api.allow_remote, api.tls_certificate and api.tls_key.",
        )


def same_origin(origin: str | None, host: str | None) -> bool:
    """True when a browser's ``Origin`` is the very host asked for; a client without ``Origin`` is no browser."""
    if origin is None:
        return True
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and host is not None and parts.netloc.lower() == host.lower()


def from_a_foreign_page(headers: Mapping[str, str]) -> bool:
    """By what browsers say about where a request comes from; a client that says nothing is no browser."""
    return not same_origin(headers.get("origin"), headers.get("host")) or headers.get("sec-fetch-site", "none") not in (
        "same-origin",
        "none",
    )


class SecurityHeaders:
    """Puts the headers on every HTTP answer, errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if scope.get("scheme") == "https":
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
                if scope["path"].startswith("/api/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)
