"""The template stack, run on Pulumi's mocks: what an environment is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks as pulumi_mocks

from orchestrator.domain.environment import Spec
from template_stack import Build, EnvironmentInputs, pulumi_program

INPUTS = EnvironmentInputs(
    app_name="fib-app-test1",
    region="us-west-2",
    tags={"fibfactory:platform": "fibfactory"},
    spec=Spec("public.ecr.aws/a/fibservice:v1"),
    access_role_arn="arn:aws:iam::000000000000:role/access",
)
SPECIAL, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
"""How Pulumi writes that a value is secret (sdk/go/common/resource/sig)."""
PRIVATE = "000000000000.dkr.ecr.us-west-2.amazonaws.com/fibservice:v1"


class Recorder(pulumi.runtime.Mocks):
    """Remembers every resource that the program declares."""

    def __init__(self) -> None:
        self.resources: dict[str, pulumi_mocks.MockResourceArgs] = {}

    def new_resource(self, args: pulumi_mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.resources[args.typ] = args
        outputs = {"serviceUrl": "psbqam834h.us-west-2.awsapprunner.com"} if "apprunner" in args.typ else {}
        return f"{args.name}-id", {**args.inputs, **outputs}

    def call(self, args: pulumi_mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        raise AssertionError(f"The template looks nothing up, but called {args.token}.")


def declared(inputs: EnvironmentInputs) -> tuple[dict[str, pulumi_mocks.MockResourceArgs], Mapping[str, Any]]:
    """The resources by type, and the exports, of the program with these inputs."""
    recorder = Recorder()
    exports: dict[str, Any] = {}
    pulumi.runtime.set_mocks(recorder, project="fibfactory", stack="fibfactory-test1")

    @pulumi.runtime.test
    def run() -> pulumi.Output[Any]:
        pulumi_program(inputs)
        stack: Any = pulumi.runtime.get_root_resource()
        return pulumi.Output.all(**stack.outputs).apply(exports.update)

    run()
    return recorder.resources, exports


def service_of(inputs: EnvironmentInputs) -> Mapping[str, Any]:
    return declared(inputs)[0]["aws:apprunner/service:Service"].inputs


def test_an_environment_is_a_provider_and_a_service() -> None:
    resources, _ = declared(INPUTS)
    assert set(resources) == {"pulumi:providers:aws", "aws:apprunner/service:Service"}


def test_its_url_is_exported() -> None:
    assert declared(INPUTS)[1]["app_runner_service_url"] == "psbqam834h.us-west-2.awsapprunner.com"


def test_the_provider_names_its_region_and_tags_everything() -> None:
    provider = declared(INPUTS)[0]["pulumi:providers:aws"].inputs
    assert provider["region"] == "us-west-2"
    assert "fibfactory:platform" in str(provider["defaultTags"])


def test_every_resource_uses_that_provider() -> None:
    service = declared(INPUTS)[0]["aws:apprunner/service:Service"]
    assert "aws-provider" in str(service.provider)


def test_the_service_has_the_name_and_size_of_the_original_script() -> None:
    service = service_of(INPUTS)
    assert service["serviceName"] == "fib-app-test1-service"
    assert service["instanceConfiguration"]["cpu"] == "1024"
    assert service["instanceConfiguration"]["memory"] == "2048"
    assert service["sourceConfiguration"]["autoDeploymentsEnabled"] is False


def test_the_health_check_uses_the_health_path() -> None:
    assert service_of(INPUTS)["healthCheckConfiguration"] == {"protocol": "HTTP", "path": "/health"}


def test_a_public_image_needs_no_access_role() -> None:
    source = service_of(INPUTS)["sourceConfiguration"]
    assert source["imageRepository"]["imageRepositoryType"] == "ECR_PUBLIC"
    assert "authenticationConfiguration" not in source


def test_a_private_image_is_pulled_with_the_access_role() -> None:
    source = service_of(replace(INPUTS, spec=Spec(PRIVATE)))["sourceConfiguration"]
    assert source["imageRepository"]["imageRepositoryType"] == "ECR"
    assert source["authenticationConfiguration"] == {"accessRoleArn": INPUTS.access_role_arn}


def test_a_private_image_without_a_role_is_refused() -> None:
    with pytest.raises(Exception, match="needs an access role"):
        declared(replace(INPUTS, spec=Spec(PRIVATE), access_role_arn=None))


def test_variables_and_port_reach_the_container_and_are_a_secret_of_the_state() -> None:
    inputs = replace(INPUTS, spec=replace(INPUTS.spec, variables={"COLOUR": "blue"}, port=9000))
    source = service_of(inputs)["sourceConfiguration"]
    # The SDK makes all that a secret is in one.
    assert source[SPECIAL] == SECRET
    image = source["value"]["imageRepository"]["imageConfiguration"]
    assert image == {"port": "9000", "runtimeEnvironmentVariables": {"COLOUR": "blue"}}


def test_without_variables_nothing_is_secret() -> None:
    assert SPECIAL not in service_of(INPUTS)["sourceConfiguration"]


def test_a_build_is_for_linux_and_pushed_under_the_applications_name() -> None:
    inputs = replace(INPUTS, spec=Spec(""), build=Build("public.ecr.aws/a/fibservice"))
    resources, _ = declared(inputs)
    image = resources["docker:index/image:Image"].inputs
    assert image["imageName"] == "public.ecr.aws/a/fibservice:fib-app-test1"
    assert image["build"]["platform"] == "linux/amd64"
    assert image["build"]["dockerfile"] == "Dockerfile.fib"
    assert image["registry"] == {"server": "public.ecr.aws"}
    repository = resources["aws:apprunner/service:Service"].inputs["sourceConfiguration"]["imageRepository"]
    assert repository["imageIdentifier"] == "public.ecr.aws/a/fibservice:fib-app-test1"
