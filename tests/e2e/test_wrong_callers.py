"""Invalid callers on all routes: none of them sees or changes anything, or makes the product read anything (I7).

Signatures and tokens are real and go through API Gateway. The API function's calls to AWS pass a proxy, which must see none.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import urllib3

from fibfactory_cli.client import Client
from localcloud.faults.proxy import Proxy, serve
from localcloud.token_issuer import workflow
from tests.e2e.story import LATEST, follow, ready, table_items
from tests.e2e.wrong_callers import Signed, Signer, wrong_signers, wrong_tokens
from tests.figures import write_figures
from tools.platform_on_localcloud import Platform

BODIES: dict[str, Any] = {
    "PUT /environments/{environment_id}": {"image": LATEST, "labels": {"changed-by": "intruder"}},
    "POST /environments": {"id": "intruder", "image": LATEST},
    "PATCH /environments/{environment_id}": {"protected": True},
    "POST /environments/{environment_id}/revive": {"ttl": "1h"},
    "POST /sweeps": {"kind": "deep", "dry_run": False},
}
POOL = urllib3.PoolManager(maxsize=16, retries=False, timeout=30.0)
UNDOCUMENTED_ROUTES = ("GET /openapi.json", "GET /nothing", "TRACE /environments", "GET /environments/../environments")
"""Requests that the API's document does not name."""


@dataclass(frozen=True)
class Target:
    """An environment and a sweep's plan of other callers, and a word that is only in the environment."""

    environment: str
    sweep: str
    word: str


@pytest.fixture(scope="module")
def routes(platform: Platform) -> list[str]:
    """Every operation of the API's document, as `METHOD /path`."""
    document = _client(platform, "operator").call("GET", "/openapi.json").checked().body
    found = [f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item]
    assert set(BODIES) <= set(found) and len(found) >= 13
    return found


@pytest.fixture(scope="module")
def target(platform: Platform) -> Iterator[Target]:
    alice, word = _client(platform, "alice"), f"canary{secrets.token_hex(8)}"
    ready(alice, "target-1", labels={"word": word}, variables={"WORD": word}, revision=word)
    plan = _client(platform, "operator").call("POST", "/sweeps", {"kind": "light"}).checked().body
    yield Target("target-1", plan["id"], word)
    alice.call("DELETE", "/environments/target-1", query={"force": "true"}).checked()
    assert follow(alice, "target-1")["status"] == "destroyed"


@pytest.fixture(scope="module")
def proxy(platform: Platform, target: Target) -> Iterator[Proxy]:
    """A proxy that sees the API function's calls to AWS."""
    with serve(platform.cloud.endpoint_url, platform.cloud.apprunner_url) as running:
        through = {f"AWS_ENDPOINT_URL_{service}": running.url for service in ("DYNAMODB", "LAMBDA", "S3", "KMS", "STS")}
        with platform.configured("api_function", through):
            yield running


def test_I7_an_invalid_token_is_refused_on_every_route(
    platform: Platform, routes: list[str], target: Target, proxy: Proxy
) -> None:
    tokens = wrong_tokens(platform.cloud.tokens)
    assert len(tokens) >= 200
    signers: dict[str, Signer] = {what: _with_header(f"Bearer {token}") for what, token in tokens.items()}
    valid = platform.cloud.tokens.token(workflow())
    signers |= {
        "no token": lambda method, url, body: {},
        "a valid token as a cookie": lambda method, url, body: {"Cookie": f"Authorization=Bearer {valid}"},
        "a valid token in another header": lambda method, url, body: {"X-Authorization": f"Bearer {valid}"},
        "a valid signature of AWS": _alice(platform),
    }
    _assert_refused_everywhere(
        platform, platform.outputs["github_api_url"], signers, [*routes, *UNDOCUMENTED_ROUTES], target, proxy
    )


def test_I7_an_invalid_signature_is_refused_on_every_route(
    platform: Platform, routes: list[str], target: Target, proxy: Proxy
) -> None:
    signers = wrong_signers(platform)
    _assert_refused_everywhere(platform, platform.outputs["api_url"], signers, routes, target, proxy)


def test_I7_a_valid_token_and_a_valid_signature_are_accepted(platform: Platform, target: Target, proxy: Proxy) -> None:
    """Without this, the refusals above would prove nothing."""
    before = len(proxy.calls)
    token = platform.cloud.tokens.token(workflow())
    url = f"{platform.outputs['github_api_url']}/environments"
    assert POOL.request("GET", url, headers={"Authorization": f"Bearer {token}"}).status == 200
    own = f"{platform.outputs['api_url']}/environments/{target.environment}"
    answer = POOL.request("GET", own, headers=dict(_alice(platform)("GET", own, b"")))
    assert answer.status == 200 and target.word.encode() in answer.data
    assert len(proxy.calls) >= before + 2


