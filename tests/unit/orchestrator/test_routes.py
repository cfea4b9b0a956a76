"""The API's routes on fakes: responses that need no cloud, and requests that API Gateway would not let through."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pytest

from orchestrator.api.context import ApiContext
from orchestrator.api.resolver import app, handle_request
from orchestrator.domain.errors import Terminal, Transient
from orchestrator.settings import Settings
from tests.unit.orchestrator.test_authentication import CLAIMS
from tests.unit.orchestrator.test_openapi import document
from tests.unit.orchestrator.worlds import ALICE, IMAGE, World

CONTEXT: Any = SimpleNamespace(
    aws_request_id="1", function_name="api", invoked_function_arn="arn", memory_limit_in_mb=1
)
ROUTES = [
    ("PUT", "/environments/test1", {"image": IMAGE}),
    ("POST", "/environments", {"id": "test1", "image": IMAGE}),
    ("GET", "/environments", None),
    ("GET", "/environments/test1", None),
    ("PATCH", "/environments/test1", {"protected": True}),
    ("DELETE", "/environments/test1", None),
    ("GET", "/environments/test1/events", None),
    ("POST", "/environments/test1/pause", None),
    ("POST", "/environments/test1/resume", None),
    ("POST", "/environments/test1/revive", None),
    ("POST", "/sweeps", {}),
    ("GET", "/sweeps/abc", None),
]


class Api:
    """The resolver on fakes, called as API Gateway calls it."""

    def __init__(self, operators: frozenset[str] = frozenset(), **settings: Any) -> None:
        self.settings = Settings(
            platform="tests",
            table="t",
            worker_function="w",
            operators=operators,
            image_registries=("public.ecr.aws/",),
            **settings,
        )
        self.world = World(policy=self.settings.policy)
        self.context = ApiContext(self.settings, self.world.environments, self.world.sweeps)

    def call(
        self, method: str, path: str, body: Any = None, *, caller: str | None = ALICE.owner, **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        authorizer = {"authorizer": {"iam": {"userArn": caller}}} if caller else {}
        event = {
            "version": "2.0",
            "rawPath": path,
            "headers": {name.replace("_", "-"): value for name, value in headers.items()},
            "body": None if body is None else json.dumps(body),
            "isBase64Encoded": False,
            "requestContext": {"stage": "$default", "http": {"method": method, "path": path}, **authorizer},
        }
        return self.resolve(event)

    def resolve(self, event: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        """The routes' response, without the checks that come before them."""
        app.append_context(api=self.context)
        answer = app.resolve(event, CONTEXT)
        return answer["statusCode"], answer["headers"], json.loads(answer["body"])


@pytest.fixture
def http() -> Api:
    return Api()


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_I7_a_request_without_credentials_gets_401_on_every_route_and_writes_nothing(
    http: Api, method: str, path: str, body: Any
) -> None:
    status, headers, problem = http.call(method, path, body, caller=None)
    assert (status, problem["code"]) == (401, "unauthenticated")
    assert headers["Content-Type"] == "application/problem+json"
    assert http.world.records.records == {} and http.world.reports.reports == {} and http.world.dispatcher.asked == []


def test_the_routes_tried_here_are_those_of_the_document() -> None:
    documented = {
        (method.upper(), path.format(environment_id="test1", sweep_id="abc"))
        for path, item in document()["paths"].items()
        for method in item
    }
    assert documented - {("GET", "/health")} == {(method, path) for method, path, _ in ROUTES}


def test_health_and_openapi_need_no_caller(http: Api) -> None:
    assert http.call("GET", "/health", caller=None)[0] == 200
    assert http.call("GET", "/openapi.json", caller=None)[0] == 200


@pytest.mark.parametrize("path", ["/health", "/openapi.json", "/environments", "/nothing"])
@pytest.mark.parametrize(
    ("authorizer", "status", "code"),
    [
        ({}, 401, "unauthenticated"),
        ({"jwt": {"claims": {}}}, 401, "unauthenticated"),
        ({"jwt": {"claims": CLAIMS}}, 403, "not_allowed"),
    ],
)
def test_I7_an_unknown_caller_is_refused_before_the_body_is_read(
    http: Api, path: str, authorizer: Any, status: int, code: str
) -> None:
    request_context = {"http": {"method": "GET", "path": path}, "authorizer": authorizer}
    event = {"version": "2.0", "rawPath": path, "headers": {}, "body": "{not json", "requestContext": request_context}
    answer = handle_request(event, CONTEXT, http.context)
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (status, code)
    event["requestContext"]["authorizer"] = {"iam": {"userArn": ALICE.identity}}  # type: ignore[index]
    assert json.loads(handle_request(event, CONTEXT, http.context)["body"])["code"] == "bad_json"


