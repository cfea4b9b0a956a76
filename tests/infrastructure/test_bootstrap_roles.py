"""The limits of the roles' policies: removing any of them fails a test."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bootstrap.names import Names
from bootstrap.program.policies import OWNERSHIP_TAGS, WHY_ANY
from orchestrator.domain import names as orchestrator_names
from tests.infrastructure.bootstrap_recorder import ACCOUNT, FOUNDATIONS, KEY_ARN, REGION, Plan, plan

ROLES = ("fibfactory-api", "fibfactory-worker", "fibfactory-schedule", "fibfactory-apprunner-access")
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/fibfactory-environments"
WORKER = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:fibfactory-worker"
DEAD_LETTERS = f"arn:aws:sqs:{REGION}:{ACCOUNT}:fibfactory-dead-letters"
ACCESS_ROLE = f"arn:aws:iam::{ACCOUNT}:role/fibfactory-apprunner-access"
INSTANCE_ROLE = f"arn:aws:iam::{ACCOUNT}:role/reads-secrets"
SECRETS = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:environments/"
GIVEN_TO = {"bullet.amazonaws.com", "apprunner.amazonaws.com"}
LARGEST_POLICY = 10_240
"""Characters of all inline policies of a role, without blanks: AWS's quota."""

NO_NARROWER_RESOURCE = {
    "apprunner:ListServices",
    "tag:GetResources",
    "ecr:GetAuthorizationToken",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
}
"""Every action that a role has on `*`: none of them knows a resource."""


@pytest.fixture(scope="module")
def planned() -> Plan:
    return plan()


def as_list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def allowed(planned: Plan, role: str) -> list[dict[str, Any]]:
    return [statement for statement in planned.policy(role) if statement["Effect"] == "Allow"]


def actions(planned: Plan, role: str) -> set[str]:
    return {action for statement in allowed(planned, role) for action in as_list(statement["Action"])}


def statement_with(planned: Plan, role: str, action: str) -> dict[str, Any]:
    (found,) = (statement for statement in allowed(planned, role) if action in as_list(statement["Action"]))
    return found


def statement_called(planned: Plan, role: str, sid: str) -> dict[str, Any]:
    (found,) = (statement for statement in planned.policy(role) if statement["Sid"] == sid)
    return found


