"""The roles let the platform do its work and no more: proven by what they are refused (IAM is enforced, App Runner's too).

A role trusts nobody but its service, so the calls are made by functions that run under it. What a statement is for is proven by
taking it away: under the policy without it, what needs it is refused.
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
OURS, THEIRS, BARE, ELSEWHERE = (
    "fib-app-rolea-service",
    "fib-app-roleb-service",
    "fib-app-rolec-service",
    "elsewhere-service",
)
OWNERSHIP = {"fibfactory:platform": "fibfactory", "fibfactory:owner": "alice", "fibfactory:environment": "rolea"}
STANDING = {
    OURS: OWNERSHIP | {"fibfactory:generation": "1"},
    THEIRS: OWNERSHIP | {"fibfactory:platform": "another"},
    BARE: {},
    ELSEWHERE: OWNERSHIP,
}
"""The services that are there: ours, another platform's, one without tags, and one with our tags and a foreign name."""

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
    """A function under a role, which makes the calls that it is given: `done`, or the code of the error."""
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
    """The standing services' ARNs by their names. What a test makes beside them goes, too."""
    client = session.client("apprunner")
    before = {each["ServiceArn"] for each in client.list_services()["ServiceSummaryList"]}
    yield {
        name: client.create_service(**service(name, tags))["Service"]["ServiceArn"] for name, tags in STANDING.items()
    }
    for each in client.list_services()["ServiceSummaryList"]:
        if each["ServiceArn"] not in before:
            delete(client, each["ServiceArn"])


def delete(client: Any, arn: str) -> None:
    """Delete a service as soon as nothing is in progress, and wait until it is gone."""
    while (status := client.describe_service(ServiceArn=arn)["Service"]["Status"]) != "DELETED":
        if status != "OPERATION_IN_PROGRESS":
            client.delete_service(ServiceArn=arn)


def service(name: str, tags: dict[str, str] | None = None, **more: Any) -> Arguments:
    """A request for a service that never runs: nobody knows its image. It is there, and has its tags, all the same."""
    image = {"ImageIdentifier": "public.ecr.aws/nobody/nothing:1", "ImageRepositoryType": "ECR_PUBLIC"}
    source = {"ImageRepository": image, "AutoDeploymentsEnabled": False}
    return {"ServiceName": name, "SourceConfiguration": source, "Tags": listed(tags or {})} | more


def private(name: str, role: str) -> Arguments:
    """A request for a service of ours whose image is pulled by this role."""
    image = {"ImageIdentifier": "000000000000.dkr.ecr.us-west-2.amazonaws.com/x:1", "ImageRepositoryType": "ECR"}
    source = {"ImageRepository": image, "AuthenticationConfiguration": {"AccessRoleArn": role}}
    return service(name, OWNERSHIP, SourceConfiguration=source)


def listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": name, "Value": value} for name, value in tags.items()]


@pytest.fixture(scope="module")
def as_role(platform: Platform, session: boto3.Session, services: dict[str, str]) -> Iterator[Call]:
    """Calls made by a function that runs under one of the platform's own roles."""
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
def under(platform: Platform, session: boto3.Session, services: dict[str, str]) -> Iterator[CallUnder]:
    """Calls made by a function whose role has the given policy and no other."""
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
    """The arguments, with `{output}` as the platform's output of that name, and `{service}` as that standing service's ARN."""
    if isinstance(value, dict):
        return {name: filled(platform, services, each) for name, each in value.items()}
    known = {f"{{{name}}}": each for name, each in {**platform.outputs, **services}.items()}
    return known.get(value, value) if isinstance(value, str) else value