def test_I7_other_valid_callers_see_and_change_nothing_of_the_environment(
    platform: Platform, routes: list[str], target: Target, proxy: Proxy
) -> None:
    """For other users and repositories the environment does not exist, and its id is taken."""
    files = {"repository_id": "2002", "job_workflow_ref": "acme/infra/.github/workflows/deploy.yml@refs/heads/main"}
    bob = platform.cloud.identity("bob")
    others: dict[str, tuple[str, Signer]] = {
        "bob": (platform.outputs["api_url"], Signed(bob.access_key, bob.secret_key)),
        "a workflow": (platform.outputs["github_api_url"], _token(platform)),
        "a reused workflow": (platform.outputs["github_api_url"], _token(platform, **files)),
        "a pull request": (
            platform.outputs["github_api_url"],
            _token(platform, event_name="pull_request", ref="refs/pull/7/merge"),
        ),
    }
    before, since = _rows(platform), len(proxy.calls)
    about_one = [route for route in routes if "{environment_id}" in route]
    for who, (url, signer) in others.items():
        for route in about_one:
            status, text = _call(url, route, target, signer)
            taken = route.startswith("PUT") and (status, json.loads(text)["code"]) == (409, "id_taken")
            assert taken or (status, json.loads(text)["code"]) == (404, "not_found"), (who, route, status, text)
            assert target.word not in text and "alice" not in text
        for route in ("POST /sweeps", "GET /sweeps/{sweep_id}"):
            status, text = _call(url, route, target, signer)
            assert (status, json.loads(text)["code"]) == (403, "operators_only"), (who, route)
        status, text = _call(url, "GET /environments", target, signer)
        assert status == 200 and target.word not in text, who
    assert _rows(platform) == before
    assert [call.operation for call in proxy.calls[since:] if call.changes] == []


def _assert_refused_everywhere(
    platform: Platform, url: str, signers: dict[str, Signer], routes: list[str], target: Target, proxy: Proxy
) -> None:
    before, since = _rows(platform), len(proxy.calls)

    def send(case: tuple[str, str]) -> tuple[int, str, str, str]:
        what, route = case
        status, text = _call(url, route, target, signers[what])
        return status, text, what, route

    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(send, [(what, route) for what in signers for route in routes]))
    not_refused = Counter(
        (what, status) for status, text, what, _ in answers if status not in (401, 403, 404) or target.word in text
    )
    assert not not_refused, sorted(not_refused.items())
    # Even a 404 is answered without a look into the table: the function called nothing.
    assert [(call.service, call.operation) for call in proxy.calls[since:]] == []
    assert _rows(platform) == before
    write_figures("wrong callers", {"callers": len(signers), "routes": len(routes), "calls": len(answers)})


def _call(url: str, route: str, target: Target, signer: Signer) -> tuple[int, str]:
    """The answer's status, and its headers and body as text."""
    method, template = route.split(" ")
    full = url + template.format(environment_id=target.environment, sweep_id=target.sweep)
    body = json.dumps(BODIES[route]).encode() if route in BODIES else b""
    headers = {"Content-Type": "application/json", **signer(method, full, body)}
    answer = POOL.request(method, full, body=body or None, headers=headers)
    text = answer.data.decode()
    assert target.word not in str(answer.headers)
    return answer.status, text


def _rows(platform: Platform) -> dict[tuple[str, str], Any]:
    """The whole table except the reports of scheduled sweeps."""
    items = {(item["pk"]["S"], item["sk"]["S"]): item for item in table_items(platform)}
    return {key: item for key, item in items.items() if not key[0].startswith(("SWEEP#light-", "SWEEP#nightly-"))}


def _with_header(authorization: str) -> Signer:
    return lambda method, url, body: {"Authorization": authorization}


def _token(platform: Platform, **claims: str) -> Signer:
    return _with_header(f"Bearer {platform.cloud.tokens.token(workflow(**claims))}")


def _alice(platform: Platform) -> Signed:
    alice = platform.cloud.identity("alice")
    return Signed(alice.access_key, alice.secret_key)


def _client(platform: Platform, name: str) -> Client:
    return Client(platform.outputs["api_url"], platform.cloud.session(name))
