"""The roles allow what the platform needs and no more (the local cloud enforces IAM, also for App Runner).

A role trusts only its AWS service, so the calls are made by functions that run under it. That a statement is necessary is proven
by removing it: under the policy without it, a call that needs it is refused.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from bootstrap.program import policies
from tools.platform_on_localcloud import Platform

Arguments = dict[str, Any]
Call = Callable[[str, str, str, Arguments], str]
CallUnder = Callable[[policies.Policy, str, str, Arguments], str]

REFUSALS = ("AccessDenied", "AccessDeniedException")
OWN, FOREIGN, UNTAGGED, OTHER_NAME = (
    "fib-app-rolea-service",
    "fib-app-roleb-service",
    "fib-app-rolec-service",
    "other-name-service",
)
OWNERSHIP = {"fibfactory:platform": "fibfactory", "fibfactory:owner": "alice", "fibfactory:environment": "rolea"}
EXISTING = {
    OWN: OWNERSHIP | {"fibfactory:generation": "1"},
    FOREIGN: OWNERSHIP | {"fibfactory:platform": "another"},
    UNTAGGED: {},
    OTHER_NAME: OWNERSHIP,
}
"""The services that exist: our own, another platform's, one without tags, and one with our tags and another name."""

_PROBE = """
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    arguments = {name: value.encode() if name in ("Body", "Payload") else value for name, value in event["arguments"].items()}
    try:
        getattr(boto3.client(event["service"]), event["call"])(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "done"
"""


@contextmanager
def probe(session: boto3.Session, name: str, role_arn: str) -> Iterator[Callable[[str, str, Arguments], str]]:
    """A function under a role that makes the calls it is given and returns `done` or the error's code."""
    client = session.client("lambda")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("probe.py", _PROBE)
    client.create_function(
        FunctionName=name,
        Role=role_arn,
        Runtime="python3.11",
        Handler="probe.handler",
        Timeout=30,
        Code={"ZipFile": archive.getvalue()},
    )

    def call(service: str, operation: str, arguments: Arguments) -> str:
        event = {"service": service, "call": operation, "arguments": arguments}
        answer = client.invoke(FunctionName=name, Payload=json.dumps(event).encode())
        outcome = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, outcome
        return str(outcome)

    yield call
    client.delete_function(FunctionName=name)


@pytest.fixture(scope="module")
def session(platform: Platform) -> boto3.Session:
    return platform.cloud.session("operator")


@pytest.fixture(scope="module")
def services(session: boto3.Session) -> Iterator[dict[str, str]]:
    """The existing services' ARNs by their names. They and all services that a test makes are deleted at the end."""
    client = session.client("apprunner")
    before = {each["ServiceArn"] for each in client.list_services()["ServiceSummaryList"]}
    yield {
        name: client.create_service(**service(name, tags))["Service"]["ServiceArn"] for name, tags in EXISTING.items()
    }
    for each in client.list_services()["ServiceSummaryList"]:
        if each["ServiceArn"] not in before:
            delete(client, each["ServiceArn"])


def delete(client: Any, arn: str) -> None:
    """Delete a service as soon as no operation is in progress, and wait until it is deleted."""
    while (status := client.describe_service(ServiceArn=arn)["Service"]["Status"]) != "DELETED":
        if status != "OPERATION_IN_PROGRESS":
            client.delete_service(ServiceArn=arn)


def service(name: str, tags: dict[str, str] | None = None, **more: Any) -> Arguments:
    """A request for a service that exists with its tags but never runs, as its image does not exist."""
    image = {"ImageIdentifier": "public.ecr.aws/no-such/image:1", "ImageRepositoryType": "ECR_PUBLIC"}
    source = {"ImageRepository": image, "AutoDeploymentsEnabled": False}
    return {"ServiceName": name, "SourceConfiguration": source, "Tags": listed(tags or {})} | more


def private(name: str, role: str) -> Arguments:
    """A request for one of our services whose image is pulled by this role."""
    image = {"ImageIdentifier": "000000000000.dkr.ecr.us-west-2.amazonaws.com/x:1", "ImageRepositoryType": "ECR"}
    source = {"ImageRepository": image, "AuthenticationConfiguration": {"AccessRoleArn": role}}
    return service(name, OWNERSHIP, SourceConfiguration=source)


def listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": name, "Value": value} for name, value in tags.items()]


