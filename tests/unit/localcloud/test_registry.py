"""What names in ECR mean to Docker on this machine."""

from __future__ import annotations

import pytest

from localcloud.registry import Registry
from localcloud.settings import Ports

REGISTRY = Registry("127.0.0.1:4566")
ECR = "000000000000.dkr.ecr.us-west-2.amazonaws.com"
DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize("image", ["app", "team/app", "team/app:v1", f"team/app@{DIGEST}", f"app:v1@{DIGEST}"])
def test_a_private_image_is_at_the_clouds_own_address(image: str) -> None:
    assert REGISTRY.local_name(f"{ECR}/{image}") == f"127.0.0.1:4566/{image}"


@pytest.mark.parametrize(
    "image",
    [
        "public.ecr.aws/fibfactory/fibservice:latest",
        "docker.io/library/python:3.11",
        "python",
        "127.0.0.1:4566/app:v1",
        f"{ECR}.evil.com/app",
        f"evil.com/{ECR}/app",
        f"{ECR}/",
        f"{ECR}/app@sha256:short",
        f"{ECR}/App",
    ],
)
def test_any_other_name_is_left_to_docker(image: str) -> None:
    assert REGISTRY.local_name(image) is None
    assert REGISTRY.pullable(image) is None


def test_a_cloud_has_its_registry_at_its_aws_endpoint() -> None:
    assert Registry.of(Ports(ministack=4566, apprunner=4567, provider=4568)) == REGISTRY
    assert Registry.behind("http://127.0.0.1:4566") == REGISTRY


@pytest.mark.parametrize("url", ["", "https://api.ecr.us-west-2.amazonaws.com", "http://10.0.0.1:4566"])
def test_an_endpoint_beyond_loopback_has_no_registry(url: str) -> None:
    assert Registry.behind(url) is None
