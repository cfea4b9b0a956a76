"""Pause, resume and revive over HTTP, with the real engine."""

from __future__ import annotations

from typing import Any

from fibfactory_cli.client import Client
from localcloud.apprunner.admin import AppRunnerAdmin
from orchestrator.domain import names
from tests.e2e.story import V2, destroyed, follow, put, ready, service_arn, visit
from tools.platform_on_localcloud import Platform


def post(client: Client, environment_id: str, action: str, body: Any = None) -> Any:
    return client.call("POST", f"/environments/{environment_id}/{action}", body).checked()


def test_a_paused_environment_keeps_its_url_and_runs_again_when_resumed(
    platform: Platform, alice: Client, apprunner: AppRunnerAdmin
) -> None:
    url = ready(alice, "paused1")["url"]
    answer = post(alice, "paused1", "pause")
    assert (answer.status, answer.body["status"]) == (202, "pausing")
    record = follow(alice, "paused1")
    assert (record["status"], record["url"]) == ("paused", url)
    assert post(alice, "paused1", "pause").status == 200
    (service,) = [each for each in apprunner.services() if "paused1" in each.name]
    assert service.status == "PAUSED"
    assert tags(platform, "paused1")[names.TAG_DESIRED] == "paused"

    answer = post(alice, "paused1", "resume")
    assert (answer.status, answer.body["status"]) == (202, "resuming")
    record = follow(alice, "paused1")
    assert (record["status"], record["url"]) == ("ready", url)
    assert visit(f"{url}/fib/20") == b'{"fib":6765,"n":20}\n'
    assert tags(platform, "paused1")[names.TAG_DESIRED] == "running"
    destroyed(alice, "paused1")


def test_a_new_spec_for_a_paused_environment_resumes_it_first(alice: Client, apprunner: AppRunnerAdmin) -> None:
    ready(alice, "paused2")
    post(alice, "paused2", "pause")
    assert follow(alice, "paused2")["status"] == "paused"
    put(alice, "paused2", V2)
    record = follow(alice, "paused2")
    assert (record["status"], record["spec"]["image"]) == ("ready", V2), record["error"]
    post(alice, "paused2", "pause")
    assert follow(alice, "paused2")["status"] == "paused"
    destroyed(alice, "paused2")
    assert [each.status for each in apprunner.services() if "paused2" in each.name] == ["DELETED"]


def test_a_destroyed_environment_is_revived_with_its_spec_and_labels(alice: Client, bob: Client) -> None:
    ready(alice, "revived1", labels={"team": "a"}, ttl="3h")
    tombstone = destroyed(alice, "revived1")
    assert bob.call("POST", "/environments/revived1/revive").status == 404
    answer = post(alice, "revived1", "revive", {"ttl": "2h"})
    assert answer.status == 202 and answer.body["receipt"] is None
    record = follow(alice, "revived1")
    assert record["status"] == "ready", record["error"]
    assert (record["spec"], record["labels"]) == (tombstone["spec"], {"team": "a"})
    assert (record["incarnation"], record["ttl"]) == (tombstone["incarnation"] + 1, "2h")
    assert visit(f"{record['url']}/fib/20") == b'{"fib":6765,"n":20}\n'
    refused = alice.call("POST", "/environments/revived1/revive")
    assert (refused.status, refused.body["code"]) == (409, "exists")
    destroyed(alice, "revived1")
    listed = alice.call("GET", "/environments", query={"destroyed": "true"}).checked().body["environments"]
    assert [each["incarnation"] for each in listed if each["id"] == "revived1"] == [1, 2]


def tags(platform: Platform, environment_id: str) -> dict[str, str]:
    client = platform.cloud.session("operator").client("apprunner")
    found = client.list_tags_for_resource(ResourceArn=service_arn(platform, environment_id))["Tags"]
    return {tag["Key"]: tag["Value"] for tag in found}
