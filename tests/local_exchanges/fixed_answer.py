"""A host that gives every request the same answer, and remembers what was asked with which headers."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class FixedAnswer:
    """``content``: text as it is, anything else as JSON. ``echoing``: an exchange that quotes the request in its error.
    ``silent``: takes the request and never answers.
    """

    host: str
    content: Any = ""
    status: int = 200
    echoing: bool = False
    silent: bool = False
    asked: list[str] = field(default_factory=list)

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        return application

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path}")
        if self.silent:
            await asyncio.sleep(60)
        text = self.content if isinstance(self.content, str) else json.dumps(self.content)
        if self.echoing:
            quoted = {"url": str(request.url), "headers": dict(request.headers), "body": await request.text()}
            text += json.dumps(quoted)
        kind = "text/html" if text.startswith("<") else "application/json"
        return web.Response(text=text, status=self.status, content_type=kind)
