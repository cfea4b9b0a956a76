"""What a request's body has to be before anything looks into it: not too long, JSON, an object.

The rule: asked first, so that nothing behind it meets a body that it can't read. Powertools alone takes forms for objects and
a list for its first element, and fails on JSON that is nested a thousand deep or holds a number of 5,000 digits.
"""

from __future__ import annotations

import base64
import json
from typing import Any, NoReturn

from aws_lambda_powertools.event_handler import Response

from orchestrator.api.problem_details import problem

JSON = "application/json"

_DEEPEST = 16
"""Of objects and lists within each other; no request has a use for more than three."""


def refusal(event: dict[str, Any], longest: int) -> Response[Any] | None:
    """The answer to an HTTP API event whose body is not one, None when it may be looked into. `longest` in bytes."""
    body = event.get("body")
    if not body:
        return None
    if _length(event) > longest:
        return problem(413, "too_long", f"A body has at most {longest} bytes.")
    kind = str((event.get("headers") or {}).get("content-type", JSON)).partition(";")[0].strip()
    if kind != JSON:
        return problem(415, "unsupported_media_type", f"A body is {JSON}, not {kind or 'of no type'}.")
    try:
        found = json.loads(_text(event), parse_constant=_no_such_number)
    except (ValueError, RecursionError):
        return _unreadable("bad_json", "it is not JSON")
    if found is not None and not isinstance(found, dict):
        return _unreadable("bad_request", "it is no JSON object")
    if _deeper(found, _DEEPEST):
        return _unreadable("bad_request", "it is nested too deeply")
    return None


def _length(event: dict[str, Any]) -> float:
    length = len(event["body"].encode(errors="surrogatepass"))
    return length * 3 / 4 if event.get("isBase64Encoded") else length


def _text(event: dict[str, Any]) -> str:
    body: str = event["body"]
    return base64.b64decode(body).decode() if event.get("isBase64Encoded") else body


def _no_such_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is JavaScript's, not JSON's.")


def _deeper(value: Any, than: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return than < 0 or any(_deeper(each, than - 1) for each in inside)


def _unreadable(code: str, message: str) -> Response[Any]:
    found = [{"field": "body", "message": message}]
    return problem(400, code, f"body: {message}. See /openapi.json for what is taken.", found)
