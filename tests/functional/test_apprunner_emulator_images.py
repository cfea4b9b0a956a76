"""Which services run as containers: the emulator's choice, as far as it can be seen without Docker."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3

from localcloud.registry import Registry
from localcloud.running import RunningCloud
from tests.functional.apprunner_fixtures import ACCESS_ROLE, Lab, fixture_images_file, get, running_lab

__all__ = ["fixture_images_file"]
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture
def repository(operator_session: boto3.Session) -> Iterator[str]:
    """A repository in the cloud's ECR whose images the images file knows, too."""
    ecr = operator_session.client("ecr")
    name = f"{uuid.uuid4().hex}/app"
    ecr.create_repository(repositoryName=name)
    yield name
    ecr.delete_repository(repositoryName=name, force=True)


@pytest.fixture
def lab(cloud: RunningCloud, tmp_path: Path, images_file: Path) -> Iterator[Lab]:
    """An emulator that knows the cloud's registry."""
    with running_lab(tmp_path / "apprunner", images_file, registry=Registry.of(cloud.ports).address) as running:
        yield running


def source(repository: str, reference: str) -> dict[str, Any]:
    image = f"000000000000.dkr.ecr.us-west-2.amazonaws.com/{repository}{reference}"
    return {
        "ImageRepository": {"ImageIdentifier": image, "ImageRepositoryType": "ECR"},
        "AuthenticationConfiguration": {"AccessRoleArn": ACCESS_ROLE},
    }


def pushed(cloud: RunningCloud, repository: str, tag: str) -> str:
    """Push a manifest as Docker does; its digest."""
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": {}, "layers": []}).encode()
    url = f"{cloud.endpoint_url}/v2/{repository}/manifests/{tag}"
    assert urllib3.request("PUT", url, body=manifest, headers={"Content-Type": MANIFEST}).status == 201
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


def log_of(lab: Lab, arn: str) -> str:
    path = next(each.log for each in lab.admin.services() if each.arn == arn)
    return Path(str(path)).read_text()


def test_a_pushed_image_can_be_pulled_by_the_digest_that_its_tag_means(cloud: RunningCloud, repository: str) -> None:
    registry, digest = Registry.of(cloud.ports), pushed(cloud, repository, "v1")
    ecr = "000000000000.dkr.ecr.us-west-2.amazonaws.com"
    assert registry.pullable(f"{ecr}/{repository}:v1") == f"{registry.address}/{repository}@{digest}"
    assert registry.pullable(f"{ecr}/{repository}@{digest}") == f"{registry.address}/{repository}@{digest}"
    assert registry.pullable(f"{ecr}/{repository}:v2") is None
    assert registry.pullable(f"{ecr}/{repository}") is None, "without a tag it is :latest"
    assert registry.pullable(f"111111111111.dkr.ecr.us-west-2.amazonaws.com/{repository}:v1") is None, (
        "another account's"
    )


def test_without_docker_a_pushed_image_runs_as_the_images_files_process_and_the_log_says_why(
    cloud: RunningCloud, lab: Lab, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    pushed(cloud, repository, "v1")
    service = lab.created("undocked", source(repository, ":v1"))
    assert service["Status"] == "RUNNING"
    assert get(f"{service['ServiceUrl']}/")
    assert "not run as a container, because no Docker daemon answers: " in log_of(lab, service["ServiceArn"])


def test_an_image_known_only_to_ecr_s_api_runs_as_the_images_files_process(
    lab: Lab, repository: str, operator_session: boto3.Session
) -> None:
    operator_session.client("ecr").put_image(repositoryName=repository, imageManifest="{}", imageTag="v1")
    service = lab.created("told", source(repository, ":v1"))
    assert service["Status"] == "RUNNING"
    assert "container" not in log_of(lab, service["ServiceArn"])


def test_a_registry_that_does_not_answer_fails_the_deployment_with_that_reason(
    tmp_path: Path, images_file: Path
) -> None:
    with running_lab(tmp_path / "apprunner", images_file, registry="127.0.0.1:1") as lab:
        service = lab.created("cut-off", source("team/app", ":v1"))
        assert service["Status"] == "CREATE_FAILED"
        assert "the registry at 127.0.0.1:1 does not answer" in str(lab.reason(service["ServiceArn"]))
