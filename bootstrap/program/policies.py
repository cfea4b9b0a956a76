"""The policies of the platform's roles, as plain data with their reasons.

The rule: no action is a pattern, each statement is limited to this platform's own resources, and a statement about `*` has its
reason in WHY_ANY. AWS's Service Authorization Reference says which action supports which resources and conditions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bootstrap.foundations.lookup import Foundations
from bootstrap.names import Names
from bootstrap.settings import Settings
from orchestrator.domain.names import TAG_ENVIRONMENT, TAG_OWNER, TAG_PLATFORM

Statement = dict[str, Any]
Policy = dict[str, Any]
_APP_RUNNER = "apprunner.amazonaws.com"
# The reference's name for App Runner when a role is passed to it; AWS's managed policies use the public name. Neither is the name
# in a role's trust policy (`build.` or `tasks.`). A role that trusts App Runner only is of no use to others, so both are safe.
_PASSED_TO = ("bullet.amazonaws.com", _APP_RUNNER)

OWNERSHIP_TAGS = {"Platform": TAG_PLATFORM, "Owner": TAG_OWNER, "Environment": TAG_ENVIRONMENT}
"""The tags that say to whom a resource belongs, by their names in statements. The orchestrator sets them."""

WHY_ANY: Mapping[str, str] = {
    "SignInToTheRegistry": "the action supports no resource; its token has the permissions of this role",
    "Traces": "X-Ray's actions support no resource",
    "ListServices": "a list of all services supports no resource; it is the independent check before `destroyed` is written",
    "ListTaggedResources": "the tagging API supports no resource; sweeps look at all types",
    "KeepPlatformTag": "a refusal, whatever else a policy allows",
    "KeepOwnerTag": "a refusal, whatever else a policy allows",
    "KeepEnvironmentTag": "a refusal, whatever else a policy allows",
    "KeepTags": "a refusal, whatever else a policy allows",
}
"""The reason of each statement about all resources, by its Sid. Every other statement must name its resources."""


def trust(service: str, **condition: dict[str, str]) -> Policy:
    """A trust policy: this AWS service may assume the role under this condition."""
    statement: Statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return _policy(statement | ({"Condition": condition} if condition else {}))


def schedule_trust(names: Names) -> Policy:
    """Only this account's schedules: without the condition, those of another account could use the role through the service."""
    return trust("scheduler.amazonaws.com", StringEquals={"aws:SourceAccount": names.account})


def api_policy(names: Names) -> Policy:
    """The API: it reads and writes records and starts a worker. It has no access to the state, the key or App Runner."""
    return _policy(_records(names), _call_the_worker(names), _write_logs(names, names.api_function), _traces())


def worker_policy(foundations: Foundations, settings: Settings) -> Policy:
    """The worker: it uses records, the state of Pulumi's stacks, and App Runner services of the platform's prefix."""
    names = foundations.names
    return _policy(
        _records(names),
        # A long operation continues in another invocation, and a sweep starts workers for what is due.
        _call_the_worker(names),
        _write_logs(names, names.worker_function),
        _traces(),
        # Lambda sends failed calls with the role of the worker.
        _keep_dead_letters(names),
        *_state(foundations),
        *_services(names, settings.prefix),
        *_keep_ownership(),
        *_roles_to_give(names, settings.instance_role_arn),
        # The digest of a tag goes into the receipt, so that a revived environment runs the same image.
        _allow("TellImagesApart", names.repositories_arn, "ecr:DescribeImages"),
    )


def schedule_policy(names: Names) -> Policy:
    """The schedules: they start the worker, and send what they can't deliver to the dead letters."""
    return _policy(_call_the_worker(names), _keep_dead_letters(names))


def access_policy(names: Names) -> Policy:
    """App Runner: it pulls environments' images from this account's private registry."""
    return _policy(
        _allow("SignInToTheRegistry", "*", "ecr:GetAuthorizationToken"),
        _allow(
            "PullImages",
            names.repositories_arn,
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:DescribeImages",
            "ecr:GetDownloadUrlForLayer",
        ),
    )