def test_there_are_four_roles_and_each_has_one_policy(planned: Plan) -> None:
    assert sorted(one.inputs["name"] for one in planned.of("iam/role:Role")) == sorted(ROLES)
    assert sorted(one.inputs["name"] for one in planned.of("iam/rolePolicy:RolePolicy")) == sorted(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_no_action_is_a_pattern(planned: Plan, role: str) -> None:
    assert [action for action in actions(planned, role) if "*" in action] == []


@pytest.mark.parametrize("role", ROLES)
def test_only_actions_without_resources_are_allowed_on_all_resources(planned: Plan, role: str) -> None:
    on_all = {
        action
        for statement in allowed(planned, role)
        for action in as_list(statement["Action"])
        if "*" in as_list(statement["Resource"])
    }
    assert on_all <= NO_NARROWER_RESOURCE


def test_every_statement_about_all_resources_has_a_reason(planned: Plan) -> None:
    about_all = {
        statement["Sid"] for role in ROLES for statement in planned.policy(role) if statement["Resource"] == "*"
    }
    assert about_all == WHY_ANY.keys()


@pytest.mark.parametrize("role", ROLES)
def test_every_statement_has_a_sid(planned: Plan, role: str) -> None:
    sids = [statement["Sid"] for statement in planned.policy(role)]
    assert all(sid.isalnum() for sid in sids)
    assert len(set(sids)) == len(sids)


@pytest.mark.parametrize("role", ROLES)
def test_a_policy_is_far_from_iams_limit(planned: Plan, role: str) -> None:
    inline = planned.one("iam/rolePolicy:RolePolicy", role)["policy"]
    assert len("".join(inline.split())) < LARGEST_POLICY / 2


def test_roles_have_no_boundary_or_managed_policies_by_default(planned: Plan) -> None:
    assert not [one for one in planned.of("iam/role:Role") if one.inputs.get("permissionsBoundary")]
    assert planned.of("iam/rolePolicyAttachment:RolePolicyAttachment") == []


def test_a_boundary_is_set_on_every_role() -> None:
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/developers"
    bound = plan(permissions_boundary=boundary)
    assert [one.inputs["permissionsBoundary"] for one in bound.of("iam/role:Role")] == [boundary] * len(ROLES)


def test_managed_policies_are_attached_to_the_worker_only() -> None:
    managed = ["arn:aws:iam::aws:policy/AmazonSQSFullAccess", f"arn:aws:iam::{ACCOUNT}:policy/team/AmazonSQSFullAccess"]
    attached = plan(worker_policies=managed).of("iam/rolePolicyAttachment:RolePolicyAttachment")
    assert sorted(one.inputs["policyArn"] for one in attached) == sorted(managed)
    assert {one.inputs["role"] for one in attached} == {"fibfactory-worker"}


@pytest.mark.parametrize(
    ("role", "service"),
    [
        ("fibfactory-api", "lambda.amazonaws.com"),
        ("fibfactory-worker", "lambda.amazonaws.com"),
        ("fibfactory-schedule", "scheduler.amazonaws.com"),
        ("fibfactory-apprunner-access", "build.apprunner.amazonaws.com"),
    ],
)
def test_each_role_trusts_one_service(planned: Plan, role: str, service: str) -> None:
    (statement,) = json.loads(planned.one("iam/role:Role", role)["assumeRolePolicy"])["Statement"]
    assert (statement["Principal"], statement["Action"]) == ({"Service": service}, "sts:AssumeRole")


def test_schedules_of_other_accounts_cannot_use_the_schedule_role(planned: Plan) -> None:
    (statement,) = json.loads(planned.one("iam/role:Role", "fibfactory-schedule")["assumeRolePolicy"])["Statement"]
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_the_api_can_write_records_and_start_a_worker_and_nothing_else(planned: Plan) -> None:
    assert actions(planned, "fibfactory-api") == {
        "dynamodb:GetItem",
        "dynamodb:Query",
        "dynamodb:PutItem",
        "dynamodb:ConditionCheckItem",
        "lambda:InvokeFunction",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
    }


def test_schedules_can_only_start_the_worker_and_write_dead_letters(planned: Plan) -> None:
    assert actions(planned, "fibfactory-schedule") == {"lambda:InvokeFunction", "sqs:SendMessage"}


@pytest.mark.parametrize("role", ["fibfactory-worker", "fibfactory-schedule"])
def test_dead_letters_go_to_this_platforms_queue_only(planned: Plan, role: str) -> None:
    assert statement_with(planned, role, "sqs:SendMessage")["Resource"] == DEAD_LETTERS


@pytest.mark.parametrize("role", ["fibfactory-api", "fibfactory-worker", "fibfactory-schedule"])
def test_the_worker_is_the_only_function_that_can_be_invoked(planned: Plan, role: str) -> None:
    assert statement_with(planned, role, "lambda:InvokeFunction")["Resource"] == WORKER


@pytest.mark.parametrize("role", ["fibfactory-api", "fibfactory-worker"])
def test_functions_use_this_platforms_table_only(planned: Plan, role: str) -> None:
    assert statement_with(planned, role, "dynamodb:PutItem")["Resource"] == [TABLE, f"{TABLE}/index/*"]


@pytest.mark.parametrize("role", ["fibfactory-api", "fibfactory-worker"])
def test_a_function_writes_its_own_log_only_and_makes_no_group(planned: Plan, role: str) -> None:
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/{role}:*"
    assert statement_with(planned, role, "logs:PutLogEvents")["Resource"] == group
    assert "logs:CreateLogGroup" not in actions(planned, role)


def test_no_role_may_scan_or_delete_the_table(planned: Plan) -> None:
    for role in ROLES:
        assert not actions(planned, role) & {"dynamodb:Scan", "dynamodb:DeleteTable", "dynamodb:UpdateTable"}


def test_the_worker_uses_the_state_of_stacks_and_nothing_else_in_s3(planned: Plan) -> None:
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


CHANGES = {"UpdateService", "DeleteService", "PauseService", "ResumeService", "TagResource", "UntagResource"}


def test_the_worker_uses_services_of_the_platforms_prefix_only() -> None:
    planned = plan(prefix="demo")
    about = {
        as_list(statement["Resource"])[0]
        for statement in allowed(planned, "fibfactory-worker")
        for action in as_list(statement["Action"])
        if action.startswith("apprunner:") and action != "apprunner:ListServices"
    }
    assert about == {f"arn:aws:apprunner:{REGION}:{ACCOUNT}:service/demo-*"}


def test_the_worker_changes_only_services_with_the_platforms_tag(planned: Plan) -> None:
    statement = statement_called(planned, "fibfactory-worker", "ChangeServices")
    assert set(statement["Action"]) == {f"apprunner:{change}" for change in CHANGES}
    assert statement["Condition"] == {"StringEquals": {"aws:ResourceTag/fibfactory:platform": ["fibfactory"]}}


def test_the_worker_makes_only_services_with_the_platforms_tag(planned: Plan) -> None:
    for sid, action in (("MakeServices", "apprunner:CreateService"), ("TagNewServices", "apprunner:TagResource")):
        statement = statement_called(planned, "fibfactory-worker", sid)
        assert statement["Action"] == [action]
        assert statement["Condition"] == {"StringEquals": {"aws:RequestTag/fibfactory:platform": ["fibfactory"]}}


def test_no_change_of_a_service_is_allowed_anywhere_else(planned: Plan) -> None:
    free = {
        action
        for statement in allowed(planned, "fibfactory-worker")
        for action in as_list(statement["Action"])
        if action.startswith("apprunner:") and "Condition" not in statement
    }
    looks = {"DescribeService", "ListOperations", "ListTagsForResource", "ListServices"}
    assert free == {f"apprunner:{look}" for look in looks}


def test_the_protected_tags_are_those_that_the_orchestrator_sets() -> None:
    assert set(OWNERSHIP_TAGS.values()) == {
        orchestrator_names.TAG_PLATFORM,
        orchestrator_names.TAG_OWNER,
        orchestrator_names.TAG_ENVIRONMENT,
    }


def test_ownership_tags_can_not_be_changed_whatever_else_is_allowed(planned: Plan) -> None:
    denied = [one for one in planned.policy("fibfactory-worker") if one["Effect"] == "Deny"]
    assert {one["Resource"] for one in denied} == {"*"}
    assert {one["Sid"] for one in denied} == {*(f"Keep{word}Tag" for word in OWNERSHIP_TAGS), "KeepTags"}
    untag = statement_called(planned, "fibfactory-worker", "KeepTags")
    assert untag["Condition"] == {"ForAnyValue:StringEquals": {"aws:TagKeys": list(OWNERSHIP_TAGS.values())}}


def test_the_worker_passes_one_role_to_app_runner_only(planned: Plan) -> None:
    statement = statement_with(planned, "fibfactory-worker", "iam:PassRole")
    assert statement["Resource"] == ACCESS_ROLE
    assert set(statement["Condition"]["StringEquals"]["iam:PassedToService"]) == GIVEN_TO


def test_the_worker_passes_the_instance_role_where_there_is_one() -> None:
    planned = plan(instance_role_arn=INSTANCE_ROLE, secrets_prefix=SECRETS)
    passed = [one for one in allowed(planned, "fibfactory-worker") if "iam:PassRole" in as_list(one["Action"])]
    assert [one["Resource"] for one in passed] == [ACCESS_ROLE, INSTANCE_ROLE]
    assert all(set(one["Condition"]["StringEquals"]["iam:PassedToService"]) == GIVEN_TO for one in passed)


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


def test_the_worker_only_describes_images_in_the_registry(planned: Plan) -> None:
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
    names = Names("fibfactory", "aws-us-gov", "us-gov-west-1", ACCOUNT)
    arns = [
        names.table_arn,
        names.worker_arn,
        names.state_bucket_arn,
        names.role_arn("x"),
        names.services_arn("fib-app"),
        names.dead_letters_arn,
    ]
    assert all(arn.startswith("arn:aws-us-gov:") for arn in arns)
