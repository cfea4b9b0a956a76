"""Environments as containers: an image that was built and pushed to ECR runs, and leaves no container behind.

The sample application's image is built from Dockerfile.fib by this folder's fixtures. The pushed images are based on it, as an
application's own image would be.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import urllib3

from fibfactory_cli.client import Client
from localcloud import cloud_handle
from localcloud.apprunner.views import ServiceView
from localcloud.docker_cli import LABEL
from localcloud.processes import marked
from localcloud.running import RunningCloud
from localcloud.settings import ROOT
from tests.containers.conftest import Images
from tests.containers.containers import docker
from tests.e2e.story import destroyed, ready, visit
from tests.fibfactory_command import fibfactory
from tests.functional.apprunner_fixtures import eventually
from tools.platform_on_localcloud import Platform, clean_environment

ANSWER = b'{"fib":6765,"n":20}\n'
WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Repository:
    """A repository in a cloud's ECR, to which a test pushes images."""

    cloud: RunningCloud
    name: str
    uri: str
    sample: str
    folder: Path

    def push(self, tag: str, dockerfile: str = "") -> str:
        """Build an image from the sample application's and these lines, and push it; returns its name in ECR."""
        image, local = f"{self.uri}:{tag}", f"{self.registry}/{self.name}:{tag}"
        (self.folder / "Dockerfile").write_text(f"FROM {self.sample}\nLABEL tag={tag}\n{dockerfile}\n")
        built = {**os.environ, "DOCKER_BUILDKIT": "0"}
        subprocess.run(
            ["docker", "build", "--tag", local, "."], cwd=self.folder, env=built, capture_output=True, check=True
        )
        docker("push", "--quiet", local)
        docker("image", "rm", local)
        return image

    @property
    def registry(self) -> str:
        return f"127.0.0.1:{self.cloud.ports.ministack}"

    def digest(self, tag: str) -> str:
        """The tag's digest in ECR."""
        ecr = self.cloud.session("operator").client("ecr")
        found = ecr.describe_images(repositoryName=self.name, imageIds=[{"imageTag": tag}])["imageDetails"]
        return str(found[0]["imageDigest"])

    def containers(self, service: str = "") -> list[dict[str, Any]]:
        """The cloud's containers, running or not, whose names start with this service's."""
        found = docker("ps", "--all", "--quiet", "--filter", f"label={LABEL}={self.cloud.mark}").split()
        shown = json.loads(docker("inspect", *found)) if found else []
        return [each for each in shown if each["Name"].startswith(f"/{service}")]

    def images(self) -> list[str]:
        """Docker's images from the cloud's registry."""
        shown = docker("image", "ls", "--digests", "--format", "{{.Repository}}@{{.Digest}}").splitlines()
        return [each for each in shown if each.startswith(f"{self.registry}/")]


def create_repository(cloud: RunningCloud, sample: str, folder: Path) -> Repository:
    name = f"repository-{uuid.uuid4().hex[:8]}/app"
    made = cloud.session("operator").client("ecr").create_repository(repositoryName=name)["repository"]
    return Repository(cloud, name, made["repositoryUri"], sample, folder)


@pytest.fixture
def repository(platform: Platform, images: Images, tmp_path: Path) -> Iterator[Repository]:
    made = create_repository(platform.cloud, images.fibservice, tmp_path)
    yield made
    platform.cloud.session("operator").client("ecr").delete_repository(repositoryName=made.name, force=True)


@pytest.fixture
def alice(platform: Platform) -> Client:
    return Client(platform.outputs["api_url"], platform.cloud.session("alice"))


