"""The permissions that a request needs: IAM's actions, on which resources, under which condition keys.

Rules, from AWS's Service Authorization Reference for App Runner: creating with tags also needs TagResource; giving a
service a role needs `iam:PassRole` on that role; a service that does not exist or is deleted has no tags. The request
is read leniently, because a caller without permission is refused before anything else is checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.apprunner.model import Block, Caller, ServiceStatus
from localcloud.apprunner.operations import Target
from localcloud.apprunner.store import Store

# The reference's name for App Runner where it is given a role.
_PASSED_TO = "bullet.amazonaws.com"
_ROLES = (
    ("SourceConfiguration", "AuthenticationConfiguration", "AccessRoleArn"),
    ("InstanceConfiguration", "InstanceRoleArn"),
)
_ARNS = ("ServiceArn", "ResourceArn")


@dataclass(frozen=True)
class Permission:
    """One question for IAM. `context`: the condition keys that the request itself brings."""

    action: str
    resource: str
    context: Mapping[str, str | list[str]] = field(default_factory=dict)


def required_permissions(target: Target, caller: Caller, request: Block, store: Store) -> Iterator[Permission]:
    """All that must be allowed for this request, the operation itself first."""
    # The tagging API's actions have another prefix than its signatures.
    prefix = {"tagging": "tag"}.get(target.api.signing_name, target.api.signing_name)
    creates = target.operation.name == "CreateService"
    if creates:
        name = request.get("ServiceName", "")
        resource = f"arn:aws:apprunner:{caller.region}:{caller.account}:service/{name}/*"
    else:
        # Operations without an ARN, which are lists, are allowed on everything or not at all.
        resource = next((request[name] for name in _ARNS if isinstance(request.get(name), str)), "*")
    tags = _tags(request)
    requested = _keys("RequestTag", tags)
    if tags or "TagKeys" in request:
        requested["aws:TagKeys"] = [*tags, *map(str, _list(request.get("TagKeys")))]
    existing = _keys("ResourceTag", _tags_of(resource, store))
    yield Permission(f"{prefix}:{target.operation.name}", resource, requested | existing)
    if creates and tags:
        # AWS's guides disagree on whether a resource that is being created counts as tagged: both must be allowed.
        for counted in ({}, tags):
            yield Permission(f"{prefix}:TagResource", resource, requested | _keys("ResourceTag", counted))
    for path in _ROLES:
        if isinstance(role := _at(request, *path), str):
            yield Permission("iam:PassRole", role, {"iam:PassedToService": _PASSED_TO})


def _tags_of(arn: str, store: Store) -> Mapping[str, str]:
    service = store.find(arn)
    return service.tags if service and service.status is not ServiceStatus.DELETED else {}


def _tags(request: Block) -> dict[str, str]:
    entries = (each for each in _list(request.get("Tags")) if isinstance(each, Mapping) and "Key" in each)
    return {str(each["Key"]): str(each.get("Value", "")) for each in entries}


def _keys(kind: str, tags: Mapping[str, str]) -> dict[str, str | list[str]]:
    return {f"aws:{kind}/{name}": value for name, value in tags.items()}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
