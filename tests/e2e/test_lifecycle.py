"""The main use over HTTP: create, use, update and destroy an environment."""

from __future__ import annotations

import pytest

from fibfactory_cli.client import Client
from localcloud.apprunner.admin import AppRunnerAdmin
from tests.e2e.story import LATEST, V2, destroyed, follow, put, ready, service_arn, visit
from tests.waiting import eventually
from tools.platform_on_localcloud import Platform


def services(platform: Platform) -> list[str]:
    apprunner = platform.cloud.session("operator").client("apprunner")
    return [service["ServiceName"] for service in apprunner.list_services()["ServiceSummaryList"]]


def test_an_environment_is_created_used_listed_and_destroyed(alice: Client, platform: Platform) -> None:
    accepted = alice.call("PUT", "/environments/story1", {"image": LATEST, "ttl": "1h", "labels": {"team": "a"}})
    assert accepted.status == 202
    assert accepted.headers["ETag"] == '"1"'
    record = follow(alice, "story1")
    assert record["status"] == "ready"
    assert visit(f"{record['url']}/fib/20") == b'{"fib":6765,"n":20}\n'
    listed = alice.call("GET", "/environments", query={"label": "team=a"}).body["environments"]
    assert [each["id"] for each in listed] == ["story1"]
    assert "fib-app-story1-service" in services(platform)

    assert alice.call("DELETE", "/environments/story1").status == 202
    tombstone = follow(alice, "story1")
    assert tombstone["status"] == "destroyed"
    assert "App Runner: list and describe of fib-app-story1-service" in tombstone["receipt"]["checked"]
    assert tombstone["receipt"]["cannot_see"]
    assert "fib-app-story1-service" not in services(platform)
    again = alice.call("DELETE", "/environments/story1")
    assert (again.status, again.body["receipt"]) == (200, tombstone["receipt"])
    assert [each for each in alice.environments() if each["id"] == "story1"] == []
    assert [each["id"] for each in alice.environments(destroyed="true", limit=1) if each["id"] == "story1"] == [
        "story1"
    ]


def test_the_service_carries_the_platforms_tags(alice: Client, platform: Platform) -> None:
    record = ready(alice, "tagged1")
    apprunner = platform.cloud.session("operator").client("apprunner")
    arn = service_arn(platform, "tagged1")
    tags = {tag["Key"]: tag["Value"] for tag in apprunner.list_tags_for_resource(ResourceArn=arn)["Tags"]}
    assert tags == {
        "fibfactory:platform": "fibfactory",
        "fibfactory:owner": record["owner"],
        "fibfactory:environment": "tagged1",
        "fibfactory:generation": "1",
        "fibfactory:desired": "running",
    }
    destroyed(alice, "tagged1")


def test_repeating_a_request_creates_no_second_service(alice: Client, platform: Platform) -> None:
    for _ in range(3):
        put(alice, "twice1")
    first = follow(alice, "twice1")
    assert alice.call("PUT", "/environments/twice1", {"image": LATEST}).status == 200
    assert services(platform).count("fib-app-twice1-service") == 1
    assert first["generation"] == 1
    taken = alice.call("POST", "/environments", {"id": "twice1", "image": LATEST})
    assert (taken.status, taken.body["code"]) == (409, "exists")
    destroyed(alice, "twice1")


def test_a_post_can_be_repeated_with_the_same_idempotency_key(alice: Client) -> None:
    headers = {"Idempotency-Key": "build-17"}
    body = {"id": "keyed1", "image": LATEST}
    assert alice.call("POST", "/environments", body, headers=headers).status == 202
    assert alice.call("POST", "/environments", body, headers=headers).status == 202
    assert alice.call("POST", "/environments", body, headers={"Idempotency-Key": "build-18"}).status == 409
    destroyed(alice, "keyed1")


