"""Wrong callers times all routes: none of them sees, changes or makes the product read anything (I7).

Real signatures and tokens, through API Gateway. What the API function asks of AWS meanwhile passes a proxy, which saw nothing.
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
from tests.e2e.chaos import write_figures
from tests.e2e.story import LATEST, follow, ready
from tests.e2e.wrong_callers import Signed, Signer, wrong_signers, wrong_tokens
from tools.platform_on_localcloud import Platform

BODIES: dict[str, Any] = {
    "PUT /environments/{environment_id}": {"image": LATEST, "labels": {"stolen": "yes"}},
    "POST /environments": {"id": "intruder", "image": LATEST},
    "PATCH /environments/{environment_id}": {"protected": True},
    "POST /environments/{environment_id}/revive": {"ttl": "1h"},
    "POST /sweeps": {"kind": "deep", "dry_run": False},
}
POOL = urllib3.PoolManager(maxsize=16, retries=False, timeout=30.0)
PATHS_ALONE = ("GET /openapi.json", "GET /nothing", "TRACE /environments", "GET /environments/../environments")
"""What no document names."""


@dataclass(frozen=True)
class Victim:
    """An environment, a sweep's plan, and a word that stands in both and nowhere else."""

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
def victim(platform: Platform) -> Iterator[Victim]:
    alice, word = _client(platform, "alice"), f"canary{secrets.token_hex(8)}"
    ready(alice, "victim-1", labels={"word": word}, variables={"WORD": word}, revision=word)
    plan = _client(platform, "operator").call("POST", "/sweeps", {"kind": "light"}).checked().body
    yield Victim("victim-1", plan["id"], word)
    alice.call("DELETE", "/environments/victim-1", query={"force": "true"}).checked()
    assert follow(alice, "victim-1")["status"] == "destroyed"


@pytest.fixture(scope="module")
def watched(platform: Platform, victim: Victim) -> Iterator[Proxy]:
    """What the API function asks of AWS, from here on."""
    with serve(platform.cloud.endpoint_url, platform.cloud.apprunner_url) as proxy:
        through = {f"AWS_ENDPOINT_URL_{service}": proxy.url for service in ("DYNAMODB", "LAMBDA", "S3", "KMS", "STS")}
        with platform.configured("api_function", through):
            yield proxy


def test_I7_an_invalid_token_is_refused_on_every_route(
    platform: Platform, routes: list[str], victim: Victim, watched: Proxy
) -> None:
    tokens = wrong_tokens(platform.cloud.tokens)
    assert len(tokens) >= 200
    signers: dict[str, Signer] = {what: _bearing(f"Bearer {token}") for what, token in tokens.items()}
    right = platform.cloud.tokens.token(workflow())
    signers |= {
        "no token": lambda method, url, body: {},
        "the right one as a cookie": lambda method, url, body: {"Cookie": f"Authorization=Bearer {right}"},
        "the right one in another header": lambda method, url, body: {"X-Authorization": f"Bearer {right}"},
        "a right signature of AWS": _alice(platform),
    }
    _refused_everywhere(platform, platform.outputs["github_api_url"], signers, [*routes, *PATHS_ALONE], victim, watched)


def test_I7_an_invalid_signature_is_refused_on_every_route(
    platform: Platform, routes: list[str], victim: Victim, watched: Proxy
) -> None:
    signers = wrong_signers(platform)
    _refused_everywhere(platform, platform.outputs["api_url"], signers, routes, victim, watched)


def test_I7_a_valid_token_and_a_valid_signature_are_accepted(
    platform: Platform, victim: Victim, watched: Proxy
) -> None:
    """Or all of the above would prove nothing."""
    before = len(watched.calls)
    token = platform.cloud.tokens.token(workflow())
    url = f"{platform.outputs['github_api_url']}/environments"
    assert POOL.request("GET", url, headers={"Authorization": f"Bearer {token}"}).status == 200
    own = f"{platform.outputs['api_url']}/environments/{victim.environment}"
    answer = POOL.request("GET", own, headers=dict(_alice(platform)("GET", own, b"")))
    assert answer.status == 200 and victim.word.encode() in answer.data
    assert len(watched.calls) >= before + 2


