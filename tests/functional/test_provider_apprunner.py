"""App Runner services through the real engine: the post's program and what may happen to it."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from localcloud.apprunner.admin import AppRunnerAdmin
from tests.functional.provider_programs import IMAGE, Workspace, changes, provider

pytest_plugins = ("tests.functional.provider_fixtures",)


def service_program(name: str, tags: dict[str, str] | None = None) -> None:
    options = provider(default_tags={"tags": {"team": "platform"}})
    service = aws.apprunner.Service(
        "app-runner-service",
        service_name=name,
        source_configuration=aws.apprunner.ServiceSourceConfigurationArgs(
            auto_deployments_enabled=False,
            image_repository=aws.apprunner.ServiceSourceConfigurationImageRepositoryArgs(
                image_configuration=aws.apprunner.ServiceSourceConfigurationImageRepositoryImageConfigurationArgs(
                    port="8080", runtime_environment_variables={"A": "1"}
                ),
                image_identifier=IMAGE,
                image_repository_type="ECR_PUBLIC",
            ),
        ),
        instance_configuration=aws.apprunner.ServiceInstanceConfigurationArgs(cpu="1024", memory="2048"),
        tags=tags,
        opts=options,
    )
    pulumi.export("app_runner_service_url", service.service_url)
    pulumi.export("status", service.status)


def test_the_posts_program_creates_a_running_service_and_a_second_up_changes_nothing(
    workspace: Workspace, apprunner_admin: AppRunnerAdmin
) -> None:
    first = workspace.up("post", lambda: service_program("post-service"))
    assert first.outputs["app_runner_service_url"].value.startswith("http://127.0.0.1:")
    assert first.outputs["status"].value == "RUNNING"
    assert changes(first) == {"create": 3}

    second = workspace.up("post", lambda: service_program("post-service"))
    assert changes(second) == {}