@pytest.mark.parametrize(
    ("error", "status"), [(Transient("AWS is down: secret"), 503), (Terminal("denied: secret"), 500)]
)
def test_an_internal_failure_is_a_problem_without_details(http: Api, error: Exception, status: int) -> None:
    def broken() -> None:
        raise error

    http.world.records.meanwhile["requested"] = broken
    answer_status, headers, problem = http.call("PUT", "/environments/test1", {"image": IMAGE})
    assert answer_status == status
    assert headers["Content-Type"] == "application/problem+json"
    assert "secret" not in json.dumps(problem)


def test_an_unexpected_error_is_a_problem_with_code_internal(http: Api) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    http.world.records.meanwhile["requested"] = broken
    status, _, problem = http.call("PUT", "/environments/test1", {"image": IMAGE})
    assert (status, problem["code"]) == (500, "internal")


def test_the_etag_is_the_records_version(http: Api) -> None:
    status, headers, record = http.call("PUT", "/environments/test1", {"image": IMAGE})
    assert (status, headers["ETag"], headers["Location"]) == (202, '"1"', "/environments/test1")
    assert record["schema"] == 1 and record["status"] == "pending"
    assert http.call("PATCH", "/environments/test1", {"protected": True}, if_match='"1"')[0] == 200
    assert http.call("PATCH", "/environments/test1", {"protected": False}, if_match='"1"')[0] == 412
    assert (
        http.call("PATCH", "/environments/test1", {"protected": False}, if_match="first")[2]["code"] == "bad_if_match"
    )


def test_method_not_allowed_lists_the_allowed_methods(http: Api) -> None:
    status, headers, problem = http.call("PUT", "/environments")
    assert (status, headers["Allow"]) == (405, "GET, POST")
    assert "GET, POST" in problem["detail"]


@pytest.mark.parametrize(
    ("body", "kind", "dry_run"),
    [
        (None, "deep", True),
        ({}, "deep", True),
        ({"kind": "light"}, "light", True),
        ({"kind": "deep", "dry_run": False}, "deep", False),
    ],
)
def test_a_sweep_is_a_deep_dry_run_by_default(body: Any, kind: str, dry_run: bool) -> None:
    http = Api(operators=frozenset({ALICE.owner}))
    status, _, sweep = http.call("POST", "/sweeps", body)
    assert (status, sweep["kind"], sweep["dry_run"]) == (202, kind, dry_run)
    assert http.call("GET", f"/sweeps/{sweep['id']}")[2]["kind"] == kind


def test_an_unknown_kind_of_sweep_is_refused() -> None:
    http = Api(operators=frozenset({ALICE.owner}))
    status, _, problem = http.call("POST", "/sweeps", {"kind": "thorough"})
    assert status in (400, 422) and problem["status"] == status
    assert http.world.dispatcher.asked == []


def test_a_path_that_no_route_matches_is_404_and_not_405(http: Api) -> None:
    status, headers, problem = http.call("GET", "/environments/\x84")
    assert (status, problem["code"]) == (404, "no_such_path")
    assert "Allow" not in headers


def test_if_match_star_needs_an_existing_environment(http: Api) -> None:
    assert http.call("PUT", "/environments/test1", {"image": IMAGE}, if_match="*")[2]["code"] == "version_differs"
    assert http.world.records.records == {}
    assert http.call("PUT", "/environments/test1", {"image": IMAGE})[0] == 202
    assert http.call("PUT", "/environments/test1", {"image": IMAGE, "revision": "2"}, if_match="*")[0] == 202
    assert http.call("PATCH", "/environments/test1", {"protected": True}, if_match='W/"2"')[0] == 200
    for wrong in ("", "**", '"7', "7, 8", "٧"):
        assert http.call("PATCH", "/environments/test1", {}, if_match=wrong)[2]["code"] == "bad_if_match"


def test_a_label_filter_may_contain_a_comma(http: Api) -> None:
    for name, team in (("test1", "a,b"), ("test2", "a")):
        http.call("PUT", f"/environments/{name}", {"image": IMAGE, "labels": {"team": team}})
    status, _, answer = listed(http, "label=team%3Da%2Cb", label="team=a,b")
    assert (status, [found["id"] for found in answer["environments"]]) == (200, ["test1"])


@pytest.mark.parametrize("query", ["label=", "label", "label=team", "label=team%3D", "label=team%3Da&label="])
def test_a_label_filter_without_name_and_value_is_refused(http: Api, query: str) -> None:
    status, _, problem = listed(http, query, label=",".join(parse_qs(query, keep_blank_values=True)["label"]))
    assert (status, problem["code"]) == (400, "bad_label")


def listed(http: Api, query: str, **parameters: str) -> tuple[int, dict[str, str], Any]:
    """The answer to a listing with this query, of which API Gateway gives the parameters, too."""
    return http.resolve(
        {
            "version": "2.0",
            "rawPath": "/environments",
            "rawQueryString": query,
            "queryStringParameters": parameters,
            "headers": {},
            "requestContext": {
                "stage": "$default",
                "http": {"method": "GET", "path": "/environments"},
                "authorizer": {"iam": {"userArn": ALICE.owner}},
            },
        }
    )
