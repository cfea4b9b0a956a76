"""An App Runner emulator for a test, its clients, and shortcuts for the usual requests.

Rule: the real server on loopback and real processes; only its clock is the test's to move. Modules that use its fixtures
import the functions named `fixture_…`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud.apprunner.admin import AppRunnerAdmin
from localcloud.apprunner.server import RunningEmulator, serve
from localcloud.apprunner.settings import Behaviour, Delays, EmulatorSettings
from tests.waiting import eventually

REGION = "us-west-2"
ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
ACCESS_ROLE = "arn:aws:iam::000000000000:role/pulls-images"
INSTANCE_ROLE = "arn:aws:iam::000000000000:role/is-the-application"
PRIVATE = "000000000000.dkr.ecr.us-west-2.amazonaws.com/app"
LIMIT_SECONDS = 60.0

IMAGES = """
[[image]]
match = ["*/app:broken"]
command = ["{python}", "-c", "raise SystemExit(3)"]

[[image]]
match = ["*/app:deaf"]
command = ["{python}", "-c", "import time; time.sleep(3600)"]

[[image]]
match = ["*/app:sick"]
command = ["{python}", "tests/functional/apprunner_app.py"]
environment = { HEALTH = "500" }

[[image]]
match = ["*/app:missing-command"]
command = ["/nowhere/program"]

[[image]]
match = ["*/app:missing-folder"]
command = ["{python}"]
folder = "/nowhere"

[[image]]
match = ["*/app:*"]
command = ["{python}", "tests/functional/apprunner_app.py"]
"""

NO_DELAYS = Delays(create=0, update=0, delete=0, pause=0, resume=0)


def client(service: str, url: str, *, region: str = REGION, config: Config | None = None) -> Any:
    """A boto3 client with meaningless keys that tries once and leaves every check to the server."""
    once = Config(retries={"total_max_attempts": 1}, max_pool_connections=50, parameter_validation=False)
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key="not-a-secret",
        config=once.merge(config) if config else once,
    )


def image(tag: str = "v1", **settings: Any) -> dict[str, Any]:
    """A source configuration with the test application's public image; `settings` are the image configuration's members."""
    repository = {"ImageIdentifier": f"public.ecr.aws/test/app:{tag}", "ImageRepositoryType": "ECR_PUBLIC"}
    return {"ImageRepository": repository | ({"ImageConfiguration": settings} if settings else {})}


def private_image(role: str | None = ACCESS_ROLE) -> dict[str, Any]:
    """A source configuration with the test application's private image."""
    repository = {"ImageIdentifier": f"{PRIVATE}:v1", "ImageRepositoryType": "ECR"}
    authentication = {"AuthenticationConfiguration": {"AccessRoleArn": role}} if role else {}
    return {"ImageRepository": repository, **authentication}


def is_gone(pid: int) -> bool:
    """Whether a process is gone; a zombie is not."""
    return not psutil.pid_exists(pid)


def has_ended(pid: int) -> bool:
    """Whether a process has ended, reaped or not; for one that this process does not reap."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def get(url: str) -> dict[str, Any]:
    """What a service answers."""
    answer = urllib3.request("GET", url, retries=False, timeout=10)
    assert answer.status == 200
    return json.loads(answer.data)


def answers(url: str) -> bool:
    """Whether a service answers there."""
    try:
        urllib3.request("GET", url, retries=False, timeout=10)
    except urllib3.exceptions.HTTPError:
        return False
    return True


@dataclass(frozen=True)
class Lab:
    """An emulator with its clients."""

    emulator: RunningEmulator
    admin: AppRunnerAdmin
    apprunner: Any

    def create(self, name: str, source: dict[str, Any] | None = None, **request: Any) -> dict[str, Any]:
        """Ask for a service; returns it as answered, in progress."""
        return self.apprunner.create_service(ServiceName=name, SourceConfiguration=source or image(), **request)[
            "Service"
        ]

    def created(self, name: str, source: dict[str, Any] | None = None, **request: Any) -> dict[str, Any]:
        """Ask for a service and wait; returns it as described once it has settled."""
        return self.settled(self.create(name, source, **request)["ServiceArn"])

    def settled(self, arn: str) -> dict[str, Any]:
        """The service once nothing is in progress."""
        assert eventually(lambda: self.describe(arn)["Status"] != "OPERATION_IN_PROGRESS")
        return self.describe(arn)

    def after(self, change: str, arn: str, **request: Any) -> dict[str, Any]:
        """Ask for a change (`update`, `pause`, `resume`, `delete`) and wait; returns the service once it has settled."""
        getattr(self.apprunner, f"{change}_service")(ServiceArn=arn, **request)
        return self.settled(arn)

    def describe(self, arn: str) -> dict[str, Any]:
        return self.apprunner.describe_service(ServiceArn=arn)["Service"]

    def operations(self, arn: str) -> list[tuple[str, str]]:
        """Type and status of the service's operations, newest first."""
        found = self.apprunner.list_operations(ServiceArn=arn)["OperationSummaryList"]
        return [(each["Type"], each["Status"]) for each in found]

    def names(self) -> list[str]:
        return [each["ServiceName"] for each in self.apprunner.list_services()["ServiceSummaryList"]]

    def pid(self, arn: str) -> int | None:
        """The process that runs for a service."""
        return next(each.pid for each in self.admin.services() if each.arn == arn)

    def reason(self, arn: str) -> str | None:
        """Why the service's newest operation failed."""
        return next(each.operations[-1].reason for each in self.admin.services() if each.arn == arn)


def refused(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    """The code and the message with which a call is refused."""
    with pytest.raises(ClientError) as error:
        call(**request)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


@pytest.fixture(name="images_file")
def fixture_images_file(tmp_path: Path) -> Path:
    path = tmp_path / "images.toml"
    path.write_text(IMAGES)
    return path


@contextmanager
def running_lab(
    folder: Path, images: Path, *, start_timeout: float = 60.0, registry: str | None = None
) -> Iterator[Lab]:
    """An emulator whose operations take only as long as their processes do."""
    settings = EmulatorSettings(
        folder=folder,
        images=images,
        start_timeout=start_timeout,
        registry=registry,
        behaviour=Behaviour(delays=NO_DELAYS),
    )
    with serve(settings) as emulator:
        yield Lab(emulator, emulator.admin(), client("apprunner", emulator.url))


@pytest.fixture(name="lab")
def fixture_lab(tmp_path: Path, images_file: Path) -> Iterator[Lab]:
    with running_lab(tmp_path / "apprunner", images_file) as running:
        yield running


@pytest.fixture(name="short_timeout_lab")
def fixture_short_timeout_lab(tmp_path: Path, images_file: Path) -> Iterator[Lab]:
    """For services that never become healthy: it gives up on them soon."""
    with running_lab(tmp_path / "apprunner", images_file, start_timeout=0.5) as running:
        yield running
