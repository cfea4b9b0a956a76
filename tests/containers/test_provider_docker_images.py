"""Docker images of programs like the original script: built with Docker and pushed to the local cloud's ECR."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import boto3
import pulumi
import pulumi_docker
import pytest
from pulumi import automation as auto

from localcloud.registry import Registry
from localcloud.running import RunningCloud
from tests.containers.containers import docker
from tests.functional.provider_programs import WARNINGS_OF_THE_SDK, Workspace, changes, drift, provider

pytest_plugins = ("tests.functional.provider_fixtures",)
pytestmark = [*WARNINGS_OF_THE_SDK, pytest.mark.usefixtures("docker_daemon")]

NO_REPOSITORY = "000000000000.dkr.ecr.us-west-2.amazonaws.com/docker/no-such-repository"


@pytest.fixture
def repository(operator_session: boto3.Session, tmp_path: Path) -> Iterator[str]:
    """The URI of a repository with immutable tags in the local cloud's ECR."""
    ecr = operator_session.client("ecr")
    name = f"docker/{uuid.uuid4().hex}"
    made = ecr.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")["repository"]
    yield made["repositoryUri"]
    ecr.delete_repository(repositoryName=name, force=True)


def digests_in_ecr(session: boto3.Session, repository: str) -> dict[str, str]:
    """The digests in a repository, by tag."""
    details = session.client("ecr").describe_images(repositoryName=repository.partition("/")[2])["imageDetails"]
    return {tag: each["imageDigest"] for each in details for tag in each["imageTags"]}


def image_in_ecr(context: Path, repository: str, tag: str, *, password: str = "token", skip_push: bool = False) -> None:
    made = pulumi_docker.Image(
        "app-image",
        build=pulumi_docker.DockerBuildArgs(context=str(context), platform="linux/amd64", args={"VERSION": "1"}),
        image_name=f"{repository}:{tag}",
        registry={"server": repository, "username": "AWS", "password": pulumi.Output.secret(password)},
        skip_push=skip_push,
        # As in the original script: the AWS provider is passed, and Pulumi ignores it for another package.
        opts=provider(),
    )
    pulumi.export("repo_digest", made.repo_digest)


def images_named(name: str) -> list[str]:
    """The daemon's images whose names start with this."""
    shown = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
    return [each for each in shown if each.startswith(name)]


def test_an_image_with_a_name_in_ecr_is_built_and_pushed_to_ecr(
    workspace: Workspace, cloud: RunningCloud, operator_session: boto3.Session, context: Path, repository: str
) -> None:
    (context / "Dockerfile").write_text('FROM scratch\nARG VERSION\nLABEL version="$VERSION"\nCOPY app.txt /\n')
    try:
        made = workspace.up("real", lambda: image_in_ecr(context, repository, "one"))
        digest = digests_in_ecr(operator_session, repository)["one"]
        assert made.outputs["repo_digest"].value == f"{repository}@{digest}"
        built = json.loads(docker("image", "inspect", f"{repository}:one"))[0]
        assert (built["Architecture"], built["Config"]["Labels"]["version"]) == ("amd64", "1")
        assert images_named(f"127.0.0.1:{cloud.ports.ministack}/{repository.partition('/')[2]}:one") == []

        assert (
            changes(workspace.up("real", lambda: image_in_ecr(context, repository, "one", password="tomorrow's"))) == {}
        )
        assert drift(workspace, "real") == {}

        pulled = Registry.of(cloud.ports).pullable(f"{repository}:one")
        assert pulled is not None and pulled.endswith(f"@{digest}")
        docker("image", "rm", f"{repository}:one")
        docker("pull", pulled)
        docker("image", "rm", pulled)
    finally:
        for name in images_named(repository):
            docker("image", "rm", name)


def test_an_immutable_tag_is_not_overwritten(
    workspace: Workspace, operator_session: boto3.Session, context: Path, repository: str
) -> None:
    try:
        workspace.up("fixed", lambda: image_in_ecr(context, repository, "one"))
        before = digests_in_ecr(operator_session, repository)
        (context / "app.txt").write_text("two")
        with pytest.raises(auto.CommandError, match=r"docker push failed: [\s\S]*tag 'one' is immutable"):
            workspace.up("fixed", lambda: image_in_ecr(context, repository, "one"))
        assert digests_in_ecr(operator_session, repository) == before
    finally:
        for name in images_named(repository):
            docker("image", "rm", name)


def test_a_push_to_a_missing_repository_names_the_repository(workspace: Workspace, context: Path) -> None:
    try:
        with pytest.raises(
            auto.CommandError, match=r"docker push failed: [\s\S]*not known to registry: docker/no-such-repository"
        ):
            workspace.up("missing", lambda: image_in_ecr(context, NO_REPOSITORY, "one"))
    finally:
        for name in images_named(NO_REPOSITORY):
            docker("image", "rm", name)


def test_the_digest_of_an_image_that_is_not_pushed_is_its_id(workspace: Workspace, context: Path) -> None:
    try:
        made = workspace.up("local", lambda: image_in_ecr(context, NO_REPOSITORY, "one", skip_push=True))
        shown = docker("image", "inspect", "--format", "{{.Id}}", f"{NO_REPOSITORY}:one")
        assert made.outputs["repo_digest"].value == shown
    finally:
        docker("image", "rm", f"{NO_REPOSITORY}:one")
