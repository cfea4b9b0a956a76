"""The package's functions that programs call: who am I, and where; what a registry has, and how to sign in to it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from pulumi.runtime.proto import provider_pb2

from localcloud.provider.connection import Connection
from localcloud.provider.errors import ProviderError
from localcloud.provider.wire import encode


def invoke(connection: Connection, token: str, arguments: Mapping[str, Any]) -> provider_pb2.InvokeResponse:
    """The answer of a function. Raises ProviderError for one that is not served."""
    if token == "aws:index/getCallerIdentity:getCallerIdentity":
        answer = connection.clients.get("sts").get_caller_identity()
        result = {
            "accountId": answer["Account"],
            "arn": answer["Arn"],
            "userId": answer["UserId"],
            "id": answer["Account"],
        }
    elif token == "aws:index/getRegion:getRegion":
        region = str(arguments.get("region") or arguments.get("name") or connection.access.region)
        result = {
            "id": region,
            "name": region,
            "region": region,
            "description": region,
            "endpoint": f"ec2.{region}.amazonaws.com",
        }
    elif token == "aws:ecr/getAuthorizationToken:getAuthorizationToken":
        result = _sign_in(connection.clients.get("ecr"))
    elif token == "aws:ecr/getImages:getImages":
        result = _images(connection.clients.get("ecr"), str(arguments["repositoryName"]))
    else:
        raise ProviderError(f"the stand-in provider does not serve the function {token}")
    return provider_pb2.InvokeResponse(**{"return": encode(result)})


def _sign_in(ecr: Any) -> dict[str, Any]:
    found = ecr.get_authorization_token()["authorizationData"][0]
    user, password = base64.b64decode(found["authorizationToken"]).decode().split(":", 1)
    return {
        "id": "ecr",
        "authorizationToken": found["authorizationToken"],
        "expiresAt": found["expiresAt"],
        "proxyEndpoint": found["proxyEndpoint"],
        "userName": user,
        "password": password,
    }


def _images(ecr: Any, repository: str) -> dict[str, Any]:
    pages = ecr.get_paginator("list_images").paginate(repositoryName=repository)
    found = [image for page in pages for image in page["imageIds"]]
    return {
        "id": repository,
        "repositoryName": repository,
        "imageIds": [{name: image.get(name, "") for name in ("imageDigest", "imageTag")} for image in found],
    }
