"""What a killed run left: resources that it asked AWS to make without learning the result.

Pulumi records them as pending. Its next deploy would make them again, which AWS refuses for resources with a name, and which
duplicates those without one; its next destroy forgets them. The rule here: each is looked for, and one that exists and belongs to
this platform is recorded in the state by its id, so that a refresh completes it. One of the same name that belongs to others
stays out of the state, so nothing here will ever change or remove it.

Resources belong to the platform by their tag, which every type that can have tags gets in the request that makes it. A schedule
can't have tags: it belongs to the platform if it calls the platform's worker. Neither can stages, routes, authorizers and
permissions: they are parts of an API or a function that is in the state already, and a refresh drops those that do not exist. All
other types are made again, as by any deploy: AWS then changes the existing one of that name (a role's policy, an alarm, the
dashboard), finds it (the queue, the topic), or makes another part of the platform's API, which is removed with the API (an
integration).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import boto3

from bootstrap.names import Names
from orchestrator.adapters.aws_errors import none_if

Inputs = Mapping[str, Any]
Tags = Mapping[str, str] | Iterable[Mapping[str, str]]
_MISSING = {"NoSuchEntity", "RepositoryNotFoundException", "ResourceNotFoundException"}


@dataclass(frozen=True)
class Found:
    """A resource's id, as imports of the AWS plug-in need it, and whether the resource belongs to this platform."""

    identity: str
    ours: bool = True


Find = Callable[[str, Inputs], Found | None]
"""Looks for the resource of this type that was to be made from these inputs; None for one that is to be made (again)."""


@dataclass(frozen=True)
class Recovery:
    """The state without pending operations, the URNs of what was added to it, and what belongs to others and was not added."""

    deployment: Mapping[str, Any]
    urns: tuple[str, ...]
    foreign: tuple[str, ...]


def recover_state(deployment: Mapping[str, Any], find: Find) -> Recovery:
    """The state without pending creates: those that exist are among its resources, the others are dropped."""
    known = {resource["urn"] for resource in deployment["resources"]}
    ours, foreign = list[dict[str, Any]](), list[str]()
    for operation in deployment.get("pending_operations", []):
        resource = operation["resource"]
        if operation["type"] != "creating" or resource["urn"] in known:
            continue
        found = find(resource["type"], resource.get("inputs", {}))
        if found and found.ours:
            ours.append({**resource, "id": found.identity})
        elif found:
            foreign.append(f"{resource['type'].rpartition(':')[2]} {found.identity}")
    return Recovery(
        deployment={**deployment, "resources": [*deployment["resources"], *ours], "pending_operations": []},
        urns=tuple(resource["urn"] for resource in ours),
        foreign=tuple(foreign),
    )


def finder(session: boto3.Session, names: Names) -> Find:
    """Looks for this platform's resources in the account. Its errors are botocore's."""

    def find(kind: str, inputs: Inputs) -> Found | None:
        if read_tags := _TAGS_OF.get(kind):
            tags = none_if(_MISSING, lambda: read_tags(session, names, inputs["name"]))
            return None if tags is None else Found(inputs["name"], names.owns(tags))
        match kind:
            case "aws:apigatewayv2/stage:Stage":
                return Found(f"{inputs['apiId']}/{inputs['name']}")
            case "aws:lambda/permission:Permission":
                return Found(f"{inputs['function']}/{inputs['statementId']}")
            case "aws:scheduler/schedule:Schedule":
                return _schedule(session, names, inputs.get("groupName", "default"), inputs["name"])
            # These have ids other than their names, so they have to be searched.
            case "aws:apigatewayv2/api:Api":
                return _api(session, names, inputs["name"])
            case "aws:apigatewayv2/route:Route":
                return _part(session, inputs["apiId"], "routes", "RouteKey", inputs["routeKey"], "RouteId")
            case "aws:apigatewayv2/authorizer:Authorizer":
                return _part(session, inputs["apiId"], "authorizers", "Name", inputs["name"], "AuthorizerId")
        return None

    return find


def _table_tags(session: boto3.Session, _names: Names, name: str) -> Tags:
    dynamodb = session.client("dynamodb")
    arn = dynamodb.describe_table(TableName=name)["Table"]["TableArn"]
    # The table that a killed run asked for may still be being made.
    dynamodb.get_waiter("table_exists").wait(TableName=name)
    tags: Tags = dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"]
    return tags


_TAGS_OF: Mapping[str, Callable[[boto3.Session, Names, str], Tags]] = {
    "aws:cloudwatch/logGroup:LogGroup": lambda session, names, name: session.client("logs").list_tags_for_resource(
        resourceArn=names.log_group_arn(name)
    )["tags"],
    "aws:dynamodb/table:Table": _table_tags,
    "aws:ecr/repository:Repository": lambda session, names, name: session.client("ecr").list_tags_for_resource(
        resourceArn=names.arn("ecr", f"repository/{name}")
    )["tags"],
    "aws:iam/role:Role": lambda session, _names, name: (
        session.client("iam").get_role(RoleName=name)["Role"].get("Tags", [])
    ),
    "aws:lambda/function:Function": lambda session, names, name: session.client("lambda").list_tags(
        Resource=names.arn("lambda", f"function:{name}")
    )["Tags"],
}
"""How the tags of a resource are read, for the types whose id is their name."""


def _schedule(session: boto3.Session, names: Names, group: str, name: str) -> Found | None:
    scheduler = session.client("scheduler")
    schedule = none_if(_MISSING, lambda: scheduler.get_schedule(GroupName=group, Name=name))
    return Found(f"{group}/{name}", schedule["Target"]["Arn"] == names.worker_arn) if schedule else None


def _api(session: boto3.Session, names: Names, name: str) -> Found | None:
    apis = session.client("apigatewayv2").get_paginator("get_apis").paginate().search("Items[]")
    owned = (api["ApiId"] for api in apis if api["Name"] == name and names.owns(api.get("Tags", {})))
    return next(map(Found, owned), None)


def _part(session: boto3.Session, api_id: str, kind: str, key: str, wanted: str, identity: str) -> Found | None:
    parts = session.client("apigatewayv2").get_paginator(f"get_{kind}").paginate(ApiId=api_id).search("Items[]")
    found = next((part for part in parts if part[key] == wanted), None)
    return Found(f"{api_id}/{found[identity]}") if found else None
