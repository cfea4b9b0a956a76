"""Who may do what, and why: the policies of the platform's roles, as plain data.

The rule: no action is a pattern, each statement is about this platform's own things, and where AWS knows no narrower
resource than `*` the statement's comment says so.
"""

from __future__ import annotations

from typing import Any

from bootstrap.foundations import Foundations
from bootstrap.names import Names

Statement = dict[str, Any]
Policy = dict[str, Any]
_APP_RUNNER = "apprunner.amazonaws.com"


def trust(service: str, **condition: dict[str, str]) -> Policy:
    """A trust policy: this AWS service, under this condition, may take the role."""
    statement: Statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return _policy(statement | ({"Condition": condition} if condition else {}))


def schedule_trust(names: Names) -> Policy:
    """Only this account's schedules: without the condition, another account's could use the role through the service."""
    return trust("scheduler.amazonaws.com", StringEquals={"aws:SourceAccount": names.account})


def api_policy(names: Names) -> Policy:
    """What answers callers: it reads and writes records and asks for a worker. It can reach neither state, key nor compute."""
    return _policy(_records(names), _call_the_worker(names), _write_logs(names, names.api_function))


def worker_policy(names: Names, foundations: Foundations, prefix: str) -> Policy:
    """What makes environments true: records, the state of Pulumi's stacks, and App Runner services of the platform's prefix."""
    return _policy(
        _records(names),
        # A long operation goes on in a next invocation, and a sweep sends what was not picked up.
        _call_the_worker(names),
        _write_logs(names, names.worker_function),
        *_state(names, foundations),
        *_compute(names, prefix),
    )


def schedule_policy(names: Names) -> Policy:
    """What the schedules may do: start the worker, nothing else."""
    return _policy(_call_the_worker(names))


def access_policy(names: Names) -> Policy:
    """What App Runner may do to fetch an environment's image from this account's private registry."""
    return _policy(
        # The one thing of a registry that has no resource: a token to talk to it. The token's rights are this role's.
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


def _compute(names: Names, prefix: str) -> list[Statement]:
    own_role = f"aws-service-role/{_APP_RUNNER}/AWSServiceRoleForAppRunner"
    return [
        _allow(
            "Services",
            names.services_arn(prefix),
            "apprunner:CreateService",
            "apprunner:DescribeService",
            "apprunner:UpdateService",
            "apprunner:DeleteService",
            "apprunner:PauseService",
            "apprunner:ResumeService",
            "apprunner:ListOperations",
            "apprunner:ListTagsForResource",
            "apprunner:TagResource",
            "apprunner:UntagResource",
        ),
        # Lists of the whole account: neither action knows a resource. They are the independent look before `destroyed`
        # is written.
        _allow("LookForServices", "*", "apprunner:ListServices"),
        _allow("LookForAnythingTagged", "*", "tag:GetResources"),
        # Which image a tag means goes into the receipt, so that a revived environment is what it was.
        _allow("TellImagesApart", repositories_arn(names), "ecr:DescribeImages"),
        # The role that pulls private images, to App Runner only. AWS's guide names the service one way here and another in
        # the role's own trust policy; the role trusts the builder alone, so that allowing both gives nothing away.
        _allow("GiveTheAccessRole", names.role_arn(names.access_role), "iam:PassRole")
        | _only_if("iam:PassedToService", f"build.{_APP_RUNNER}", _APP_RUNNER),
        # An account's first service makes App Runner's own role, in the name of whoever asked for that service.
        _allow("LetAppRunnerMakeItsOwnRole", names.role_arn(own_role), "iam:CreateServiceLinkedRole")
        | _only_if("iam:AWSServiceName", _APP_RUNNER),
    ]


def _allow(sid: str, resource: str | list[str], *actions: str) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resource}


def _only_if(key: str, *values: str) -> Statement:
    return {"Condition": {"StringEquals": {key: list(values)}}}


def _policy(*statements: Statement) -> Policy:
    return {"Version": "2012-10-17", "Statement": list(statements)}
