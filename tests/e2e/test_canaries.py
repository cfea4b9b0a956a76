"""Canaries: unique words sent wherever callers can send something are found in no place where I8 forbids secrets.

One place is documented: a variable's value is in its environment's record, which its owner and operators can read, and in App
Runner, which needs it. A secret's value never reaches the platform, only its ARN.
"""

from __future__ import annotations

import gzip
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import urllib3

from fibfactory_cli.client import Client
from localcloud.faults.faults import Fault, Match, Refusal
from localcloud.faults.proxy import Proxy, serve
from localcloud.token_issuer import workflow
from tests.e2e.story import BROKEN, LATEST, UNKNOWN, V2, follow, put, ready, table_items
from tools.platform_on_localcloud import Platform

SECRETS = "fibfactory-canaries/"
NAMES = ("canary-1", "canary-2", "canary-3", "canary-4")


@dataclass
class Canaries:
    """The words that were sent, by the place where they were sent."""

    words: dict[str, str] = field(default_factory=dict)

    def __call__(self, where: str) -> str:
        """A new word for this place, beside characters that quoting changes; `found_in` looks for the word only."""
        word = secrets.token_hex(10)
        self.words[where] = word
        return f'{word}"&<ü {word}'

    def plain(self, where: str) -> str:
        """A new word for this place without special characters."""
        self(where)
        return self.words[where]

    def found_in(self, *texts: str | bytes) -> set[str]:
        """The places whose words are in these texts, however they are quoted."""
        whole = b"\n".join(text.encode(errors="replace") if isinstance(text, str) else text for text in texts)
        return {where for where, word in self.words.items() if word.encode() in whole}


@dataclass(frozen=True)
class Aftermath:
    """What the platform returned and stored after all canaries were sent."""

    canaries: Canaries
    responses: list[str]
    """To the caller who sent them, without the documented place: the variables in the record's spec."""
    responses_to_others: list[str]
    """To another caller."""
    events: list[str]
    errors: Mapping[str, Any]
    """The environments' errors, by id."""


@pytest.fixture(scope="module")
def aftermath(platform: Platform) -> Iterator[Aftermath]:
    """Send canaries in bad requests and in environments that work, fail, or are refused by an AWS that quotes their values."""
    canaries = Canaries()
    alice, bob = (Client(platform.outputs["api_url"], platform.cloud.session(name)) for name in ("alice", "bob"))
    prefix = f"arn:aws:secretsmanager:{platform.cloud.region}:{platform.cloud.account}:secret:{SECRETS}"
    with serve(platform.cloud.endpoint_url, platform.cloud.apprunner_url) as proxy:
        through = {"AWS_ENDPOINT_URL_APPRUNNER": proxy.url}
        with (
            platform.configured("api_function", {"FIBFACTORY_SECRETS_PREFIX": prefix}),
            platform.configured("worker_function", through),
        ):
            answers = _bad_requests(platform, alice, canaries)
            _environments(platform, alice, canaries, proxy, prefix)
            yield Aftermath(
                canaries,
                answers + [_without_variables(alice.call("GET", f"/environments/{name}").body) for name in NAMES],
                [str(bob.call("GET", f"/environments/{name}{rest}").body) for name in NAMES for rest in ("", "/events")]
                + [
                    str(bob.call("GET", "/environments").body),
                    str(bob.call("PUT", "/environments/canary-2", {"image": V2}).body),
                ],
                [json.dumps(alice.events(name)[0]) for name in NAMES],
                {name: alice.call("GET", f"/environments/{name}").body["error"] for name in NAMES},
            )
            for name in NAMES:
                alice.call("DELETE", f"/environments/{name}", query={"force": "true"})
                assert follow(alice, name)["status"] == "destroyed"


def test_I8_errors_name_their_cause_without_the_callers_values(aftermath: Aftermath) -> None:
    quoted = aftermath.errors["canary-3"]["message"]
    assert "validation error" in quoted and "[hidden]" in quoted
    assert aftermath.errors["canary-2"]["code"] == "create_failed"
    assert aftermath.canaries.found_in(json.dumps(aftermath.errors)) == set()


def test_I8_responses_and_events_contain_no_canary(aftermath: Aftermath) -> None:
    assert aftermath.canaries.found_in(*aftermath.responses) == set()
    assert aftermath.canaries.found_in(*aftermath.responses_to_others) == set()
    assert "made" in str(aftermath.events) or "create" in str(aftermath.events)
    assert aftermath.canaries.found_in(*aftermath.events) == set()


