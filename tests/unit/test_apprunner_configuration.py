"""Defaults and updates of an App Runner service's configuration."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.apprunner.configuration import access_role, create, instance_role, update
from localcloud.apprunner.errors import InvalidRequest

ROLE = "arn:aws:iam::000000000000:role/reader"
PRIVATE = {
    "ImageRepository": {
        "ImageIdentifier": "000000000000.dkr.ecr.us-west-2.amazonaws.com/app:v1",
        "ImageRepositoryType": "ECR",
    },
    "AuthenticationConfiguration": {"AccessRoleArn": ROLE},
}


def private(**blocks: Any) -> Any:
    return create({"SourceConfiguration": PRIVATE} | blocks)


def test_a_private_image_is_deployed_automatically_unless_the_request_says_otherwise() -> None:
    assert private()["SourceConfiguration"]["AutoDeploymentsEnabled"] is True
    manual = create({"SourceConfiguration": PRIVATE | {"AutoDeploymentsEnabled": False}})
    assert manual["SourceConfiguration"]["AutoDeploymentsEnabled"] is False


def test_a_given_block_keeps_its_members_and_gets_defaults_for_the_rest() -> None:
    check = private(HealthCheckConfiguration={"Protocol": "HTTP", "Path": "/health"})["HealthCheckConfiguration"]
    assert check["Path"] == "/health"
    assert check["Interval"] == 5


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"Cpu": "1 vCPU", "Memory": "2 GB"}, {"Cpu": "1024", "Memory": "2048"}),
        ({"Cpu": "0.25 vCPU", "Memory": "0.5 GB"}, {"Cpu": "256", "Memory": "512"}),
        ({"Cpu": "4096", "Memory": "12 GB"}, {"Cpu": "4096", "Memory": "12288"}),
        ({}, {"Cpu": "1024", "Memory": "2048"}),
    ],
)
def test_sizes_are_written_in_units_and_megabytes(given: dict[str, str], expected: dict[str, str]) -> None:
    assert private(InstanceConfiguration=given)["InstanceConfiguration"] == expected


def test_an_empty_update_changes_nothing() -> None:
    before = private(InstanceConfiguration={"InstanceRoleArn": ROLE})
    assert update(before, {}) == before


def test_an_update_replaces_the_blocks_it_gives_and_keeps_the_others() -> None:
    before = private(
        InstanceConfiguration={"Cpu": "2 vCPU", "Memory": "4 GB", "InstanceRoleArn": ROLE},
        HealthCheckConfiguration={"Interval": 20},
    )
    after = update(before, {"InstanceConfiguration": {"Memory": "3 GB"}})
    assert after["InstanceConfiguration"] == {"Cpu": "1024", "Memory": "3072"}
    assert instance_role(after) is None
    assert after["HealthCheckConfiguration"] == before["HealthCheckConfiguration"]
    assert after["HealthCheckConfiguration"]["Interval"] == 20


def test_an_update_of_the_source_keeps_the_members_it_leaves_out() -> None:
    before = create({"SourceConfiguration": PRIVATE | {"AutoDeploymentsEnabled": False}})
    image = PRIVATE["ImageRepository"] | {"ImageConfiguration": {"Port": "9000"}}
    after = update(before, {"SourceConfiguration": {"ImageRepository": image}})
    source = after["SourceConfiguration"]
    assert access_role(after) == ROLE
    assert source["AutoDeploymentsEnabled"] is False
    assert source["ImageRepository"]["ImageConfiguration"] == {"Port": "9000"}
    only_switch = update(after, {"SourceConfiguration": {"AutoDeploymentsEnabled": True}})
    assert only_switch["SourceConfiguration"]["ImageRepository"] == source["ImageRepository"]


def test_the_given_request_and_the_defaults_are_not_changed() -> None:
    request = {
        "SourceConfiguration": {**PRIVATE, "ImageRepository": dict(PRIVATE["ImageRepository"])},
        "InstanceConfiguration": {"Cpu": "2 vCPU", "Memory": "4 GB"},
    }
    create(request)
    assert request["SourceConfiguration"] == PRIVATE
    assert request["InstanceConfiguration"] == {"Cpu": "2 vCPU", "Memory": "4 GB"}
    assert private()["InstanceConfiguration"] == {"Cpu": "1024", "Memory": "2048"}


def test_a_configuration_is_not_changed_by_its_update() -> None:
    before, again = private(), private()
    update(before, {"SourceConfiguration": {"AutoDeploymentsEnabled": False}, "InstanceConfiguration": {"Cpu": "1024"}})
    assert before == again


@pytest.mark.parametrize("port", ["0", "65536", "-1", "80a", "８０"])
def test_a_port_is_a_number_that_a_port_can_have(port: str) -> None:
    image = PRIVATE["ImageRepository"] | {"ImageConfiguration": {"Port": port}}
    with pytest.raises(InvalidRequest):
        create({"SourceConfiguration": PRIVATE | {"ImageRepository": image}})
