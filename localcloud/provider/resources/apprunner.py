"""Services of App Runner and their scaling configurations.

Source of waits, states and replacements: the Terraform provider's internal/service/apprunner, which the official plug-in
wraps. A rolled-back update ends in RUNNING and so looks successful here, as it does there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider import shapes, tags
from localcloud.provider.operation import Operation
from localcloud.provider.resource import Resource
from localcloud.provider.schema import Failure

_BUSY = "OPERATION_IN_PROGRESS"


class Service(Resource):
    """`aws:apprunner/service:Service`; the id is the ARN."""

    tokens = ("aws:apprunner/service:Service",)
    service = "apprunner"
    supports = frozenset(
        {
            "autoScalingConfigurationArn",
            "encryptionConfiguration",
            "healthCheckConfiguration",
            "instanceConfiguration",
            "networkConfiguration",
            "observabilityConfiguration",
            "serviceName",
            "sourceConfiguration",
        }
    )
    replace_on = frozenset({"serviceName", "encryptionConfiguration"})
    kept = frozenset(
        {
            "autoScalingConfigurationArn",
            "healthCheckConfiguration",
            "instanceConfiguration",
            "networkConfiguration",
            "observabilityConfiguration",
        }
    )
    taggable = True
    limit = 1200

    def check(self, op: Operation, inputs: dict[str, Any]) -> list[Failure]:
        """Fill in the defaults of nested blocks, and write sizes as the service answers them."""
        source = _filled(inputs.get("sourceConfiguration"), {"autoDeploymentsEnabled": True})
        image = source.get("imageRepository") if isinstance(source, Mapping) else None
        if isinstance(image, Mapping) and "imageConfiguration" in image:
            config = _filled(image["imageConfiguration"], {"port": "8080"})
            source = {**source, "imageRepository": {**image, "imageConfiguration": config}}
        inputs["sourceConfiguration"] = source
        if "instanceConfiguration" in inputs:
            sizes = _filled(inputs["instanceConfiguration"], {"cpu": "1024", "memory": "2048"})
            inputs["instanceConfiguration"] = _plain_sizes(sizes)
        if "healthCheckConfiguration" in inputs:
            inputs["healthCheckConfiguration"] = _filled(
                inputs["healthCheckConfiguration"],
                {
                    "healthyThreshold": 1,
                    "interval": 5,
                    "path": "/",
                    "protocol": "TCP",
                    "timeout": 2,
                    "unhealthyThreshold": 5,
                },
            )
        return []

    def create(self, op: Operation) -> None:
        """Create it, again while a new instance role is not known yet, and wait until it runs."""
        client = self.client(op)
        request = shapes.request(client, "CreateService", op.inputs, {"tags"}) | {"Tags": tags.as_list(op.all_tags)}
        answer = op.retry(
            lambda: client.create_service(**request),
            codes=("InvalidRequestException",),
            text="Error in assuming instance role",
        )
        op.made(answer["Service"]["ServiceArn"])
        self._wait_running(op, "create")

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The service; one that is DELETED stays describable, and is gone nevertheless."""
        client = self.client(op)
        answer = client.describe_service(ServiceArn=op.id)
        if answer["Service"]["Status"] == "DELETED":
            return None
        live = shapes.response(client, "DescribeService", answer, "Service")
        try:
            tagged = client.list_tags_for_resource(ResourceArn=op.id).get("Tags")
        except client.exceptions.InvalidStateException:
            # It went between the two calls: a deleted service can be described, but not asked for its tags.
            if client.describe_service(ServiceArn=op.id)["Service"]["Status"] == "DELETED":
                return None
            raise
        same = (
            "encryptionConfiguration",
            "healthCheckConfiguration",
            "instanceConfiguration",
            "networkConfiguration",
            "observabilityConfiguration",
            "serviceId",
            "serviceName",
            "serviceUrl",
            "sourceConfiguration",
            "status",
        )
        return {name: live.get(name) for name in same} | {
            "arn": live["serviceArn"],
            "autoScalingConfigurationArn": (live.get("autoScalingConfigurationSummary") or {}).get(
                "autoScalingConfigurationArn"
            ),
            "tagsAll": tags.as_map(tagged),
        }

    def update(self, op: Operation) -> None:
        """The blocks that changed, and wait until it runs again."""
        request = self.changed_request(op, "UpdateService", ServiceArn=op.id)
        self.client(op).update_service(**request)
        self._wait_running(op, "update")

    def delete(self, op: Operation) -> None:
        """Delete it and wait until it says so. App Runner refuses while it is busy, and that error is passed on."""
        self.client(op).delete_service(ServiceArn=op.id)
        op.wait(
            lambda: self._status(op),
            pending=("RUNNING", _BUSY),
            target=("DELETED", None),
            limit=self.limit,
            what=f"waiting for App Runner Service ({op.id}) delete",
        )

    def put_tags(self, op: Operation, change: tags.TagChange) -> None:
        """By the service's ARN, without touching the service."""
        _put_tags(self.client(op), op.id, change)

    def _status(self, op: Operation) -> str | None:
        client = self.client(op)
        try:
            return str(client.describe_service(ServiceArn=op.id)["Service"]["Status"])
        except client.exceptions.ResourceNotFoundException:
            return None

    def _wait_running(self, op: Operation, doing: str) -> None:
        op.wait(
            lambda: self._status(op),
            pending=(_BUSY,),
            target=("RUNNING",),
            limit=self.limit,
            what=f"waiting for App Runner Service ({op.id}) {doing}",
        )


