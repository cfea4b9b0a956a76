"""Cancelling an engine: its waits end, its resources stay in the state, and other engines are not affected."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil
import pulumi
import pulumi_aws as aws
import pytest
from pulumi import automation as auto

from localcloud.apprunner.admin import AppRunnerAdmin
from localcloud.running import RunningCloud
from tests.functional.provider_programs import IMAGE, WARNINGS_OF_THE_SDK, Workspace, changes, provider, workspace_of

pytest_plugins = ("tests.functional.provider_fixtures",)
pytestmark = WARNINGS_OF_THE_SDK


def service(name: str, variable: str = "1") -> None:
    made = aws.apprunner.Service(
        "service",
        service_name=name,
        source_configuration={
            "auto_deployments_enabled": False,
            "image_repository": {
                "image_identifier": IMAGE,
                "image_repository_type": "ECR_PUBLIC",
                "image_configuration": {"runtime_environment_variables": {"A": variable}},
            },
        },
        opts=provider(),
    )
    pulumi.export("status", made.status)


def eventually(what: Callable[[], bool], update: Future[auto.UpResult] | None = None, seconds: float = 60) -> None:
    """Returns once `what` is true; an update that ends before that is an error with its result."""
    deadline = time.monotonic() + seconds
    while not what():
        if update is not None and update.done():
            raise AssertionError(f"the update ended: {update.result().summary}")
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.05)


def cli_of(stack: str) -> psutil.Process:
    """The CLI that works on a stack, among this process's children."""
    for child in psutil.Process(os.getpid()).children():
        if f" {stack}" in " ".join(child.cmdline()) and "up" in child.cmdline():
            return child
    raise AssertionError(f"no CLI works on {stack}")


def status(admin: AppRunnerAdmin, name: str) -> str | None:
    return next((str(each.status.value) for each in admin.services() if each.name == name), None)


def test_sigint_during_a_create_keeps_the_service_in_the_state_and_does_not_affect_other_engines(
    workspace: Workspace,
    cloud: RunningCloud,
    tmp_path: Path,
    secrets_provider: str,
    apprunner_admin: AppRunnerAdmin,
) -> None:
    other = workspace_of(cloud, tmp_path / "other", "operator", secrets_provider)
    with ThreadPoolExecutor() as pool:
        # Neither create can end before the clock is advanced.
        with apprunner_admin.standing_still():
            stopped = pool.submit(lambda: workspace.up("stopped", lambda: service("stopped-service")))
            going = pool.submit(lambda: other.up("going", lambda: service("going-service")))
            eventually(lambda: status(apprunner_admin, "stopped-service") == "OPERATION_IN_PROGRESS", stopped)
            eventually(lambda: status(apprunner_admin, "going-service") == "OPERATION_IN_PROGRESS", going)

            cli_of("stopped").send_signal(signal.SIGINT)
            with pytest.raises(auto.CommandError, match="context canceled"):
                stopped.result(timeout=60)
            assert not going.done()

            kept = workspace.resources("stopped")["service"]
            assert kept["id"].startswith("arn:aws:apprunner:")
            assert kept["outputs"]["status"] == "OPERATION_IN_PROGRESS"
            assert kept["initErrors"] == ["context canceled"]
            assert "pending_operations" not in workspace.checkpoint("stopped")

        apprunner_admin.advance(10)
        assert going.result(timeout=60).outputs["status"].value == "RUNNING"
    other.stack("going").destroy()

    eventually(lambda: status(apprunner_admin, "stopped-service") == "RUNNING")
    again = workspace.up("stopped", lambda: service("stopped-service"))
    assert again.outputs["status"].value == "RUNNING"
    assert changes(workspace.up("stopped", lambda: service("stopped-service"))) == {}


def test_sigint_during_an_update_ends_the_wait(workspace: Workspace, apprunner_admin: AppRunnerAdmin) -> None:
    workspace.up("half", lambda: service("half-service"))
    with ThreadPoolExecutor() as pool, apprunner_admin.standing_still():
        stopped = pool.submit(lambda: workspace.up("half", lambda: service("half-service", variable="2")))
        eventually(lambda: status(apprunner_admin, "half-service") == "OPERATION_IN_PROGRESS", stopped)
        cli_of("half").send_signal(signal.SIGINT)
        with pytest.raises(auto.CommandError, match="context canceled"):
            stopped.result(timeout=60)
    assert workspace.resources("half")["service"]["initErrors"] == ["context canceled"]
    apprunner_admin.advance(10)
    eventually(lambda: status(apprunner_admin, "half-service") == "RUNNING")


def test_a_killed_cli_ends_the_wait_and_leaves_a_pending_create(
    workspace: Workspace, apprunner_admin: AppRunnerAdmin, cloud: RunningCloud
) -> None:
    with ThreadPoolExecutor() as pool, apprunner_admin.standing_still():
        killed = pool.submit(lambda: workspace.up("killed", lambda: service("killed-service")))
        eventually(lambda: status(apprunner_admin, "killed-service") == "OPERATION_IN_PROGRESS", killed)
        cli_of("killed").kill()
        with pytest.raises(auto.CommandError):
            killed.result(timeout=60)
    assert '"pending_operations"' in workspace.checkpoint("killed")
    assert "service" not in workspace.resources("killed")
    apprunner_admin.advance(10)
    eventually(lambda: status(apprunner_admin, "killed-service") == "RUNNING")
    client = cloud.session("operator").client("apprunner")
    arn = next(each.arn for each in apprunner_admin.services() if each.name == "killed-service")
    client.delete_service(ServiceArn=arn)
    eventually(lambda: status(apprunner_admin, "killed-service") == "DELETED")
    workspace.stack("killed").cancel()
