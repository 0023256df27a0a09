"""Errors that only the API knows, each with a stable code that a program may rely on."""

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus


class Code(StrEnum):
    """The ``code`` of a problem. A code never changes its meaning; new ones may come."""

    INVALID_REQUEST = "invalid_request"
    INVALID_VALUE = "invalid_value"
    NOT_AUTHENTICATED = "not_authenticated"
    SESSION_ENDED = "session_ended"
    FORBIDDEN = "forbidden"
    CONFIRMATION_NEEDED = "confirmation_needed"
    FOREIGN_ORIGIN = "foreign_origin"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REFUSED = "refused"
    NAME_TAKEN = "name_taken"
    LAST_ADMIN = "last_admin"
    CHANGED_MEANWHILE = "changed_meanwhile"
    KEY_IN_USE = "idempotency_key_in_use"
    KEY_OF_ANOTHER_REQUEST = "idempotency_key_of_another_request"
    TOO_LARGE = "too_large"
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    INTERNAL_ERROR = "internal_error"
    UNAVAILABLE = "unavailable"


STATUS_OF_CODE: Mapping[Code, HTTPStatus] = {
    Code.INVALID_REQUEST: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.INVALID_VALUE: HTTPStatus.BAD_REQUEST,
    Code.NOT_AUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Code.SESSION_ENDED: HTTPStatus.UNAUTHORIZED,
    Code.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Code.CONFIRMATION_NEEDED: HTTPStatus.FORBIDDEN,
    Code.FOREIGN_ORIGIN: HTTPStatus.FORBIDDEN,
    Code.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    Code.REFUSED: HTTPStatus.CONFLICT,
    Code.NAME_TAKEN: HTTPStatus.CONFLICT,
    Code.LAST_ADMIN: HTTPStatus.CONFLICT,
    Code.CHANGED_MEANWHILE: HTTPStatus.CONFLICT,
    Code.KEY_IN_USE: HTTPStatus.CONFLICT,
    Code.KEY_OF_ANOTHER_REQUEST: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Code.TOO_MANY_ATTEMPTS: HTTPStatus.TOO_MANY_REQUESTS,
    Code.INTERNAL_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
    Code.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}


class ApiError(Exception):
    """Answered as a problem. ``remedy`` says what to do next."""

    def __init__(self, code: Code, problem: str, remedy: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{problem} {remedy}")
        self.code = code
        self.problem = problem
        self.remedy = remedy
        self.headers = dict(headers or {})


class NotFoundError(ApiError):
    """The address is well formed, but nothing is there, or it is somebody else's."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(Code.NOT_FOUND, problem, remedy)
