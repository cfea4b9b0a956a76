"""`GetResources` of the Resource Groups Tagging API, over this emulator's services.

Rules, from the API's reference: a resource is found when every tag filter holds; a filter holds when one of its values
does, or, without values, when the key is there; resources without tags and deleted ones are not found. Filters by type
and by ARN are not emulated.
"""

from __future__ import annotations

from localcloud.apprunner.cloud import Cloud
from localcloud.apprunner.errors import InvalidRequest
from localcloud.apprunner.model import Block, Caller, Service
from localcloud.apprunner.paging import page
from localcloud.apprunner.tags import as_list

_PAGE = 50
_EMULATED = {"TagFilters", "ResourcesPerPage", "PaginationToken"}


def get_resources(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """GetResources. Raises InvalidRequest, which is InvalidParameterException here."""
    _check(request)
    shown, token = page(
        [each for each in cloud.store.services(caller.region) if each.tags and _is_found(each, request)],
        lambda each: each.number,
        of="resources",
        size=request.get("ResourcesPerPage", _PAGE),
        token=request.get("PaginationToken"),
    )
    mappings = [{"ResourceARN": each.arn, "Tags": as_list(each.tags)} for each in shown]
    return {"PaginationToken": token or "", "ResourceTagMappingList": mappings}


def _check(request: Block) -> None:
    if others := request.keys() - _EMULATED:
        raise InvalidRequest(f"The emulator does not have {', '.join(sorted(others))}.")
    if not 1 <= request.get("ResourcesPerPage", _PAGE) <= 100:
        raise InvalidRequest("ResourcesPerPage has to be between 1 and 100.")
    if any("Key" not in each for each in request.get("TagFilters", [])):
        raise InvalidRequest("Every tag filter has to have a key.")


def _is_found(service: Service, request: Block) -> bool:
    return all(_holds(service, each) for each in request.get("TagFilters", []))


def _holds(service: Service, wanted: Block) -> bool:
    value = service.tags.get(wanted["Key"])
    return value is not None and (not wanted.get("Values") or value in wanted["Values"])
