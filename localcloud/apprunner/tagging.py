"""`GetResources` of the Resource Groups Tagging API, over what this emulator holds.

Rules, from the API's reference: a resource is found when every tag filter holds, a filter when one of its values
does, or, without values, when the key is there; only resources that have tags are found; deleted ones are not.
Resource types are a service (`apprunner`) or a service and a type (`apprunner:service`); other services' types find
nothing here. `TagsPerPage` is checked and otherwise ignored: no page here comes near 100 resources of 50 tags.
"""

from __future__ import annotations

from localcloud.apprunner.cloud import Cloud
from localcloud.apprunner.errors import InvalidRequest
from localcloud.apprunner.model import AutoScaling, Block, Caller, Service
from localcloud.apprunner.paging import page
from localcloud.apprunner.tags import as_list

_PAGE = 50


def get_resources(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """GetResources. Raises InvalidRequest, which is InvalidParameterException here."""
    _refuse_bad_sizes(request)
    filters = request.get("TagFilters", [])
    if any("Key" not in each for each in filters):
        raise InvalidRequest("Every tag filter has to have a key.")
    found = [each for each in _tagged(cloud, caller) if _matches(each, request)]
    found = [each for each in found if all(_holds(each, one) for one in filters)]
    items, token = page(
        found,
        lambda each: each.number,
        of="resources",
        size=request.get("ResourcesPerPage", _PAGE),
        token=request.get("PaginationToken"),
    )
    mappings = [{"ResourceARN": each.arn, "Tags": as_list(each.tags)} for each in items]
    return {"PaginationToken": token or "", "ResourceTagMappingList": mappings}


def _refuse_bad_sizes(request: Block) -> None:
    for name, least, most in (("ResourcesPerPage", 1, 100), ("TagsPerPage", 100, 500)):
        if name in request and not least <= request[name] <= most:
            raise InvalidRequest(f"{name} has to be between {least} and {most}.")
    others = {"ResourceTypeFilters", "TagFilters", "ResourcesPerPage", "TagsPerPage"} & request.keys()
    if "ResourceARNList" in request and others:
        raise InvalidRequest(f"ResourceARNList cannot be given together with {', '.join(sorted(others))}.")


def _tagged(cloud: Cloud, caller: Caller) -> list[Service | AutoScaling]:
    existing: list[Service | AutoScaling] = [*cloud.store.services(caller.region)]
    existing += (each for each in cloud.store.autoscaling(caller.region) if each.deleted_at is None)
    return [each for each in existing if each.tags]


def _matches(resource: Service | AutoScaling, request: Block) -> bool:
    kind = "apprunner:service" if isinstance(resource, Service) else "apprunner:autoscalingconfiguration"
    types = request.get("ResourceTypeFilters")
    arns = request.get("ResourceARNList")
    return (not types or kind in types or "apprunner" in types) and (arns is None or resource.arn in arns)


def _holds(resource: Service | AutoScaling, wanted: Block) -> bool:
    value = resource.tags.get(wanted["Key"])
    return value is not None and (not wanted.get("Values") or value in wanted["Values"])