def test_I8_the_functions_logs_contain_no_canary(platform: Platform, aftermath: Aftermath) -> None:
    logs = platform.cloud.session("operator").client("logs")
    groups = [
        each["logGroupName"]
        for page in logs.get_paginator("describe_log_groups").paginate()
        for each in page["logGroups"]
    ]
    messages = {
        group: [
            event["message"]
            for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group)
            for event in page["events"]
        ]
        for group in groups
    }
    for function in ("api_function", "worker_function"):
        assert messages[f"/aws/lambda/{platform.outputs[function]}"], "the function's log can't be read"
    assert {group: found for group, lines in messages.items() if (found := aftermath.canaries.found_in(*lines))} == {}


def test_I8_the_table_contains_variables_only_in_their_records(platform: Platform, aftermath: Aftermath) -> None:
    items = table_items(platform)
    records = [item for item in items if item["pk"]["S"] in {f"ENV#{name}" for name in NAMES}]
    documented = aftermath.canaries.found_in(
        *(str(item["record"]["M"]["spec"]["M"].pop("variables")) for item in records)
    )
    kept = {where for where in aftermath.canaries.words if where.startswith("kept: ")}
    assert documented == kept - {"kept: replaced"}
    assert aftermath.canaries.found_in(*(json.dumps(item, ensure_ascii=False, default=str) for item in items)) == set()


def test_I8_no_object_version_in_the_state_bucket_contains_a_canary(platform: Platform, aftermath: Aftermath) -> None:
    s3, bucket = platform.cloud.session("operator").client("s3"), platform.outputs["state_bucket"]
    versions = [
        each
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
        for each in page.get("Versions", [])
    ]
    objects = {}
    for each in versions:
        raw = s3.get_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])["Body"].read()
        objects[each["Key"], each["VersionId"]] = gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw
    assert any(b"fib-app-canary-1-service" in content for content in objects.values()), "the state can't be read"
    assert any(b"ciphertext" in content for (key, _), content in objects.items() if "canary-1" in key)
    assert {key: found for key, content in objects.items() if (found := aftermath.canaries.found_in(content))} == {}


def test_I8_dead_letters_and_the_workers_files_contain_no_canary(platform: Platform, aftermath: Aftermath) -> None:
    queue = platform.cloud.session("operator").client("sqs")
    url = platform.outputs["dead_letters_url"]
    letters = queue.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages", [])
    assert aftermath.canaries.found_in(*(letter["Body"] for letter in letters)) == set()
    files = [path for path in (platform.cloud.folder / "tmp").rglob("*") if path.is_file()]
    assert {str(path): found for path in files if (found := aftermath.canaries.found_in(_content(path)))} == {}


