"""The infrastructure of one environment, as a Pulumi program: the file to edit first.

It declares an AWS provider, an App Runner service for an image, and the service's URL as output. Add what your
environments need besides the service (a queue, a table, a bucket). Everything made with `aws_provider` gets the tags by which
fibfactory recognises its resources, and is destroyed with the environment. Do not add IAM roles: App Runner refuses a role
that was only just created.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from orchestrator.domain.environment import Spec


@dataclass(frozen=True)
class Build:
    """An image to build and push before the deploy. Needs a Docker daemon, so the orchestrator's functions never use it."""

    repository: str
    context: str = "."
    dockerfile: str = "Dockerfile.fib"


@dataclass(frozen=True)
class EnvironmentInputs:
    """The inputs of one environment. `spec.image` may be empty only if `build` is given."""

    app_name: str
    region: str
    tags: Mapping[str, str]
    spec: Spec
    access_role_arn: str | None = None
    instance_role_arn: str | None = None
    build: Build | None = None


def pulumi_program(environment: EnvironmentInputs) -> None:
    """Declare the environment's resources and export `app_runner_service_url`."""
    spec = environment.spec
    aws_provider = aws.Provider(
        "aws-provider",
        region=environment.region,
        default_tags=aws.ProviderDefaultTagsArgs(tags=dict(environment.tags)),
    )

    image = built_image(environment) if environment.build else spec.image
    public = (environment.build.repository if environment.build else spec.image).startswith("public.ecr.aws/")

    app_runner_service = aws.apprunner.Service(
        "app-runner-service",
        service_name=f"{environment.app_name}-service",
        source_configuration=aws.apprunner.ServiceSourceConfigurationArgs(
            auto_deployments_enabled=False,
            authentication_configuration=None if public else access(environment.access_role_arn),
            image_repository=aws.apprunner.ServiceSourceConfigurationImageRepositoryArgs(
                image_configuration=aws.apprunner.ServiceSourceConfigurationImageRepositoryImageConfigurationArgs(
                    port=str(spec.port),
                    # Secret, so that Pulumi encrypts them in its state and does not print them.
                    runtime_environment_variables=(
                        pulumi.Output.secret(dict(spec.variables)) if spec.variables else None
                    ),
                    runtime_environment_secrets=dict(spec.secrets) or None,
                ),
                image_identifier=image,
                image_repository_type="ECR_PUBLIC" if public else "ECR",
            ),
        ),
        instance_configuration=aws.apprunner.ServiceInstanceConfigurationArgs(
            cpu=str(spec.cpu),
            memory=str(spec.memory),
            instance_role_arn=environment.instance_role_arn,
        ),
        health_check_configuration=aws.apprunner.ServiceHealthCheckConfigurationArgs(
            protocol="HTTP",
            path=spec.health_path,
        ),
        opts=pulumi.ResourceOptions(provider=aws_provider),
    )

    pulumi.export("app_runner_service_url", app_runner_service.service_url)


def access(role_arn: str | None) -> aws.apprunner.ServiceSourceConfigurationAuthenticationConfigurationArgs:
    """The access role with which App Runner pulls an image from a private repository."""
    if role_arn is None:
        raise ValueError("An image in a private repository needs an access role: give access_role_arn.")
    return aws.apprunner.ServiceSourceConfigurationAuthenticationConfigurationArgs(access_role_arn=role_arn)


def built_image(environment: EnvironmentInputs) -> pulumi.Output[str]:
    """Build the image and push it with the application's name as its tag; returns the name under which it was pushed."""
    import pulumi_docker as docker  # imported here, as only programs that build an image need it

    assert environment.build is not None
    image = docker.Image(
        "app-image",
        build=docker.DockerBuildArgs(
            context=environment.build.context,
            dockerfile=environment.build.dockerfile,
            platform="linux/amd64",
        ),
        image_name=f"{environment.build.repository}:{environment.app_name}",
        registry=docker.RegistryArgs(server=environment.build.repository.split("/")[0]),
    )
    return image.image_name