class AutoScalingConfigurationVersion(Resource):
    """`aws:apprunner/autoScalingConfigurationVersion:AutoScalingConfigurationVersion`; the id is the ARN."""

    tokens = ("aws:apprunner/autoScalingConfigurationVersion:AutoScalingConfigurationVersion",)
    service = "apprunner"
    supports = frozenset({"autoScalingConfigurationName", "maxConcurrency", "maxSize", "minSize"})
    replace_on = supports
    defaults: ClassVar[Mapping[str, Any]] = {"maxConcurrency": 100, "maxSize": 25, "minSize": 1}
    taggable = True

    def create(self, op: Operation) -> None:
        """Create a revision and wait until it is active."""
        client = self.client(op)
        request = shapes.request(client, "CreateAutoScalingConfiguration", op.inputs, {"tags"})
        answer = client.create_auto_scaling_configuration(**request, Tags=tags.as_list(op.all_tags))
        op.made(answer["AutoScalingConfiguration"]["AutoScalingConfigurationArn"])
        self._wait(op, "active", "create")

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The revision; an inactive one is gone."""
        client = self.client(op)
        answer = client.describe_auto_scaling_configuration(AutoScalingConfigurationArn=op.id)
        live = shapes.response(client, "DescribeAutoScalingConfiguration", answer, "AutoScalingConfiguration")
        if str(live.get("status")).lower() == "inactive":
            return None
        live["arn"] = live.pop("autoScalingConfigurationArn")
        live["tagsAll"] = tags.as_map(client.list_tags_for_resource(ResourceArn=op.id).get("Tags"))
        return {key: value for key, value in live.items() if key not in ("createdAt", "deletedAt")}

    def delete(self, op: Operation) -> None:
        """Delete the revision and wait until it is inactive."""
        self.client(op).delete_auto_scaling_configuration(AutoScalingConfigurationArn=op.id)
        self._wait(op, "inactive", "delete")

    def put_tags(self, op: Operation, change: tags.TagChange) -> None:
        """By the revision's ARN."""
        _put_tags(self.client(op), op.id, change)

    def _wait(self, op: Operation, target: str, doing: str) -> None:
        client = self.client(op)

        def status() -> str:
            answer = client.describe_auto_scaling_configuration(AutoScalingConfigurationArn=op.id)
            # The service's model says ACTIVE, the service itself "active".
            return str(answer["AutoScalingConfiguration"]["Status"]).lower()

        what = f"waiting for App Runner AutoScaling Configuration Version ({op.id}) {doing}"
        pending = tuple({"active", "inactive"} - {target})
        op.wait(status, pending=pending, target=(target,), limit=120, what=what)


def _filled(block: Any, defaults: Mapping[str, Any]) -> Any:
    return {**defaults, **block} if isinstance(block, Mapping) else block


def _plain_sizes(block: Any) -> Any:
    if not isinstance(block, Mapping):
        return block
    return {key: _plain_size(value) if key in ("cpu", "memory") else value for key, value in block.items()}


def _plain_size(value: Any) -> Any:
    match = re.fullmatch(r"([0-9.]+) (vCPU|GB)", value) if isinstance(value, str) else None
    return str(int(float(match.group(1)) * 1024)) if match else value


def _put_tags(client: Any, arn: str, change: tags.TagChange) -> None:
    if change.remove:
        client.untag_resource(ResourceArn=arn, TagKeys=change.remove)
    if change.put:
        client.tag_resource(ResourceArn=arn, Tags=tags.as_list(change.put))