def test_an_update_runs_the_new_image_under_the_same_url(alice: Client, platform: Platform) -> None:
    before = ready(alice, "update1")
    after = ready(alice, "update1", V2, variables={"COLOUR": "blue"})
    assert after["url"] == before["url"]
    assert after["generation"] == after["observed_generation"] == 2
    apprunner = platform.cloud.session("operator").client("apprunner")
    arn = service_arn(platform, "update1")
    repository = apprunner.describe_service(ServiceArn=arn)["Service"]["SourceConfiguration"]["ImageRepository"]
    assert repository["ImageIdentifier"] == V2
    assert repository["ImageConfiguration"]["RuntimeEnvironmentVariables"] == {"COLOUR": "blue"}
    destroyed(alice, "update1")


def test_a_new_revision_redeploys_the_same_tag(alice: Client, platform: Platform) -> None:
    ready(alice, "revise1", revision="a")
    ready(alice, "revise1", revision="b")
    updates = [
        call
        for call in platform.cloud.apprunner_admin.calls()
        if (call.target, call.service) == ("AppRunner.UpdateService", "fib-app-revise1-service")
    ]
    assert len(updates) == 1
    destroyed(alice, "revise1")


def test_a_delete_during_a_create_leaves_nothing(alice: Client, platform: Platform, apprunner: AppRunnerAdmin) -> None:
    apprunner.behave(delays={"create": 8})
    put(alice, "hasty1")
    eventually(lambda: "fib-app-hasty1-service" in services(platform), "the service to be listed")
    assert alice.call("GET", "/environments/hasty1").body["status"] == "deploying"
    tombstone = destroyed(alice, "hasty1")
    assert tombstone["receipt"]
    assert "fib-app-hasty1-service" not in services(platform)
    kinds = [event["kind"] for event in alice.events("hasty1")[0]]
    assert kinds[:2] == ["requested", "deploying"] and kinds[-1] == "destroyed" and "interrupted" in kinds


def test_an_environment_deleted_before_its_first_deploy_is_destroyed(alice: Client) -> None:
    put(alice, "never1")
    assert destroyed(alice, "never1")["receipt"]


def test_an_id_can_be_reused_by_another_owner(alice: Client, bob: Client) -> None:
    ready(alice, "reuse1")
    first = destroyed(alice, "reuse1")
    second = ready(bob, "reuse1")
    assert second["incarnation"] == 2
    assert second["generation"] > first["generation"]
    assert second["owner"] != first["owner"]
    assert alice.call("GET", "/environments/reuse1").status == 404
    old = [each for each in alice.environments(destroyed="true") if each["id"] == "reuse1"]
    assert [each["receipt"] for each in old] == [first["receipt"]]
    destroyed(bob, "reuse1")


def test_events_can_be_followed_from_a_cursor(alice: Client) -> None:
    ready(alice, "events1")
    events, cursor = alice.events("events1")
    kinds = [event["kind"] for event in events]
    assert kinds[:2] == ["requested", "deploying"] and kinds[-1] == "ready"
    assert any("app-runner-service" in event["message"] for event in events if event["kind"] == "progress")
    assert alice.events("events1", cursor)[0] == []
    destroyed(alice, "events1")
    assert [event["kind"] for event in alice.events("events1", cursor)[0]][-1] == "destroyed"


def test_a_patch_changes_the_record_without_a_redeploy(alice: Client) -> None:
    before = ready(alice, "patch1")
    after = alice.call("PATCH", "/environments/patch1", {"ttl": "30m", "labels": {"team": "b"}, "protected": True}).body
    assert (after["ttl"], after["labels"], after["protected"]) == ("30m", {"team": "b"}, True)
    assert after["expires_at"] < before["expires_at"]
    assert after["generation"] == before["generation"]
    refused = alice.call("DELETE", "/environments/patch1")
    assert (refused.status, refused.body["code"]) == (409, "protected")
    assert alice.call("DELETE", "/environments/patch1", query={"force": "true"}).status == 202
    assert follow(alice, "patch1")["status"] == "destroyed"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_if_match_refuses_a_changed_environment(alice: Client, method: str) -> None:
    environment_id = f"match-{method.lower()}"
    ready(alice, environment_id)
    body = {"PUT": {"image": V2}, "PATCH": {"protected": True}}.get(method)
    refused = alice.call(method, f"/environments/{environment_id}", body, headers={"If-Match": '"1"'})
    assert (refused.status, refused.body["code"]) == (412, "version_differs")
    destroyed(alice, environment_id)
