"""What the App Runner emulator refuses, by AWS's names, and what it fills in."""

from __future__ import annotations

import json
from typing import Any

import pytest
import urllib3
from botocore import UNSIGNED
from botocore.config import Config

from tests.functional.apprunner_fixtures import (  # noqa: F401
    ACCESS_KEY,
    ACCESS_ROLE,
    INSTANCE_ROLE,
    PRIVATE,
    Lab,
    client,
    fixture_images_file,
    fixture_lab,
    image,
    private_image,
    refused,
)

INVALID = "InvalidRequestException"
NOWHERE = "arn:aws:apprunner:us-west-2:000000000000:service/nowhere/" + "0" * 32

SCALING = "arn:aws:apprunner:us-west-2:000000000000:autoscalingconfiguration/no"
CODE = {"RepositoryUrl": "https://example.org/code", "SourceCodeVersion": {"Type": "BRANCH", "Value": "main"}}


def with_members(source: dict[str, Any], **members: Any) -> dict[str, Any]:
    return source | {"ImageRepository": source["ImageRepository"] | members}


@pytest.mark.parametrize("name", ["abc", "-abc", "a" * 41, "with space", "ünïcode", "a/b/c/d"])
def test_a_bad_name_is_an_invalid_request(lab: Lab, name: str) -> None:
    code, message = refused(lab.create, name=name)
    assert code == INVALID
    assert "serviceName" in message


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        ({"source": with_members(image(), ImageIdentifier="docker.io/library/nginx")}, "imageIdentifier"),
        ({"source": with_members(image(), ImageIdentifier="nginx")}, "imageIdentifier"),
        ({"source": with_members(image(), ImageRepositoryType="DOCKER_HUB")}, "imageRepositoryType"),
        ({"source": with_members(image(), ImageRepositoryType="ECR")}, "repository of type ECR"),
        ({"source": with_members(private_image(), ImageRepositoryType="ECR_PUBLIC")}, "repository of type ECR_PUBLIC"),
        ({"source": image(Port="eighty")}, "Port"),
        ({"source": image(Port="70000")}, "Port"),
        ({"source": image(RuntimeEnvironmentVariables={"AWSAPPRUNNER_X": "1"})}, "AWSAPPRUNNER"),
        ({"source": image(RuntimeEnvironmentSecrets={"X": "arn:aws:ssm:us-west-2:000000000000:parameter/x"})}, "Role"),
        ({"source": image() | {"AutoDeploymentsEnabled": True}}, "automatic deployments"),
        ({"source": image() | {"AuthenticationConfiguration": {"AccessRoleArn": ACCESS_ROLE}}}, "Authentication"),
        ({"source": {"AutoDeploymentsEnabled": False}}, "ImageRepository"),
        ({"source": {"CodeRepository": CODE}}, "ImageRepository"),
        ({"InstanceConfiguration": {"Cpu": "3 vCPU"}}, "instanceConfiguration.cpu"),
        ({"InstanceConfiguration": {"Memory": "1 TB"}}, "instanceConfiguration.memory"),
        ({"InstanceConfiguration": {"Cpu": "256", "Memory": "12 GB"}}, "combination"),
        ({"InstanceConfiguration": {"InstanceRoleArn": "arn:aws:iam::1:role/short-account"}}, "instanceRoleArn"),
        ({"HealthCheckConfiguration": {"Protocol": "UDP"}}, "[TCP, HTTP]"),
        ({"HealthCheckConfiguration": {"Interval": 21}}, "less than or equal to 20"),
        ({"NetworkConfiguration": {"EgressConfiguration": {"EgressType": "VPC"}}}, "VpcConnectorArn"),
        ({"AutoScalingConfigurationArn": SCALING}, "AutoScalingConfigurationArn"),
        ({"EncryptionConfiguration": {"KmsKey": "alias/mine"}}, "kmsKey"),
        ({"Tags": [{"Key": "aws:mine", "Value": "x"}]}, "tags.1.member.key"),
        ({"Tags": [{"Key": "k", "Value": "x" * 257}]}, "256"),
        ({"Tags": [{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}]}, "more than once"),
        ({"Tags": [{"Key": f"k{number}", "Value": "x"} for number in range(51)]}, "50"),
    ],
)
def test_a_bad_value_is_an_invalid_request_that_names_it(lab: Lab, request_: dict[str, Any], word: str) -> None:
    code, message = refused(lab.create, **({"name": "hello"} | request_))
    assert code == INVALID
    assert word in message
    assert lab.names() == []


def test_a_private_image_needs_an_access_role(lab: Lab) -> None:
    found = refused(lab.create, name="hello", source=private_image(role=None))
    assert found == (INVALID, "Authentication configuration is invalid.")


def test_a_sensitive_value_is_not_repeated_in_a_refusal(lab: Lab) -> None:
    _, message = refused(
        lab.create, name="hello", source=image(RuntimeEnvironmentVariables={"KEY": "hunter2\nhunter3"})
    )
    assert "runtimeEnvironmentVariables.value" in message
    assert "hunter" not in message


