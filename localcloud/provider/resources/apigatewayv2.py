"""HTTP APIs of API Gateway v2: the API, its integrations, authorizers, routes and stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider.naming import AutoName
from localcloud.provider.operation import Operation
from localcloud.provider.resource import Resource, names
from localcloud.provider.schema import Failure
from localcloud.provider.tags import Tagging

_TAGGING = Tagging(list_by="GetTags")


class Api(Resource):
    """`aws:apigatewayv2/api:Api`; the id is the API's.

    On AWS an API answers at a name of its own; the emulator answers below its own URL, so that is what `apiEndpoint`
    says here.
    """

    tokens = ("aws:apigatewayv2/api:Api",)
    supports = names("""
        apiKeySelectionExpression corsConfiguration description disableExecuteApiEndpoint name protocolType
        routeSelectionExpression version
    """)
    replace_on = names("protocolType")
    auto_name = AutoName(longest=128)
    defaults: ClassVar[Mapping[str, Any]] = {
        "apiKeySelectionExpression": "$request.header.x-api-key",
        "disableExecuteApiEndpoint": False,
        "routeSelectionExpression": "$request.method $request.path",
    }

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
            "executionArn": f"arn:aws:execute-api:{op.region}:{op.account}:{op.id}",
        }

    def update(self, op: Operation) -> None:
        """What changed; cross-origin settings that were taken out have a call of their own."""
        if op.has_changed("corsConfiguration") and not op.inputs.get("corsConfiguration"):
            self.call(op, "DeleteCorsConfiguration", **self.key(op))
        super().update(op)


class _Part(Resource):
    """A part of an API: identified by the API's id and its own. An import gives both as `api id/own id`."""

    service = "apigatewayv2"
    gone = ("NotFoundException",)

    def key(self, op: Operation) -> dict[str, str]:
        """The API's id and its own."""
        api, _, op.id = op.id.rpartition("/")
        return {"ApiId": api or op.outputs.get("apiId") or op.inputs["apiId"], self.identity[0]: op.id}


class Integration(_Part):
    """`aws:apigatewayv2/integration:Integration`. Its type decides what else is valid, so updates send all of it."""

    tokens = ("aws:apigatewayv2/integration:Integration",)
    supports = names("""
        apiId connectionType credentialsArn description integrationMethod integrationSubtype integrationType
        integrationUri payloadFormatVersion requestParameters timeoutMilliseconds
    """)
    replace_on = names("apiId integrationSubtype integrationType")
    defaults: ClassVar[Mapping[str, Any]] = {"connectionType": "INTERNET", "payloadFormatVersion": "1.0"}
    kept = names("timeoutMilliseconds integrationMethod")

    create_by, read_by = "CreateIntegration", "GetIntegration"
    update_by, delete_by = "UpdateIntegration", "DeleteIntegration"
    identity = ("IntegrationId",)
    renamed: ClassVar[Mapping[str, str]] = {"timeoutMilliseconds": "TimeoutInMillis"}
    updates_all = True


class Authorizer(_Part):
    """`aws:apigatewayv2/authorizer:Authorizer`, of the kind that checks tokens."""

    tokens = ("aws:apigatewayv2/authorizer:Authorizer",)
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

    tokens = ("aws:apigatewayv2/route:Route",)
    supports = names("""
        apiId apiKeyRequired authorizationScopes authorizationType authorizerId operationName routeKey target
    """)
    replace_on = names("apiId")
    defaults: ClassVar[Mapping[str, Any]] = {"apiKeyRequired": False, "authorizationType": "NONE"}
    unordered = names("authorizationScopes")

    create_by, read_by, update_by, delete_by = "CreateRoute", "GetRoute", "UpdateRoute", "DeleteRoute"
    identity = ("RouteId",)


class Stage(_Part):
    """`aws:apigatewayv2/stage:Stage`; the id is the name."""

    tokens = ("aws:apigatewayv2/stage:Stage",)
    supports = names("""
        accessLogSettings apiId autoDeploy defaultRouteSettings deploymentId description name routeSettings
        stageVariables
    """)
    replace_on = names("apiId name")
    auto_name = AutoName(longest=128)
    defaults: ClassVar[Mapping[str, Any]] = {"autoDeploy": False}
    kept = names("deploymentId defaultRouteSettings")

    create_by, read_by, update_by, delete_by = "CreateStage", "GetStage", "UpdateStage", "DeleteStage"
    identity = ("StageName",)
    renamed: ClassVar[Mapping[str, str]] = {"name": "StageName"}
    updates_all = True
    tagging = _TAGGING

    def request(self, op: Operation, operation: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        """A list of route settings is a map to AWS."""
        routes = properties.get("routeSettings")
        named = {} if routes is None else {"routeSettings": {item["routeKey"]: item for item in routes}}
        return super().request(op, operation, {**properties, **named})

    def properties(self, op: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
        """The stage and where it is called."""
        live, api = super().properties(op, found), found["ApiId"]
        url = _endpoint(op, api)
        return live | {
            "routeSettings": [
                {"routeKey": key, **settings} for key, settings in sorted((live["routeSettings"] or {}).items())
            ],
            "arn": _arn(op, f"{api}/stages/{op.id}"),
            "executionArn": f"arn:aws:execute-api:{op.region}:{op.account}:{api}/{op.id}",
            "invokeUrl": f"{url}/" if op.id == "$default" else f"{url}/{op.id}",
        }

    def update(self, op: Operation) -> None:
        """All of it; log settings that were taken out have a call of their own."""
        if op.has_changed("accessLogSettings") and not op.inputs.get("accessLogSettings"):
            self.call(op, "DeleteAccessLogSettings", **self.key(op))
        super().update(op)


def _endpoint(op: Operation, api: str) -> str:
    """Where the emulator answers for an API; the `$default` stage needs no name in the path."""
    return f"{op.connection.access.endpoint('apigatewayv2').rstrip('/')}/_aws/execute-api/{api}"


def _arn(op: Operation, path: str) -> str:
    return f"arn:aws:apigateway:{op.region}::/apis/{path}"