NOBODY = '{"environment": "nobody"}'
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
LOOKS = ("describe_service", "list_operations")

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
    ("api", "apprunner", "tag_resource", tagged(OURS, "fibfactory:generation", "2")),
    ("api", "apprunner", "untag_resource", untagged(OURS, "fibfactory:generation")),
    ("api", "apprunner", "list_tags_for_resource", {"ResourceArn": f"{{{OURS}}}"}),
    *(("api", "apprunner", operation, of(OURS, **more)) for operation, more in CHANGES),
    *(("api", "apprunner", operation, of(OURS)) for operation in LOOKS),
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
    # Not ours by its tag: another platform's service, and one that nobody claims.
    *(("worker", "apprunner", operation, of(THEIRS, **more)) for operation, more in CHANGES),
    *(("worker", "apprunner", operation, of(BARE, **more)) for operation, more in CHANGES),
    # Not ours by its name, whatever its tags say.
    *(("worker", "apprunner", operation, of(ELSEWHERE, **more)) for operation, more in CHANGES),
    *(("worker", "apprunner", operation, of(ELSEWHERE)) for operation in LOOKS),
    ("worker", "apprunner", "list_tags_for_resource", {"ResourceArn": f"{{{ELSEWHERE}}}"}),
    ("worker", "apprunner", "tag_resource", tagged(ELSEWHERE, "fibfactory:generation", "2")),
    # Ownership is neither given away, nor taken, nor forgotten.
    *(("worker", "apprunner", "tag_resource", tagged(OURS, tag, "another")) for tag in OWNERSHIP),
    *(("worker", "apprunner", "untag_resource", untagged(OURS, tag)) for tag in OWNERSHIP),
    ("worker", "apprunner", "tag_resource", tagged(THEIRS, "fibfactory:platform", "fibfactory")),
    ("worker", "apprunner", "tag_resource", tagged(THEIRS, "fibfactory:generation", "2")),
    ("worker", "apprunner", "tag_resource", tagged(BARE, "fibfactory:generation", "2")),
    # What is made is ours, by tag and name, and gets no role but those meant for it.
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
        of(OURS, InstanceConfiguration={"InstanceRoleArn": "arn:aws:iam::000000000000:role/fibfactory-worker"}),
    ),
    # Nothing but a service is made, whatever its name and tags say, and App Runner does nothing that is not listed.
    ("worker", "sqs", "create_queue", {"QueueName": "fib-app-x", "tags": OWNERSHIP}),
    ("worker", "apprunner", "start_deployment", of(OURS)),
]


ALLOWED: list[tuple[str, str, str, Arguments]] = [
    ("api", "dynamodb", "get_item", ITEM),
    ("api", "lambda", "invoke", {"FunctionName": "{worker_function}", "InvocationType": "Event", "Payload": NOBODY}),
    ("worker", "dynamodb", "get_item", ITEM),
    ("worker", "lambda", "invoke", {"FunctionName": "{worker_function}", "InvocationType": "Event", "Payload": NOBODY}),
    ("worker", "s3", "put_object", {"Bucket": "{state_bucket}", "Key": ".pulumi/probe", "Body": "x"}),
    ("worker", "s3", "delete_object", {"Bucket": "{state_bucket}", "Key": ".pulumi/probe"}),
    ("worker", "apprunner", "list_services", {}),
    ("worker", "resourcegroupstaggingapi", "get_resources", {}),
    ("worker", "apprunner", "describe_service", of(OURS)),
    # By its name it could be ours: the worker may see, and say, that it is not.
    ("worker", "apprunner", "list_tags_for_resource", {"ResourceArn": f"{{{THEIRS}}}"}),
    ("worker", "apprunner", "tag_resource", tagged(OURS, "fibfactory:generation", "2")),
    ("worker", "apprunner", "tag_resource", tagged(OURS, "fibfactory:owner", "alice")),
    ("worker", "apprunner", "untag_resource", untagged(OURS, "fibfactory:generation")),
    ("worker", "apprunner", "create_service", service("fib-app-rolee-service", OWNERSHIP)),
    ("worker", "apprunner", "create_service", private("fib-app-rolef-service", ACCESS_ROLE)),
]

NEEDS: list[tuple[str, str, str, str, Arguments]] = [
    ("api", "Records", "dynamodb", "get_item", ITEM),
    ("api", "CallTheWorker", "lambda", "invoke", {"FunctionName": "{worker_function}", "Payload": NOBODY}),
    ("worker", "Records", "dynamodb", "get_item", ITEM),
    ("worker", "CallTheWorker", "lambda", "invoke", {"FunctionName": "{worker_function}", "Payload": NOBODY}),
    ("worker", "KeepDeadLetters", "sqs", "send_message", {"QueueUrl": QUEUE, "MessageBody": "x"}),
    ("worker", "FindState", "s3", "list_objects_v2", {"Bucket": "{state_bucket}"}),
    ("worker", "State", "s3", "put_object", {"Bucket": "{state_bucket}", "Key": ".pulumi/probe", "Body": "x"}),
    ("worker", "StateKey", "kms", "encrypt", {"KeyId": "{key_arn}", "Plaintext": "x"}),
    ("worker", "MakeServices", "apprunner", "create_service", service("fib-app-roleg-service", OWNERSHIP)),
    ("worker", "TagNewServices", "apprunner", "create_service", service("fib-app-roleh-service", OWNERSHIP)),
    ("worker", "ChangeServices", "apprunner", "untag_resource", untagged(OURS, "fibfactory:desired")),
    ("worker", "LookAtServices", "apprunner", "describe_service", of(OURS)),
    ("worker", "LookForServices", "apprunner", "list_services", {}),
    ("worker", "LookForAnythingTagged", "resourcegroupstaggingapi", "get_resources", {}),
    ("worker", "GiveTheAccessRole", "apprunner", "create_service", private("fib-app-rolei-service", ACCESS_ROLE)),
    ("worker", "TellImagesApart", "ecr", "describe_images", {"repositoryName": "nothing"}),
    ("schedule", "CallTheWorker", "lambda", "invoke", {"FunctionName": "{worker_function}", "Payload": NOBODY}),
    ("schedule", "KeepDeadLetters", "sqs", "send_message", {"QueueUrl": QUEUE, "MessageBody": "x"}),
    ("apprunner-access", "SignInToTheRegistry", "ecr", "get_authorization_token", {}),
    ("apprunner-access", "PullImages", "ecr", "describe_images", {"repositoryName": "nothing"}),
]
"""For every statement of every policy that allows something: a call that needs it."""

