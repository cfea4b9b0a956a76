"""The package's functions that programs call: who am I, and where."""

from __future__ import annotations

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
    else:
        raise ProviderError(f"the stand-in provider does not serve the function {token}")
    return provider_pb2.InvokeResponse(**{"return": encode(result)})
