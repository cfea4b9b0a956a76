"""What a run that was killed leaves: things that it asked AWS to make, and whose making it never learned the end of.

Pulumi remembers them as pending and then makes them again, which AWS refuses for what has a name, and which leaves two of what
has none; a destroy forgets them. The rule here: each is looked for, and one that is there and is this platform's is written into
the state under its identity, so that a refresh takes it on. One of the same name that is somebody else's stays out of the
state: nothing here will ever change or remove it.

What makes a thing this platform's is its tag, which every kind that can have tags gets in the request that makes it. A schedule
has none: it is ours if it calls our worker. Stages, routes, authorizers and permissions have none either: they are parts of an
API or a function which the state has already, and a refresh drops those that aren't there. All else is made again, as any
deploy makes it: AWS then changes the one of its name (a role's policies, alarms, the dashboard), finds it (the queue, the
topic), or makes another part of an API that is ours and that it goes with (integrations).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import boto3
from botocore.exceptions import ClientError

from bootstrap.names import PLATFORM_TAG, Names

Inputs = Mapping[str, Any]
_T = TypeVar("_T")

_BY_NAME = {
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:dynamodb/table:Table",
    "aws:ecr/repository:Repository",
    "aws:iam/role:Role",
    "aws:lambda/function:Function",
}
_NOT_THERE = {"NoSuchEntity", "RepositoryNotFoundException", "ResourceNotFoundException"}


@dataclass(frozen=True)
class Found:
    """A thing under the identity that the AWS plug-in's imports want, and whether it is this platform's."""

    identity: str
    ours: bool = True


Find = Callable[[str, Inputs], Found | None]
"""Looks for the thing of this type that was to be made from these inputs; None for what may be made (again)."""


@dataclass(frozen=True)
class Recovery:
    """The state without anything pending, the URNs of what is new in it, and what is somebody else's and therefore is not."""

    deployment: Mapping[str, Any]
    urns: tuple[str, ...]
    foreign: tuple[str, ...]


def taken_on(deployment: Mapping[str, Any], find: Find) -> Recovery:
    """What becomes of the state: each pending create is among its resources or gone."""
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
    resources = [*deployment["resources"], *ours]
    return Recovery(
        deployment={**deployment, "resources": resources, "pending_operations": []},
        urns=tuple(resource["urn"] for resource in ours),
        foreign=tuple(foreign),
    )


def finder(session: boto3.Session, names: Names) -> Find:
    """How this platform's things are found. Its errors are botocore's."""

    def find(kind: str, inputs: Inputs) -> Found | None:
        if kind in _BY_NAME:
            tags = _there(lambda: _tags(session, names, kind, inputs["name"]))
            return None if tags is None else Found(inputs["name"], tags.get(PLATFORM_TAG) == names.platform)
        match kind:
            case "aws:apigatewayv2/stage:Stage":
                return Found(f"{inputs['apiId']}/{inputs['name']}")
            case "aws:lambda/permission:Permission":
                return Found(f"{inputs['function']}/{inputs['statementId']}")
            case "aws:scheduler/schedule:Schedule":
                return _schedule(session, names, inputs.get("groupName", "default"), inputs["name"])
            # Names of their own are no identities of these: whether one is there, only a look tells.
            case "aws:apigatewayv2/api:Api":
                return _api(session, names, inputs["name"])
            case "aws:apigatewayv2/route:Route":
                return _part(session, inputs["apiId"], "routes", "RouteKey", inputs["routeKey"], "RouteId")
            case "aws:apigatewayv2/authorizer:Authorizer":
                return _part(session, inputs["apiId"], "authorizers", "Name", inputs["name"], "AuthorizerId")
        return None

    return find


def _there(look: Callable[[], _T]) -> _T | None:
    """What a look at one thing finds; None where AWS says that there is no such thing."""
    try:
        return look()
    except ClientError as error:
        if error.response["Error"]["Code"] not in _NOT_THERE:
            raise
        return None


def _tags(session: boto3.Session, names: Names, kind: str, name: str) -> dict[str, str]:
    place = f"{names.region}:{names.account}"
    match kind:
        case "aws:cloudwatch/logGroup:LogGroup":
            arn = f"arn:{names.partition}:logs:{place}:log-group:{name}"
            return dict(session.client("logs").list_tags_for_resource(resourceArn=arn)["tags"])
        case "aws:dynamodb/table:Table":
            dynamodb = session.client("dynamodb")
            arn = dynamodb.describe_table(TableName=name)["Table"]["TableArn"]
            # What a killed run asked for may still be in the making.
            dynamodb.get_waiter("table_exists").wait(TableName=name)
            return _flat(dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"])
        case "aws:ecr/repository:Repository":
            arn = f"arn:{names.partition}:ecr:{place}:repository/{name}"
            return _flat(session.client("ecr").list_tags_for_resource(resourceArn=arn)["tags"])
        case "aws:iam/role:Role":
            return _flat(session.client("iam").get_role(RoleName=name)["Role"].get("Tags", []))
        case "aws:lambda/function:Function":
            arn = f"arn:{names.partition}:lambda:{place}:function:{name}"
            return dict(session.client("lambda").list_tags(Resource=arn)["Tags"])
    raise ValueError(f"no way to read the tags of a {kind}")


def _flat(tags: list[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def _schedule(session: boto3.Session, names: Names, group: str, name: str) -> Found | None:
    scheduler = session.client("scheduler")
    schedule = _there(lambda: scheduler.get_schedule(GroupName=group, Name=name))
    return Found(f"{group}/{name}", schedule["Target"]["Arn"] == names.worker_arn) if schedule else None


def _api(session: boto3.Session, names: Names, name: str) -> Found | None:
    pages = session.client("apigatewayv2").get_paginator("get_apis").paginate()
    for api in (each for page in pages for each in page["Items"]):
        if api["Name"] == name and api.get("Tags", {}).get(PLATFORM_TAG) == names.platform:
            return Found(api["ApiId"])
    return None


def _part(session: boto3.Session, api_id: str, kind: str, key: str, wanted: str, identity: str) -> Found | None:
    pages = session.client("apigatewayv2").get_paginator(f"get_{kind}").paginate(ApiId=api_id)
    found = next((each for page in pages for each in page["Items"] if each[key] == wanted), None)
    return Found(f"{api_id}/{found[identity]}") if found else None
