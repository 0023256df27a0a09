"""Keeps secrets out of everything that people read: logs, error messages, stored reasons, reports.

Three nets, each for what the one before lets through: secrets that were registered when they became known, whatever
they are written as; what a signed request to an exchange looks like; what looks like a password anywhere.
"""

import base64
import re
import threading
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from pydantic import BaseModel, ConfigDict, SecretStr

HIDDEN = "**********"

_VALUE = r"(?!\*)[^\s\"',;&}\])]"
_BEARER = re.compile(r"(?P<before>\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_JSON_WEB_TOKEN = re.compile(r"(?P<before>)\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")
_PRIVATE_KEY = re.compile(r"(?P<before>-----BEGIN [A-Z ]*PRIVATE KEY-----)(?!\*).*?(?=-----END|\Z)", re.DOTALL)
_SIGNED = re.compile(
    r"(?P<before>(?<![\w-])(?:[\w-]*(?:api[_-]?key|access[_-]key|listen[_-]?key|passphrase)|(?:[\w-]*-)?sign(?:ature)?)"
    rf"[\"']?\s*[=:]\s*[\"']?){_VALUE}{{8,}}",
    re.IGNORECASE,
)
# Gate's name for the header that other exchanges call an API key.
_KEY_HEADER = re.compile(rf"(?P<before>[\"']KEY[\"']\s*:\s*[\"']){_VALUE}+")
_URL_PASSWORD = re.compile(r"(?P<before>[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s/@]+(?=@)", re.IGNORECASE)
_NAMED = re.compile(
    r"(?P<before>[\w-]*(?:password|passwd|passphrase|secret|token|api_?key|private_?key)[\"']?\s*[=:]\s*[\"']?)"
    rf"{_VALUE}+",
    re.IGNORECASE,
)
_REQUESTS = (_BEARER, _JSON_WEB_TOKEN, _PRIVATE_KEY, _SIGNED, _KEY_HEADER)
_ANYWHERE = (_URL_PASSWORD, _NAMED)
_QUOTED = "\"'/"
_NAMED_LETTERS = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
_SHORTEST_KNOWN = 4
_SHORTEST_FORM = 8
"""A shorter piece of an encoded secret would be found in innocent words."""
LONGEST_TOLD = 200


class Credentials(BaseModel):
    """What opens an account at an exchange. Whoever makes one makes it known to the redaction at the same moment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_key: SecretStr
    secret: SecretStr
    password: SecretStr | None = None

    def model_post_init(self, _context: object) -> None:
        register_secrets(self.texts())

    def texts(self) -> tuple[str, ...]:
        given = (self.api_key, self.secret, self.password)
        return tuple(one.get_secret_value() for one in given if one is not None)

    @property
    def last_four(self) -> str:
        """Of the key's id, which is no secret by itself, but nobody's business either."""
        return self.api_key.get_secret_value()[-4:]


class _Known:
    """The registered secrets of this process: they only ever become more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forms: frozenset[str] = frozenset()
        self.pattern: re.Pattern[str] | None = None

    def add(self, secrets: Iterable[str]) -> None:
        with self._lock:
            self._forms |= {form for secret in secrets for form in _forms(secret)}
            self.pattern = _any_of(self._forms)


_known = _Known()


def register_secrets(secrets: Iterable[str]) -> None:
    """From now on these are hidden from every log, every error of ours and every text that goes through ``scrub``."""
    _known.add(secrets)


def scrub(text: str) -> str:
    """The text without registered secrets and without what signs a request to an exchange.

    For every text of others, before it is stored or answered. Cut a text after this, never before: half a secret is
    not recognised any more.
    """
    if _known.pattern is not None:
        text = _known.pattern.sub(HIDDEN, text)
    return _replaced(_REQUESTS, text)


def told(error: BaseException, longest: int = LONGEST_TOLD) -> str:
    """What an error says, fit to be stored and shown. Errors of ccxt carry signed URLs."""
    return scrub(" ".join(str(error).split()))[:longest]


class Redactor:
    """Replaces known secrets, and what looks like one, by asterisks."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = _any_of({form for secret in known for form in _forms(secret)})

    def __call__(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return _replaced(_ANYWHERE, scrub(text))


def _replaced(patterns: Iterable[re.Pattern[str]], text: str) -> str:
    for pattern in patterns:
        text = pattern.sub(rf"\g<before>{HIDDEN}", text)
    return text


def _any_of(forms: Iterable[str]) -> re.Pattern[str] | None:
    # The longest first, so that a secret that contains another one vanishes whole.
    ordered = sorted(forms, key=lambda form: (-len(form), form))
    return re.compile("|".join(map(_however_escaped, ordered))) if ordered else None


def _however_escaped(form: str) -> str:
    """What quotes a text escapes it, and what quotes that does so again, each time with more backslashes."""
    return "".join(map(_letter, form))


def _letter(letter: str) -> str:
    if letter in _QUOTED:
        return rf"\\*{re.escape(letter)}"
    if letter == "\\":
        return r"\\+"
    if letter.isascii() and letter.isprintable():
        return re.escape(letter)
    units = letter.encode("utf-16-be", "surrogatepass")
    in_json = "".join(rf"\\+u{high:02x}{low:02x}" for high, low in zip(units[::2], units[1::2], strict=True))
    written = [rf"\\+x{ord(letter):02x}", in_json, rf"\\+U{ord(letter):08x}"]
    if letter in _NAMED_LETTERS:
        written.append(rf"\\+{_NAMED_LETTERS[letter]}")
    return f"(?:{re.escape(letter)}|(?i:{'|'.join(written)}))"


def _forms(secret: str) -> Iterator[str]:
    """The secret as it may be written: as it is, line by line, escaped, for a URL, in base64, in hexadecimal."""
    if len(secret) < _SHORTEST_KNOWN:
        return
    yield secret
    lines = [line for line in secret.splitlines() if not line.startswith("-----")]
    for text in {secret, *lines}:
        yield from (form for form in _encoded(text) if len(form) >= _SHORTEST_FORM)


def _encoded(text: str) -> Iterator[str]:
    raw = text.encode("utf-8", "surrogatepass")
    in_url = quote(raw, safe="")
    yield from (text, in_url, in_url.lower(), quote(raw), quote_plus(raw))
    yield from (raw.hex(), raw.hex().upper())
    for offset in range(3):
        yield from _within_base64(raw, offset)


def _within_base64(raw: bytes, offset: int) -> Iterator[str]:
    """The letters that these bytes alone decide when they stand ``offset`` bytes into a longer text."""
    first = (offset * 8 + 5) // 6
    last = (offset + len(raw)) * 8 // 6
    for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
        yield encode(b"\0" * offset + raw).decode()[first:last]
