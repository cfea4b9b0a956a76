"""A service's configuration: defaults filled in, an update applied, and the rules that no single member's shape says.

Rules: an update keeps every block that it leaves out (of the source configuration: every member), and a block that it
gives replaces the old one, with defaults for missing members. Everything here is pure and raises only InvalidRequest.

Defaults are those of App Runner's API reference. Where a message is App Runner's own, word for word, a comment says
so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localcloud.apprunner.errors import InvalidRequest
from localcloud.apprunner.model import Block, Configuration

SOURCE = "SourceConfiguration"
INSTANCE = "InstanceConfiguration"
HEALTH_CHECK = "HealthCheckConfiguration"
NETWORK = "NetworkConfiguration"
OBSERVABILITY = "ObservabilityConfiguration"
ECR_PUBLIC = "ECR_PUBLIC"

_BLOCKS = {SOURCE, INSTANCE, HEALTH_CHECK, NETWORK, OBSERVABILITY, "EncryptionConfiguration"}
_PUBLIC_REGISTRY = "public.ecr.aws/"
_RESERVED_PREFIX = "AWSAPPRUNNER"
_DEFAULT_PORT = "8080"

_DEFAULTS: dict[str, dict[str, Any]] = {
    INSTANCE: {"Cpu": "1024", "Memory": "2048"},
    HEALTH_CHECK: {
        "Protocol": "TCP",
        "Path": "/",
        "Interval": 5,
        "Timeout": 2,
        "HealthyThreshold": 1,
        "UnhealthyThreshold": 5,
    },
    NETWORK: {
        "EgressConfiguration": {"EgressType": "DEFAULT"},
        "IngressConfiguration": {"IsPubliclyAccessible": True},
        "IpAddressType": "IPV4",
    },
}

# The pairs that App Runner runs, from its developer guide ("vCPU and memory").
_MEMORY_FOR_CPU = {
    "256": {"512", "1024"},
    "512": {"1024"},
    "1024": {"2048", "3072", "4096"},
    "2048": {"4096", "6144"},
    "4096": {"8192", "10240", "12288"},
}


def create(request: Block) -> Configuration:
    """The complete configuration that a CreateService request asks for. Raises InvalidRequest."""
    return _checked(_completed(_DEFAULTS | _given(request)))


def update(current: Configuration, request: Block) -> Configuration:
    """The configuration after an UpdateService request. Raises InvalidRequest."""
    given = _given(request)
    if SOURCE in given:
        _refuse_another_kind_of_repository(current[SOURCE], given[SOURCE])
        given[SOURCE] = current[SOURCE] | given[SOURCE]
    return _checked(current | _completed(given))


def image_repository(configuration: Configuration) -> dict[str, Any]:
    """The image block of the source."""
    image: dict[str, Any] = configuration[SOURCE]["ImageRepository"]
    return image


def access_role(configuration: Configuration) -> str | None:
    """The role that pulls the image."""
    return configuration[SOURCE].get("AuthenticationConfiguration", {}).get("AccessRoleArn")


def instance_role(configuration: Configuration) -> str | None:
    """The role that the application has."""
    return configuration[INSTANCE].get("InstanceRoleArn")


def _given(request: Block) -> Configuration:
    if "AutoScalingConfigurationArn" in request:
        raise InvalidRequest("The emulator has only the default scaling: leave AutoScalingConfigurationArn out.")
    return {name: request[name] for name in _BLOCKS & request.keys()}


def _completed(blocks: Configuration) -> Configuration:
    completed = {name: _DEFAULTS.get(name, {}) | block for name, block in blocks.items()}
    if SOURCE in completed:
        completed[SOURCE] = _source(completed[SOURCE])
    if instance := completed.get(INSTANCE):
        instance["Cpu"] = _in_units(instance["Cpu"], " vCPU")
        instance["Memory"] = _in_units(instance["Memory"], " GB")
    return completed


def _source(source: dict[str, Any]) -> dict[str, Any]:
    image = source.get("ImageRepository")
    automatic = {"AutoDeploymentsEnabled": not image or image["ImageRepositoryType"] != ECR_PUBLIC}
    if image:
        settings = {"Port": _DEFAULT_PORT} | image.get("ImageConfiguration", {})
        source = source | {"ImageRepository": image | {"ImageConfiguration": settings}}
    return automatic | source


def _in_units(amount: str, unit: str) -> str:
    return str(int(float(amount.removesuffix(unit)) * 1024)) if amount.endswith(unit) else amount


def _refuse_another_kind_of_repository(current: Block, given: Block) -> None:
    if "ImageRepository" in given:
        old, new = (each["ImageRepository"]["ImageRepositoryType"] for each in (current, given))
        if old != new:
            raise InvalidRequest(f"You can't change the image repository type of a service from {old} to {new}.")


def _checked(configuration: Configuration) -> Configuration:
    for problem in _problems(configuration):
        raise InvalidRequest(problem)
    return configuration


def _problems(configuration: Configuration) -> Iterator[str]:
    source = configuration[SOURCE]
    if "ImageRepository" not in source or "CodeRepository" in source:
        yield "An ImageRepository has to be provided in SourceConfiguration: the emulator does not build code."
    else:
        yield from _image_problems(configuration, source["ImageRepository"])
    cpu, memory = configuration[INSTANCE]["Cpu"], configuration[INSTANCE]["Memory"]
    if memory not in _MEMORY_FOR_CPU[cpu]:
        yield f"Invalid combination of Cpu {cpu} and Memory {memory}."
    egress = configuration[NETWORK].get("EgressConfiguration", {})
    if egress.get("EgressType") == "VPC" and "VpcConnectorArn" not in egress:
        yield "VpcConnectorArn has to be provided when EgressType is VPC."
    observability = configuration.get(OBSERVABILITY, {})
    if observability.get("ObservabilityEnabled") and "ObservabilityConfigurationArn" not in observability:
        yield "ObservabilityConfigurationArn has to be provided when ObservabilityEnabled is true."


def _image_problems(configuration: Configuration, image: Block) -> Iterator[str]:
    public = image["ImageRepositoryType"] == ECR_PUBLIC
    if public != image["ImageIdentifier"].startswith(_PUBLIC_REGISTRY):
        yield f"{image['ImageIdentifier']} does not belong to a repository of type {image['ImageRepositoryType']}."
    if public == bool(access_role(configuration)):
        # A private image needs the role; a public one with a role is refused as well.
        yield "Authentication configuration is invalid."
    if public and configuration[SOURCE]["AutoDeploymentsEnabled"]:
        # App Runner's own words.
        yield "App Runner doesn't support automatic deployments for an image in an ECR Public repository."
    settings = image["ImageConfiguration"]
    port = settings["Port"]
    if not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535):
        yield f"Port {port} is not a number from 1 to 65535."
    secrets = settings.get("RuntimeEnvironmentSecrets", {})
    for name in (*settings.get("RuntimeEnvironmentVariables", {}), *secrets):
        if name.startswith(_RESERVED_PREFIX):
            yield f"Environment variable names that begin with {_RESERVED_PREFIX} are reserved."
    if secrets and not instance_role(configuration):
        yield "Instance Role have to be provided if passing in RuntimeEnvironmentSecrets."
