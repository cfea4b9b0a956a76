"""What a request's body must be before anything reads it: not too long, JSON, an object.

Powertools alone accepts forms as objects and a list as its first element, and fails on JSON that is nested a thousand levels deep
or has a number of 5,000 digits.
"""

from __future__ import annotations

import base64
import json
from typing import Any, NoReturn

from aws_lambda_powertools.event_handler import Response

from orchestrator.api.problem_details import invalid, problem
from orchestrator.domain.errors import ErrorCode

JSON = "application/json"

_DEEPEST = 16
"""Levels of objects and lists within each other; no valid request has more than three."""


def validate(event: dict[str, Any], longest: int) -> Response[Any] | None:
    """The answer to an HTTP API event with a bad body; None when it may be read. `longest` is in bytes."""
    body = event.get("body")
    if not body:
        return None
    if _length(event) > longest:
        return problem(413, ErrorCode.TOO_LONG, f"A body may have {longest} bytes at most.")
    kind = str((event.get("headers") or {}).get("content-type", JSON)).partition(";")[0].strip()
    if kind != JSON:
        return problem(
            415, ErrorCode.UNSUPPORTED_MEDIA_TYPE, f"The body must be {JSON}; its Content-Type is {kind or 'missing'}."
        )
    try:
        found = json.loads(_text(event), parse_constant=_no_such_number)
    except (ValueError, RecursionError):
        return _unreadable(ErrorCode.BAD_JSON, "it is not JSON")
    if found is not None and not isinstance(found, dict):
        return _unreadable(ErrorCode.BAD_REQUEST, "it is not a JSON object")
    if _deeper(found, _DEEPEST):
        return _unreadable(ErrorCode.BAD_REQUEST, "it is nested too deeply")
    return None


def _length(event: dict[str, Any]) -> float:
    length = len(event["body"].encode(errors="surrogatepass"))
    return length * 3 / 4 if event.get("isBase64Encoded") else length


def _text(event: dict[str, Any]) -> str:
    body: str = event["body"]
    return base64.b64decode(body).decode() if event.get("isBase64Encoded") else body


def _no_such_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON.")


def _deeper(value: Any, than: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return than < 0 or any(_deeper(each, than - 1) for each in inside)


def _unreadable(code: ErrorCode, message: str) -> Response[Any]:
    return invalid(code, [{"field": "body", "message": message}])