def test_an_image_in_ecr_runs_as_a_container_from_create_to_destroy(alice: Client, repository: Repository) -> None:
    image = repository.push("one")
    record = ready(alice, "boxed1", image, variables={"GREETING": "two words, and = signs"})
    (container,) = repository.containers("fib-app-boxed1-service")
    assert container["State"]["Running"]
    assert container["Config"]["Image"].endswith(f"@{repository.digest('one')}"), "it does not run by digest"
    assert "GREETING=two words, and = signs" in container["Config"]["Env"]
    assert visit(f"{record['url']}/fib/20") == ANSWER

    log = view_of(repository, "fib-app-boxed1-service").log
    assert f"fibservice listens on {record['url']}" in Path(str(log)).read_text()

    url = urllib3.util.parse_url(record["url"])
    listening = docker("exec", container["Id"], "cat", "/proc/net/tcp").splitlines()
    # 0A is LISTEN; addresses are hexadecimal in the machine's order of bytes.
    assert [line.split()[1] for line in listening if f":{url.port:04X} " in line and " 0A " in line] == [
        f"0100007F:{url.port:04X}"
    ], "it must listen on loopback only"

    receipt = destroyed(alice, "boxed1")["receipt"]
    assert receipt["digest"] == repository.digest("one")
    assert repository.containers("fib-app-boxed1-service") == []


def test_an_update_replaces_the_container_and_a_pause_removes_it_until_the_resume(
    alice: Client, repository: Repository
) -> None:
    record = ready(alice, "boxed2", repository.push("one"))
    (first,) = repository.containers("fib-app-boxed2-service")

    ready(alice, "boxed2", repository.push("two"))
    (second,) = repository.containers("fib-app-boxed2-service")
    assert (second["Id"] != first["Id"], second["Config"]["Labels"]["tag"]) == (True, "two")

    alice.call("POST", "/environments/boxed2/pause").checked()
    assert alice.follow("boxed2", timeout_seconds=WAIT_SECONDS)["status"] == "paused"
    assert repository.containers("fib-app-boxed2-service") == []
    alice.call("POST", "/environments/boxed2/resume").checked()
    assert alice.follow("boxed2", timeout_seconds=WAIT_SECONDS)["status"] == "ready"
    assert visit(f"{record['url']}/fib/20") == ANSWER, "the address must stay the same"

    destroyed(alice, "boxed2")
    assert repository.containers("fib-app-boxed2-service") == []


def test_a_revived_environment_runs_its_old_digest_after_the_tag_moved(alice: Client, repository: Repository) -> None:
    ready(alice, "boxed6", repository.push("latest", "LABEL version=old"))
    before = destroyed(alice, "boxed6")["receipt"]
    repository.push("latest", "LABEL version=new")
    assert repository.digest("latest") != before["digest"]

    alice.call("POST", "/environments/boxed6/revive").checked()
    assert alice.follow("boxed6", timeout_seconds=WAIT_SECONDS)["status"] == "ready"
    (container,) = repository.containers("fib-app-boxed6-service")
    assert container["Config"]["Labels"]["version"] == "old"
    assert container["Config"]["Image"].endswith(f"@{before['digest']}")
    destroyed(alice, "boxed6")


def test_an_image_whose_program_exits_at_once_fails_and_leaves_no_container(
    alice: Client, repository: Repository
) -> None:
    image = repository.push("broken", 'CMD ["python", "-c", "raise SystemExit(3)"]')
    alice.call("PUT", "/environments/boxed3", {"image": image}).checked()
    record = alice.follow("boxed3", timeout_seconds=WAIT_SECONDS)
    assert record["status"] == "failed"
    reason = str(view_of(repository, "fib-app-boxed3-service").operations[-1].reason)
    assert "the process ended with status 3 before it was healthy" in reason
    assert repository.containers("fib-app-boxed3-service") == []
    destroyed(alice, "boxed3")


def test_the_command_builds_pushes_and_runs_an_image(
    alice: Client, platform: Platform, repository: Repository, images: Images, tmp_path: Path
) -> None:
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "Dockerfile.fib").write_text(f"FROM {images.fibservice}\nLABEL from=the-command\n")
    operator = platform.cloud.environment(platform.cloud.identity("operator"))
    environment = clean_environment(os.environ) | operator
    environment |= {"PULUMI_BACKEND_URL": f"file://{tmp_path}", "PULUMI_HOME": str(tmp_path / "home")}
    role = platform.outputs["access_role_arn"]
    try:
        made = fibfactory(
            environment,
            "--env-id",
            "boxed4",
            "create",
            "--repository",
            repository.uri,
            "--access-role-arn",
            role,
            folder=tmp_path / "context",
            seconds=180,
        )
        assert made.returncode == 0, made.stderr
        (container,) = repository.containers("fib-app-boxed4-service")
        assert container["Config"]["Labels"]["from"] == "the-command"

        # The same image, by the name under which it was pushed, through the platform's API.
        record = ready(alice, "boxed5", f"{repository.uri}:fib-app-boxed4")
        assert visit(f"{record['url']}/fib/20") == ANSWER
        assert destroyed(alice, "boxed5")["receipt"]["digest"] == repository.digest("fib-app-boxed4")

        removed = fibfactory(environment, "--env-id", "boxed4", "destroy", folder=tmp_path / "context", seconds=180)
        assert removed.returncode == 0, removed.stderr
        assert repository.containers("fib-app-boxed") == []
    finally:
        docker("image", "rm", "--force", f"{repository.uri}:fib-app-boxed4")


