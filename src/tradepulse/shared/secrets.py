"""Keeps secrets out of everything that people read: logs, error messages, reports."""

import re
from collections.abc import Iterable

HIDDEN = "**********"

_URL_PASSWORD = re.compile(r"(?P<before>[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s/@]+(?=@)", re.IGNORECASE)
_BEARER = re.compile(r"(?P<before>\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_JSON_WEB_TOKEN = re.compile(r"(?P<before>)\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")
_NAMED = re.compile(
    r"(?P<before>[\w-]*(?:password|passwd|passphrase|secret|token|api_?key|private_?key)[\"']?\s*[=:]\s*[\"']?)"
    r"(?!\*)[^\s\"',;&}\])]+",
    re.IGNORECASE,
)
_PATTERNS = (_URL_PASSWORD, _BEARER, _JSON_WEB_TOKEN, _NAMED)
_SHORTEST_KNOWN = 4


class Redactor:
    """Replaces known secrets, and what looks like one, by asterisks."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        # The longest first, so that a secret that contains another one vanishes whole.
        self._known = sorted({secret for secret in known if len(secret) >= _SHORTEST_KNOWN}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, HIDDEN)
        for pattern in _PATTERNS:
            text = pattern.sub(rf"\g<before>{HIDDEN}", text)
        return text