@pytest.fixture(scope="module")
def as_role(platform: Platform, session: boto3.Session, services: dict[str, str]) -> Iterator[Call]:
    """Makes calls under one of the platform's roles."""
    prefix = f"arn:aws:iam::{platform.cloud.account}:role/fibfactory-"
    with (
        probe(session, "probe-api", f"{prefix}api") as api,
        probe(session, "probe-worker", f"{prefix}worker") as worker,
    ):
        calls = {"api": api, "worker": worker}
        yield lambda role, service, operation, arguments: calls[role](
            service, operation, filled(platform, services, arguments)
        )


@pytest.fixture(scope="module")
def under_policy(platform: Platform, session: boto3.Session, services: dict[str, str]) -> Iterator[CallUnder]:
    """Makes calls under a role that has only the given policy."""
    iam = session.client("iam")
    role = iam.create_role(
        RoleName="probe-mutant", AssumeRolePolicyDocument=json.dumps(policies.trust("lambda.amazonaws.com"))
    )["Role"]

    with probe(session, "probe-mutant", role["Arn"]) as call:

        def call_under(policy: policies.Policy, service: str, operation: str, arguments: Arguments) -> str:
            iam.put_role_policy(RoleName="probe-mutant", PolicyName="mutant", PolicyDocument=json.dumps(policy))
            return call(service, operation, filled(platform, services, arguments))

        yield call_under
    iam.delete_role_policy(RoleName="probe-mutant", PolicyName="mutant")
    iam.delete_role(RoleName="probe-mutant")


@pytest.fixture(scope="module")
def policy_of(session: boto3.Session) -> Callable[[str], policies.Policy]:
    """A deployed role's policy."""
    iam = session.client("iam")

    def read(role: str) -> policies.Policy:
        name = f"fibfactory-{role}"
        document: policies.Policy = iam.get_role_policy(RoleName=name, PolicyName=name)["PolicyDocument"]
        return document

    return read


def filled(platform: Platform, services: dict[str, str], value: Any) -> Any:
    """The arguments with `{output}` replaced by the platform's output and `{service}` by the existing service's ARN."""
    if isinstance(value, dict):
        return {name: filled(platform, services, each) for name, each in value.items()}
    known = {f"{{{name}}}": each for name, each in {**platform.outputs, **services}.items()}
    return known.get(value, value) if isinstance(value, str) else value


EVENT = '{"environment": "no-such-environment"}'
KEY = {"pk": {"S": "x"}, "sk": {"S": "x"}}
ITEM = {"TableName": "{table_name}", "Key": KEY}
ACCESS_ROLE = "arn:aws:iam::000000000000:role/fibfactory-apprunner-access"
QUEUE = "http://127.0.0.1:4566/000000000000/fibfactory-dead-letters"
STREAM = {"logGroupName": "/aws/lambda/fibfactory-worker", "logStreamName": "probe"}


def of(name: str, **more: Any) -> Arguments:
    return {"ServiceArn": f"{{{name}}}"} | more


def tagged(name: str, tag: str, value: str) -> Arguments:
    return {"ResourceArn": f"{{{name}}}", "Tags": listed({tag: value})}


def untagged(name: str, tag: str) -> Arguments:
    return {"ResourceArn": f"{{{name}}}", "TagKeys": [tag]}


CHANGES: list[tuple[str, Arguments]] = [
    ("update_service", {"InstanceConfiguration": {"Cpu": "1024", "Memory": "2048"}}),
    ("pause_service", {}),
    ("resume_service", {}),
    ("delete_service", {}),
]
READS = ("describe_service", "list_operations")

