"""Tags of services.

Rules: at most 50 on a service; keys are unique and do not begin with `aws:` (the model's own pattern); the tags of a
deleted service cannot be read or changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from localcloud.apprunner.cloud import Cloud
from localcloud.apprunner.errors import InvalidRequest, InvalidState
from localcloud.apprunner.model import Block, Caller, Service, ServiceStatus

_LIMIT = 50


def tag_resource(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """TagResource: adds tags, or gives them other values."""
    service = _find(cloud, caller, request)
    cloud.store.put(replace(service, tags=_limited({**service.tags, **as_mapping(request["Tags"])})))
    return {}


def untag_resource(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """UntagResource: removes tags; keys that are not there are no error."""
    service = _find(cloud, caller, request)
    left = {key: value for key, value in service.tags.items() if key not in request["TagKeys"]}
    cloud.store.put(replace(service, tags=left))
    return {}


def list_tags_for_resource(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """ListTagsForResource."""
    return {"Tags": as_list(_find(cloud, caller, request).tags)}


def as_mapping(tags: Iterable[Block]) -> dict[str, str]:
    """AWS's list of tags as a mapping. Raises InvalidRequest for a missing key, one given twice, or more than 50."""
    mapping: dict[str, str] = {}
    for tag in tags:
        if "Key" not in tag:
            raise InvalidRequest("Every tag has to have a key.")
        if tag["Key"] in mapping:
            raise InvalidRequest(f"Tag key {tag['Key']} is given more than once.")
        mapping[tag["Key"]] = tag.get("Value", "")
    return _limited(mapping)


def as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as AWS lists them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _limited(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > _LIMIT:
        raise InvalidRequest(f"A resource can have at most {_LIMIT} tags.")
    return tags


def _find(cloud: Cloud, caller: Caller, request: Block) -> Service:
    service = cloud.store.service(request["ResourceArn"], caller.region, "Resource")
    if service.status is ServiceStatus.DELETED:
        raise InvalidState(f"Service cannot be updated in the current state: {service.status}")
    return service


OPERATIONS: dict[str, Callable[[Cloud, Caller, Block], Block]] = {
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": list_tags_for_resource,
}
