"""Scheduled sweeps and sweeps that operators request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fibfactory_cli.client import Client
from tests.e2e.story import destroyed, follow, ready, run_sweep
from tests.waiting import eventually
from tools.platform_on_localcloud import Platform


def findings_of(report: Any, environment_id: str) -> list[tuple[str, str]]:
    return [(each["kind"], each["outcome"]) for each in report["findings"] if each["environment"] == environment_id]


def test_a_sweep_only_plans_by_default_and_removes_expired_environments_on_request(
    alice: Client, operator: Client
) -> None:
    ready(alice, "expired1", ttl="1s")
    plan = eventually(lambda: _with_finding(run_sweep(operator), "expired1"), "the environment to be due")
    assert plan["dry_run"] is True
    assert findings_of(plan, "expired1") == [("expired", "planned")]
    assert alice.call("GET", "/environments/expired1").body["status"] == "ready"
    report = run_sweep(operator, dry_run=False)
    assert findings_of(report, "expired1") == [("expired", "dispatched")]
    tombstone = follow(alice, "expired1")
    assert tombstone["status"] == "destroyed"
    assert tombstone["reason"].startswith("expired")


def test_I6_a_sweep_keeps_an_expired_protected_environment(alice: Client, operator: Client) -> None:
    ready(alice, "kept1", ttl="1s", protected=True)
    assert findings_of(run_sweep(operator, dry_run=False), "kept1") == []
    assert alice.call("GET", "/environments/kept1").body["status"] == "ready"
    alice.call("PATCH", "/environments/kept1", {"protected": False}).checked()
    destroyed(alice, "kept1")


@pytest.mark.parametrize("output", ["nightly_schedule", "light_schedule"])
def test_a_scheduled_sweep_destroys_an_expired_environment(alice: Client, platform: Platform, output: str) -> None:
    environment_id = f"old-{output[:5]}"
    ready(alice, environment_id, ttl="1s")
    platform.bring_forward(platform.outputs[output])
    eventually(
        lambda: alice.call("GET", f"/environments/{environment_id}").body["status"] == "destroyed",
        "the schedule's sweep",
    )


def test_the_event_of_a_scheduled_rule_runs_a_deep_sweep(platform: Platform) -> None:
    event = {
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": "2026-01-01T03:00:00Z",
        "region": "us-west-2",
        "resources": ["arn:aws:events:us-west-2:000000000000:rule/nightly"],
        "detail": {},
    }
    function = platform.cloud.session("operator").client("lambda")
    answer = function.invoke(FunctionName=platform.outputs["worker_function"], Payload=json.dumps(event).encode())
    report = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, report
    assert report["status"] == "done" and report["id"].startswith("deep-")


def test_a_sweep_without_a_body_is_a_dry_run(operator: Client) -> None:
    accepted = operator.call("POST", "/sweeps")
    assert (accepted.status, accepted.body["dry_run"]) == (202, True)


def test_only_operators_can_sweep(alice: Client) -> None:
    refused = alice.call("POST", "/sweeps", {})
    assert (refused.status, refused.body["code"]) == (403, "operators_only")
    assert alice.call("GET", "/sweeps/whatever").status == 403


def _with_finding(report: Any, environment_id: str) -> Any:
    return report if findings_of(report, environment_id) else None
