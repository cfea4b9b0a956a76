"""The command keeps the original script's output and its exit codes, over HTTP and in process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from localcloud.apprunner.admin import AppRunnerAdmin
from localcloud.settings import ROOT
from tests.e2e.story import LATEST, service_arn
from tests.fibfactory_command import fibfactory
from tests.waiting import eventually
from tools.platform_on_localcloud import Platform, clean_environment


@pytest.fixture(params=["http", "process with its state in a folder", "process with its state in S3"])
def environment(request: pytest.FixtureRequest, platform: Platform, tmp_path: Path) -> dict[str, str]:
    """The command's environment: a platform's URL, or a backend for Pulumi."""
    common = clean_environment(os.environ) | {"FIBFACTORY_IMAGE": LATEST, "PULUMI_HOME": str(tmp_path / "home")}
    if request.param == "http":
        return common | platform.environment_for("alice")
    operator = platform.cloud.environment(platform.cloud.identity("operator"))
    if "folder" in request.param:
        return common | operator | {"PULUMI_BACKEND_URL": f"file://{tmp_path}"}
    bucket = f"s3://{platform.outputs['state_bucket']}?region={platform.outputs['region']}"
    return common | operator | {"PULUMI_BACKEND_URL": bucket}


def test_create_list_and_destroy_print_what_the_original_script_printed(
    environment: dict[str, str], platform: Platform
) -> None:
    made = fibfactory(environment, "--env-id", "seed1", "create")
    assert made.returncode == 0, made.stderr
    assert "Stack fibfactory-seed1 created successfully" in made.stdout
    assert "Service URL: http://127.0.0.1:" in made.stdout

    listed = fibfactory(environment, "list")
    assert listed.stdout.splitlines()[0] == "Active environments:"
    assert "- fibfactory-seed1" in listed.stdout.splitlines()

    removed = fibfactory(environment, "--env-id", "seed1", "destroy")
    assert removed.returncode == 0, removed.stderr
    lines = removed.stdout.splitlines()
    assert lines[0] == "Destroying stack fibfactory-seed1"
    assert lines[-3].startswith("Resources destroyed: {'delete': ")
    assert lines[-2:] == ["Stack fibfactory-seed1 destroyed successfully", "Stack fibfactory-seed1 removed completely"]

    assert "- fibfactory-seed1" not in fibfactory(environment, "list").stdout
    again = fibfactory(environment, "--env-id", "seed1", "destroy")
    assert again.returncode == 3
    assert "There is no stack fibfactory-seed1" in again.stderr


def test_an_empty_backend_has_no_active_environments(platform: Platform, tmp_path: Path) -> None:
    operator = platform.cloud.environment(platform.cloud.identity("operator"))
    home = {"PULUMI_BACKEND_URL": f"file://{tmp_path}", "PULUMI_HOME": str(tmp_path / "home")}
    listed = fibfactory(clean_environment(os.environ) | operator | home, "list")
    assert (listed.returncode, listed.stdout) == (0, "No active environments found.\n")


def test_an_environment_made_in_process_belongs_to_no_platform(platform: Platform, tmp_path: Path) -> None:
    operator = platform.cloud.environment(platform.cloud.identity("operator"))
    home = {"PULUMI_BACKEND_URL": f"file://{tmp_path}", "PULUMI_HOME": str(tmp_path / "home")}
    environment = clean_environment(os.environ) | operator | home
    made = fibfactory(environment, "--env-id", "nobodys1", "create", "--image", LATEST)
    assert made.returncode == 0, made.stderr
    apprunner = platform.cloud.session("operator").client("apprunner")
    arn = service_arn(platform, "nobodys1")
    tags = {tag["Key"]: tag["Value"] for tag in apprunner.list_tags_for_resource(ResourceArn=arn)["Tags"]}
    assert tags["fibfactory:platform"] == "none"
    assert fibfactory(environment, "--env-id", "nobodys1", "destroy").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("create",), 2, "Say which environment"),
        (("--env-id", "X", "create"), 2, "3 to 24 lower-case letters"),
        (("--env-id", "abc", "explode"), 2, "No such command"),
        ((), 2, "Usage"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(
    platform: Platform, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    answered = fibfactory(clean_environment(os.environ) | platform.environment_for("alice"), *arguments)
    assert answered.returncode == code
    assert sentence in answered.stderr
    assert "Traceback" not in answered.stderr


def test_a_failed_create_is_exit_code_1_with_the_reason(platform: Platform) -> None:
    environment = clean_environment(os.environ) | platform.environment_for("alice")
    image = "public.ecr.aws/fibfactory/nobody-has-this:latest"
    failed = fibfactory(environment, "--env-id", "failing1", "create", "--image", image)
    assert failed.returncode == 1
    assert "It failed: App Runner could not start the service" in failed.stderr
    assert fibfactory(environment, "--env-id", "failing1", "destroy").returncode == 0


@pytest.mark.parametrize("arguments", [("list",), ("--env-id", "abc", "create"), ("--env-id", "abc", "destroy")])
def test_a_missing_backend_is_reported_with_the_variable_to_set(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    nowhere = {"FIBFACTORY_IMAGE": LATEST, "HOME": str(tmp_path), "AWS_REGION": "us-west-2"}
    told = fibfactory(clean_environment(os.environ) | nowhere, *arguments)
    assert told.returncode == 1
    assert "set PULUMI_BACKEND_URL" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        ("nginx", "App Runner takes no others"),
        ("000000000000.dkr.ecr.us-west-2.amazonaws.com/fibservice:v1", "give --access-role-arn"),
    ],
)
def test_an_image_that_cannot_run_is_refused_before_anything_is_made(tmp_path: Path, image: str, sentence: str) -> None:
    environment = clean_environment(os.environ) | {"PULUMI_BACKEND_URL": f"file://{tmp_path}"}
    told = fibfactory(environment, "--env-id", "abc", "create", "--image", image)
    assert told.returncode == 2
    assert sentence in " ".join(told.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_a_missing_state_folder_is_named(tmp_path: Path) -> None:
    nowhere = {"PULUMI_BACKEND_URL": f"file://{tmp_path}/absent", "PULUMI_HOME": str(tmp_path / "home")}
    told = fibfactory(clean_environment(os.environ) | nowhere, "list")
    assert told.returncode == 1
    assert "create it first" in told.stderr


def test_a_missing_passphrase_is_reported_with_the_variable_to_set(platform: Platform, tmp_path: Path) -> None:
    operator = platform.cloud.environment(platform.cloud.identity("operator"))
    del operator["PULUMI_CONFIG_PASSPHRASE"]
    home = {"PULUMI_BACKEND_URL": f"file://{tmp_path}", "PULUMI_HOME": str(tmp_path / "home")}
    environment = clean_environment(os.environ) | operator | home
    told = fibfactory(environment, "--env-id", "abc", "create", "--image", LATEST)
    assert told.returncode == 1
    assert "set PULUMI_CONFIG_PASSPHRASE" in told.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_create_that_gets_a_signal_stops_gracefully_and_can_be_destroyed(
    platform: Platform, apprunner: AppRunnerAdmin, tmp_path: Path, number: signal.Signals
) -> None:
    operator = platform.cloud.environment(platform.cloud.identity("operator"))
    home = {"PULUMI_BACKEND_URL": f"file://{tmp_path}", "PULUMI_HOME": str(tmp_path / "home"), "PYTHONUNBUFFERED": "1"}
    environment = clean_environment(os.environ) | operator | home | {"TMPDIR": str(tmp_path)}
    apprunner.behave(delays={"create": 5})
    command = [sys.executable, "fibfactory.py", "--env-id", "stopped1", "create", "--image", LATEST]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as create:
        assert create.stdout is not None
        for line in create.stdout:
            if "app-runner-service: create" in line:
                break
        eventually(
            lambda: [each for each in apprunner.services() if each.name == "fib-app-stopped1-service"], "the service"
        )
        family = psutil.Process(create.pid).children(recursive=True)
        create.send_signal(number)
        _, said = create.communicate(timeout=60)
    assert create.returncode == 130
    assert "Interrupted" in said and "Traceback" not in said
    assert [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []
    assert list(tmp_path.glob("fibfactory-*")) == []

    busy = fibfactory(environment, "--env-id", "stopped1", "destroy")
    assert busy.returncode in (0, 1)
    eventually(
        lambda: not [each for each in apprunner.services() if each.status == "OPERATION_IN_PROGRESS"],
        "App Runner to be idle",
    )
    if busy.returncode:
        assert "App Runner was busy" in busy.stderr
        assert fibfactory(environment, "--env-id", "stopped1", "destroy").returncode == 0
    assert [
        each for each in apprunner.services() if each.name == "fib-app-stopped1-service" and each.status != "DELETED"
    ] == []