def test_a_name_can_be_used_once_in_a_region(lab: Lab) -> None:
    lab.create("hello")
    code, message = refused(lab.create, name="hello")
    assert code == INVALID
    assert message.startswith("Service with the provided name already exists: hello")
    elsewhere = client("apprunner", lab.emulator.url, region="eu-west-1")
    made = elsewhere.create_service(ServiceName="hello", SourceConfiguration=image())["Service"]
    assert made["ServiceArn"].startswith("arn:aws:apprunner:eu-west-1:")
    assert lab.names() == ["hello"]


def test_the_quota_counts_services_of_the_region_that_are_not_deleted(lab: Lab) -> None:
    lab.admin.behave(quota=2)
    first = lab.created("first")
    lab.create("second")
    assert refused(lab.create, name="third")[0] == "ServiceQuotaExceededException"
    lab.after("delete", first["ServiceArn"])
    lab.create("third")
    assert sorted(lab.names()) == ["second", "third"]


def test_the_quota_is_thirty_unless_it_is_set(lab: Lab) -> None:
    assert lab.admin.behaviour().quota == 30


def test_an_unknown_role_is_refused_as_often_as_injected(lab: Lab) -> None:
    lab.admin.inject("instance_role", times=2)
    with_role = {"InstanceConfiguration": {"InstanceRoleArn": INSTANCE_ROLE}}
    assert lab.created("without-role")["Status"] == "RUNNING"
    for _ in range(2):
        assert refused(lab.create, name="with-role", **with_role) == (
            INVALID,
            f"Error in assuming instance role {INSTANCE_ROLE}",
        )
    assert lab.created("with-role", **with_role)["Status"] == "RUNNING"


def test_an_access_role_that_cannot_be_assumed_is_refused(lab: Lab) -> None:
    lab.admin.inject("access_role", service="hello")
    found = refused(lab.create, name="hello", source=private_image())
    assert found == (INVALID, f"Error in assuming access role {ACCESS_ROLE}")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (image(), private_image()),
        (private_image(), with_members(private_image(), **image()["ImageRepository"])),
    ],
)
def test_the_kind_of_repository_cannot_change(lab: Lab, before: dict[str, Any], after: dict[str, Any]) -> None:
    arn = lab.created("hello", before)["ServiceArn"]
    code, message = refused(lab.apprunner.update_service, ServiceArn=arn, SourceConfiguration=after)
    assert code == INVALID
    assert "You can't" in message
    assert lab.describe(arn)["Status"] == "RUNNING"


def test_defaults_are_filled_in_and_units_written_out(lab: Lab) -> None:
    service = lab.create("hello", InstanceConfiguration={"Cpu": "0.25 vCPU", "Memory": "0.5 GB"})
    assert service["InstanceConfiguration"] == {"Cpu": "256", "Memory": "512"}
    assert service["SourceConfiguration"]["ImageRepository"]["ImageConfiguration"] == {"Port": "8080"}
    assert service["SourceConfiguration"]["AutoDeploymentsEnabled"] is False
    assert service["HealthCheckConfiguration"] == {
        "Protocol": "TCP",
        "Path": "/",
        "Interval": 5,
        "Timeout": 2,
        "HealthyThreshold": 1,
        "UnhealthyThreshold": 5,
    }
    assert service["NetworkConfiguration"] == {
        "EgressConfiguration": {"EgressType": "DEFAULT"},
        "IngressConfiguration": {"IsPubliclyAccessible": True},
        "IpAddressType": "IPV4",
    }
    scaling = service["AutoScalingConfigurationSummary"]
    assert scaling["AutoScalingConfigurationArn"] == (
        "arn:aws:apprunner:us-west-2:000000000000:"
        "autoscalingconfiguration/DefaultConfiguration/1/00000000000000000000000000000001"
    )
    assert lab.create("plain")["InstanceConfiguration"] == {"Cpu": "1024", "Memory": "2048"}


def test_an_update_keeps_the_blocks_it_leaves_out(lab: Lab) -> None:
    before = lab.created(
        "hello",
        private_image(),
        InstanceConfiguration={"Cpu": "2 vCPU", "Memory": "4 GB", "InstanceRoleArn": INSTANCE_ROLE},
        HealthCheckConfiguration={"Path": "/health", "Protocol": "HTTP", "Interval": 1},
    )
    new_image = {"ImageRepository": {"ImageIdentifier": f"{PRIVATE}:v2", "ImageRepositoryType": "ECR"}}
    after = lab.after("update", before["ServiceArn"], SourceConfiguration=new_image)
    assert after["SourceConfiguration"]["ImageRepository"]["ImageIdentifier"] == f"{PRIVATE}:v2"
    assert after["SourceConfiguration"]["AuthenticationConfiguration"] == {"AccessRoleArn": ACCESS_ROLE}
    for block in ("InstanceConfiguration", "HealthCheckConfiguration", "NetworkConfiguration"):
        assert after[block] == before[block]
    assert after["InstanceConfiguration"]["InstanceRoleArn"] == INSTANCE_ROLE


