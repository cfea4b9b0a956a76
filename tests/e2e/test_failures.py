"""A failed environment shows the reason, and a new request can repair it."""

from __future__ import annotations

from fibfactory_cli.client import Client
from localcloud.apprunner.admin import AppRunnerAdmin
from tests.e2e.story import BROKEN, LATEST, UNKNOWN, V2, create_foreign_service, destroyed, follow, put, ready, visit
from tools.platform_on_localcloud import Platform


def test_an_image_that_does_not_start_fails_with_the_reason(alice: Client) -> None:
    put(alice, "broken1", BROKEN)
    record = follow(alice, "broken1")
    assert record["status"] == "failed"
    assert record["error"]["code"] == "create_failed"
    assert record["error"]["operation"] == "deploy"
    assert "health check" in record["error"]["message"]
    destroyed(alice, "broken1")


def test_an_unknown_image_fails_and_a_good_one_repairs_the_environment(alice: Client) -> None:
    put(alice, "repaired1", UNKNOWN)
    assert follow(alice, "repaired1")["error"]["code"] == "create_failed"
    record = ready(alice, "repaired1", LATEST)
    assert record["error"] is None
    assert visit(f"{record['url']}/health") == b'{"status":"healthy"}\n'
    destroyed(alice, "repaired1")


def test_a_rolled_back_update_is_a_failure_and_the_old_version_answers(alice: Client) -> None:
    before = ready(alice, "rollback1", LATEST)
    put(alice, "rollback1", BROKEN)
    record = follow(alice, "rollback1")
    assert record["status"] == "failed"
    assert record["error"]["code"] == "rolled_back"
    assert record["observed_generation"] == 1
    assert visit(f"{before['url']}/fib/10") == b'{"fib":55,"n":10}\n'
    assert ready(alice, "rollback1", LATEST)["observed_generation"] == 3
    assert ready(alice, "rollback1", V2)["observed_generation"] == 4
    destroyed(alice, "rollback1")


def test_an_exceeded_quota_is_the_reported_reason(alice: Client, apprunner: AppRunnerAdmin) -> None:
    apprunner.behave(quota=0)
    put(alice, "quota1")
    record = follow(alice, "quota1")
    assert record["error"]["code"] == "quota"
    assert record["error"]["final"]
    apprunner.behave(quota=30)
    destroyed(alice, "quota1")


def test_I4_a_foreign_service_with_our_name_is_kept(alice: Client, platform: Platform) -> None:
    apprunner = platform.cloud.session("operator").client("apprunner")
    foreign = create_foreign_service(platform, "fib-app-foreign1-service")
    put(alice, "foreign1")
    record = follow(alice, "foreign1")
    assert record["error"]["code"] == "name_taken"
    destroyed(alice, "foreign1")
    assert apprunner.describe_service(ServiceArn=foreign)["Service"]["Status"] in ("RUNNING", "OPERATION_IN_PROGRESS")
    apprunner.delete_service(ServiceArn=foreign)