REFUSED: list[tuple[str, str, str, Arguments]] = [
    ("api", "s3", "list_objects_v2", {"Bucket": "{state_bucket}"}),
    ("api", "s3", "get_object", {"Bucket": "{state_bucket}", "Key": ".pulumi/meta.yaml"}),
    ("api", "dynamodb", "delete_item", ITEM),
    ("api", "dynamodb", "scan", {"TableName": "{table_name}"}),
    ("api", "dynamodb", "get_item", {"TableName": "other", "Key": KEY}),
    ("api", "dynamodb", "delete_table", {"TableName": "{table_name}"}),
    ("api", "lambda", "invoke", {"FunctionName": "{api_function}"}),
    ("api", "lambda", "delete_function", {"FunctionName": "{worker_function}"}),
    ("api", "iam", "list_roles", {}),
    ("api", "sqs", "send_message", {"QueueUrl": QUEUE, "MessageBody": "x"}),
    ("api", "logs", "create_log_stream", STREAM),
    ("api", "apprunner", "list_services", {}),
    ("api", "apprunner", "create_service", service("fib-app-roled-service", OWNERSHIP)),
    ("api", "apprunner", "tag_resource", tagged(OWN, "fibfactory:generation", "2")),
    ("api", "apprunner", "untag_resource", untagged(OWN, "fibfactory:generation")),
    ("api", "apprunner", "list_tags_for_resource", {"ResourceArn": f"{{{OWN}}}"}),
    *(("api", "apprunner", operation, of(OWN, **more)) for operation, more in CHANGES),
    *(("api", "apprunner", operation, of(OWN)) for operation in READS),
    ("api", "resourcegroupstaggingapi", "get_resources", {}),
    ("worker", "s3", "delete_bucket", {"Bucket": "{state_bucket}"}),
    ("worker", "s3", "put_object", {"Bucket": "{state_bucket}", "Key": "elsewhere", "Body": ""}),
    ("worker", "dynamodb", "delete_table", {"TableName": "{table_name}"}),
    ("worker", "lambda", "invoke", {"FunctionName": "{api_function}"}),
    ("worker", "iam", "create_role", {"RoleName": "x", "AssumeRolePolicyDocument": "{}"}),
    ("worker", "kms", "create_key", {}),
    ("worker", "ecr", "create_repository", {"repositoryName": "xx"}),
    ("worker", "sqs", "receive_message", {"QueueUrl": QUEUE}),
    ("worker", "sqs", "send_message", {"QueueUrl": QUEUE.replace("dead", "other"), "MessageBody": "x"}),
    # Not ours by its tags: another platform's service, and one without tags.
    *(("worker", "apprunner", operation, of(FOREIGN, **more)) for operation, more in CHANGES),
    *(("worker", "apprunner", operation, of(UNTAGGED, **more)) for operation, more in CHANGES),
    # Not ours by its name, whatever its tags say.
    *(("worker", "apprunner", operation, of(OTHER_NAME, **more)) for operation, more in CHANGES),
    *(("worker", "apprunner", operation, of(OTHER_NAME)) for operation in READS),
    ("worker", "apprunner", "list_tags_for_resource", {"ResourceArn": f"{{{OTHER_NAME}}}"}),
    ("worker", "apprunner", "tag_resource", tagged(OTHER_NAME, "fibfactory:generation", "2")),
    # The tags of ownership can be neither changed nor removed, nor added to another service.
    *(("worker", "apprunner", "tag_resource", tagged(OWN, tag, "another")) for tag in OWNERSHIP),
    *(("worker", "apprunner", "untag_resource", untagged(OWN, tag)) for tag in OWNERSHIP),
    ("worker", "apprunner", "tag_resource", tagged(FOREIGN, "fibfactory:platform", "fibfactory")),
    ("worker", "apprunner", "tag_resource", tagged(FOREIGN, "fibfactory:generation", "2")),
    ("worker", "apprunner", "tag_resource", tagged(UNTAGGED, "fibfactory:generation", "2")),
    # A new service must have our tags and our name, and only the roles intended for services.
    ("worker", "apprunner", "create_service", service("fib-app-roled-service")),
    ("worker", "apprunner", "create_service", service("fib-app-roled-service", {"fibfactory:platform": "another"})),
    ("worker", "apprunner", "create_service", service("another-roled-service", OWNERSHIP)),
    ("worker", "apprunner", "create_service", private("fib-app-roled-service", ACCESS_ROLE.replace("access", "x"))),
    (
        "worker",
        "apprunner",
        "create_service",
        service("fib-app-roled-service", OWNERSHIP, InstanceConfiguration={"InstanceRoleArn": ACCESS_ROLE + "x"}),
    ),
    (
        "worker",
        "apprunner",
        "update_service",
        of(OWN, InstanceConfiguration={"InstanceRoleArn": "arn:aws:iam::000000000000:role/fibfactory-worker"}),
    ),
    # Nothing but a service is made, whatever its name and tags say, and App Runner does nothing that is not listed.
    ("worker", "sqs", "create_queue", {"QueueName": "fib-app-x", "tags": OWNERSHIP}),
    ("worker", "apprunner", "start_deployment", of(OWN)),
]


