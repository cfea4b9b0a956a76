"""What a run that was killed leaves: things that it asked AWS to make, and whose making it never learned the end of.

Pulumi remembers them as pending and then makes them again, which AWS refuses for what has a name, and which leaves two of what
has none; a destroy forgets them. The rule here: each is written into the state under the identity that it has if it is there, so
that a refresh finds it and takes it on, or finds nothing and drops it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import boto3

from bootstrap.names import PLATFORM_TAG, Names

Inputs = Mapping[str, Any]
Identify = Callable[[str, Inputs], str | None]

_BY_NAME = {
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:dynamodb/table:Table",
    "aws:ecr/repository:Repository",
    "aws:iam/role:Role",
    "aws:lambda/function:Function",
}


def taken_on(deployment: Mapping[str, Any], identify: Identify) -> tuple[dict[str, Any], list[str]]:
    """The state with every pending create either among its resources or gone, and the URNs of the former.

    `identify` answers by which identity a thing of this type, made from these inputs, is found; None for what may be made
    again, as AWS then changes the one there is.
    """
    known = {resource["urn"] for resource in deployment["resources"]}
    found = []
    for operation in deployment.get("pending_operations", []):
        resource = operation["resource"]
        if operation["type"] != "creating" or resource["urn"] in known:
            continue
        if identity := identify(resource["type"], resource.get("inputs", {})):
            found.append({**resource, "id": identity})
    resources = [*deployment["resources"], *found]
    return {**deployment, "resources": resources, "pending_operations": []}, [each["urn"] for each in found]


def identities(session: boto3.Session, names: Names) -> Identify:
    """How this platform's things are found, as the AWS plug-in's imports want it."""

    def identify(kind: str, inputs: Inputs) -> str | None:
        if kind in _BY_NAME:
            return str(inputs["name"])
        match kind:
            case "aws:apigatewayv2/stage:Stage":
                return f"{inputs['apiId']}/{inputs['name']}"
            case "aws:lambda/permission:Permission":
                return f"{inputs['function']}/{inputs['statementId']}"
            case "aws:scheduler/schedule:Schedule":
                return f"{inputs.get('groupName', 'default')}/{inputs['name']}"
            # Names of their own are no identities of these: whether one is there, only a look tells.
            case "aws:apigatewayv2/api:Api":
                return _api(session, names, inputs["name"])
            case "aws:apigatewayv2/route:Route":
                return _part(session, inputs["apiId"], "routes", "RouteKey", inputs["routeKey"], "RouteId")
            case "aws:apigatewayv2/authorizer:Authorizer":
                return _part(session, inputs["apiId"], "authorizers", "Name", inputs["name"], "AuthorizerId")
        return None

    return identify


def _api(session: boto3.Session, names: Names, name: str) -> str | None:
    pages = session.client("apigatewayv2").get_paginator("get_apis").paginate()
    for api in (each for page in pages for each in page["Items"]):
        if api["Name"] == name and api.get("Tags", {}).get(PLATFORM_TAG) == names.platform:
            return str(api["ApiId"])
    return None


def _part(session: boto3.Session, api_id: str, kind: str, key: str, wanted: str, identity: str) -> str | None:
    pages = session.client("apigatewayv2").get_paginator(f"get_{kind}").paginate(ApiId=api_id)
    found = next((each for page in pages for each in page["Items"] if each[key] == wanted), None)
    return f"{api_id}/{found[identity]}" if found else None
