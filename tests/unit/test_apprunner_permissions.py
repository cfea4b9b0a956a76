"""The permissions that the App Runner emulator demands for a request."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from localcloud.apprunner import operations
from localcloud.apprunner.model import Caller, Service, ServiceStatus
from localcloud.apprunner.permissions import Permission, required_permissions
from localcloud.apprunner.store import Store

CALLER = Caller(access_key="AKIA", region="us-west-2", account="000000000000")
PREFIX = "arn:aws:apprunner:us-west-2:000000000000:"
ARN = f"{PREFIX}service/app/0123"
TAGS = [{"Key": "team", "Value": "blue"}]
ACCESS_ROLE, INSTANCE_ROLE = "arn:aws:iam::000000000000:role/pulls", "arn:aws:iam::000000000000:role/runs"
APIS = operations.load_apis()


def required(target: str, store: Store | None = None, **given: Any) -> list[Permission]:
    return list(required_permissions(operations.find(APIS, target), CALLER, given, store or Store()))


def holding(**tags: str) -> Store:
    """A store with one service that has these tags."""
    store = Store()
    store.put(a_service(ServiceStatus.RUNNING, tags))
    return store


def a_service(status: ServiceStatus, tags: dict[str, str]) -> Service:
    now = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    return Service(
        number=1,
        name="app",
        id="0123",
        arn=ARN,
        region="us-west-2",
        url="",
        status=status,
        configuration={},
        created_at=now,
        updated_at=now,
        tags=tags,
    )


def test_a_list_needs_permission_on_everything() -> None:
    assert required("AppRunner.ListServices") == [Permission("apprunner:ListServices", "*")]


def test_the_tagging_api_has_its_own_prefix() -> None:
    filters = [{"Key": "team"}]
    found = required("ResourceGroupsTaggingAPI_20170126.GetResources", TagFilters=filters)
    assert found == [Permission("tag:GetResources", "*")]


def test_a_new_service_has_an_arn_without_an_id() -> None:
    assert required("AppRunner.CreateService", ServiceName="app") == [
        Permission("apprunner:CreateService", f"{PREFIX}service/app/*")
    ]


def test_creating_with_tags_needs_permission_to_tag_a_tagged_and_an_untagged_service() -> None:
    requested = {"aws:RequestTag/team": "blue", "aws:TagKeys": ["team"]}
    created, *tagged = required("AppRunner.CreateService", ServiceName="app", Tags=TAGS)
    assert created == Permission("apprunner:CreateService", f"{PREFIX}service/app/*", requested)
    assert [each.action for each in tagged] == ["apprunner:TagResource"] * 2
    assert [each.context for each in tagged] == [requested, requested | {"aws:ResourceTag/team": "blue"}]


@pytest.mark.parametrize("operation", ["DescribeService", "UpdateService", "DeleteService", "PauseService"])
def test_a_change_of_a_service_is_checked_with_its_tags(operation: str) -> None:
    (check,) = required(f"AppRunner.{operation}", holding(team="red"), ServiceArn=ARN)
    assert check == Permission(f"apprunner:{operation}", ARN, {"aws:ResourceTag/team": "red"})


def test_a_deleted_service_has_no_tags_and_neither_has_an_unknown_one() -> None:
    store = Store()
    store.put(a_service(ServiceStatus.DELETED, {"team": "red"}))
    (deleted,) = required("AppRunner.DeleteService", store, ServiceArn=ARN)
    (missing,) = required("AppRunner.DeleteService", ServiceArn=ARN)
    assert deleted.context == missing.context == {}


def test_tags_of_the_request_and_of_the_service_are_kept_apart() -> None:
    (check,) = required("AppRunner.TagResource", holding(team="red"), ResourceArn=ARN, Tags=TAGS)
    assert check.context == {
        "aws:RequestTag/team": "blue",
        "aws:TagKeys": ["team"],
        "aws:ResourceTag/team": "red",
    }


def test_removed_tags_are_checked_by_their_keys() -> None:
    (check,) = required("AppRunner.UntagResource", holding(team="red"), ResourceArn=ARN, TagKeys=["team", "x"])
    assert check.context == {"aws:TagKeys": ["team", "x"], "aws:ResourceTag/team": "red"}


@pytest.mark.parametrize("operation", ["CreateService", "UpdateService"])
def test_giving_a_service_roles_needs_permission_for_each_role(operation: str) -> None:
    _, *passed = required(
        f"AppRunner.{operation}",
        ServiceName="app",
        ServiceArn=ARN,
        SourceConfiguration={"AuthenticationConfiguration": {"AccessRoleArn": ACCESS_ROLE}},
        InstanceConfiguration={"InstanceRoleArn": INSTANCE_ROLE},
    )
    to_app_runner = {"iam:PassedToService": "bullet.amazonaws.com"}
    assert passed == [Permission("iam:PassRole", role, to_app_runner) for role in (ACCESS_ROLE, INSTANCE_ROLE)]


def test_an_update_that_names_a_scaling_configuration_is_checked_by_the_services_arn() -> None:
    scaling = f"{PREFIX}autoscalingconfiguration/small/1/0123"
    found = required("AppRunner.UpdateService", AutoScalingConfigurationArn=scaling, ServiceArn=ARN)
    assert found == [Permission("apprunner:UpdateService", ARN)]


@pytest.mark.parametrize(
    "given",
    [
        {"ServiceArn": 7},
        {"Tags": "x"},
        {"Tags": [7, {"Value": "x"}]},
        {"SourceConfiguration": {"AuthenticationConfiguration": [ACCESS_ROLE]}},
        {"InstanceConfiguration": {"InstanceRoleArn": {}}},
    ],
    ids=str,
)
def test_a_malformed_request_needs_permission_for_the_operation_alone(given: dict[str, Any]) -> None:
    assert required("AppRunner.UpdateService", **given) == [Permission("apprunner:UpdateService", "*")]
