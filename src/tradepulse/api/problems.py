"""Errors as RFC 9457 problem details. One table says which error of ours is which status."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from tradepulse.api.deps import NotFoundError
from tradepulse.shared.errors import (
    ConfigurationError,
    InvariantError,
    RefusedError,
    TradePulseError,
    TransientError,
)
from tradepulse.shared.secrets import scrub

logger = logging.getLogger(__name__)

STATUSES: dict[type[TradePulseError], HTTPStatus] = {
    ConfigurationError: HTTPStatus.BAD_REQUEST,
    RefusedError: HTTPStatus.CONFLICT,
    TransientError: HTTPStatus.SERVICE_UNAVAILABLE,
    InvariantError: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class InvalidField(BaseModel):
    field: str
    problem: str


class Problem(BaseModel):
    """RFC 9457 problem details; ``remedy`` says what to do next."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    remedy: str = ""
    instance: str
    invalid: list[InvalidField] = Field(default_factory=list)


PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status in (400, 404, 422, 500, 503)
}


def status_of(error: TradePulseError) -> HTTPStatus:
    for kind in type(error).__mro__:
        if kind in STATUSES:
            return STATUSES[kind]
    return HTTPStatus.INTERNAL_SERVER_ERROR


def problem_response(
    request: Request,
    status: HTTPStatus,
    detail: str,
    *,
    remedy: str = "",
    invalid: list[InvalidField] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    problem = Problem(
        title=status.phrase,
        status=status,
        detail=scrub(detail),
        remedy=scrub(remedy),
        instance=request.url.path,
        invalid=invalid or [],
    )
    return JSONResponse(
        problem.model_dump(), status_code=status, media_type="application/problem+json", headers=headers
    )


async def _our_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TradePulseError)  # noqa: S101 - registered for this type alone
    status = status_of(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("%s %s: %s", request.method, request.url.path, error, exc_info=error)
    return problem_response(request, status, error.problem, remedy=error.remedy)


async def _not_found(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, NotFoundError)  # noqa: S101 - registered for this type alone
    return problem_response(request, HTTPStatus.NOT_FOUND, error.problem, remedy=error.remedy)


async def _invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type alone
    invalid = [
        InvalidField(field=".".join(str(part) for part in item["loc"]), problem=scrub(str(item["msg"])))
        for item in error.errors()
    ]
    detail = "; ".join(f"{item.field}: {item.problem}" for item in invalid)
    return problem_response(
        request, HTTPStatus.UNPROCESSABLE_ENTITY, detail, remedy="See /docs for what is allowed.", invalid=invalid
    )


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type alone
    headers = dict(error.headers) if error.headers else None
    return problem_response(request, HTTPStatus(error.status_code), str(error.detail), headers=headers)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem_response(
        request,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The server failed to answer.",
        remedy="The reason is in the server's log.",
    )


def install_problem_handlers(app: FastAPI) -> None:
    app.add_exception_handler(TradePulseError, _our_error)
    app.add_exception_handler(NotFoundError, _not_found)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)
