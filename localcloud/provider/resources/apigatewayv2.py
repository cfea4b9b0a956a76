"""HTTP APIs of API Gateway v2: the API, its integrations, authorizers, routes and stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider.operation import Operation
from localcloud.provider.resource import AutoName, Resource, names
from localcloud.provider.schema import Failure
from localcloud.provider.tags import Tagging

_TAGGING = Tagging(list_by="GetTags")


class Api(Resource):
    """`aws:apigatewayv2/api:Api`; the id is the API's.

    On AWS an API answers at a name of its own; the emulator answers below its own URL, so that is what `apiEndpoint`
    says here.
    """

    token = "aws:apigatewayv2/api:Api"
    supports = names("description name protocolType")
    replace_on = names("protocolType")
    auto_name = AutoName(longest=128)

    service = "apigatewayv2"
    create_by, read_by, update_by, delete_by = "CreateApi", "GetApi", "UpdateApi", "DeleteApi"
    identity = ("ApiId",)
    empty: ClassVar[Mapping[str, Any]] = {"description": ""}
    tagging = _TAGGING
    gone = ("NotFoundException",)

    def properties(self, op: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
        """With an endpoint that can be called."""
        return super().properties(op, found) | {
            "apiEndpoint": _endpoint(op, op.id),
            "arn": _arn(op, op.id),
            "executionArn": f"arn:aws:execute-api:{op.region}:{op.connection.account}:{op.id}",
        }


class _Part(Resource):
    """A part of an API: identified by the API's id and its own. A state that was repaired has both as `api id/own id`."""

    service = "apigatewayv2"
    gone = ("NotFoundException",)

    def key(self, op: Operation) -> dict[str, str]:
        """The API's id and its own."""
        api, _, op.id = op.id.rpartition("/")
        return {"ApiId": api or op.outputs.get("apiId") or op.inputs["apiId"], self.identity[0]: op.id}


class Integration(_Part):
    """`aws:apigatewayv2/integration:Integration`. Its type decides what else is valid, so updates send all of it."""

    token = "aws:apigatewayv2/integration:Integration"
    supports = names("""
        apiId integrationMethod integrationType integrationUri payloadFormatVersion timeoutMilliseconds
    """)
    replace_on = names("apiId integrationType")
    defaults: ClassVar[Mapping[str, Any]] = {"payloadFormatVersion": "1.0"}
    kept = names("timeoutMilliseconds integrationMethod")

    create_by, read_by = "CreateIntegration", "GetIntegration"
    update_by, delete_by = "UpdateIntegration", "DeleteIntegration"
    identity = ("IntegrationId",)
    renamed: ClassVar[Mapping[str, str]] = {"timeoutMilliseconds": "TimeoutInMillis"}
    updates_all = True


class Authorizer(_Part):
    """`aws:apigatewayv2/authorizer:Authorizer`, of the kind that checks tokens."""

    token = "aws:apigatewayv2/authorizer:Authorizer"
    supports = names("apiId authorizerType identitySources jwtConfiguration name")
    replace_on = names("apiId authorizerType")
    auto_name = AutoName(longest=128)

    create_by, read_by = "CreateAuthorizer", "GetAuthorizer"
    update_by, delete_by = "UpdateAuthorizer", "DeleteAuthorizer"
    identity = ("AuthorizerId",)
    renamed: ClassVar[Mapping[str, str]] = {"identitySources": "IdentitySource", "audiences": "Audience"}
    empty: ClassVar[Mapping[str, Any]] = {"identitySources": []}
    updates_all = True

    def check(self, op: Operation, inputs: dict[str, Any]) -> list[Failure]:
        """Only that kind is served."""
        if inputs["authorizerType"] != "JWT":
            return [Failure("authorizerType", "only JWT is carried out by the stand-in provider")]
        return []


class Route(_Part):
    """`aws:apigatewayv2/route:Route`."""

    token = "aws:apigatewayv2/route:Route"
    supports = names("apiId authorizationType authorizerId routeKey target")
    replace_on = names("apiId")
    defaults: ClassVar[Mapping[str, Any]] = {"authorizationType": "NONE"}

    create_by, read_by, update_by, delete_by = "CreateRoute", "GetRoute", "UpdateRoute", "DeleteRoute"
    identity = ("RouteId",)


class Stage(_Part):
    """`aws:apigatewayv2/stage:Stage`; the id is the name."""

    token = "aws:apigatewayv2/stage:Stage"
    supports = names("accessLogSettings apiId autoDeploy defaultRouteSettings name stageVariables")
    replace_on = names("apiId name")
    auto_name = AutoName(longest=128)
    defaults: ClassVar[Mapping[str, Any]] = {"autoDeploy": False}
    kept = names("defaultRouteSettings")

    create_by, read_by, update_by, delete_by = "CreateStage", "GetStage", "UpdateStage", "DeleteStage"
    identity = ("StageName",)
    renamed: ClassVar[Mapping[str, str]] = {"name": "StageName"}
    updates_all = True
    tagging = _TAGGING

    def properties(self, op: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
        """The stage and where it is called."""
        api = found["ApiId"]
        url = _endpoint(op, api)
        return super().properties(op, found) | {
            "arn": _arn(op, f"{api}/stages/{op.id}"),
            "executionArn": f"arn:aws:execute-api:{op.region}:{op.connection.account}:{api}/{op.id}",
            "invokeUrl": f"{url}/" if op.id == "$default" else f"{url}/{op.id}",
        }


def _endpoint(op: Operation, api: str) -> str:
    """Where the emulator answers for an API; the `$default` stage needs no name in the path."""
    return f"{op.connection.access.endpoint('apigatewayv2').rstrip('/')}/_aws/execute-api/{api}"


def _arn(op: Operation, path: str) -> str:
    return f"arn:aws:apigateway:{op.region}::/apis/{path}"
