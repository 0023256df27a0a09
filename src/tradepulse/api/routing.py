"""Routers whose writes may be sent twice: with an ``Idempotency-Key`` the second one gets the answer of the first.

An answer that is an error is not kept, since then nothing was done: the next request under the key is the first again.
"""

import hashlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from tradepulse.api.deps import authenticate, services_of
from tradepulse.api.errors import ApiError, Code

HEADER = "Idempotency-Key"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LONGEST_KEY = 128
Handler = Callable[[Request], Awaitable[Response]]


def _documented(
    _: Annotated[
        str | None,
        Header(alias=HEADER, min_length=1, max_length=LONGEST_KEY, description="the same key and body: done once"),
    ] = None,
) -> None:
    return None


class OnceRoute(APIRoute):
    def __init__(self, path: str, endpoint: Callable[..., Any], **given: Any) -> None:
        if not set(given.get("methods") or ("GET",)) <= SAFE_METHODS:
            given["dependencies"] = [*(given.get("dependencies") or ()), Depends(_documented)]
        super().__init__(path, endpoint, **given)

    def get_route_handler(self) -> Any:
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            key = request.headers.get(HEADER)
            if request.method in SAFE_METHODS or not key or len(key) > LONGEST_KEY:
                return await answer(request)
            return await _once(request, key, answer)

        return handle


def noun_router(noun: str) -> APIRouter:
    """The router of ``/api/<noun>``."""
    return APIRouter(prefix=f"/api/{noun}", tags=[noun], route_class=OnceRoute)


def idempotency_key(request: Request) -> str | None:
    """The caller's own key, unmistakable among users: for what keeps things apart by key further on."""
    key = request.headers.get(HEADER)
    principal = getattr(request.state, "principal", None)
    return None if not key or principal is None else f"{principal.user.user_id}:{principal.key_id or ''}:{key}"


async def _once(request: Request, key: str, answer: Handler) -> Response:
    services, principal = services_of(request), await authenticate(request)
    # A key for scripts may less than its user, so it gets none of the user's answers either.
    owner, asked = f"{principal.user.user_id}:{principal.key_id or ''}", await _hash_of(request)
    earlier = await services.answers.begin(owner, key, asked, services.clock.now())
    if earlier is None:
        return await _answered(request, owner, key, answer)
    if earlier.request_hash != asked:
        raise ApiError(
            Code.KEY_OF_ANOTHER_REQUEST, f"The {HEADER} '{key}' was used for another request.", "Choose another key."
        )
    if earlier.status is None:
        raise ApiError(
            Code.KEY_IN_USE,
            f"The first request under the {HEADER} '{key}' is not answered yet.",
            "Send it again soon.",
            {"Retry-After": "1"},
        )
    replayed = {"Idempotent-Replay": "true"}
    return Response(earlier.body, earlier.status, replayed, "application/json" if earlier.body else None)


async def _answered(request: Request, owner: str, key: str, answer: Handler) -> Response:
    answers = services_of(request).answers
    try:
        response = await answer(request)
    except BaseException:
        # A caller who went away too: nobody knows its answer, and the next one shall get one.
        await answers.forget(owner, key)
        raise
    if response.status_code >= HTTPStatus.BAD_REQUEST:
        await answers.forget(owner, key)
    else:
        await answers.finish(owner, key, response.status_code, bytes(response.body))
    return response


async def _hash_of(request: Request) -> str:
    told = f"{request.method}\n{request.url.path}\n{request.url.query}\n".encode()
    return hashlib.sha256(told + await request.body()).hexdigest()
