"""The Cloud port: App Runner, the tagging API and the state bucket, seen without Pulumi.

The rule: a service without all of this platform's tags belongs to others, whatever its name: it is neither returned nor changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from orchestrator.adapters.aws.apprunner import MOVED_ON, is_alive, listed
from orchestrator.adapters.aws_errors import error_code, translating
from orchestrator.adapters.pulumi.state import StateBucket
from orchestrator.domain import names
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import ErrorCode, Transient
from orchestrator.ports import Service, Verification

_PRIVATE_IMAGE = re.compile(
    r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[^./]+)\.[^/]+"
    r"/(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:.+))?"
)

_DENIED = "AccessDeniedException"
_CANNOT_SEE = (
    "log groups /aws/apprunner/*, which App Runner keeps",
    "resources whose type the tagging API does not know, or that were made outside the template",
    "other regions and other accounts",
)


class AwsCloud:
    """The Cloud port on App Runner, the resource groups tagging API and the state bucket."""

    def __init__(self, apprunner: Any, tagging: Any, ecr: Any, state: StateBucket, platform: str, prefix: str) -> None:
        self._apprunner = apprunner
        self._tagging = tagging
        self._ecr = ecr
        self._state = state
        self._platform = platform
        self._prefix = prefix

    def service(self, environment: Environment) -> Service | None:
        with translating("reading App Runner"):
            for arn in self._arns(environment):
                service = self._describe(environment, arn)
                if service:
                    return service
        return None

    def remove_leftover(self, environment: Environment, service: Service) -> None:
        with self._changing(service, "removing a service that the engine left behind"):
            self._apprunner.delete_service(ServiceArn=service.arn)

    def pause(self, service: Service) -> None:
        with self._changing(service, "pausing a service"):
            self._apprunner.pause_service(ServiceArn=service.arn)

    def resume(self, service: Service) -> None:
        with self._changing(service, "resuming a service"):
            self._apprunner.resume_service(ServiceArn=service.arn)

    def digest(self, image: str) -> str | None:
        """The digest of an image in a private repository of our region; None if it can't be read, which fails nothing."""
        named = _PRIVATE_IMAGE.fullmatch(image)
        if named is None:
            return None
        if named["digest"]:
            return named["digest"]
        if named["region"] != self._ecr.meta.region_name:
            return None
        try:
            found = self._ecr.describe_images(
                registryId=named["account"],
                repositoryName=named["repository"],
                imageIds=[{"imageTag": named["tag"] or "latest"}],
            )
        except (ClientError, BotoCoreError):
            return None
        return next((image["imageDigest"] for image in found["imageDetails"]), None)

    def verify_absent(self, environment: Environment) -> Verification:
        tags = self._tags(environment)
        name = names.service_name(self._prefix, environment.id)
        stack = names.stack_name(environment.id)
        service = self.service(environment)
        found = [service.arn] if service else []
        with translating("searching for tagged resources"):
            pages = self._tagging.get_paginator("get_resources").paginate(
                TagFilters=[{"Key": key, "Values": [value]} for key, value in tags.items()]
            )
            tagged = [resource["ResourceARN"] for page in pages for resource in page["ResourceTagMappingList"]]
        # The worker's role may not describe services with another name, so these count as found.
        ours = re.compile(rf"arn:[^:]+:apprunner:[^:]*:[^:]*:service/{re.escape(self._prefix)}-")
        found += [arn for arn in tagged if not ours.match(arn) or is_alive(self._apprunner, arn)]
        if self._state.exists(stack):
            found.append(f"the Pulumi stack {stack}")
        checked = (
            f"App Runner: list and describe of {name}",
            f"tagging API, all types: {', '.join(f'{key}={value}' for key, value in sorted(tags.items()))}",
            f"state bucket: the checkpoint of {stack}",
        )
        return Verification(checked, tuple(dict.fromkeys(found)), _CANNOT_SEE)

    def _arns(self, environment: Environment) -> Iterator[str]:
        known = environment.observed.service_arn
        if known:
            yield known
        name = names.service_name(self._prefix, environment.id)
        yield from (
            summary["ServiceArn"]
            for summary in listed(self._apprunner)
            if summary["ServiceName"] == name and summary["ServiceArn"] != known
        )

    def _describe(self, environment: Environment, arn: str) -> Service | None:
        try:
            described = self._apprunner.describe_service(ServiceArn=arn)["Service"]
            status = described["Status"]
            if status == "DELETED":
                return None
            tags = {tag["Key"]: tag["Value"] for tag in self._apprunner.list_tags_for_resource(ResourceArn=arn)["Tags"]}
            if not self._tags(environment).items() <= tags.items():
                return None
            busy = status == "OPERATION_IN_PROGRESS"
            operations = [] if busy else self._apprunner.list_operations(ServiceArn=arn)["OperationSummaryList"]
        except ClientError as error:
            # A service that is deleted meanwhile can still be described, but has no tags or operations.
            if error_code(error) in MOVED_ON and not is_alive(self._apprunner, arn):
                return None
            raise
        image = described["SourceConfiguration"].get("ImageRepository", {}).get("ImageIdentifier", "")
        if not operations:
            return Service(arn, status, image)
        return Service(arn, status, image, operations[0]["Status"], operations[0]["Id"])

    def _tags(self, environment: Environment) -> Mapping[str, str]:
        """The tags that identify everything of this environment, whatever its owner and generation."""
        return {names.TAG_PLATFORM: self._platform, names.TAG_ENVIRONMENT: environment.id}

    @contextmanager
    def _changing(self, service: Service, doing: str) -> Iterator[None]:
        """Raises Transient `busy` if the service has changed since it was read: the next attempt reads it again.

        The SDK can cause this itself: it repeats a change whose answer was lost, and the second one finds the first under way.
        """
        with translating(doing):
            try:
                yield
            except ClientError as error:
                code = error_code(error)
                # The worker's role may change a service by its tags, and a deleted service has none.
                if code in MOVED_ON or (code == _DENIED and not is_alive(self._apprunner, service.arn)):
                    raise Transient(
                        f"While {doing}, another program or person changed {service.arn}.", ErrorCode.BUSY
                    ) from error
                raise
