"""Errors as the API answers them: RFC 9457 problems with a stable code and one sentence.

The rule: only here are our errors turned into status codes, and what is our own fault tells callers nothing but that.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestUnsupportedContentType, RequestValidationError

from orchestrator.api.schemas import GatewayOut, Problem
from orchestrator.domain import errors
from orchestrator.domain.errors import FibfactoryError

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

PROBLEMS: Any = {
    status.value: {"description": status.phrase, "content": content, "headers": headers}
    for status, content, headers in (
        (HTTPStatus.BAD_REQUEST, _OURS, {}),
        (HTTPStatus.UNAUTHORIZED, _OURS, {}),
        (HTTPStatus.FORBIDDEN, _OURS | _GATEWAYS, {}),
        (HTTPStatus.NOT_FOUND, _OURS, {}),
        (HTTPStatus.METHOD_NOT_ALLOWED, _OURS, _ALLOW),
        (HTTPStatus.CONFLICT, _OURS, {}),
        (HTTPStatus.PRECONDITION_FAILED, _OURS, {}),
        (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _OURS | _GATEWAYS, {}),
        (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, _OURS, {}),
        (HTTPStatus.TOO_MANY_REQUESTS, _GATEWAYS, {}),
        (HTTPStatus.INTERNAL_SERVER_ERROR, _OURS | _GATEWAYS, {}),
        (HTTPStatus.SERVICE_UNAVAILABLE, _OURS | _GATEWAYS, {}),
    )
}
"""What any route may answer besides success, for OpenAPI; some of it is API Gateway's own, when it refuses or waits in vain."""


def problem(status: int, code: str, detail: str, found: list[dict[str, str]] | None = None) -> Response[Any]:
    """An RFC 9457 answer."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, code=code, errors=found)
    return Response(status, content_type="application/problem+json", body=body.model_dump_json(exclude_none=True))


def problem_of(error: FibfactoryError) -> Response[Any]:
    """The answer to an error of ours; one that is no caller's doing says nothing but that."""
    status = next((status for kind, status in _STATUS_OF if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return problem(status, error.code, "Something behind the API did not work. Try again in a moment.")
    return problem(status, error.code, error.message)


def handle_errors(app: APIGatewayHttpResolver, logger: Logger) -> None:
    """Answer every error of this resolver as a problem, and log what is not the caller's doing."""

    @app.exception_handler(FibfactoryError)
    def ours(error: FibfactoryError) -> Response[Any]:
        if not isinstance(error, errors.Rejected):
            logger.error("The request failed.", extra={"code": error.code, "error": error.message})
        return problem_of(error)

    @app.exception_handler(RequestUnsupportedContentType)
    def no_json(error: RequestUnsupportedContentType) -> Response[Any]:
        return problem(415, "unsupported_media_type", "A body is application/json.")

    @app.exception_handler(RequestValidationError)
    def invalid(error: RequestValidationError) -> Response[Any]:
        found = [{"field": _field(item), "message": _sentence(item)} for item in error.errors()]
        code = _code_of(error.errors())
        first = found[0] if found else {"field": "body", "message": "it can't be read"}
        return problem(400, code, f"{first['field']}: {first['message']}. See /openapi.json for what is taken.", found)

    @app.not_found
    def no_route(error: NotFoundError) -> Response[Any]:
        method, path = app.current_event.http_method, app.current_event.path
        allowed = _methods_of(app, path)
        # A path may look like a route's and still be none's, by a character that no id has.
        if allowed and method not in allowed:
            answer = problem(405, "method_not_allowed", f"{path} takes {', '.join(allowed)}, not {method}.")
            answer.headers["Allow"] = ", ".join(allowed)
            return answer
        return problem(404, "no_such_path", f"There is no {path}. See /openapi.json for what is there.")

    @app.exception_handler(Exception)
    def unforeseen(error: Exception) -> Response[Any]:
        logger.exception("The request failed in a way that nobody foresaw.")
        return problem(500, "internal", "Something went wrong that should not have; the log says what.")


def _methods_of(app: APIGatewayHttpResolver, path: str) -> list[str]:
    for template, item in (app.get_openapi_schema().paths or {}).items():
        if re.fullmatch(re.sub(r"\{[^}]+\}|<[^>]+>", "[^/]+", template), path):
            return sorted(
                method.upper() for method in ("get", "put", "post", "patch", "delete") if getattr(item, method)
            )
    return ["GET"] if path == "/openapi.json" else []


def _field(item: Any) -> str:
    loc = () if item.get("type") == "json_invalid" else item["loc"]
    return ".".join(str(part) for part in loc if part != "body") or "body"


def _code_of(found: Any) -> str:
    kinds = {(item.get("type"), tuple(item.get("loc", ()))) for item in found}
    if any(kind == "json_invalid" for kind, _ in kinds):
        return "bad_json"
    if any("environment_id" in loc or loc[-1:] == ("id",) for _, loc in kinds):
        return "bad_id"
    if any(kind == "extra_forbidden" for kind, _ in kinds):
        return "unknown_field"
    return "bad_request"


def _sentence(item: Any) -> str:
    if item.get("type") == "json_invalid":
        return "it is not JSON"
    if "environment_id" in item["loc"]:
        return "an id has 3 to 24 lower-case letters, digits and hyphens, a letter first and no hyphen last"
    if item.get("type") == "extra_forbidden":
        return "there is no such field"
    return str(item["msg"]).removeprefix("Value error, ")
