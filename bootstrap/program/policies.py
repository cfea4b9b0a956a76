"""Who may do what, and why: the policies of the platform's roles, as plain data.

The rule: no action is a pattern, each statement is about this platform's own things, and whatever is about `*` has its reason in
WHY_ANY. Which action knows which resource and which condition is taken from AWS's Service Authorization Reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bootstrap.foundations.foundations import Foundations
from bootstrap.names import PLATFORM_TAG, Names
from bootstrap.settings import Settings

Statement = dict[str, Any]
Policy = dict[str, Any]
_APP_RUNNER = "apprunner.amazonaws.com"
# The name that the reference has for App Runner where it is given a role. AWS's managed policies have the public name; neither
# is that of a role's trust policy (`build.` or `tasks.`). A role that trusts App Runner alone serves no other, so both are safe.
_GIVEN_TO = ("bullet.amazonaws.com", _APP_RUNNER)

OWNERSHIP_TAGS = {"Platform": PLATFORM_TAG, "Owner": "fibfactory:owner", "Environment": "fibfactory:environment"}
"""The tags that say whose a thing is, by the words that statements have for them. The orchestrator gives them."""

WHY_ANY: Mapping[str, str] = {
    "SignInToTheRegistry": "the action knows no resource; the token that it gives has the rights of this role",
    "Traces": "X-Ray's actions know no resource",
    "LookForServices": "a list of all services knows no resource; it is the independent look before `destroyed` is written",
    "LookForAnythingTagged": "the tagging API knows no resource; sweeps look through all types",
    "KeepPlatformTag": "a refusal: it holds for whatever else a policy allows",
    "KeepOwnerTag": "a refusal: it holds for whatever else a policy allows",
    "KeepEnvironmentTag": "a refusal: it holds for whatever else a policy allows",
    "KeepTags": "a refusal: it holds for whatever else a policy allows",
}
"""Why a statement is about all resources, by its Sid. One that is not here must name its resources."""


def trust(service: str, **condition: dict[str, str]) -> Policy:
    """A trust policy: this AWS service, under this condition, may take the role."""
    statement: Statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return _policy(statement | ({"Condition": condition} if condition else {}))


def schedule_trust(names: Names) -> Policy:
    """Only this account's schedules: without the condition, another account's could use the role through the service."""
    return trust("scheduler.amazonaws.com", StringEquals={"aws:SourceAccount": names.account})


def api_policy(names: Names) -> Policy:
    """What answers callers: it reads and writes records and asks for a worker. It can reach neither state, key nor compute."""
    return _policy(_records(names), _call_the_worker(names), _write_logs(names, names.api_function), _traces())


def worker_policy(names: Names, foundations: Foundations, settings: Settings) -> Policy:
    """What makes environments true: records, the state of Pulumi's stacks, and App Runner services of the platform's prefix."""
    return _policy(
        _records(names),
        # A long operation goes on in a next invocation, and a sweep sends what was not picked up.
        _call_the_worker(names),
        _write_logs(names, names.worker_function),
        _traces(),
        # Lambda sends what a worker failed at in the worker's own name.
        _keep_dead_letters(names),
        *_state(names, foundations),
        *_services(names, settings.prefix),
        *_keep_ownership(),
        *_roles_to_give(names, settings.instance_role_arn),
        # Which image a tag means goes into the receipt, so that a revived environment is what it was.
        _allow("TellImagesApart", repositories_arn(names), "ecr:DescribeImages"),
    )


def schedule_policy(names: Names) -> Policy:
    """What the schedules may do: start the worker, and keep what could not be delivered to it."""
    return _policy(_call_the_worker(names), _keep_dead_letters(names))


def access_policy(names: Names) -> Policy:
    """What App Runner may do to fetch an environment's image from this account's private registry."""
    return _policy(
        _allow("SignInToTheRegistry", "*", "ecr:GetAuthorizationToken"),
        _allow(
            "PullImages",
            repositories_arn(names),
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:DescribeImages",
            "ecr:GetDownloadUrlForLayer",
        ),
    )


def repositories_arn(names: Names) -> str:
    """All repositories of this account's private registry: any of them may hold an environment's image."""
    return f"arn:{names.partition}:ecr:{names.region}:{names.account}:repository/*"


def _records(names: Names) -> Statement:
    # A transaction is allowed by the actions of its parts. An index can only be read; the table's ARN does not cover it.
    actions = ("dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:ConditionCheckItem")
    return _allow("Records", [names.table_arn, f"{names.table_arn}/index/*"], *actions)


def _call_the_worker(names: Names) -> Statement:
    return _allow("CallTheWorker", names.worker_arn, "lambda:InvokeFunction")


def _write_logs(names: Names, function: str) -> Statement:
    # Not CreateLogGroup: the platform makes the group, with its retention, and a late call shall not bring it back.
    return _allow("WriteLogs", f"{names.log_group_arn(function)}:*", "logs:CreateLogStream", "logs:PutLogEvents")


def _traces() -> Statement:
    return _allow("Traces", "*", "xray:PutTraceSegments", "xray:PutTelemetryRecords")


def _keep_dead_letters(names: Names) -> Statement:
    return _allow("KeepDeadLetters", names.dead_letters_arn, "sqs:SendMessage")


def _state(names: Names, foundations: Foundations) -> list[Statement]:
    return [
        # Without a condition on the prefix: for a missing object S3 answers "not found" only to who may list the bucket,
        # else "forbidden", and a read has no prefix to match. The CLI reads what may be missing; all in here is state.
        _allow("FindState", names.state_bucket_arn, "s3:ListBucket"),
        _allow("State", f"{names.state_bucket_arn}/.pulumi/*", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"),
        # Encrypt and Decrypt: the CLI, for the stacks' secrets. GenerateDataKey (and Decrypt): S3, in the caller's name,
        # for the bucket's objects.
        _allow("StateKey", foundations.key_arn, "kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey"),
    ]


def _services(names: Names, prefix: str) -> list[Statement]:
    services = names.services_arn(prefix)
    return [
        _allow("MakeServices", services, "apprunner:CreateService") | _only_if_requested(names),
        # App Runner asks for this, too, when a service is created with tags. There is nothing with tags to compare yet.
        _allow("TagNewServices", services, "apprunner:TagResource") | _only_if_requested(names),
        _allow(
            "ChangeServices",
            services,
            "apprunner:UpdateService",
            "apprunner:DeleteService",
            "apprunner:PauseService",
            "apprunner:ResumeService",
            "apprunner:TagResource",
            "apprunner:UntagResource",
        )
        | _only_if(f"aws:ResourceTag/{PLATFORM_TAG}", names.platform),
        # By name alone: a deleted service has no tags any more, and that it is deleted is what the engine's waits and the last
        # look before `destroyed` must be able to see.
        _allow(
            "LookAtServices",
            services,
            "apprunner:DescribeService",
            "apprunner:ListOperations",
            "apprunner:ListTagsForResource",
        ),
        _allow("LookForServices", "*", "apprunner:ListServices"),
        _allow("LookForAnythingTagged", "*", "tag:GetResources"),
    ]


def _keep_ownership() -> list[Statement]:
    """No tag by which a thing is known as ours, or an owner's, gets another value or goes, whatever else allows it."""
    kept = [
        _deny(f"Keep{word}Tag", "apprunner:TagResource")
        | {
            "Condition": {
                "StringNotEquals": {f"aws:RequestTag/{tag}": f"${{aws:ResourceTag/{tag}}}"},
                "Null": {f"aws:RequestTag/{tag}": "false", f"aws:ResourceTag/{tag}": "false"},
            }
        }
        for word, tag in OWNERSHIP_TAGS.items()
    ]
    any_of_them = {"ForAnyValue:StringEquals": {"aws:TagKeys": list(OWNERSHIP_TAGS.values())}}
    return [*kept, _deny("KeepTags", "apprunner:UntagResource") | {"Condition": any_of_them}]


