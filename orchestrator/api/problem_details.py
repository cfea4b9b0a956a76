"""Errors as the API answers them: RFC 9457 problem details with a stable code and one sentence.

The rule: only this module knows which error has which status code. An error on our side tells callers no details.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from typing import Any, cast

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestUnsupportedContentType, RequestValidationError
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from orchestrator.api.schemas import GatewayOut, Problem
from orchestrator.domain import errors
from orchestrator.domain.errors import ErrorCode, FibfactoryError

logger = Logger(child=True)
router = APIGatewayHttpRouter()

_STATUS_OF: tuple[tuple[type[FibfactoryError], HTTPStatus], ...] = (
    (errors.BadRequest, HTTPStatus.BAD_REQUEST),
    (errors.Unauthenticated, HTTPStatus.UNAUTHORIZED),
    (errors.Forbidden, HTTPStatus.FORBIDDEN),
    (errors.NotFound, HTTPStatus.NOT_FOUND),
    (errors.Conflict, HTTPStatus.CONFLICT),
    (errors.PreconditionFailed, HTTPStatus.PRECONDITION_FAILED),
    (errors.Transient, HTTPStatus.SERVICE_UNAVAILABLE),
)

_OURS: Any = {"application/problem+json": {"model": Problem}}
_GATEWAYS: Any = {"application/json": {"model": GatewayOut}}
_ALLOW: Any = {
    "Allow": {"description": "the methods that the path takes", "required": True, "schema": {"type": "string"}}
}

_BY_US = (400, 401, 403, 404, 405, 409, 412, 413, 415, 500, 503)
_BY_THE_GATEWAY = (403, 413, 429, 500, 503)
PROBLEMS: Any = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": (_OURS if status in _BY_US else {}) | (_GATEWAYS if status in _BY_THE_GATEWAY else {}),
        "headers": _ALLOW if status == HTTPStatus.METHOD_NOT_ALLOWED else {},
    }
    for status in sorted({*_BY_US, *_BY_THE_GATEWAY})
}
"""What any route may answer besides success, for OpenAPI; some of it comes from API Gateway itself."""


def problem(status: int, code: ErrorCode, detail: str, found: list[dict[str, str]] | None = None) -> Response[Any]:
    """An RFC 9457 answer."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, code=code, errors=found)
    return Response(status, content_type="application/problem+json", body=body.model_dump_json(exclude_none=True))


def problem_of(error: FibfactoryError) -> Response[Any]:
    """The answer to an error. If the caller did not cause it, the answer has no details."""
    status = next((status for kind, status in _STATUS_OF if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return problem(status, error.code, "The API could not do this right now. Try again in a moment.")
    return problem(status, error.code, error.message)


def invalid(code: ErrorCode, found: list[dict[str, str]]) -> Response[Any]:
    """The answer to a request with these faults, each a field and a message; the first is the answer's sentence."""
    first = found[0] if found else {"field": "body", "message": "it can't be read"}
    detail = f"{first['field']}: {first['message']}. See /openapi.json for what is accepted."
    return problem(400, code, detail, found)


@router.exception_handler(FibfactoryError)
def _our_error(error: FibfactoryError) -> Response[Any]:
    if not isinstance(error, errors.Rejected):
        logger.error("The request failed.", code=error.code, error=error.message)
    return problem_of(error)


@router.exception_handler(RequestUnsupportedContentType)
def _not_json(error: RequestUnsupportedContentType) -> Response[Any]:
    detail = "The body must be application/json: set the header Content-Type to that."
    return problem(415, ErrorCode.UNSUPPORTED_MEDIA_TYPE, detail)


@router.exception_handler(RequestValidationError)
def _invalid(error: RequestValidationError) -> Response[Any]:
    found = [{"field": _field(item), "message": _sentence(item)} for item in error.errors()]
    return invalid(_code_of(error.errors()), found)


@router.exception_handler(NotFoundError)
def _no_route(error: NotFoundError) -> Response[Any]:
    method, path = router.current_event.http_method, router.current_event.path
    allowed = _methods_of(path)
    # A path may look like a route's and still match none, by a character that no id has.
    if allowed and method not in allowed:
        detail = f"{path} takes {', '.join(allowed)}, not {method}."
        answer = problem(405, ErrorCode.METHOD_NOT_ALLOWED, detail)
        answer.headers["Allow"] = ", ".join(allowed)
        return answer
    return problem(404, ErrorCode.NO_SUCH_PATH, f"There is no {path}. See /openapi.json for all paths.")


@router.exception_handler(Exception)
def _unexpected(error: Exception) -> Response[Any]:
    logger.exception("The request failed with an unexpected error.")
    return problem(
        500, ErrorCode.INTERNAL, "An unexpected error happened; the API function's log has the details. Try again."
    )


def _methods_of(path: str) -> list[str]:
    return next((methods for pattern, methods in _routes() if pattern.fullmatch(path)), [])


@cache
def _routes() -> Sequence[tuple[re.Pattern[str], list[str]]]:
    """A pattern for each route's path, and the path's methods. Powertools builds its whole contract to tell them: only once."""
    paths = cast(APIGatewayHttpResolver, router.api_resolver).get_openapi_schema().paths or {}
    known = ("get", "put", "post", "patch", "delete")
    methods = {path: sorted(each.upper() for each in known if getattr(item, each)) for path, item in paths.items()}
    methods["/openapi.json"] = ["GET"]
    return [(_pattern_of(path), each) for path, each in methods.items()]


def _pattern_of(template: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(map(re.escape, re.split(r"\{[^}]+\}|<[^>]+>", template))))


def _field(item: Any) -> str:
    loc = () if item.get("type") == "json_invalid" else item["loc"]
    return ".".join(str(part) for part in loc if part != "body") or "body"


def _code_of(found: Any) -> ErrorCode:
    kinds = {(item.get("type"), tuple(item.get("loc", ()))) for item in found}
    if any(kind == "json_invalid" for kind, _ in kinds):
        return ErrorCode.BAD_JSON
    if any("environment_id" in loc or loc[-1:] == ("id",) for _, loc in kinds):
        return ErrorCode.BAD_ID
    if any(kind == "extra_forbidden" for kind, _ in kinds):
        return ErrorCode.UNKNOWN_FIELD
    return ErrorCode.BAD_REQUEST


def _sentence(item: Any) -> str:
    if item.get("type") == "json_invalid":
        return "it is not JSON"
    if "environment_id" in item["loc"]:
        return "an id has 3 to 24 lower-case letters, digits and hyphens, a letter first and no hyphen last"
    if item.get("type") == "extra_forbidden":
        return "no such field"
    return str(item["msg"]).removeprefix("Value error, ")
