"""The default automatic scaling configuration, which every account has in every region and every service here uses.

The emulator cannot create others, so any other ARN is refused as unknown.
"""

from __future__ import annotations

from localcloud.apprunner.cloud import Cloud
from localcloud.apprunner.errors import InvalidRequest
from localcloud.apprunner.model import Block, Caller, Service

_NAME = "DefaultConfiguration"


def require_known(caller: Caller, request: Block) -> None:
    """Raise InvalidRequest when a request names another configuration; an ARN may end with id, revision or name."""
    arn = request.get("AutoScalingConfigurationArn")
    default = _default_arn(f"arn:aws:apprunner:{caller.region}:{caller.account}")
    if arn is not None and arn not in (default, default.rsplit("/", 1)[0], default.rsplit("/", 2)[0]):
        raise InvalidRequest(f"Auto scaling configuration with the provided ARN was not found: {arn}")


def summary_for(cloud: Cloud, service: Service) -> Block:
    """AutoScalingConfigurationSummary. The status is in lowercase, as the service answers and Terraform's waiters
    expect, although the model's enum is in capitals.
    """
    return {
        "AutoScalingConfigurationArn": _default_arn(service.arn.rpartition(":")[0]),
        "AutoScalingConfigurationName": _NAME,
        "AutoScalingConfigurationRevision": 1,
        "Status": "active",
        "CreatedAt": cloud.started_at,
        "HasAssociatedService": bool(cloud.store.services(service.region)),
        "IsDefault": True,
    }


def _default_arn(prefix: str) -> str:
    return f"{prefix}:autoscalingconfiguration/{_NAME}/1/{1:032}"