ALLOWED: list[tuple[str, str, str, Arguments]] = [
    ("api", "dynamodb", "get_item", ITEM),
    ("api", "lambda", "invoke", {"FunctionName": "{worker_function}", "InvocationType": "Event", "Payload": EVENT}),
    ("worker", "dynamodb", "get_item", ITEM),
    ("worker", "lambda", "invoke", {"FunctionName": "{worker_function}", "InvocationType": "Event", "Payload": EVENT}),
    ("worker", "s3", "put_object", {"Bucket": "{state_bucket}", "Key": ".pulumi/probe", "Body": "x"}),
    ("worker", "s3", "delete_object", {"Bucket": "{state_bucket}", "Key": ".pulumi/probe"}),
    ("worker", "apprunner", "list_services", {}),
    ("worker", "resourcegroupstaggingapi", "get_resources", {}),
    ("worker", "apprunner", "describe_service", of(OWN)),
    # By its name it could be ours: the worker may read the tags that say it is not.
    ("worker", "apprunner", "list_tags_for_resource", {"ResourceArn": f"{{{FOREIGN}}}"}),
    ("worker", "apprunner", "tag_resource", tagged(OWN, "fibfactory:generation", "2")),
    ("worker", "apprunner", "tag_resource", tagged(OWN, "fibfactory:owner", "alice")),
    ("worker", "apprunner", "untag_resource", untagged(OWN, "fibfactory:generation")),
    ("worker", "apprunner", "create_service", service("fib-app-rolee-service", OWNERSHIP)),
    ("worker", "apprunner", "create_service", private("fib-app-rolef-service", ACCESS_ROLE)),
]

NEEDS: list[tuple[str, str, str, str, Arguments]] = [
    ("api", "Records", "dynamodb", "get_item", ITEM),
    ("api", "CallTheWorker", "lambda", "invoke", {"FunctionName": "{worker_function}", "Payload": EVENT}),
    ("worker", "Records", "dynamodb", "get_item", ITEM),
    ("worker", "CallTheWorker", "lambda", "invoke", {"FunctionName": "{worker_function}", "Payload": EVENT}),
    ("worker", "KeepDeadLetters", "sqs", "send_message", {"QueueUrl": QUEUE, "MessageBody": "x"}),
    ("worker", "FindState", "s3", "list_objects_v2", {"Bucket": "{state_bucket}"}),
    ("worker", "State", "s3", "put_object", {"Bucket": "{state_bucket}", "Key": ".pulumi/probe", "Body": "x"}),
    ("worker", "StateKey", "kms", "encrypt", {"KeyId": "{key_arn}", "Plaintext": "x"}),
    ("worker", "MakeServices", "apprunner", "create_service", service("fib-app-roleg-service", OWNERSHIP)),
    ("worker", "TagNewServices", "apprunner", "create_service", service("fib-app-roleh-service", OWNERSHIP)),
    ("worker", "ChangeServices", "apprunner", "untag_resource", untagged(OWN, "fibfactory:desired")),
    ("worker", "DescribeServices", "apprunner", "describe_service", of(OWN)),
    ("worker", "ListServices", "apprunner", "list_services", {}),
    ("worker", "ListTaggedResources", "resourcegroupstaggingapi", "get_resources", {}),
    ("worker", "GiveTheAccessRole", "apprunner", "create_service", private("fib-app-rolei-service", ACCESS_ROLE)),
    ("worker", "TellImagesApart", "ecr", "describe_images", {"repositoryName": "nothing"}),
    ("schedule", "CallTheWorker", "lambda", "invoke", {"FunctionName": "{worker_function}", "Payload": EVENT}),
    ("schedule", "KeepDeadLetters", "sqs", "send_message", {"QueueUrl": QUEUE, "MessageBody": "x"}),
    ("apprunner-access", "SignInToTheRegistry", "ecr", "get_authorization_token", {}),
    ("apprunner-access", "PullImages", "ecr", "describe_images", {"repositoryName": "nothing"}),
]
"""For every allowing statement of every policy: a call that needs it."""

NOT_PROVEN = {
    ("api", "WriteLogs"): "ministack asks about a log group's ARN without the `:*` that AWS has there",
    ("worker", "WriteLogs"): "the same",
    ("api", "Traces"): "ministack has no X-Ray",
    ("worker", "Traces"): "ministack has no X-Ray",
    ("worker", "LetAppRunnerMakeItsOwnRole"): "ministack does not know the condition's key iam:AWSServiceName",
}

CONDITIONS: list[tuple[str, str, Arguments]] = [
    ("ChangeServices", "update_service", of(FOREIGN, InstanceConfiguration={"Cpu": "1024", "Memory": "2048"})),
    ("MakeServices", "create_service", service("fib-app-rolej-service")),
    ("KeepTags", "untag_resource", untagged(OWN, "fibfactory:environment")),
    ("KeepPlatformTag", "tag_resource", tagged(OWN, "fibfactory:platform", "another")),
    ("KeepOwnerTag", "tag_resource", tagged(OWN, "fibfactory:owner", "another")),
    ("KeepEnvironmentTag", "tag_resource", tagged(OWN, "fibfactory:environment", "another")),
]
"""For conditions and denying statements: a call that only this statement refuses."""


