"""Automatic scaling configurations: revisions of a name, the default one, and which of them are in use.

Rules: a revision never changes; the newest active one of a name is its latest; an ARN without a revision means the
latest; the default one and one that a service uses cannot be deleted. Statuses are answered in lowercase, as the
service does and Terraform's waiters expect, although the model's enum is in capitals.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from localcloud.apprunner.cloud import Cloud
from localcloud.apprunner.errors import InvalidRequest, NotFound
from localcloud.apprunner.model import AutoScaling, Block, Caller
from localcloud.apprunner.paging import page
from localcloud.apprunner.tags import as_mapping

_DEFAULT_NAME = "DefaultConfiguration"
_DEFAULTS = {"MaxConcurrency": 100, "MinSize": 1, "MaxSize": 25}


def create_auto_scaling_configuration(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """CreateAutoScalingConfiguration: the first revision of a name, or one more."""
    name = request["AutoScalingConfigurationName"]
    sizes = _DEFAULTS | {key: request[key] for key in _DEFAULTS.keys() & request.keys()}
    if name == _DEFAULT_NAME:
        raise InvalidRequest(f"The name {_DEFAULT_NAME} is reserved.")
    if sizes["MinSize"] > sizes["MaxSize"]:
        raise InvalidRequest("MinSize must be less than or equal to MaxSize.")
    revision = 1 + max(
        (each.revision for each in cloud.store.autoscaling(caller.region) if each.name == name), default=0
    )
    made = AutoScaling(
        number=cloud.store.next_number(),
        name=name,
        revision=revision,
        arn=f"{_prefix(caller)}{name}/{revision}/{uuid.uuid4().hex}",
        region=caller.region,
        max_concurrency=sizes["MaxConcurrency"],
        min_size=sizes["MinSize"],
        max_size=sizes["MaxSize"],
        created_at=cloud.clock.now(),
        tags=as_mapping(request.get("Tags", [])),
    )
    cloud.store.put(made)
    return {"AutoScalingConfiguration": _described(cloud, caller, made)}


def describe_auto_scaling_configuration(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """DescribeAutoScalingConfiguration; an inactive revision can still be described."""
    return {
        "AutoScalingConfiguration": _described(
            cloud, caller, find(cloud, caller, request["AutoScalingConfigurationArn"])
        )
    }


def list_auto_scaling_configurations(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """ListAutoScalingConfigurations: the active revisions, all or each name's latest."""
    name = request.get("AutoScalingConfigurationName")
    shown = [each for each in _active(cloud, caller) if name in (None, each.name)]
    if request.get("LatestOnly"):
        shown = [each for each in shown if _is_latest(cloud, caller, each)]
    items, token = page(
        shown,
        lambda each: each.number,
        of="autoscaling",
        size=request.get("MaxResults", 100),
        token=request.get("NextToken"),
    )
    return {"AutoScalingConfigurationSummaryList": [_summary(cloud, each) for each in items], "NextToken": token}