def _roles_to_give(names: Names, instance_role_arn: str | None) -> list[Statement]:
    own_role = names.role_arn(f"aws-service-role/{_APP_RUNNER}/AWSServiceRoleForAppRunner")
    given = {"GiveTheAccessRole": names.role_arn(names.access_role), "GiveTheInstanceRole": instance_role_arn}
    return [
        *(
            _allow(sid, arn, "iam:PassRole") | _only_if("iam:PassedToService", *_GIVEN_TO)
            for sid, arn in given.items()
            if arn is not None
        ),
        # An account's first service makes App Runner's own role, in the name of whoever asked for that service.
        _allow("LetAppRunnerMakeItsOwnRole", own_role, "iam:CreateServiceLinkedRole")
        | _only_if("iam:AWSServiceName", _APP_RUNNER),
    ]


def _allow(sid: str, resource: str | list[str], *actions: str) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resource}


def _deny(sid: str, *actions: str) -> Statement:
    return {"Sid": sid, "Effect": "Deny", "Action": list(actions), "Resource": "*"}


def _only_if_requested(names: Names) -> Statement:
    return _only_if(f"aws:RequestTag/{PLATFORM_TAG}", names.platform)


def _only_if(key: str, *values: str) -> Statement:
    return {"Condition": {"StringEquals": {key: list(values)}}}


def _policy(*statements: Statement) -> Policy:
    return {"Version": "2012-10-17", "Statement": list(statements)}