def create_service(repository: Repository, name: str, image: str) -> Any:
    """Create a service directly in App Runner; returns its description when no operation is in progress."""
    apprunner = repository.cloud.session("operator").client("apprunner")
    image_repository = {"ImageIdentifier": image, "ImageRepositoryType": "ECR"}
    role = {"AccessRoleArn": f"arn:aws:iam::{repository.cloud.account}:role/pulls-images"}
    source = {"ImageRepository": image_repository, "AuthenticationConfiguration": role}
    arn = apprunner.create_service(ServiceName=name, SourceConfiguration=source)["Service"]["ServiceArn"]

    def described() -> Any:
        return apprunner.describe_service(ServiceArn=arn)["Service"]

    assert eventually(lambda: described()["Status"] != "OPERATION_IN_PROGRESS")
    return described()


def view_of(repository: Repository, name: str) -> ServiceView:
    """The service as the emulator's control API shows it."""
    return next(each for each in repository.cloud.apprunner_admin.services() if each.name == name)


@pytest.mark.parametrize(
    ("dockerfile", "reason"),
    [
        ("ENTRYPOINT []\nCMD []", "the container could not be created: .*No command specified"),
        ('ENTRYPOINT ["/nowhere"]', "the process ended with status [0-9]+ before it was healthy; see "),
        (
            'CMD ["python", "-c", "import time; time.sleep(0.2)"]',
            "the process ended with status 0 before it was healthy",
        ),
    ],
)
def test_a_broken_image_ends_in_a_failed_create_with_its_reason_and_no_container(
    repository: Repository, dockerfile: str, reason: str
) -> None:
    name = f"broken-{uuid.uuid4().hex[:8]}"
    service = create_service(repository, name, repository.push("broken", dockerfile))
    assert service["Status"] == "CREATE_FAILED"
    assert re.match(reason, str(view_of(repository, name).operations[-1].reason))
    assert repository.containers(name) == []
    repository.cloud.session("operator").client("apprunner").delete_service(ServiceArn=service["ServiceArn"])


def process_of(cloud: RunningCloud, module: str) -> psutil.Process:
    """The cloud's process that runs this module."""
    return next(each for each in marked(cloud.mark) if module in each.cmdline())


@pytest.mark.parametrize("end", ["in order", "its owner is killed", "the emulator is killed"])
def test_a_clouds_containers_and_pulled_images_are_removed_however_it_ends(
    images: Images, tmp_path: Path, end: str
) -> None:
    (tmp_path / "context").mkdir()
    command = [sys.executable, "-m", "localcloud", "--folder", str(tmp_path / "cloud")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            cloud = cloud_handle.find(tmp_path / "cloud")
            assert cloud is not None
            repository = create_repository(cloud, images.fibservice, tmp_path / "context")
            service = create_service(repository, "kept-running", repository.push("one"))
            assert visit(f"{service['ServiceUrl']}/fib/20") == ANSWER
            assert (len(repository.containers()), len(repository.images())) == (1, 1)
            match end:
                case "in order":
                    process.terminate()
                case "its owner is killed":
                    process.kill()
                case "the emulator is killed":
                    process_of(cloud, "localcloud.apprunner").kill()
            assert eventually(lambda: not cloud.folder.exists())
        finally:
            process.terminate()
    assert (repository.containers(), repository.images()) == ([], [])
