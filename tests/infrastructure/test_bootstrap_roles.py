"""Who may do what: removing any of these limits from the policies fails a test."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.infrastructure.bootstrap_recorder import ACCOUNT, FOUNDATIONS, KEY_ARN, REGION, Plan, plan

ROLES = ("fibfactory-api", "fibfactory-worker", "fibfactory-schedule", "fibfactory-apprunner-access")
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/fibfactory-environments"
WORKER = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:fibfactory-worker"

NO_NARROWER_RESOURCE = {
    "apprunner:ListServices": "lists the account's services; the action knows no resource",
    "tag:GetResources": "looks at all types by tag; the action knows no resource",
    "ecr:GetAuthorizationToken": "a token for the registry; the action knows no resource",
}
"""Every action that a role has on `*`, and why it can't be less."""


@pytest.fixture(scope="module")
def planned() -> Plan:
    return plan()


def as_list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def actions(planned: Plan, role: str) -> set[str]:
    return {action for statement in planned.policy(role) for action in as_list(statement["Action"])}


def statement_with(planned: Plan, role: str, action: str) -> dict[str, Any]:
    (found,) = (statement for statement in planned.policy(role) if action in as_list(statement["Action"]))
    return found


def test_there_are_four_roles_and_each_has_one_policy(planned: Plan) -> None:
    assert sorted(one.inputs["name"] for one in planned.of("iam/role:Role")) == sorted(ROLES)
    assert sorted(one.inputs["name"] for one in planned.of("iam/rolePolicy:RolePolicy")) == sorted(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_no_action_is_a_pattern(planned: Plan, role: str) -> None:
    assert [action for action in actions(planned, role) if "*" in action] == []


@pytest.mark.parametrize("role", ROLES)
def test_only_actions_that_know_no_resource_are_allowed_on_all(planned: Plan, role: str) -> None:
    on_all = {
        action
        for statement in planned.policy(role)
        for action in as_list(statement["Action"])
        if "*" in as_list(statement["Resource"])
    }
    assert on_all <= NO_NARROWER_RESOURCE.keys()


@pytest.mark.parametrize("role", ROLES)
def test_policies_only_allow_and_say_what_for(planned: Plan, role: str) -> None:
    statements = planned.policy(role)
    assert {statement["Effect"] for statement in statements} == {"Allow"}
    assert len({statement["Sid"] for statement in statements}) == len(statements)


@pytest.mark.parametrize(
    ("role", "service"),
    [
        ("fibfactory-api", "lambda.amazonaws.com"),
        ("fibfactory-worker", "lambda.amazonaws.com"),
        ("fibfactory-schedule", "scheduler.amazonaws.com"),
        ("fibfactory-apprunner-access", "build.apprunner.amazonaws.com"),
    ],
)
def test_each_role_is_trusted_to_one_service(planned: Plan, role: str, service: str) -> None:
    (statement,) = json.loads(planned.one("iam/role:Role", role)["assumeRolePolicy"])["Statement"]
    assert (statement["Principal"], statement["Action"]) == ({"Service": service}, "sts:AssumeRole")


def test_schedules_of_other_accounts_cannot_use_the_schedule_role(planned: Plan) -> None:
    (statement,) = json.loads(planned.one("iam/role:Role", "fibfactory-schedule")["assumeRolePolicy"])["Statement"]
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_the_api_can_write_records_and_ask_for_a_worker_and_nothing_else(planned: Plan) -> None:
    assert actions(planned, "fibfactory-api") == {
        "dynamodb:GetItem",
        "dynamodb:Query",
        "dynamodb:PutItem",
        "dynamodb:ConditionCheckItem",
        "lambda:InvokeFunction",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    }


def test_schedules_can_only_start_the_worker(planned: Plan) -> None:
    assert actions(planned, "fibfactory-schedule") == {"lambda:InvokeFunction"}


@pytest.mark.parametrize("role", ["fibfactory-api", "fibfactory-worker", "fibfactory-schedule"])
def test_the_worker_is_the_only_function_that_can_be_invoked(planned: Plan, role: str) -> None:
    assert statement_with(planned, role, "lambda:InvokeFunction")["Resource"] == WORKER


@pytest.mark.parametrize("role", ["fibfactory-api", "fibfactory-worker"])
def test_functions_reach_this_platforms_table_only(planned: Plan, role: str) -> None:
    assert statement_with(planned, role, "dynamodb:PutItem")["Resource"] == [TABLE, f"{TABLE}/index/*"]


@pytest.mark.parametrize("role", ["fibfactory-api", "fibfactory-worker"])
def test_a_function_writes_its_own_log_only_and_makes_no_group(planned: Plan, role: str) -> None:
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/{role}:*"
    assert statement_with(planned, role, "logs:PutLogEvents")["Resource"] == group
    assert "logs:CreateLogGroup" not in actions(planned, role)


def test_nobody_may_read_or_delete_the_whole_table(planned: Plan) -> None:
    for role in ROLES:
        assert not actions(planned, role) & {"dynamodb:Scan", "dynamodb:DeleteTable", "dynamodb:UpdateTable"}


def test_the_worker_reaches_the_state_of_stacks_and_nothing_else_in_s3(planned: Plan) -> None:
    bucket = f"arn:aws:s3:::{FOUNDATIONS.bucket}"
    assert statement_with(planned, "fibfactory-worker", "s3:ListBucket")["Resource"] == bucket
    objects = statement_with(planned, "fibfactory-worker", "s3:PutObject")
    assert objects["Resource"] == f"{bucket}/.pulumi/*"
    assert set(objects["Action"]) == {"s3:GetObject", "s3:PutObject", "s3:DeleteObject"}


def test_the_worker_uses_one_key_and_cannot_change_it(planned: Plan) -> None:
    statement = statement_with(planned, "fibfactory-worker", "kms:Decrypt")
    assert statement["Resource"] == KEY_ARN
    assert {action for action in actions(planned, "fibfactory-worker") if action.startswith("kms:")} == {
        "kms:Encrypt",
        "kms:Decrypt",
        "kms:GenerateDataKey",
    }


def test_the_worker_changes_services_of_the_platforms_prefix_only() -> None:
    statement = statement_with(plan(prefix="demo"), "fibfactory-worker", "apprunner:DeleteService")
    assert statement["Resource"] == f"arn:aws:apprunner:{REGION}:{ACCOUNT}:service/demo-*"


def test_the_worker_gives_one_role_away_and_to_app_runner_only(planned: Plan) -> None:
    statement = statement_with(planned, "fibfactory-worker", "iam:PassRole")
    assert statement["Resource"] == f"arn:aws:iam::{ACCOUNT}:role/fibfactory-apprunner-access"
    services = statement["Condition"]["StringEquals"]["iam:PassedToService"]
    assert set(services) == {"build.apprunner.amazonaws.com", "apprunner.amazonaws.com"}


def test_the_worker_can_see_all_that_a_deep_sweep_compares(planned: Plan) -> None:
    looks = {
        "apprunner:ListServices",
        "apprunner:ListTagsForResource",
        "apprunner:DescribeService",
        "tag:GetResources",
        "s3:ListBucket",
        "s3:GetObject",
        "dynamodb:Query",
        "dynamodb:GetItem",
    }
    assert looks <= actions(planned, "fibfactory-worker")


def test_the_worker_tells_images_apart_and_does_nothing_else_in_the_registry(planned: Plan) -> None:
    assert {action for action in actions(planned, "fibfactory-worker") if action.startswith("ecr:")} == {
        "ecr:DescribeImages"
    }
    repositories = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/*"
    assert statement_with(planned, "fibfactory-worker", "ecr:DescribeImages")["Resource"] == repositories


def test_the_worker_makes_no_role_but_app_runners_own(planned: Plan) -> None:
    statement = statement_with(planned, "fibfactory-worker", "iam:CreateServiceLinkedRole")
    assert statement["Resource"].endswith(":role/aws-service-role/apprunner.amazonaws.com/AWSServiceRoleForAppRunner")
    assert statement["Condition"] == {"StringEquals": {"iam:AWSServiceName": ["apprunner.amazonaws.com"]}}
    iam = {action for action in actions(planned, "fibfactory-worker") if action.startswith("iam:")}
    assert iam == {"iam:PassRole", "iam:CreateServiceLinkedRole"}


def test_app_runner_can_pull_from_this_account_and_not_push(planned: Plan) -> None:
    assert statement_with(planned, "fibfactory-apprunner-access", "ecr:BatchGetImage")["Resource"] == (
        f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/*"
    )
    assert not [
        action for action in actions(planned, "fibfactory-apprunner-access") if "Put" in action or "Upload" in action
    ]


def test_another_partition_is_kept_in_every_arn() -> None:
    from bootstrap.names import Names

    names = Names("fibfactory", "aws-us-gov", "us-gov-west-1", ACCOUNT)
    arns = [
        names.table_arn,
        names.worker_arn,
        names.state_bucket_arn,
        names.role_arn("x"),
        names.services_arn("fib-app"),
    ]
    assert all(arn.startswith("arn:aws-us-gov:") for arn in arns)
