"""The cloud adapter and services that change between two of its calls.

AWS's answers are botocore stubs: a test can't time an emulator so exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from orchestrator.adapters.aws.cloud import AwsCloud
from orchestrator.adapters.pulumi.state import StateBucket
from orchestrator.domain.environment import Environment, Observed, Spec
from orchestrator.domain.errors import Terminal, Transient
from orchestrator.ports import Service

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ARN = f"arn:aws:apprunner:us-west-2:000000000000:service/fib-app-test1-service/{'0' * 32}"
TEST1 = Environment("test1", "arn:alice", NOW, NOW, Spec("image"), observed=Observed(1, "https://x", ARN))


def service_description(status: str) -> dict[str, Any]:
    return {
        "Service": {
            "ServiceName": "fib-app-test1-service",
            "ServiceId": "0" * 32,
            "ServiceArn": ARN,
            "CreatedAt": NOW,
            "UpdatedAt": NOW,
            "Status": status,
            "SourceConfiguration": {},
            "InstanceConfiguration": {},
            "AutoScalingConfigurationSummary": {},
            "NetworkConfiguration": {},
        }
    }


def stubbed_cloud(*answers: tuple[str, dict[str, Any] | str]) -> tuple[AwsCloud, Stubber]:
    """A cloud whose App Runner gives these answers in turn: a response, or the code of an error."""
    client = boto3.client("apprunner", region_name="us-west-2", aws_access_key_id="x", aws_secret_access_key="x")
    stub = Stubber(client)
    for operation, answer in answers:
        if isinstance(answer, str):
            stub.add_client_error(operation, answer, "Service cannot be updated in the current state: DELETED")
        else:
            stub.add_response(operation, answer)
    stub.activate()
    return AwsCloud(client, None, None, StateBucket(None, "s3://b"), "tests", "fib-app"), stub


def test_a_service_deleted_between_two_calls_is_absent() -> None:
    cloud, stub = stubbed_cloud(
        ("describe_service", service_description("OPERATION_IN_PROGRESS")),
        ("list_tags_for_resource", "InvalidStateException"),
        ("describe_service", service_description("DELETED")),
        ("list_services", {"ServiceSummaryList": []}),
    )
    assert cloud.service(TEST1) is None
    stub.assert_no_pending_responses()


def test_another_refusal_is_an_error_and_not_an_absent_service() -> None:
    cloud, _ = stubbed_cloud(
        ("describe_service", service_description("RUNNING")),
        ("list_tags_for_resource", "InvalidStateException"),
        ("describe_service", service_description("RUNNING")),
    )
    with pytest.raises(Terminal):
        cloud.service(TEST1)


CHANGES: dict[str, Callable[[AwsCloud, Service], None]] = {
    "pause": lambda cloud, service: cloud.pause(service),
    "resume": lambda cloud, service: cloud.resume(service),
    "delete": lambda cloud, service: cloud.remove_leftover(TEST1, service),
}


@pytest.mark.parametrize("code", ["InvalidStateException", "ResourceNotFoundException"])
@pytest.mark.parametrize("change", CHANGES)
def test_changing_a_service_that_changed_meanwhile_is_a_transient_failure(change: str, code: str) -> None:
    cloud, _ = stubbed_cloud((f"{change}_service", code))
    with pytest.raises(Transient) as failure:
        CHANGES[change](cloud, Service(ARN, "RUNNING", "image"))
    assert failure.value.code == "busy"


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("status", "failure"), [("DELETED", Transient), ("RUNNING", Terminal)])
def test_access_denied_is_transient_only_if_the_service_was_deleted(
    change: str, status: str, failure: type[Exception]
) -> None:
    cloud, _ = stubbed_cloud(
        (f"{change}_service", "AccessDeniedException"), ("describe_service", service_description(status))
    )
    with pytest.raises(failure):
        CHANGES[change](cloud, Service(ARN, "RUNNING", "image"))


def test_an_invalid_change_is_a_terminal_failure() -> None:
    cloud, _ = stubbed_cloud(("pause_service", "InvalidRequestException"))
    with pytest.raises(Terminal):
        cloud.pause(Service("arn:aws:apprunner:us-west-2:1:service/fib-app-test1-service/x", "RUNNING", "image"))
