"""What a request needs permission for: IAM's actions, on which resources, under which condition keys.

Rules: as AWS's Service Authorization Reference has it for App Runner. Creating with tags also needs TagResource; giving a
service a role needs `iam:PassRole` on that role; what does not exist has no tags, and neither has a deleted service. The
request is read leniently: whoever may not ask is told so before anything else is checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.apprunner.model import Caller, Service, ServiceStatus
from localcloud.apprunner.operations import Target
from localcloud.apprunner.store import Store

# The reference's name for App Runner where it is given a role.
_GIVEN_TO = "bullet.amazonaws.com"
_ACCESS_ROLE = ("SourceConfiguration", "AuthenticationConfiguration", "AccessRoleArn")
_INSTANCE_ROLE = ("InstanceConfiguration", "InstanceRoleArn")
_ARNS = ("ServiceArn", "ResourceArn", "AutoScalingConfigurationArn")
_NEW = {"CreateService": "ServiceName", "CreateAutoScalingConfiguration": "AutoScalingConfigurationName"}
_KIND = {"ServiceName": "service", "AutoScalingConfigurationName": "autoscalingconfiguration"}


@dataclass(frozen=True)
class Check:
    """One thing that IAM is asked. `context`: the condition keys that the request itself brings."""

    action: str
    resource: str
    context: Mapping[str, str | list[str]] = field(default_factory=dict)


def checks(target: Target, caller: Caller, given: Mapping[str, Any], store: Store) -> list[Check]:
    """All that must be allowed for this request, the operation itself first."""
    return list(_checks(target, caller, given, store))


def _checks(target: Target, caller: Caller, given: Mapping[str, Any], store: Store) -> Iterator[Check]:
    # The tagging API's actions have another prefix than its signatures.
    prefix = {"tagging": "tag"}.get(target.api.signing_name, target.api.signing_name)
    name = target.operation.name
    resource = _resource(name, caller, given)
    tags = _tags(given)
    requested = _keys("RequestTag", tags)
    if tags or "TagKeys" in given:
        requested["aws:TagKeys"] = [*tags, *_texts(given.get("TagKeys"))]
    yield Check(f"{prefix}:{name}", resource, requested | _keys("ResourceTag", _tags_of(resource, store)))
    if name in _NEW and tags:
        # Whether what is being created counts as tagged already, AWS's guides say now this way, now that: both must do.
        for held in ({}, tags):
            yield Check(f"{prefix}:TagResource", resource, requested | _keys("ResourceTag", held))
    for role in (_at(given, *_ACCESS_ROLE), _at(given, *_INSTANCE_ROLE)):
        if isinstance(role, str):
            yield Check("iam:PassRole", role, {"iam:PassedToService": _GIVEN_TO})


def _resource(operation: str, caller: Caller, given: Mapping[str, Any]) -> str:
    if operation in _NEW:
        kind, name = _KIND[_NEW[operation]], given.get(_NEW[operation], "")
        return f"arn:aws:apprunner:{caller.region}:{caller.account}:{kind}/{name}/*"
    # Lists are of everything; an operation on a service may name an automatic scaling configuration beside it.
    return next((given[name] for name in _ARNS if isinstance(given.get(name), str)), "*")


def _tags_of(arn: str, store: Store) -> Mapping[str, str]:
    found = store.find(arn)
    gone = isinstance(found, Service) and found.status is ServiceStatus.DELETED
    return {} if found is None or gone else found.tags


def _tags(given: Mapping[str, Any]) -> dict[str, str]:
    listed = given.get("Tags")
    entries = [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []
    return {str(each["Key"]): str(each.get("Value", "")) for each in entries if "Key" in each}


def _keys(kind: str, tags: Mapping[str, str]) -> dict[str, str | list[str]]:
    return {f"aws:{kind}/{name}": value for name, value in tags.items()}


def _texts(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _at(given: Any, *path: str) -> Any:
    for name in path:
        given = given.get(name) if isinstance(given, Mapping) else None
    return given
