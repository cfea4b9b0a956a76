"""Pending operations of a killed run are recorded in the state or dropped; the rest of the state stays as it is."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from bootstrap.commands.recovery import Found, finder, recover_state
from bootstrap.names import Names

NAMES = Names("fibfactory", "aws", "us-west-2", "000000000000")
STACK = {"urn": "urn:pulumi:x::p::pulumi:pulumi:Stack::p-x", "type": "pulumi:pulumi:Stack"}


def pending(kind: str, name: str, operation: str = "creating", /, **inputs: Any) -> dict[str, Any]:
    resource = {"urn": f"urn:pulumi:x::p::{kind}::{name}", "type": kind, "inputs": inputs}
    return {"resource": resource, "type": operation}


def test_a_pending_resource_that_exists_is_recorded_and_others_are_dropped() -> None:
    role, policy = pending("aws:iam/role:Role", "api", name="x-api"), pending("aws:iam/rolePolicy:RolePolicy", "api")
    before = {"resources": [STACK], "pending_operations": [role, policy], "manifest": {"version": "1"}}
    after = recover_state(before, lambda kind, inputs: Found(inputs["name"]) if "name" in inputs else None)
    assert (after.urns, after.foreign) == ((role["resource"]["urn"],), ())
    assert after.deployment["resources"] == [STACK, {**role["resource"], "id": "x-api"}]
    assert (after.deployment["pending_operations"], after.deployment["manifest"]) == ([], {"version": "1"})
    assert before["pending_operations"] == [role, policy], "what was read is left as it was"


def test_only_creates_are_recorded_and_never_replace_a_recorded_resource() -> None:
    known = pending("aws:iam/role:Role", "api", name="x-api")
    gone = pending("aws:iam/role:Role", "old", "deleting", name="x-old")
    before = {"resources": [STACK, {**known["resource"], "id": "x-api"}], "pending_operations": [known, gone]}
    after = recover_state(before, lambda kind, inputs: Found(inputs["name"]))
    assert after.urns == () and after.deployment == {"resources": before["resources"], "pending_operations": []}


def test_a_resource_of_others_stays_out_of_the_state_and_is_named() -> None:
    role = pending("aws:iam/role:Role", "api", name="x-api")
    after = recover_state(
        {"resources": [STACK], "pending_operations": [role]}, lambda kind, inputs: Found(inputs["name"], ours=False)
    )
    assert (after.urns, after.foreign) == ((), ("Role x-api",))
    assert after.deployment == {"resources": [STACK], "pending_operations": []}


@pytest.mark.parametrize(
    ("kind", "inputs", "found"),
    [
        ("aws:lambda/permission:Permission", {"function": "x-api", "statementId": "this-api"}, Found("x-api/this-api")),
        ("aws:apigatewayv2/stage:Stage", {"apiId": "a1b2", "name": "$default"}, Found("a1b2/$default")),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", {"name": "x-errors"}, None),
    ],
)
def test_parts_of_an_api_or_function_get_their_ids_without_a_lookup(
    kind: str, inputs: dict[str, str], found: Found | None
) -> None:
    assert finder(boto3.Session(region_name="us-west-2"), NAMES)(kind, inputs) == found
