"""Bad input is answered with one clear sentence and a stable code; nothing is written and no error is logged."""

from __future__ import annotations

import time
from typing import Any

import boto3
import pytest

from fibfactory_cli.client import Client
from tests.e2e.conftest import client_of
from tests.e2e.story import LATEST, table_keys
from tools.platform_on_localcloud import Platform

GOOD = {"image": LATEST}
CASES: list[tuple[str, str, Any, int, str]] = [
    ("PUT", "/environments/abc", b"{not json", 400, "bad_json"),
    ("PUT", "/environments/abc", b"\xff\xfe", 400, "bad_json"),
    ("PUT", "/environments/abc", [], 400, "bad_request"),
    ("PUT", "/environments/abc", [GOOD], 400, "bad_request"),
    ("PUT", "/environments/abc", b'{"image": ' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "bad_json"),
    ("PUT", "/environments/abc", b'{"port": ' + b"1" * 5000 + b"}", 400, "bad_json"),
    ("PUT", "/environments/abc", b'{"port": NaN}', 400, "bad_json"),
    ("PUT", "/environments/abc", None, 400, "bad_request"),
    ("PUT", "/environments/abc", {}, 400, "bad_request"),
    ("PUT", "/environments/abc", {**GOOD, "colour": "blue"}, 400, "unknown_field"),
    ("PUT", "/environments/abc", {**GOOD, "owner": "bob"}, 400, "unknown_field"),
    ("PUT", "/environments/abc", {"image": "docker.io/library/nginx"}, 400, "bad_request"),
    ("PUT", "/environments/abc", {**GOOD, "port": 0}, 400, "bad_request"),
    ("PUT", "/environments/abc", {**GOOD, "port": "eighty"}, 400, "bad_request"),
    ("PUT", "/environments/abc", {**GOOD, "port": "8080"}, 400, "bad_request"),
    ("PUT", "/environments/abc", {**GOOD, "revision": "\ud800"}, 400, "bad_request"),
    ("PUT", "/environments/abc", {**GOOD, "variables": {"A": "\ud800"}}, 400, "bad_request"),
    ("PUT", "/environments/abc", {**GOOD, "cpu": 1024, "memory": 512}, 400, "bad_request"),
    ("PUT", "/environments/abc", {**GOOD, "variables": {"PORT": "1"}}, 400, "bad_request"),
    ("PUT", "/environments/abc", {**GOOD, "variables": {"a b": "1"}}, 400, "bad_request"),
    ("PUT", "/environments/abc", {**GOOD, "secrets": {"A": "arn:aws:ssm:x"}}, 400, "no_secrets"),
    ("PUT", "/environments/abc", {**GOOD, "health_path": "health"}, 400, "bad_request"),
    ("PUT", "/environments/abc", {**GOOD, "ttl": "soon"}, 400, "bad_ttl"),
    ("PUT", "/environments/abc", {**GOOD, "ttl": "never"}, 400, "bad_ttl"),
    ("PUT", "/environments/abc", {**GOOD, "ttl": 12}, 400, "bad_request"),
    ("PUT", "/environments/ABC", GOOD, 400, "bad_id"),
    ("PUT", "/environments/-abc", GOOD, 400, "bad_id"),
    ("PUT", f"/environments/{'a' * 25}", GOOD, 400, "bad_id"),
    ("PUT", "/environments/abc", b" " * 70_000, 413, "too_long"),
    ("POST", "/environments", GOOD, 400, "bad_id"),
    ("POST", "/environments", {**GOOD, "id": "A"}, 400, "bad_id"),
    ("POST", "/environments", b"", 400, "bad_request"),
    ("GET", "/environments?limit=0", None, 400, "bad_request"),
    ("GET", "/environments?status=happy", None, 400, "bad_request"),
    ("GET", "/environments?cursor=nonsense", None, 400, "bad_cursor"),
    ("GET", "/environments?label=team", None, 400, "bad_label"),
    ("GET", "/environments?owner=arn:aws:iam::000000000000:user/bob", None, 403, "operators_only"),
    ("GET", "/environments/abc", None, 404, "not_found"),
    ("GET", "/environments/abc?wait=999", None, 400, "bad_request"),
    ("GET", "/environments/abc/events", None, 404, "not_found"),
    ("PATCH", "/environments/abc", {"protected": True}, 404, "not_found"),
    ("PATCH", "/environments/abc", {"image": LATEST}, 400, "unknown_field"),
    ("PATCH", "/environments/abc", {"ttl": "-1h"}, 400, "bad_ttl"),
    ("DELETE", "/environments/abc", None, 404, "not_found"),
    ("DELETE", "/environments/A", None, 400, "bad_id"),
    ("POST", "/sweeps", {"dry_run": "perhaps"}, 400, "bad_request"),
    ("POST", "/sweeps", {"force": True}, 400, "unknown_field"),
    ("POST", "/sweeps", [None], 400, "bad_request"),
    ("GET", "/sweeps/none", None, 403, "operators_only"),
    ("GET", "/nothing", None, 404, "no_such_path"),
    ("GET", "/environments/abc/def/ghi", None, 404, "no_such_path"),
    ("GET", "/environments/\x84", None, 404, "no_such_path"),
    ("PATCH", "/health", {}, 405, "method_not_allowed"),
    ("DELETE", "/environments", None, 405, "method_not_allowed"),
    ("PUT", "/sweeps", {}, 405, "method_not_allowed"),
]


