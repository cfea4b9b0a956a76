"""Functions of the AWS package that programs call: the caller, a registry's images and how to sign in to it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.provider.connection import Connection
from localcloud.provider.errors import ProviderError


def invoke(connection: Connection, token: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a function. Raises ProviderError for one that is not served."""
    if token not in _FUNCTIONS:
        raise ProviderError(f"the stand-in provider does not serve the function {token}")
    return _FUNCTIONS[token](connection, arguments)


def _caller_identity(connection: Connection, _: Mapping[str, Any]) -> dict[str, Any]:
    found = connection.client("sts").get_caller_identity()
    account = found["Account"]
    return {"accountId": account, "arn": found["Arn"], "userId": found["UserId"], "id": account}


def _authorization_token(connection: Connection, _: Mapping[str, Any]) -> dict[str, Any]:
    found = connection.client("ecr").get_authorization_token()["authorizationData"][0]
    user, password = base64.b64decode(found["authorizationToken"]).decode().split(":", 1)
    return {**found, "id": "ecr", "userName": user, "password": password}


def _images(connection: Connection, arguments: Mapping[str, Any]) -> dict[str, Any]:
    repository = str(arguments["repositoryName"])
    pages = connection.client("ecr").get_paginator("list_images").paginate(repositoryName=repository)
    found = [image for page in pages for image in page["imageIds"]]
    return {
        "id": repository,
        "repositoryName": repository,
        "imageIds": [{name: image.get(name, "") for name in ("imageDigest", "imageTag")} for image in found],
    }


_FUNCTIONS: Mapping[str, Callable[[Connection, Mapping[str, Any]], dict[str, Any]]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _caller_identity,
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": _authorization_token,
    "aws:ecr/getImages:getImages": _images,
}
