"""A platform's deploy builds and pushes the sample image: once for the same code, and never under a tag that exists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from localcloud.running import RunningCloud
from tests.containers.conftest import Images
from tests.containers.containers import docker
from tests.functional.bootstrap_operator import Operator, changes, outputs_of
from tools.images import base

PLATFORM = "shipped"


@pytest.fixture
def operator(cloud: RunningCloud, images: Images, tmp_path: Path) -> Iterator[Operator]:
    """An operator on a machine where both images were built before, so that Docker has their layers."""
    operator = Operator(cloud, tmp_path)
    yield operator
    assert operator.runs("destroy", "--platform", PLATFORM, "--yes").code == 0
    # By name, as the same image has other names that other tests use.
    for name in docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"*/{PLATFORM}/*").split():
        docker("image", "rm", name)


def settings_file(folder: Path, **more: str) -> str:
    """The path of settings with which the sample image is built from this machine's own base images."""
    image = base.base(None, print, own=True)
    arguments = {"BASE": image, "BUILD_BASE": base.build_base(image, None, print).image, **more}
    file = folder / f"built-{len(more)}.toml"
    lines = ["build_sample = true", "[build_arguments]", *(f"{k} = {json.dumps(v)}" for k, v in arguments.items())]
    file.write_text("\n".join(lines))
    return str(file)


def pushed(session: boto3.Session) -> set[str]:
    """The digests in the sample's repository."""
    found: list[dict[str, Any]] = session.client("ecr").list_images(repositoryName=f"{PLATFORM}/fibservice")["imageIds"]
    return {image["imageDigest"] for image in found}


def test_the_sample_image_is_pushed_once_for_the_same_code_and_found_again_later(
    operator: Operator, operator_session: boto3.Session, tmp_path: Path
) -> None:
    first_settings, other_settings = settings_file(tmp_path), settings_file(tmp_path, REASON="another build")
    first = operator.deploys(PLATFORM, "--settings", first_settings)
    image = outputs_of(first)["sample_image"]
    repository, _, digest = image.partition("@")
    assert repository == outputs_of(first)["sample_repository"]
    assert pushed(operator_session) == {digest}

    assert changes(operator.deploys(PLATFORM, "--settings", first_settings)) == []

    other = outputs_of(operator.deploys(PLATFORM, "--settings", other_settings))["sample_image"]
    both = pushed(operator_session)
    assert both == {digest, other.partition("@")[2]}

    back = outputs_of(operator.deploys(PLATFORM, "--settings", first_settings))
    assert back["sample_image"] == image
    assert pushed(operator_session) == both