def _log(platform: Platform, since: float) -> list[str]:
    logs = platform.cloud.session("operator").client("logs")
    group = f"/aws/lambda/{platform.outputs['api_function']}"
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=int(since * 1000))
    return [event["message"] for page in pages for event in page["events"]]


def test_each_bad_request_is_refused_with_a_problem_and_nothing_is_written(alice: Client, platform: Platform) -> None:
    before, since = table_keys(platform), time.time()
    wrong: list[tuple[Any, ...]] = []
    for method, path, body, status, code in CASES:
        target, _, query = path.partition("?")
        answer = alice.call(method, target, body, query=dict([query.split("=", 1)]) if query else None)
        kind = answer.headers.get("Content-Type")
        found = answer.body.get("code") if isinstance(answer.body, dict) else answer.body
        if (answer.status, found, kind) != (status, code, "application/problem+json"):
            wrong.append((method, path, str(body)[:60], answer.status, found, kind))
        elif answer.body["status"] != status or not answer.body["detail"].strip():
            wrong.append((method, path, str(body)[:60], answer.body))
    assert wrong == []
    assert table_keys(platform) == before
    log = _log(platform, since)
    assert log, "the function's log can't be read"
    assert [line for line in log if '"level":"ERROR"' in line or "Traceback" in line] == []


@pytest.mark.parametrize("path", ["/environments", "/environments/abc", "/health", "/openapi.json"])
def test_an_unsigned_request_is_refused(alice: Client, path: str) -> None:
    assert alice.call("GET", path, signed=False).status == 403


def test_a_user_without_permission_and_a_wrong_secret_key_are_refused(platform: Platform) -> None:
    assert client_of(platform, "nobody").call("GET", "/environments").status == 403
    alice = platform.cloud.identity("alice")
    forged = boto3.Session(alice.access_key, "a" * 40, region_name=platform.outputs["region"])
    assert Client(platform.outputs["api_url"], forged).call("GET", "/environments").status == 403


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded"])
def test_a_body_of_another_content_type_is_refused(alice: Client, kind: str) -> None:
    answer = alice.call("PUT", "/environments/abc", GOOD, headers={"Content-Type": kind})
    assert (answer.status, answer.body["code"]) == (415, "unsupported_media_type")


def test_the_openapi_document_lists_every_route(alice: Client) -> None:
    document = alice.call("GET", "/openapi.json").body
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        "/environments",
        "/environments/{environment_id}",
        "/environments/{environment_id}/events",
        "/environments/{environment_id}/pause",
        "/environments/{environment_id}/resume",
        "/environments/{environment_id}/revive",
        "/sweeps",
        "/sweeps/{sweep_id}",
        "/health",
    }