def delete_auto_scaling_configuration(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """DeleteAutoScalingConfiguration: one revision, or with DeleteAllRevisions all of its name."""
    asked = find(cloud, caller, request["AutoScalingConfigurationArn"])
    gone = [asked]
    if request.get("DeleteAllRevisions"):
        gone = [each for each in _active(cloud, caller) if each.name == asked.name]
    for each in gone:
        if _is_default(each):
            raise InvalidRequest(f"The default auto scaling configuration can't be deleted: {each.arn}")
        if _in_use(cloud, each):
            raise InvalidRequest(f"Auto scaling configuration is in use by one or more services: {each.arn}")
    now = cloud.clock.now()
    for each in gone:
        cloud.store.put(replace(each, deleted_at=each.deleted_at or now))
    return {"AutoScalingConfiguration": _described(cloud, caller, find(cloud, caller, asked.arn))}


def find(cloud: Cloud, caller: Caller, arn: str) -> AutoScaling:
    """The revision that an ARN means; it may end with the id, the revision or the name. Raises NotFound."""
    known = _known(cloud, caller)
    for each in known:
        if arn in (each.arn, each.arn.rpartition("/")[0]):
            return each
    named = [each for each in known if each.deleted_at is None and arn == f"{_prefix(caller)}{each.name}"]
    if not named:
        raise NotFound(f"Auto scaling configuration with the provided ARN was not found: {arn}")
    return max(named, key=lambda each: each.revision)


def for_service(cloud: Cloud, caller: Caller, arn: str | None) -> str:
    """The full ARN of the active revision that a service will use, by default the default. Raises InvalidRequest."""
    if arn is None:
        return next(each.arn for each in _active(cloud, caller) if _is_default(each))
    try:
        found = find(cloud, caller, arn)
    except NotFound as error:
        raise InvalidRequest(error.message) from error
    if found.deleted_at is not None:
        raise InvalidRequest(f"Auto scaling configuration is not active: {arn}")
    return found.arn


def summary_of(cloud: Cloud, region: str, arn: str) -> Block:
    """AutoScalingConfigurationSummary of the configuration that a service uses."""
    return next(_summary(cloud, each) for each in cloud.store.autoscaling(region) if each.arn == arn)


def _active(cloud: Cloud, caller: Caller) -> list[AutoScaling]:
    return [each for each in _known(cloud, caller) if each.deleted_at is None]


def _known(cloud: Cloud, caller: Caller) -> list[AutoScaling]:
    """The region's configurations; the first look at a region makes the default one, which is simply there on AWS."""
    known = cloud.store.autoscaling(caller.region)
    if not any(map(_is_default, known)):
        known.append(_default(cloud, caller))
        cloud.store.put(known[-1])
    return known


def _default(cloud: Cloud, caller: Caller) -> AutoScaling:
    """The one that every account has in every region."""
    return AutoScaling(
        number=cloud.store.next_number(),
        name=_DEFAULT_NAME,
        revision=1,
        arn=f"{_prefix(caller)}{_DEFAULT_NAME}/1/{1:032}",
        region=caller.region,
        max_concurrency=_DEFAULTS["MaxConcurrency"],
        min_size=_DEFAULTS["MinSize"],
        max_size=_DEFAULTS["MaxSize"],
        created_at=cloud.clock.now(),
    )


def _prefix(caller: Caller) -> str:
    return f"arn:aws:apprunner:{caller.region}:{caller.account}:autoscalingconfiguration/"


def _is_default(each: AutoScaling) -> bool:
    return each.name == _DEFAULT_NAME


def _is_latest(cloud: Cloud, caller: Caller, each: AutoScaling) -> bool:
    revisions = (other.revision for other in _active(cloud, caller) if other.name == each.name)
    return each.deleted_at is None and each.revision == max(revisions)


def _in_use(cloud: Cloud, each: AutoScaling) -> bool:
    return any(each.arn == service.configuration.autoscaling_arn for service in cloud.store.services(each.region))


def _summary(cloud: Cloud, each: AutoScaling) -> dict[str, Any]:
    return {
        "AutoScalingConfigurationArn": each.arn,
        "AutoScalingConfigurationName": each.name,
        "AutoScalingConfigurationRevision": each.revision,
        "Status": "active" if each.deleted_at is None else "inactive",
        "CreatedAt": each.created_at,
        "HasAssociatedService": _in_use(cloud, each),
        "IsDefault": _is_default(each),
    }


def _described(cloud: Cloud, caller: Caller, each: AutoScaling) -> dict[str, Any]:
    return _summary(cloud, each) | {
        "Latest": _is_latest(cloud, caller, each),
        "MaxConcurrency": each.max_concurrency,
        "MinSize": each.min_size,
        "MaxSize": each.max_size,
        "DeletedAt": each.deleted_at,
    }


OPERATIONS: dict[str, Callable[[Cloud, Caller, Block], Block]] = {
    "CreateAutoScalingConfiguration": create_auto_scaling_configuration,
    "DescribeAutoScalingConfiguration": describe_auto_scaling_configuration,
    "ListAutoScalingConfigurations": list_auto_scaling_configurations,
    "DeleteAutoScalingConfiguration": delete_auto_scaling_configuration,
}
