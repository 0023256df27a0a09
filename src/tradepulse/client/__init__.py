"""Talks to a running TradePulse IQ: every operation of the API as a typed method.

    with Client("http://127.0.0.1:8000", key="tpk_...") as tradepulse:
        for trade in tradepulse.trades_history(limit=10)["items"]:
            ...

The operations and their types are generated from the API's own description (``ops/generate_client.py``).
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from tradepulse.client.operations import Operations

__all__ = ["Client", "ProblemError"]


class ProblemError(Exception):
    """What the API answers instead: ``code`` is for programs and never changes its meaning."""

    def __init__(self, status: int, code: str, detail: str, remedy: str) -> None:
        super().__init__(f"{detail} {remedy}".strip())
        self.status = status
        self.code = code
        self.detail = detail
        self.remedy = remedy


class Client(Operations):
    """``key``: a key for scripts, or an access token. ``http`` may be given to choose time-outs and certificates."""

    def __init__(self, address: str, *, key: str | None = None, http: httpx.Client | None = None) -> None:
        self._http = http or httpx.Client(base_url=address, timeout=70)
        if key is not None:
            self._http.headers["Authorization"] = f"Bearer {key}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def _ask(
        self,
        method: str,
        path: str,
        *,
        names: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        idempotency_key: str | None = None,
    ) -> Any:
        filled = path.format_map({name: quote(value, safe="") for name, value in (names or {}).items()})
        given = {name: value for name, value in (query or {}).items() if value is not None}
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        answer = self._http.request(method, filled, params=given, json=body, headers=headers)
        if answer.is_error:
            raise _problem(answer)
        return answer.json() if answer.headers.get("content-type", "").startswith("application/json") else answer.text


def _problem(answer: httpx.Response) -> ProblemError:
    if answer.headers.get("content-type") != "application/problem+json":
        return ProblemError(answer.status_code, "", f"The server answered {answer.status_code}.", "See its log.")
    told = answer.json()
    return ProblemError(answer.status_code, told["code"], told["detail"], told["remedy"])
