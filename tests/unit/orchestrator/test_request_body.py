"""Request bodies are checked before a route reads them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from orchestrator.api.request_body import validate

LONGEST = 65_536
MULTIPART = "multipart/form-data"


def refusal_of(
    body: Any, content_type: str | None = "application/json", encoded: bool = False
) -> tuple[int, str] | None:
    headers = {} if content_type is None else {"content-type": content_type}
    answer = validate({"body": body, "headers": headers, "isBase64Encoded": encoded}, LONGEST)
    if answer is None:
        return None
    assert answer.content_type == "application/problem+json"
    return answer.status_code, json.loads(answer.body)["code"]


@pytest.mark.parametrize("body", [None, "", "{}", "null", '{"a": [1, {"b": null}]}'])
def test_a_json_object_or_an_empty_body_is_accepted(body: str | None) -> None:
    assert refusal_of(body) is None
    assert refusal_of(body, None) is None
    assert refusal_of(body, "application/json; charset=utf-8") is None


@pytest.mark.parametrize("body", ["[]", '[{"image": "x"}]', "[null, null]", '"text"', "1", "true"])
def test_json_that_is_not_an_object_is_refused(body: str) -> None:
    assert refusal_of(body) == (400, "bad_request")


@pytest.mark.parametrize("body", ["{", " ", "NaN", '{"port": Infinity}', "\ufeff{}", '{"port": ' + "1" * 5000 + "}"])
def test_invalid_json_is_refused(body: str) -> None:
    assert refusal_of(body) == (400, "bad_json")


def test_too_deeply_nested_json_is_refused() -> None:
    codes = {refusal_of('{"a":' * depth + "1" + "}" * depth) for depth in (20, 200, 900, 1000, 1100, 10_000)}
    assert codes <= {(400, "bad_request"), (400, "bad_json")}


@pytest.mark.parametrize(
    "kind", ["text/plain", MULTIPART, f"{MULTIPART}; boundary=x", "application/x-www-form-urlencoded", "", "*", "json"]
)
def test_a_body_of_another_content_type_is_refused(kind: str) -> None:
    assert refusal_of("{}", kind) == (415, "unsupported_media_type")


def test_the_length_limit_of_a_body_counts_bytes() -> None:
    assert refusal_of('"' + "a" * (LONGEST - 2) + '"') == (400, "bad_request")
    assert refusal_of("é" * 40_000) == (413, "too_long")
    assert refusal_of(base64.b64encode(b" " * (LONGEST - 3) + b"{}").decode(), encoded=True) is None
    assert refusal_of(base64.b64encode(b" " * LONGEST + b"{}").decode(), encoded=True) == (413, "too_long")


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"\xff\xfe{\x00}\x00"])
def test_bytes_that_are_not_utf8_are_not_json(raw: bytes) -> None:
    assert refusal_of(base64.b64encode(raw).decode(), encoded=True) == (400, "bad_json")
