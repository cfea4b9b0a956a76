"""What the App Runner emulator asks IAM about a request."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from localcloud.apprunner import operations
from localcloud.apprunner.model import Caller, Configuration, Service, ServiceStatus
from localcloud.apprunner.permissions import Check, checks
from localcloud.apprunner.store import Store

CALLER = Caller(access_key="AKIA", region="us-west-2", account="000000000000")
PREFIX = "arn:aws:apprunner:us-west-2:000000000000:"
ARN = f"{PREFIX}service/app/0123"
TAGS = [{"Key": "team", "Value": "blue"}]
ACCESS_ROLE, INSTANCE_ROLE = "arn:aws:iam::000000000000:role/pulls", "arn:aws:iam::000000000000:role/runs"
APIS = operations.load_apis()


def asked(target: str, store: Store | None = None, **given: Any) -> list[Check]:
    return checks(operations.find(APIS, target), CALLER, given, store or Store())


def holding(**tags: str) -> Store:
    """A store with one service that has these tags."""
    store = Store()
    store.put(a_service(ServiceStatus.RUNNING, tags))
    return store


def a_service(status: ServiceStatus, tags: dict[str, str]) -> Service:
    now = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    nothing = Configuration(
        source={}, instance={}, health_check={}, network={}, autoscaling_arn="", observability=None, encryption=None
    )
    return Service(
        number=1,
        name="app",
        id="0123",
        arn=ARN,
        region="us-west-2",
        url="",
        status=status,
        configuration=nothing,
        created_at=now,
        updated_at=now,
        tags=tags,
    )


def test_a_list_is_of_everything() -> None:
    assert asked("AppRunner.ListServices") == [Check("apprunner:ListServices", "*")]


def test_the_tagging_api_has_its_own_prefix() -> None:
    filters = [{"Key": "team"}]
    found = asked("ResourceGroupsTaggingAPI_20170126.GetResources", TagFilters=filters)
    assert found == [Check("tag:GetResources", "*")]


def test_a_new_service_has_an_arn_without_an_id() -> None:
    assert asked("AppRunner.CreateService", ServiceName="app") == [
        Check("apprunner:CreateService", f"{PREFIX}service/app/*")
    ]


def test_creating_with_tags_is_also_tagging_whether_or_not_the_new_one_counts_as_tagged() -> None:
    requested = {"aws:RequestTag/team": "blue", "aws:TagKeys": ["team"]}
    created, *tagged = asked("AppRunner.CreateService", ServiceName="app", Tags=TAGS)
    assert created == Check("apprunner:CreateService", f"{PREFIX}service/app/*", requested)
    assert [each.action for each in tagged] == ["apprunner:TagResource"] * 2
    assert [each.context for each in tagged] == [requested, requested | {"aws:ResourceTag/team": "blue"}]


@pytest.mark.parametrize("operation", ["DescribeService", "UpdateService", "DeleteService", "PauseService"])
def test_a_service_is_asked_about_with_its_tags(operation: str) -> None:
    (check,) = asked(f"AppRunner.{operation}", holding(team="red"), ServiceArn=ARN)
    assert check == Check(f"apprunner:{operation}", ARN, {"aws:ResourceTag/team": "red"})


def test_a_deleted_service_has_no_tags_and_neither_has_one_that_never_was() -> None:
    store = Store()
    store.put(a_service(ServiceStatus.DELETED, {"team": "red"}))
    (deleted,) = asked("AppRunner.DeleteService", store, ServiceArn=ARN)
    (missing,) = asked("AppRunner.DeleteService", ServiceArn=ARN)
    assert deleted.context == missing.context == {}


def test_tags_that_are_given_and_tags_that_are_there_are_told_apart() -> None:
    (check,) = asked("AppRunner.TagResource", holding(team="red"), ResourceArn=ARN, Tags=TAGS)
    assert check.context == {
        "aws:RequestTag/team": "blue",
        "aws:TagKeys": ["team"],
        "aws:ResourceTag/team": "red",
    }


def test_tags_that_are_taken_away_are_known_by_their_keys() -> None:
    (check,) = asked("AppRunner.UntagResource", holding(team="red"), ResourceArn=ARN, TagKeys=["team", "x"])
    assert check.context == {"aws:TagKeys": ["team", "x"], "aws:ResourceTag/team": "red"}


@pytest.mark.parametrize("operation", ["CreateService", "UpdateService"])
def test_giving_a_service_roles_is_asked_for_each_role(operation: str) -> None:
    _, *passed = asked(
        f"AppRunner.{operation}",
        ServiceName="app",
        ServiceArn=ARN,
        SourceConfiguration={"AuthenticationConfiguration": {"AccessRoleArn": ACCESS_ROLE}},
        InstanceConfiguration={"InstanceRoleArn": INSTANCE_ROLE},
    )
    to_app_runner = {"iam:PassedToService": "bullet.amazonaws.com"}
    assert passed == [Check("iam:PassRole", role, to_app_runner) for role in (ACCESS_ROLE, INSTANCE_ROLE)]


def test_an_automatic_scaling_configuration_is_asked_about_by_its_own_arn() -> None:
    arn = f"{PREFIX}autoscalingconfiguration/small/1/0123"
    (check,) = asked("AppRunner.DeleteAutoScalingConfiguration", AutoScalingConfigurationArn=arn)
    assert check == Check("apprunner:DeleteAutoScalingConfiguration", arn)


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
def test_nonsense_asks_for_the_operation_alone(given: dict[str, Any]) -> None:
    assert asked("AppRunner.UpdateService", **given) == [Check("apprunner:UpdateService", "*")]