NOT_PROVEN = {
    ("api", "WriteLogs"): "ministack asks about a log group's ARN without the `:*` that AWS has there",
    ("worker", "WriteLogs"): "the same",
    ("api", "Traces"): "ministack has no X-Ray",
    ("worker", "Traces"): "ministack has no X-Ray",
    ("worker", "LetAppRunnerMakeItsOwnRole"): "ministack does not know the condition's key iam:AWSServiceName",
}

CONDITIONS: list[tuple[str, str, Arguments]] = [
    ("ChangeServices", "update_service", of(THEIRS, InstanceConfiguration={"Cpu": "1024", "Memory": "2048"})),
    ("MakeServices", "create_service", service("fib-app-rolej-service")),
    ("KeepTags", "untag_resource", untagged(OURS, "fibfactory:environment")),
    ("KeepPlatformTag", "tag_resource", tagged(OURS, "fibfactory:platform", "another")),
    ("KeepOwnerTag", "tag_resource", tagged(OURS, "fibfactory:owner", "another")),
    ("KeepEnvironmentTag", "tag_resource", tagged(OURS, "fibfactory:environment", "another")),
]
"""For conditions and refusals: a call that is refused by nothing but this statement's limit."""


def named(value: object) -> str:
    return str(value)[:60]


@pytest.mark.parametrize(("role", "service", "operation", "arguments"), REFUSED, ids=named)
def test_a_role_is_refused_calls_that_it_does_not_need(
    as_role: Call, role: str, service: str, operation: str, arguments: Arguments
) -> None:
    assert as_role(role, service, operation, arguments) in REFUSALS


@pytest.mark.parametrize(("role", "service", "operation", "arguments"), ALLOWED, ids=named)
def test_a_role_is_allowed_the_calls_that_it_needs(
    as_role: Call, role: str, service: str, operation: str, arguments: Arguments
) -> None:
    assert as_role(role, service, operation, arguments) == "done"


@pytest.mark.parametrize(("role", "sid", "service", "operation", "arguments"), NEEDS, ids=named)
def test_a_call_is_refused_without_the_statement_that_allows_it(
    under: CallUnder,
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
    assert under(without(whole, sid), service, operation, arguments) in REFUSALS
    assert under(whole, service, operation, arguments) not in REFUSALS


@pytest.mark.parametrize(("sid", "operation", "arguments"), CONDITIONS, ids=named)
def test_a_call_is_refused_by_this_statement_alone(
    under: CallUnder,
    policy_of: Callable[[str], policies.Policy],
    tags_come_back: None,
    sid: str,
    operation: str,
    arguments: Arguments,
) -> None:
    whole = policy_of("worker")
    # As an operator's own managed policy might allow it: a refusal must hold against that.
    more = {"Sid": "More", "Effect": "Allow", "Action": ["apprunner:TagResource"], "Resource": "*"}
    whole = {**whole, "Statement": [*whole["Statement"], more]} if sid.startswith("Keep") else whole
    assert under(whole, "apprunner", operation, arguments) in REFUSALS
    assert under(unlimited(whole, sid), "apprunner", operation, arguments) not in REFUSALS


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
def tags_come_back(session: boto3.Session, services: dict[str, str]) -> Iterator[None]:
    """What a test lets happen to the tags of our standing service is undone."""
    yield
    session.client("apprunner").tag_resource(ResourceArn=services[OURS], Tags=listed(STANDING[OURS]))


@pytest.fixture(scope="module")
def key_arn(platform: Platform) -> str:
    """The key of the stacks' secrets, from `awskms:///ARN?region=…`."""
    return platform.outputs["secrets_provider"].removeprefix("awskms:///").partition("?")[0]


def without(policy: policies.Policy, sid: str) -> policies.Policy:
    return {**policy, "Statement": [each for each in policy["Statement"] if each["Sid"] != sid]}


def unlimited(policy: policies.Policy, sid: str) -> policies.Policy:
    """The policy without this statement's limit: its condition, or all of it where it refuses."""
    (statement,) = (each for each in policy["Statement"] if each["Sid"] == sid)
    rest = without(policy, sid)
    if statement["Effect"] == "Deny":
        return rest
    free = {name: value for name, value in statement.items() if name != "Condition"}
    return {**rest, "Statement": [*rest["Statement"], free]}
