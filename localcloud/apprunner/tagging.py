"""`GetResources` of the Resource Groups Tagging API, over this emulator's services.

Rules, from the API's reference: a resource is found when every tag filter holds; a filter holds when one of its values
does, or, without values, when the key is there; resources without tags and deleted ones are not found. Resource types
are a service (`apprunner`) or a service and a type (`apprunner:service`); no other type finds anything here.
`TagsPerPage` is checked and otherwise ignored: no page here comes near 100 resources of 50 tags.
"""

from __future__ import annotations

from localcloud.apprunner.cloud import Cloud
from localcloud.apprunner.errors import InvalidRequest
from localcloud.apprunner.model import Block, Caller, Service
from localcloud.apprunner.paging import page
from localcloud.apprunner.tags import as_list

_PAGE = 50
_TYPES = {"apprunner", "apprunner:service"}


def get_resources(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """GetResources. Raises InvalidRequest, which is InvalidParameterException here."""
    _check(request)
    shown, token = page(
        [each for each in cloud.store.services(caller.region) if each.tags and _matches(each, request)],
        lambda each: each.number,
        of="resources",
        size=request.get("ResourcesPerPage", _PAGE),
        token=request.get("PaginationToken"),
    )
    mappings = [{"ResourceARN": each.arn, "Tags": as_list(each.tags)} for each in shown]
    return {"PaginationToken": token or "", "ResourceTagMappingList": mappings}


def _check(request: Block) -> None:
    for name, least, most in (("ResourcesPerPage", 1, 100), ("TagsPerPage", 100, 500)):
        if name in request and not least <= request[name] <= most:
            raise InvalidRequest(f"{name} has to be between {least} and {most}.")
    others = {"ResourceTypeFilters", "TagFilters", "ResourcesPerPage", "TagsPerPage"} & request.keys()
    if "ResourceARNList" in request and others:
        raise InvalidRequest(f"ResourceARNList cannot be given together with {', '.join(sorted(others))}.")
    if any("Key" not in each for each in request.get("TagFilters", [])):
        raise InvalidRequest("Every tag filter has to have a key.")


def _matches(service: Service, request: Block) -> bool:
    types, arns = request.get("ResourceTypeFilters"), request.get("ResourceARNList")
    return (
        (not types or not _TYPES.isdisjoint(types))
        and (arns is None or service.arn in arns)
        and all(_holds(service, each) for each in request.get("TagFilters", []))
    )


def _holds(service: Service, wanted: Block) -> bool:
    value = service.tags.get(wanted["Key"])
    return value is not None and (not wanted.get("Values") or value in wanted["Values"])