def _bad_requests(platform: Platform, alice: Client, canary: Canaries) -> list[str]:
    """Send canaries in every part of a request; returns the responses."""
    one = "/environments/canary-1"
    good = {"image": LATEST}
    headers = {
        "Cookie": f"session={canary.plain('cookie')}",
        "X-Api-Key": canary.plain("key header"),
        "X-Forwarded-For": canary.plain("forwarded header"),
        "User-Agent": canary.plain("user agent"),
        "Idempotency-Key": canary.plain("idempotency key"),
        "If-Match": canary.plain("if-match"),
    }
    bodies: list[Any] = [
        {**good, "token": canary("unknown field")},
        {"image": canary("image")},
        {"image": f"public.ecr.aws/other/{canary.plain('image of another registry')}"},
        {**good, "ttl": canary.plain("ttl")},
        {**good, "ttl": canary.plain("ttl, too long") * 3},
        {**good, "port": canary("port")},
        {**good, "cpu": canary("cpu"), "memory": canary("memory")},
        {**good, "health_path": canary("health path")},
        {**good, "revision": canary("revision") * 20},
        {**good, "labels": {"a": canary("label") * 3}},
        {**good, "labels": canary("labels")},
        {**good, "variables": canary("variables")},
        {**good, "variables": [canary("variables in a list")]},
        {**good, "variables": {"A": {"B": canary("nested")}}},
        {**good, "variables": {"A": canary("too long") * 200}},
        {**good, "variables": {"PORT": canary("reserved")}},
        {**good, "variables": {"a b": canary("misnamed")}},
        {**good, "secrets": {"A": canary("secret instead of its ARN")}},
        {**good, "secrets": {"A": f"arn:aws:ssm:us-west-2:000000000000:parameter/{canary.plain('another ARN')}"}},
        {**good, "protected": canary("protected")},
        [canary("list")],
        canary("text"),
        f'{{"image": "{canary.plain("broken JSON")}'.encode(),
        f"token={canary.plain('form')}".encode(),
        b"\xff" + canary.plain("bytes").encode(),
        json.dumps({"image": canary("too much"), "fill": "x" * 70_000}).encode(),
    ]
    queries: list[dict[str, str]] = [
        {"token": canary.plain("unknown parameter"), "limit": "0"},
        {"cursor": canary.plain("cursor")},
        {"owner": canary.plain("owner")},
        {"label": canary.plain("label filter")},
        {"status": canary.plain("status")},
    ]
    found = [alice.call(method, one, good, headers=headers) for method in ("PUT", "PATCH", "DELETE", "GET")]
    found += [alice.call("PUT", one, body) for body in bodies]
    found += [alice.call("PATCH", one, body) for body in bodies[:4]]
    found.append(alice.call("POST", "/sweeps", {"kind": canary("sweep")}))
    found += [alice.call("GET", "/environments", query=query) for query in queries]
    found.append(alice.call("GET", "/environments/abc", query={"wait": canary.plain("wait")}))
    assert {answer.status for answer in found} <= {400, 401, 403, 404, 412, 413}, [each.body for each in found]
    answers = [str(answer.body) + str(answer.headers) for answer in found]
    return answers + _bad_tokens(platform, canary)


def _bad_tokens(platform: Platform, canary: Canaries) -> list[str]:
    issuer, url = platform.cloud.tokens, f"{platform.outputs['github_api_url']}/environments"
    texts = [
        f"Bearer {canary.plain('no token')}",
        f"Bearer {issuer.token(workflow(actor=canary('an accepted claim')))}",
        f"Bearer {issuer.token(workflow(repository_id='9', actor=canary('a refused claim'), sub=canary('a subject')))}",
        f"Bearer {issuer.token(workflow(ref=canary('a needed claim'), repository_owner_id=canary('an id')))}",
        f"Basic {canary.plain('basic')}",
    ]
    found = [urllib3.request("GET", url, headers={"Authorization": text}, retries=False) for text in texts]
    assert [answer.status for answer in found] == [401, 200, 403, 401, 401]
    return [answer.data.decode() + str(answer.headers) for answer in found]


def _environments(platform: Platform, alice: Client, canary: Canaries, proxy: Proxy, prefix: str) -> None:
    """An environment that is updated and paused, one that never starts, one that AWS refuses and one with a secret."""
    manager = platform.cloud.session("operator").client("secretsmanager")
    secret = manager.create_secret(Name=f"{SECRETS}token", SecretString=canary("secret's value"))["ARN"]
    ready(alice, "canary-1", variables={"TOKEN": canary("kept: replaced")}, labels={"team": "a"})
    ready(
        alice, "canary-1", V2, variables={"TOKEN": canary("kept: one"), "JSON": json.dumps([canary("kept: as JSON")])}
    )
    alice.call("POST", "/environments/canary-1/pause").checked()
    follow(alice, "canary-1")
    for image in (UNKNOWN, BROKEN):
        put(alice, "canary-2", image, variables={"TOKEN": canary("kept: of a broken one")})
        assert follow(alice, "canary-2")["status"] == "failed"
    value = canary("kept: quoted by AWS")
    words = (value, json.dumps(value), repr(value))
    message = f"1 validation error: Value {' '.join(words)} at 'runtimeEnvironmentVariables' failed"
    proxy.arm(Fault(Match("apprunner", "CreateService"), lambda call: Refusal(400, "InvalidRequestException", message)))
    put(alice, "canary-3", LATEST, variables={"TOKEN": value})
    assert follow(alice, "canary-3")["error"]["code"] == "refused"
    assert secret.startswith(prefix)
    put(alice, "canary-4", LATEST, secrets={"TOKEN": secret}, variables={"OTHER": canary("kept: beside a secret")})
    follow(alice, "canary-4")
    manager.delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)


def _without_variables(record: dict[str, Any]) -> str:
    """The owner's response without the documented place."""
    return json.dumps({**record, "spec": {**record["spec"], "variables": {}}})


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