def test_I7_other_valid_callers_see_and_change_nothing_of_the_environment(
    platform: Platform, routes: list[str], victim: Victim, watched: Proxy
) -> None:
    """Other users and other repositories: another's environment is not there, and its id is taken."""
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
    before, since = _rows(platform), len(watched.calls)
    about_one = [route for route in routes if "{environment_id}" in route]
    for who, (url, signer) in others.items():
        for route in about_one:
            status, text = _call(url, route, victim, signer)
            taken = route.startswith("PUT") and (status, json.loads(text)["code"]) == (409, "id_taken")
            assert taken or (status, json.loads(text)["code"]) == (404, "not_found"), (who, route, status, text)
            assert victim.word not in text and "alice" not in text
        for route in ("POST /sweeps", "GET /sweeps/{sweep_id}"):
            status, text = _call(url, route, victim, signer)
            assert (status, json.loads(text)["code"]) == (403, "operators_only"), (who, route)
        status, text = _call(url, "GET /environments", victim, signer)
        assert status == 200 and victim.word not in text, who
    assert _rows(platform) == before
    assert [call.operation for call in watched.calls[since:] if call.changes] == []


def _refused_everywhere(
    platform: Platform, url: str, signers: dict[str, Signer], routes: list[str], victim: Victim, watched: Proxy
) -> None:
    before, since = _rows(platform), len(watched.calls)

    def tried(case: tuple[str, str]) -> tuple[int, str, str, str]:
        what, route = case
        status, text = _call(url, route, victim, signers[what])
        return status, text, what, route

    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(tried, [(what, route) for what in signers for route in routes]))
    let_in = Counter(
        (what, status) for status, text, what, _ in answers if status not in (401, 403, 404) or victim.word in text
    )
    assert not let_in, sorted(let_in.items())
    # Not even a 404 comes from having looked: nothing was read, written or asked for.
    assert [(call.service, call.operation) for call in watched.calls[since:]] == []
    assert _rows(platform) == before
    write_figures("wrong callers", {"callers": len(signers), "routes": len(routes), "calls": len(answers)})


def _call(url: str, route: str, victim: Victim, signer: Signer) -> tuple[int, str]:
    """The answer's status, and its headers and body as text."""
    method, template = route.split(" ")
    full = url + template.format(environment_id=victim.environment, sweep_id=victim.sweep)
    body = json.dumps(BODIES[route]).encode() if route in BODIES else b""
    headers = {"Content-Type": "application/json", **signer(method, full, body)}
    answer = POOL.request(method, full, body=body or None, headers=headers)
    text = answer.data.decode()
    assert victim.word not in str(answer.headers)
    return answer.status, text


def _rows(platform: Platform) -> dict[tuple[str, str], Any]:
    """The whole table, but for what schedules write by themselves."""
    table = platform.cloud.session("operator").client("dynamodb")
    pages = table.get_paginator("scan").paginate(TableName=platform.outputs["table_name"], ConsistentRead=True)
    items = {(item["pk"]["S"], item["sk"]["S"]): item for page in pages for item in page["Items"]}
    return {key: item for key, item in items.items() if not key[0].startswith(("SWEEP#light-", "SWEEP#nightly-"))}


def _bearing(authorization: str) -> Signer:
    return lambda method, url, body: {"Authorization": authorization}


def _token(platform: Platform, **claims: str) -> Signer:
    return _bearing(f"Bearer {platform.cloud.tokens.token(workflow(**claims))}")


def _alice(platform: Platform) -> Signed:
    alice = platform.cloud.identity("alice")
    return Signed(alice.access_key, alice.secret_key)


def _client(platform: Platform, name: str) -> Client:
    return Client(platform.outputs["api_url"], platform.cloud.session(name))
