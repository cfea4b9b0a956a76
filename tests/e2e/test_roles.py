"""The functions' roles let them do their work and no more: proven by what they are refused (IAM is enforced)."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tools.platform_on_localcloud import Platform

Call = Callable[[str, str, str, dict[str, Any]], str]

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


@pytest.fixture(scope="module")
def as_role(platform: Platform) -> Iterator[Call]:
    """Calls made by a function that runs under a role: the only way in, as the roles trust nobody but Lambda."""
    client = platform.cloud.session("operator").client("lambda")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("probe.py", _PROBE)
    for role in ("api", "worker"):
        client.create_function(
            FunctionName=f"probe-{role}",
            Role=f"arn:aws:iam::{platform.cloud.account}:role/fibfactory-{role}",
            Runtime="python3.11",
            Handler="probe.handler",
            Timeout=30,
            Code={"ZipFile": archive.getvalue()},
        )

    def call(role: str, service: str, operation: str, arguments: dict[str, Any]) -> str:
        event = {"service": service, "call": operation, "arguments": _filled(platform, arguments)}
        answer = client.invoke(FunctionName=f"probe-{role}", Payload=json.dumps(event).encode())
        outcome = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, outcome
        return str(outcome)

    yield call
    for role in ("api", "worker"):
        client.delete_function(FunctionName=f"probe-{role}")


def _filled(platform: Platform, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments, with `{output}` as the platform's output of that name."""
    outputs = {f"{{{name}}}": value for name, value in platform.outputs.items()}
    return {name: outputs.get(value, value) if isinstance(value, str) else value for name, value in arguments.items()}


NOBODY = '{"environment": "nobody"}'

REFUSED: list[tuple[str, str, str, dict[str, Any]]] = [
    ("api", "s3", "list_objects_v2", {"Bucket": "{state_bucket}"}),
    ("api", "s3", "get_object", {"Bucket": "{state_bucket}", "Key": ".pulumi/meta.yaml"}),
    ("api", "dynamodb", "delete_item", {"TableName": "{table_name}", "Key": {"pk": {"S": "x"}, "sk": {"S": "x"}}}),
    ("api", "dynamodb", "scan", {"TableName": "{table_name}"}),
    ("api", "dynamodb", "get_item", {"TableName": "other", "Key": {"pk": {"S": "x"}, "sk": {"S": "x"}}}),
    ("api", "dynamodb", "delete_table", {"TableName": "{table_name}"}),
    ("api", "lambda", "invoke", {"FunctionName": "{api_function}"}),
    ("api", "lambda", "delete_function", {"FunctionName": "{worker_function}"}),
    ("api", "iam", "list_roles", {}),
    ("worker", "s3", "delete_bucket", {"Bucket": "{state_bucket}"}),
    ("worker", "s3", "put_object", {"Bucket": "{state_bucket}", "Key": "elsewhere", "Body": ""}),
    ("worker", "dynamodb", "delete_table", {"TableName": "{table_name}"}),
    ("worker", "lambda", "invoke", {"FunctionName": "{api_function}"}),
    ("worker", "iam", "create_role", {"RoleName": "x", "AssumeRolePolicyDocument": "{}"}),
    ("worker", "kms", "create_key", {}),
    ("worker", "ecr", "create_repository", {"repositoryName": "xx"}),
]


ALLOWED: list[tuple[str, str, str, dict[str, Any]]] = [
    ("api", "dynamodb", "get_item", {"TableName": "{table_name}", "Key": {"pk": {"S": "x"}, "sk": {"S": "x"}}}),
    ("api", "lambda", "invoke", {"FunctionName": "{worker_function}", "InvocationType": "Event", "Payload": NOBODY}),
    ("worker", "dynamodb", "get_item", {"TableName": "{table_name}", "Key": {"pk": {"S": "x"}, "sk": {"S": "x"}}}),
    ("worker", "lambda", "invoke", {"FunctionName": "{worker_function}", "InvocationType": "Event", "Payload": NOBODY}),
    ("worker", "s3", "put_object", {"Bucket": "{state_bucket}", "Key": ".pulumi/probe", "Body": "x"}),
    ("worker", "s3", "delete_object", {"Bucket": "{state_bucket}", "Key": ".pulumi/probe"}),
]


@pytest.mark.parametrize(("role", "service", "operation", "arguments"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_role_is_refused_what_is_not_its_work(
    as_role: Call, role: str, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    assert as_role(role, service, operation, arguments) in ("AccessDenied", "AccessDeniedException")


@pytest.mark.parametrize(("role", "service", "operation", "arguments"), ALLOWED, ids=lambda value: str(value)[:40])
def test_a_role_may_do_its_work(
    as_role: Call, role: str, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    assert as_role(role, service, operation, arguments) == "done"


def test_a_person_cannot_act_as_a_function(platform: Platform) -> None:
    sts = platform.cloud.session("alice").client("sts")
    arn = f"arn:aws:iam::{platform.cloud.account}:role/fibfactory-worker"
    with pytest.raises(ClientError) as refusal:
        sts.assume_role(RoleArn=arn, RoleSessionName="test")
    assert refusal.value.response["Error"]["Code"] == "AccessDenied"