def test_an_unknown_service_is_not_found_and_neither_is_one_of_another_region(lab: Lab) -> None:
    calls = lab.apprunner
    for call in (
        calls.describe_service,
        calls.update_service,
        calls.delete_service,
        calls.pause_service,
        calls.resume_service,
        calls.start_deployment,
        calls.list_operations,
    ):
        assert refused(call, ServiceArn=NOWHERE)[0] == "ResourceNotFoundException"
    assert refused(calls.list_tags_for_resource, ResourceArn=NOWHERE)[0] == "ResourceNotFoundException"
    arn = lab.create("hello")["ServiceArn"]
    elsewhere = client("apprunner", lab.emulator.url, region="eu-west-1")
    assert refused(elsewhere.describe_service, ServiceArn=arn)[0] == "ResourceNotFoundException"


def test_a_malformed_arn_is_an_invalid_request(lab: Lab) -> None:
    assert refused(lab.apprunner.describe_service, ServiceArn="hello")[0] == INVALID


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [("throttling", "ThrottlingException", 400), ("internal_error", "InternalServiceErrorException", 500)],
)
def test_any_operation_can_be_made_to_answer_with_an_error(lab: Lab, kind: str, code: str, status: int) -> None:
    lab.admin.inject(kind, operation="List*", times=2)
    assert [refused(lab.apprunner.list_services)[0] for _ in range(2)] == [code, code]
    assert lab.names() == []
    assert [call.status for call in lab.admin.calls()] == [status, status, 200]


def test_the_tagging_api_has_its_own_name_for_throttling(lab: Lab) -> None:
    lab.admin.inject("throttling")
    tagging = client("resourcegroupstaggingapi", lab.emulator.url)
    assert refused(tagging.get_resources)[0] == "ThrottledException"


def test_a_request_without_a_signature_is_refused(lab: Lab) -> None:
    nobody = client("apprunner", lab.emulator.url, config=Config(signature_version=UNSIGNED))
    assert refused(nobody.list_services)[0] == "MissingAuthenticationTokenException"
    assert [call.access_key for call in lab.admin.calls()] == [None]


def signed_for(service: str) -> str:
    scope = f"{ACCESS_KEY}/20250101/us-west-2/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"


def send(lab: Lab, target: str, body: bytes, authorization: str) -> urllib3.BaseHTTPResponse:
    headers = {"X-Amz-Target": target, "X-Amz-Date": "20250101T000000Z", "Authorization": authorization}
    return urllib3.request("POST", lab.emulator.url, body=body, headers=headers)


def post(lab: Lab, target: str, body: bytes, authorization: str = signed_for("apprunner")) -> tuple[int, str]:
    answer = send(lab, target, body, authorization)
    return answer.status, json.loads(answer.data)["__type"]


@pytest.mark.parametrize(
    ("target", "body", "expected"),
    [
        ("AppRunner.ListServices", b"{not json", (400, "SerializationException")),
        ("AppRunner.ListServices", b" " * (2 << 20), (413, "RequestEntityTooLargeException")),
        ("AppRunner.ListServices", b"[]", (400, "SerializationException")),
        ("AppRunner.ListServices", b'{"MaxResults": "three"}', (400, "SerializationException")),
        ("AppRunner.ListServices", b'{"MaxResults": true}', (400, "SerializationException")),
        ("AppRunner.ListServices", b'{"MaxResults": 0}', (400, INVALID)),
        ("AppRunner.ListServices", b'{"NextToken": "forged"}', (400, INVALID)),
        ("AppRunner.DescribeService", b"{}", (400, INVALID)),
        ("AppRunner.DescribeService", b'{"ServiceArn": null}', (400, INVALID)),
        ("AppRunner.AssociateCustomDomain", b"{}", (400, "UnknownOperationException")),
        ("AppRunner.MakeCoffee", b"{}", (400, "UnknownOperationException")),
        ("DynamoDB_20120810.ListTables", b"{}", (400, "UnknownOperationException")),
        ("", b"{}", (400, "UnknownOperationException")),
    ],
)
def test_a_request_that_cannot_be_read_gets_aws_s_error(
    lab: Lab, target: str, body: bytes, expected: tuple[int, str]
) -> None:
    assert post(lab, target, body) == expected


def test_members_that_aws_does_not_know_are_ignored_as_aws_does(lab: Lab) -> None:
    answer = send(lab, "AppRunner.ListServices", b'{"Colour": "blue"}', signed_for("apprunner"))
    assert (answer.status, json.loads(answer.data)) == (200, {"ServiceSummaryList": []})
    assert answer.headers["Content-Type"] == "application/x-amz-json-1.0"
    assert answer.headers["x-amzn-RequestId"]


def test_a_broken_signature_and_one_for_another_service_are_refused(lab: Lab) -> None:
    assert post(lab, "AppRunner.ListServices", b"{}", "Bearer abc") == (400, "IncompleteSignatureException")
    assert post(lab, "AppRunner.ListServices", b"{}", signed_for("s3")) == (403, "InvalidSignatureException")
