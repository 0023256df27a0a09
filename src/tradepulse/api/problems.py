"""Errors as RFC 9457 problem details. One table says which error of ours is which status."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from tradepulse.api.errors import STATUS_OF_CODE, ApiError, Code
from tradepulse.ports import ChangedMeanwhileError, LastAdminError, NameTakenError
from tradepulse.shared.errors import (
    ConfigurationError,
    InvariantError,
    RefusedError,
    TradePulseError,
    TransientError,
)
from tradepulse.shared.secrets import scrub

logger = logging.getLogger(__name__)

CODES: dict[type[TradePulseError], Code] = {
    ConfigurationError: Code.INVALID_VALUE,
    NameTakenError: Code.NAME_TAKEN,
    LastAdminError: Code.LAST_ADMIN,
    ChangedMeanwhileError: Code.CHANGED_MEANWHILE,
    RefusedError: Code.REFUSED,
    TransientError: Code.UNAVAILABLE,
    InvariantError: Code.INTERNAL_ERROR,
}
CODE_OF_STATUS = {404: Code.NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED, 413: Code.TOO_LARGE, 429: Code.TOO_MANY_ATTEMPTS}


class InvalidField(BaseModel):
    field: str
    problem: str


class Problem(BaseModel):
    """RFC 9457 problem details; ``code`` is for programs and stays as it is, ``remedy`` says what to do next."""

    type: str = Field(examples=["urn:tradepulse:problem:not_found"])
    code: Code
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
    for status in (400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 503)
}


def code_of(error: TradePulseError) -> Code:
    return next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), Code.INTERNAL_ERROR)


def problem_response(
    request: Request,
    code: Code,
    detail: str,
    *,
    remedy: str = "",
    invalid: list[InvalidField] | None = None,
    headers: dict[str, str] | None = None,
    status: HTTPStatus | None = None,
) -> JSONResponse:
    status = status or STATUS_OF_CODE[code]
    problem = Problem(
        type=f"urn:tradepulse:problem:{code}",
        code=code,
        title=status.phrase,
        status=status,
        detail=scrub(detail),
        remedy=scrub(remedy),
        instance=request.url.path,
        invalid=invalid or [],
    )
    return JSONResponse(
        problem.model_dump(mode="json"), status_code=status, media_type="application/problem+json", headers=headers
    )


async def _our_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TradePulseError)  # noqa: S101 - registered for this type alone
    code = code_of(error)
    if STATUS_OF_CODE[code] >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("%s %s: %s", request.method, request.url.path, error, exc_info=error)
    return problem_response(request, code, error.problem, remedy=error.remedy)


async def _api_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)  # noqa: S101 - registered for this type alone
    return problem_response(request, error.code, error.problem, remedy=error.remedy, headers=error.headers)


async def _invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type alone
    invalid = [
        InvalidField(field=".".join(str(part) for part in item["loc"]), problem=scrub(str(item["msg"])))
        for item in error.errors()
    ]
    detail = "; ".join(f"{item.field}: {item.problem}" for item in invalid)
    return problem_response(
        request, Code.INVALID_REQUEST, detail, remedy="See /docs for what is allowed.", invalid=invalid
    )


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type alone
    headers = dict(error.headers) if error.headers else None
    status = HTTPStatus(error.status_code)
    code = CODE_OF_STATUS.get(status, Code.INVALID_VALUE)
    return problem_response(request, code, str(error.detail), headers=headers, status=status)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem_response(
        request,
        Code.INTERNAL_ERROR,
        "The server failed to answer.",
        remedy="The reason is in the server's log.",
    )


def install_problem_handlers(app: FastAPI) -> None:
    app.add_exception_handler(TradePulseError, _our_error)
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)
