"""The deep sweep on the whole platform: it restores drifted environments and removes orphans in two passes (I3, I4, I6)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fibfactory_cli.client import Client
from orchestrator.adapters.aws.dispatcher import LambdaDispatcher
from orchestrator.adapters.aws.inventory import AwsInventory
from orchestrator.adapters.dynamodb.records import DynamoRecords
from orchestrator.adapters.dynamodb.reports import DynamoReports
from orchestrator.adapters.pulumi.state import StateBucket
from orchestrator.domain import names
from orchestrator.ports import SweepPorts
from orchestrator.sweeper.deep import DeepSweep
from tests.e2e.story import create_foreign_service, destroyed, follow, ready, run_sweep, service_arn, visit
from tests.waiting import eventually
from tools.platform_on_localcloud import NAME, Platform


def deep(operator: Client, *, dry_run: bool = False) -> Any:
    report = run_sweep(operator, kind="deep", dry_run=dry_run)
    assert report["status"] == ("planned" if dry_run else "done"), report
    return report


def findings_of(report: Any, environment_id: str) -> list[tuple[str, str, str]]:
    """The report's findings on an environment: kind, action and outcome of each."""
    findings = [each for each in report["findings"] if each["environment"] == environment_id]
    return [(each["kind"], each["action"], each["outcome"]) for each in findings]


def status_of(platform: Platform, arn: str) -> str:
    client = platform.cloud.session("operator").client("apprunner")
    return str(client.describe_service(ServiceArn=arn)["Service"]["Status"])


def sweep_later(platform: Platform, hours: int) -> DeepSweep:
    """The product's deep sweep on the platform's table and cloud, with a clock that is `hours` ahead."""
    session = platform.cloud.session("operator")
    table, bucket = platform.outputs["table_name"], platform.outputs["state_bucket"]
    state = StateBucket(session.client("s3"), f"s3://{bucket}")
    ports = SweepPorts(
        DynamoRecords(session.resource("dynamodb").meta.client, table),
        DynamoReports(session.resource("dynamodb").meta.client, table),
        LambdaDispatcher(session.client("lambda"), platform.outputs["worker_function"], lambda: None),
        lambda: datetime.now(UTC) + timedelta(hours=hours),
        AwsInventory(session.client("apprunner"), session.client("resourcegroupstaggingapi"), state, NAME, "fib-app"),
    )
    return DeepSweep(ports, NAME, "fib-app")


@pytest.fixture(scope="module", autouse=True)
def healthy_environment(platform: Platform) -> Iterator[None]:
    """An environment that no sweep may touch. Without any, the sweep would take the empty inventory for an error."""
    alice = Client(platform.outputs["api_url"], platform.cloud.session("alice"))
    generation, (events, _) = ready(alice, "healthy1")["generation"], alice.events("healthy1")
    yield
    after = alice.call("GET", "/environments/healthy1").body
    # Not the version: the worker releases its lease by a write of its own, after the one that says `ready`.
    assert (after["generation"], alice.events("healthy1")[0]) == (generation, events), "a sweep touched a healthy one"
    destroyed(alice, "healthy1")


@pytest.mark.parametrize("delete_stack", [False, True])
def test_a_deleted_service_is_restored(alice: Client, operator: Client, platform: Platform, delete_stack: bool) -> None:
    ready(alice, "deleted1")
    arn = service_arn(platform, "deleted1")
    platform.cloud.session("operator").client("apprunner").delete_service(ServiceArn=arn)
    if delete_stack:
        key = ".pulumi/stacks/fibfactory/fibfactory-deleted1.json"
        platform.cloud.session("operator").client("s3").delete_object(Bucket=platform.outputs["state_bucket"], Key=key)
    eventually(lambda: status_of(platform, arn) == "DELETED", "the service to be deleted")
    assert findings_of(deep(operator, dry_run=True), "deleted1") == [("missing_service", "restore", "planned")]
    assert findings_of(deep(operator), "deleted1") == [("missing_service", "restore", "dispatched")]
    restored = follow(alice, "deleted1")
    assert (restored["status"], restored["observed_generation"]) == ("ready", restored["generation"])
    assert visit(f"{restored['url']}/fib/20") == b'{"fib":6765,"n":20}\n'
    assert findings_of(deep(operator), "deleted1") == []
    destroyed(alice, "deleted1")


