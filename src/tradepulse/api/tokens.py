"""Access tokens: signed, short-lived, and good only while the session they name goes on.

One algorithm is accepted, whatever a token's header says. Refresh tokens, keys for scripts and tickets are random
texts of which the database holds the hash.
"""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import jwt

from tradepulse.domain.users import Session, User
from tradepulse.ports import Clock

ALGORITHM = "HS256"
ISSUER, AUDIENCE, KIND = "tradepulse", "tradepulse-api", "access"
CLAIMS = ("exp", "iat", "nbf", "iss", "aud", "jti", "sub", "sid", "typ")
SHORTEST_KEY = 32
KEY_PREFIX = "tpk_"
"""Of a key for scripts, so that people and secret scanners know what they see."""


class InvalidTokenError(Exception):
    """Not one of ours, altered, not yet or no longer good."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    text: str
    expires_at: int


class AccessTokens:
    def __init__(self, key: bytes, clock: Clock, minutes: int) -> None:
        if len(key) < SHORTEST_KEY:
            raise ValueError(f"a signing key of {len(key)} bytes is shorter than {SHORTEST_KEY}")
        self._key = key
        self._clock = clock
        self.seconds = minutes * 60

    def issue(self, user: User, session: Session) -> AccessToken:
        now = self._clock.now() // 1000
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "typ": KIND,
            "sub": user.user_id,
            "sid": session.session_id,
            "jti": str(uuid4()),
            "iat": now,
            "nbf": now,
            "exp": now + self.seconds,
        }
        return AccessToken(jwt.encode(claims, self._key, ALGORITHM), claims["exp"] * 1000)  # type: ignore[operator]

    def session_of(self, text: str) -> str:
        """The id of the session that it names. ``InvalidTokenError`` for everything else."""
        try:
            claims: dict[str, Any] = jwt.decode(
                text,
                self._key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                # The time is checked below: the library would read the system's clock.
                options={"require": list(CLAIMS), "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
            now = self._clock.now() // 1000
            in_time = int(claims["nbf"]) <= now < int(claims["exp"])
        except (jwt.InvalidTokenError, ValueError, TypeError) as error:
            raise InvalidTokenError(str(error)) from None
        if claims["typ"] != KIND or not in_time:
            raise InvalidTokenError("it is no access token, or not good any more")
        return str(claims["sid"])


def split_key(text: str) -> tuple[str, str] | None:
    """Id and secret of a key for scripts."""
    key_id, underscore, secret = text.removeprefix(KEY_PREFIX).partition("_")
    return (key_id, secret) if text.startswith(KEY_PREFIX) and underscore and key_id and secret else None


def joined_key(key_id: str, secret: str) -> str:
    return f"{KEY_PREFIX}{key_id}_{secret}"