def _records(names: Names) -> Statement:
    # A transaction needs the actions of its parts. The table's ARN does not include its indexes.
    actions = ("dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:ConditionCheckItem")
    return _allow("Records", [names.table_arn, f"{names.table_arn}/index/*"], *actions)


def _call_the_worker(names: Names) -> Statement:
    return _allow("CallTheWorker", names.worker_arn, "lambda:InvokeFunction")


def _write_logs(names: Names, function: str) -> Statement:
    # Not CreateLogGroup: the platform makes the group with its retention, and a late call must not make it again.
    return _allow(
        "WriteLogs", f"{names.log_group_arn(names.log_group(function))}:*", "logs:CreateLogStream", "logs:PutLogEvents"
    )


def _traces() -> Statement:
    return _allow("Traces", "*", "xray:PutTraceSegments", "xray:PutTelemetryRecords")


def _keep_dead_letters(names: Names) -> Statement:
    return _allow("KeepDeadLetters", names.dead_letters_arn, "sqs:SendMessage")


def _state(foundations: Foundations) -> list[Statement]:
    bucket = foundations.names.state_bucket_arn
    return [
        # No condition on the prefix: S3 answers "not found" for a missing object only to roles that may list the bucket, and
        # "forbidden" to others. The CLI reads objects that may be missing, and a read has no prefix to compare.
        _allow("FindState", bucket, "s3:ListBucket"),
        _allow("State", f"{bucket}/.pulumi/*", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"),
        # Encrypt and Decrypt: the CLI, for the stacks' secrets. GenerateDataKey and Decrypt: S3, for the bucket's objects, with
        # the permissions of its caller.
        _allow("StateKey", foundations.key_arn, "kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey"),
    ]


def _services(names: Names, prefix: str) -> list[Statement]:
    services = names.services_arn(prefix)
    return [
        _allow("MakeServices", services, "apprunner:CreateService") | _only_if_requested(names),
        # App Runner also requires this to create a service with tags. There are no tags to compare yet.
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
        | _only_if(f"aws:ResourceTag/{TAG_PLATFORM}", names.platform),
        # By name only: a deleted service has no tags any more, and the engine's waits and the check before `destroyed` must be
        # able to see that it is deleted.
        _allow(
            "DescribeServices",
            services,
            "apprunner:DescribeService",
            "apprunner:ListOperations",
            "apprunner:ListTagsForResource",
        ),
        _allow("ListServices", "*", "apprunner:ListServices"),
        _allow("ListTaggedResources", "*", "tag:GetResources"),
    ]


def _keep_ownership() -> list[Statement]:
    """The tags that say to whom a resource belongs can be neither changed nor removed, whatever else a policy allows."""
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
            _allow(sid, arn, "iam:PassRole") | _only_if("iam:PassedToService", *_PASSED_TO)
            for sid, arn in given.items()
            if arn is not None
        ),
        # An account's first service makes App Runner's own role, with the permissions of the caller that creates the service.
        _allow("LetAppRunnerMakeItsOwnRole", own_role, "iam:CreateServiceLinkedRole")
        | _only_if("iam:AWSServiceName", _APP_RUNNER),
    ]


def _allow(sid: str, resource: str | list[str], *actions: str) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resource}


def _deny(sid: str, *actions: str) -> Statement:
    return {"Sid": sid, "Effect": "Deny", "Action": list(actions), "Resource": "*"}


def _only_if_requested(names: Names) -> Statement:
    return _only_if(f"aws:RequestTag/{TAG_PLATFORM}", names.platform)


def _only_if(key: str, *values: str) -> Statement:
    return {"Condition": {"StringEquals": {key: list(values)}}}


def _policy(*statements: Statement) -> Policy:
    return {"Version": "2012-10-17", "Statement": list(statements)}
