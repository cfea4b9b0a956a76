"""Services of App Runner.

Source of waits, states and replacements: the Terraform provider's internal/service/apprunner, which the official plug-in
wraps. A rolled-back update ends in RUNNING and so looks successful here, as it does there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from localcloud.provider.errors import code_of
from localcloud.provider.operation import Operation
from localcloud.provider.resource import Resource, names
from localcloud.provider.schema import Failure
from localcloud.provider.tags import Tagging

_BLOCK_DEFAULTS: Mapping[str, Any] = {
    "healthCheckConfiguration": {
        "healthyThreshold": 1,
        "interval": 5,
        "path": "/",
        "protocol": "TCP",
        "timeout": 2,
        "unhealthyThreshold": 5,
    },
    "instanceConfiguration": {"cpu": "1024", "memory": "2048"},
    "sourceConfiguration": {
        "autoDeploymentsEnabled": True,
        "imageRepository": {"imageConfiguration": {"port": "8080"}},
    },
}


class Service(Resource):
    """`aws:apprunner/service:Service`; the id is the ARN. Busy services refuse updates and deletes; that error stands."""

    token = "aws:apprunner/service:Service"
    supports = names("""
        encryptionConfiguration healthCheckConfiguration instanceConfiguration serviceName sourceConfiguration
    """)
    replace_on = names("serviceName encryptionConfiguration")
    kept = names("healthCheckConfiguration instanceConfiguration")

    service = "apprunner"
    create_by, read_by, update_by, delete_by = "CreateService", "DescribeService", "UpdateService", "DeleteService"
    identity = ("ServiceArn",)
    member = "Service"
    renamed: ClassVar[Mapping[str, str]] = {"arn": "ServiceArn"}
    tagging = Tagging()
    role_errors = ("InvalidRequestException",)
    role_text = "Error in assuming instance role"

    pending, ready = ("OPERATION_IN_PROGRESS",), ("RUNNING",)
    deleting, deleted = ("RUNNING", "OPERATION_IN_PROGRESS"), ("DELETED",)
    title = "App Runner Service"
    limit = 1200

    def check(self, op: Operation, inputs: dict[str, Any]) -> list[Failure]:
        """Fill in the defaults of nested blocks, and write sizes as the service answers them."""
        inputs.update(_filled(inputs, _BLOCK_DEFAULTS))
        sizes = inputs.get("instanceConfiguration")
        if isinstance(sizes, Mapping):
            plain = {name: _plain_size(sizes[name]) for name in ("cpu", "memory")}
            inputs["instanceConfiguration"] = {**sizes, **plain}
        return []

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The service; None also when it is deleted between the description and the question for its tags."""
        try:
            return super().read(op)
        except ClientError as exc:
            if code_of(exc) == "InvalidStateException" and self.find(op) is None:
                return None
            raise


def _filled(given: Any, defaults: Mapping[str, Any]) -> Any:
    """The defaults under what is given, in blocks that are given only."""
    if not isinstance(given, Mapping):
        return given
    blocks = {name for name, default in defaults.items() if isinstance(default, Mapping)}
    plain = {name: default for name, default in defaults.items() if name not in blocks}
    return {**plain, **given, **{name: _filled(given[name], defaults[name]) for name in blocks & given.keys()}}


def _plain_size(value: Any) -> Any:
    match = re.fullmatch(r"([0-9.]+) (vCPU|GB)", value) if isinstance(value, str) else None
    return str(int(float(match.group(1)) * 1024)) if match else value