def test_a_service_paused_outside_the_api_is_resumed(alice: Client, operator: Client, platform: Platform) -> None:
    ready(alice, "drifted1")
    arn = service_arn(platform, "drifted1")
    platform.cloud.session("operator").client("apprunner").pause_service(ServiceArn=arn)
    eventually(lambda: status_of(platform, arn) == "PAUSED", "the service to be paused")
    assert findings_of(deep(operator), "drifted1") == [("drifted", "restore", "dispatched")]
    assert follow(alice, "drifted1")["status"] == "ready"
    assert status_of(platform, arn) == "RUNNING"
    destroyed(alice, "drifted1")


def test_I6_drift_of_a_protected_environment_is_reported_and_not_corrected(
    alice: Client, operator: Client, platform: Platform
) -> None:
    before = ready(alice, "protected1", protected=True)
    arn = service_arn(platform, "protected1")
    platform.cloud.session("operator").client("apprunner").pause_service(ServiceArn=arn)
    eventually(lambda: status_of(platform, arn) == "PAUSED", "the service to be paused")
    assert findings_of(deep(operator), "protected1") == [("drifted", "keep", "kept")]
    assert alice.call("GET", "/environments/protected1").body["version"] == before["version"]
    alice.call("PATCH", "/environments/protected1", {"protected": False}).checked()
    destroyed(alice, "protected1")


def test_I4_foreign_services_and_stacks_are_reported_and_kept(operator: Client, platform: Platform) -> None:
    session = platform.cloud.session("operator")
    arn = create_foreign_service(platform, "fib-app-foreign2-service")
    tags = json.dumps({"tags": names.tags(names.NO_PLATFORM, "another-owner", "inprocess1", 1)})
    provider = {"type": "pulumi:providers:aws", "inputs": {"defaultTags": tags}}
    location = {
        "Bucket": platform.outputs["state_bucket"],
        "Key": ".pulumi/stacks/fibfactory/fibfactory-inprocess1.json",
    }
    body = json.dumps({"version": 3, "checkpoint": {"latest": {"resources": [provider]}}})
    session.client("s3").put_object(**location, Body=body.encode())
    for _ in range(2):
        report = deep(operator)
        assert findings_of(report, "foreign2") == findings_of(report, "inprocess1") == [("foreign", "keep", "kept")]
    later = sweep_later(platform, 24).run(dry_run=True, stop_at=datetime.now(UTC) + timedelta(hours=25))
    kept = [each for each in later.findings if each.environment in ("foreign2", "inprocess1")]
    assert [(each.kind, each.outcome) for each in kept] == [("foreign", "kept")] * 2
    assert operator.call("GET", "/environments/foreign2").status == 404
    session.client("s3").delete_object(**location)
    eventually(lambda: status_of(platform, arn) == "RUNNING", "the service to run")
    session.client("apprunner").delete_service(ServiceArn=arn)


def test_I3_an_orphan_is_removed_in_two_passes_and_leaves_a_receipt(
    alice: Client, operator: Client, platform: Platform
) -> None:
    ready(alice, "orphan1")
    arn = service_arn(platform, "orphan1")
    record = {"pk": {"S": "ENV#orphan1"}, "sk": {"S": "RECORD"}}
    table = platform.cloud.session("operator").client("dynamodb")
    table.delete_item(TableName=platform.outputs["table_name"], Key=record)
    assert alice.call("GET", "/environments/orphan1").status == 404

    assert findings_of(deep(operator), "orphan1") == [("orphan_service", "suspect", "suspected")]
    assert findings_of(deep(operator), "orphan1") == [("orphan_service", "suspect", "suspected")]
    assert alice.call("GET", "/environments/orphan1").status == 404

    later = sweep_later(platform, 2).run(dry_run=False, stop_at=datetime.now(UTC) + timedelta(hours=3))
    removed = [(each.kind, each.outcome) for each in later.findings if each.environment == "orphan1"]
    assert removed == [("orphan_service", "dispatched")]
    tombstone = follow(alice, "orphan1")  # alice is the owner by the service's tag
    assert tombstone["status"] == "destroyed" and tombstone["receipt"]["checked"]
    assert tombstone["reason"].startswith(
        "orphan_service: no record accounts for service fib-app-orphan1-service and stack"
    )
    assert status_of(platform, arn) == "DELETED"
    assert findings_of(deep(operator), "orphan1") == []
