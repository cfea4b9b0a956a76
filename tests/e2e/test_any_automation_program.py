"""Another Automation API program, written like the original script, works against the local cloud."""

from __future__ import annotations

from pathlib import Path

import boto3
import pulumi
import pulumi_aws as aws
import pytest
import urllib3
from pulumi import automation as auto

from tests.e2e.story import LATEST, V2
from tools.platform_on_localcloud import Platform

PROJECT = "another"


def program() -> None:
    config = pulumi.Config()
    app_name = config.require("appName")
    provider = aws.Provider("aws-provider", region="us-west-2")
    service = aws.apprunner.Service(
        "app-runner-service",
        service_name=f"{app_name}-service",
        source_configuration=aws.apprunner.ServiceSourceConfigurationArgs(
            auto_deployments_enabled=False,
            image_repository=aws.apprunner.ServiceSourceConfigurationImageRepositoryArgs(
                image_configuration=aws.apprunner.ServiceSourceConfigurationImageRepositoryImageConfigurationArgs(
                    port=str(config.require_int("containerPort"))
                ),
                image_identifier=config.get("image") or LATEST,
                image_repository_type="ECR_PUBLIC",
            ),
        ),
        instance_configuration=aws.apprunner.ServiceInstanceConfigurationArgs(cpu="1024", memory="2048"),
        opts=pulumi.ResourceOptions(provider=provider),
    )
    pulumi.export("app_runner_service_url", service.service_url)


@pytest.fixture
def local_env(platform: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This process's environment as after `. .local/env`."""
    for name, value in platform.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))


def test_another_automation_program_can_create_list_update_refresh_and_destroy(local_env: None) -> None:
    stack = auto.create_or_select_stack(stack_name=f"{PROJECT}-test1", project_name=PROJECT, program=program)
    stack.set_config("appName", auto.ConfigValue(value="another-app"))
    stack.set_config("containerPort", auto.ConfigValue(value="8080"))
    made = stack.up()
    assert made.summary.resource_changes == {"create": 3}
    url = made.outputs["app_runner_service_url"].value
    assert urllib3.request("GET", f"{url}/fib/20").data == b'{"fib":6765,"n":20}\n'

    settings = auto.ProjectSettings(name=PROJECT, runtime="python")
    stacks = auto.LocalWorkspace(project_settings=settings).list_stacks()
    assert [each.name for each in stacks] == [f"{PROJECT}-test1"]

    stack.set_config("image", auto.ConfigValue(value=V2))
    assert stack.preview().change_summary[auto.OpType.UPDATE] == 1
    assert stack.up().summary.resource_changes == {"update": 1, "same": 2}
    assert stack.refresh().summary.result == "succeeded"
    assert stack.up().summary.resource_changes == {"same": 3}

    again = auto.select_stack(stack_name=f"{PROJECT}-test1", project_name=PROJECT, program=program)
    assert again.destroy().summary.resource_changes == {"delete": 3}
    again.workspace.remove_stack(f"{PROJECT}-test1")
    services = boto3.client("apprunner").list_services()["ServiceSummaryList"]
    assert "another-app-service" not in [each["ServiceName"] for each in services]