def short_id(value: object) -> str:
    return str(value)[:60]


@pytest.mark.parametrize(("role", "service", "operation", "arguments"), REFUSED, ids=short_id)
def test_a_role_is_refused_calls_that_it_does_not_need(
    as_role: Call, role: str, service: str, operation: str, arguments: Arguments
) -> None:
    assert as_role(role, service, operation, arguments) in REFUSALS


@pytest.mark.parametrize(("role", "service", "operation", "arguments"), ALLOWED, ids=short_id)
def test_a_role_is_allowed_the_calls_that_it_needs(
    as_role: Call, role: str, service: str, operation: str, arguments: Arguments
) -> None:
    assert as_role(role, service, operation, arguments) == "done"


@pytest.mark.parametrize(("role", "sid", "service", "operation", "arguments"), NEEDS, ids=short_id)
def test_a_call_is_refused_without_the_statement_that_allows_it(
    under_policy: CallUnder,
    policy_of: Callable[[str], policies.Policy],
    key_arn: str,
    role: str,
    sid: str,
    service: str,
    operation: str,
    arguments: Arguments,
) -> None:
    whole = policy_of(role)
    arguments = {name: key_arn if value == "{key_arn}" else value for name, value in arguments.items()}
    assert under_policy(without(whole, sid), service, operation, arguments) in REFUSALS
    assert under_policy(whole, service, operation, arguments) not in REFUSALS


@pytest.mark.parametrize(("sid", "operation", "arguments"), CONDITIONS, ids=short_id)
def test_a_call_is_refused_by_this_statement_alone(
    under_policy: CallUnder,
    policy_of: Callable[[str], policies.Policy],
    restored_tags: None,
    sid: str,
    operation: str,
    arguments: Arguments,
) -> None:
    whole = policy_of("worker")
    # An operator's own managed policy may allow it: the denying statement must still refuse it.
    more = {"Sid": "More", "Effect": "Allow", "Action": ["apprunner:TagResource"], "Resource": "*"}
    whole = {**whole, "Statement": [*whole["Statement"], more]} if sid.startswith("Keep") else whole
    assert under_policy(whole, "apprunner", operation, arguments) in REFUSALS
    assert under_policy(without_limit(whole, sid), "apprunner", operation, arguments) not in REFUSALS


def test_every_statement_of_every_role_is_proven_necessary(policy_of: Callable[[str], policies.Policy]) -> None:
    proven = {(role, sid) for role, sid, *_ in NEEDS} | {("worker", sid) for sid, *_ in CONDITIONS}
    declared = {
        (role, statement["Sid"])
        for role in ("api", "worker", "schedule", "apprunner-access")
        for statement in policy_of(role)["Statement"]
    }
    assert declared - proven == NOT_PROVEN.keys()


def test_a_user_cannot_assume_a_functions_role(platform: Platform) -> None:
    sts = platform.cloud.session("alice").client("sts")
    arn = f"arn:aws:iam::{platform.cloud.account}:role/fibfactory-worker"
    with pytest.raises(ClientError) as refusal:
        sts.assume_role(RoleArn=arn, RoleSessionName="test")
    assert refusal.value.response["Error"]["Code"] == "AccessDenied"


@pytest.fixture
def restored_tags(session: boto3.Session, services: dict[str, str]) -> Iterator[None]:
    """Restore the tags of our own service after the test."""
    yield
    session.client("apprunner").tag_resource(ResourceArn=services[OWN], Tags=listed(EXISTING[OWN]))


@pytest.fixture(scope="module")
def key_arn(platform: Platform) -> str:
    """The key of the stacks' secrets, from `awskms:///ARN?region=…`."""
    return platform.outputs["secrets_provider"].removeprefix("awskms:///").partition("?")[0]


def without(policy: policies.Policy, sid: str) -> policies.Policy:
    return {**policy, "Statement": [each for each in policy["Statement"] if each["Sid"] != sid]}


def without_limit(policy: policies.Policy, sid: str) -> policies.Policy:
    """The policy without this statement's condition, or without the statement if it denies."""
    (statement,) = (each for each in policy["Statement"] if each["Sid"] == sid)
    rest = without(policy, sid)
    if statement["Effect"] == "Deny":
        return rest
    free = {name: value for name, value in statement.items() if name != "Condition"}
    return {**rest, "Statement": [*rest["Statement"], free]}
