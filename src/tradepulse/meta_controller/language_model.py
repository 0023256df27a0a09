"""One conversation with an endpoint that speaks OpenAI's chat completions: few calls, few tokens, little time.

https://platform.openai.com/docs/api-reference/chat/create. Plain httpx: three fields of one request need no library.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from tradepulse.meta_controller.answers import UnusableReplyError
from tradepulse.shared.errors import ConfigurationError

logger = logging.getLogger(__name__)
Tool = Callable[[int], Awaitable[list[dict[str, Any]]]]
MOST_CALLS, MOST_TOKENS, MOST_SECONDS = 4, 8_000, 20.0
TOKENS_OF_A_REPLY = 800
LETTERS_PER_TOKEN = 3
"""Cautiously: where an endpoint does not count, and before it could."""
LARGEST_ANSWER = 256 * 1024
MOST_ROWS, LONGEST_ROWS = 20, 3_000
LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    base_url: str
    model: str
    api_key: SecretStr | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"'{self.base_url[:80]}' is no address.", "Write https://host/v1.")
        if parts.scheme == "http" and self.api_key is not None and parts.hostname not in LOCAL:
            raise ConfigurationError(
                f"The key would go to {parts.hostname} in the clear.", "Use https, or an endpoint of this machine."
            )


@dataclass(slots=True)
class Spent:
    calls: int = 0
    tokens: int = 0
    milliseconds: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    calls: int = MOST_CALLS
    tokens: int = MOST_TOKENS
    seconds: float = MOST_SECONDS


class LanguageModel:
    """``transport`` and ``limits`` are for tests."""

    def __init__(
        self, endpoint: Endpoint, *, limits: Limits | None = None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.endpoint = endpoint
        self._limits = limits or Limits()
        self._transport = transport

    async def ask(self, instructions: str, question: str, tools: Mapping[str, Tool], spent: Spent) -> str:
        """The text of its last answer. ``spent`` is kept up to date whatever happens.

        ``UnusableReplyError`` where there is none: late, broken, refused, too long, or after too many calls.
        """
        began = perf_counter()
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": instructions},
            {"role": "user", "content": question},
        ]
        try:
            async with asyncio.timeout(self._limits.seconds), self._client() as client:
                return await self._converse(client, messages, tools, spent)
        except TimeoutError:
            raise UnusableReplyError(f"No reply came within {self._limits.seconds:g} s.") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnusableReplyError(f"The endpoint cannot be reached: {type(error).__name__}.") from None
        except (ValueError, RecursionError) as error:
            # What it said cannot be sent back to it: half letters, or nested without end.
            raise UnusableReplyError(f"The endpoint's words cannot be read: {type(error).__name__}.") from None
        finally:
            spent.milliseconds = round((perf_counter() - began) * 1000)

    def _client(self) -> httpx.AsyncClient:
        key = self.endpoint.api_key
        # Nothing packed: what is unpacked may be a thousand times as large.
        headers = {"Accept-Encoding": "identity"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key.get_secret_value()}"
        return httpx.AsyncClient(
            headers=headers,
            timeout=self._limits.seconds,
            follow_redirects=False,
            trust_env=False,
            transport=self._transport,
        )

    async def _converse(
        self, client: httpx.AsyncClient, messages: list[dict[str, Any]], tools: Mapping[str, Tool], spent: Spent
    ) -> str:
        while spent.calls < self._limits.calls:
            coming = len(json.dumps(messages)) // LETTERS_PER_TOKEN + TOKENS_OF_A_REPLY
            if spent.tokens + coming > self._limits.tokens:
                raise UnusableReplyError(f"Another call would need more than {self._limits.tokens} tokens.")
            spent.calls += 1
            last = spent.calls == self._limits.calls
            answer = await self._call(client, messages, {} if last else tools)
            spent.tokens += _tokens(answer, coming)
            message = _message(answer)
            wanted = message.get("tool_calls")
            if not wanted:
                return _content(message)
            messages.append({"role": "assistant", "content": message.get("content") or "", "tool_calls": wanted})
            messages += [await _obeyed(call, tools) for call in _calls(wanted)]
        raise UnusableReplyError(f"There was no reply after {self._limits.calls} calls.")

    async def _call(
        self, client: httpx.AsyncClient, messages: list[dict[str, Any]], tools: Mapping[str, Tool]
    ) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.endpoint.model,
            "messages": messages,
            "temperature": 0,
            "max_tokens": TOKENS_OF_A_REPLY,
            "response_format": {"type": "json_object"},
        }
        if tools:
            body["tools"] = [_described(name) for name in tools]
        address = f"{self.endpoint.base_url.rstrip('/')}/chat/completions"
        async with client.stream("POST", address, json=body) as response:
            if response.status_code != httpx.codes.OK:
                raise UnusableReplyError(f"The endpoint answered {response.status_code}.")
            text = b""
            async for part in response.aiter_raw():
                text += part
                if len(text) > LARGEST_ANSWER:
                    raise UnusableReplyError(f"The endpoint's answer has more than {LARGEST_ANSWER} bytes.")
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            raise UnusableReplyError("The endpoint's answer is not JSON.") from None
        if not isinstance(answer, dict):
            raise UnusableReplyError("The endpoint's answer is not an object.")
        return answer


def _message(answer: dict[str, Any]) -> dict[str, Any]:
    choices = answer.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(message, dict):
        raise UnusableReplyError("The endpoint's answer has no message.")
    return message


def _content(message: dict[str, Any]) -> str:
    content = message.get("content")
    if not isinstance(content, str):
        raise UnusableReplyError("The message has no text.")
    return content


def _tokens(answer: dict[str, Any], guessed: int) -> int:
    usage = answer.get("usage")
    told = usage.get("total_tokens") if isinstance(usage, dict) else None
    return told if isinstance(told, int) and not isinstance(told, bool) and told > 0 else guessed


def _described(name: str) -> dict[str, Any]:
    limit = {"type": "integer", "minimum": 1, "maximum": MOST_ROWS}
    parameters = {"type": "object", "properties": {"limit": limit}, "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": f"Read {name}.", "parameters": parameters}}


def _calls(wanted: object) -> list[dict[str, Any]]:
    if not isinstance(wanted, list) or not all(isinstance(one, dict) for one in wanted):
        raise UnusableReplyError("The calls of tools cannot be read.")
    return wanted[:MOST_CALLS]


async def _obeyed(call: dict[str, Any], tools: Mapping[str, Tool]) -> dict[str, Any]:
    """Rows of a tool that is on the list, as data; a refusal for any other."""
    function = call.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    tool = tools.get(name) if isinstance(name, str) else None
    told = "no such tool" if tool is None else _rows(await tool(_limit(function)))
    return {"role": "tool", "tool_call_id": str(call.get("id", ""))[:64], "content": told}


def _limit(function: Any) -> int:
    try:
        asked = json.loads(function.get("arguments") or "{}").get("limit", MOST_ROWS)
        return min(MOST_ROWS, max(1, int(asked)))
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        return MOST_ROWS


def _rows(rows: list[dict[str, Any]]) -> str:
    kept = rows[:MOST_ROWS]
    while kept and len(json.dumps(kept, default=str)) > LONGEST_ROWS:
        kept = kept[: len(kept) // 2]
    return json.dumps(kept, default=str)
