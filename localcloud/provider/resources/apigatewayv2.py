"""HTTP APIs of API Gateway v2: the API, its integrations, authorizers, routes and stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider import shapes, tags
from localcloud.provider.naming import AutoName
from localcloud.provider.operation import Operation
from localcloud.provider.resource import Resource
from localcloud.provider.schema import Failure

_GONE = ("NotFoundException",)


class Api(Resource):
    """`aws:apigatewayv2/api:Api`; the id is the API's.

    On AWS an API answers at a name of its own; the emulator answers below its own URL, so that is what `apiEndpoint`
    says here.
    """

    tokens = ("aws:apigatewayv2/api:Api",)
    service = "apigatewayv2"
    supports = frozenset(
        {
            "apiKeySelectionExpression",
            "corsConfiguration",
            "description",
            "disableExecuteApiEndpoint",
            "name",
            "protocolType",
            "routeSelectionExpression",
            "version",
        }
    )
    replace_on = frozenset({"protocolType"})
    auto_name = AutoName(longest=128)
    defaults: ClassVar[Mapping[str, Any]] = {
        "apiKeySelectionExpression": "$request.header.x-api-key",
        "disableExecuteApiEndpoint": False,
        "routeSelectionExpression": "$request.method $request.path",
    }
    taggable = True
    gone = _GONE

    def create(self, op: Operation) -> None:
        """Create it."""
        client = self.client(op)
        answer = client.create_api(**shapes.request(client, "CreateApi", op.inputs, {"tags"}), Tags=op.all_tags)
        op.made(answer["ApiId"])

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The API with an endpoint that can be called."""
        client = self.client(op)
        live = shapes.response(client, "GetApi", client.get_api(ApiId=op.id))
        return {name: live.get(name) for name in sorted(self.supports)} | {
            "apiEndpoint": endpoint(op, op.id),
            "arn": _arn(op, op.id),
            "executionArn": f"arn:aws:execute-api:{op.region}:{op.account}:{op.id}",
            "tagsAll": client.get_tags(ResourceArn=_arn(op, op.id)).get("Tags") or {},
        }

    def update(self, op: Operation) -> None:
        """What changed; cross-origin settings that were taken out have a call of their own."""
        client = self.client(op)
        if op.has_changed("corsConfiguration") and not op.inputs.get("corsConfiguration"):
            client.delete_cors_configuration(ApiId=op.id)
        request = self.changed_request(op, "UpdateApi")
        if op.has_changed("description"):
            request.setdefault("Description", "")
        if request:
            client.update_api(**request | {"ApiId": op.id})

    def delete(self, op: Operation) -> None:
        """Delete it."""
        self.client(op).delete_api(ApiId=op.id)

    def put_tags(self, op: Operation, change: tags.TagChange) -> None:
        """By the API's ARN."""
        _put_tags(self.client(op), _arn(op, op.id), change)


class _Part(Resource):
    """A part of an API: known by the API's id and its own. An import names it `api id/own id`."""

    service = "apigatewayv2"
    gone = _GONE

    def api(self, op: Operation) -> str:
        """The API's id; takes an import's id apart."""
        if "/" in op.id:
            api, op.id = op.id.split("/", 1)
            return api
        return str(op.outputs.get("apiId") or op.inputs.get("apiId"))


class Integration(_Part):
    """`aws:apigatewayv2/integration:Integration`."""

    tokens = ("aws:apigatewayv2/integration:Integration",)
    supports = frozenset(
        {
            "apiId",
            "connectionType",
            "credentialsArn",
            "description",
            "integrationMethod",
            "integrationSubtype",
            "integrationType",
            "integrationUri",
            "payloadFormatVersion",
            "requestParameters",
            "timeoutMilliseconds",
        }
    )
    replace_on = frozenset({"apiId", "integrationSubtype", "integrationType"})
    defaults: ClassVar[Mapping[str, Any]] = {"connectionType": "INTERNET", "payloadFormatVersion": "1.0"}
    kept = frozenset({"timeoutMilliseconds", "integrationMethod"})

    def create(self, op: Operation) -> None:
        """Create it."""
        client = self.client(op)
        request = shapes.request(client, "CreateIntegration", op.inputs) | _timeout(op)
        op.made(client.create_integration(**request)["IntegrationId"])

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The integration."""
        api, client = self.api(op), self.client(op)
        answer = client.get_integration(ApiId=api, IntegrationId=op.id)
        live = shapes.response(client, "GetIntegration", answer)
        live["timeoutMilliseconds"] = live.get("timeoutInMillis")
        return {name: live.get(name) for name in sorted(self.supports)} | {"apiId": api}

    def update(self, op: Operation) -> None:
        """What changed."""
        request = self.changed_request(op, "UpdateIntegration", ApiId=self.api(op), IntegrationId=op.id)
        # The URI goes along always: the type of an integration decides what else is valid.
        given = op.inputs
        request |= {"IntegrationUri": given["integrationUri"]} if given.get("integrationUri") else {}
        self.client(op).update_integration(**request | _timeout(op))

    def delete(self, op: Operation) -> None:
        """Delete it."""
        self.client(op).delete_integration(ApiId=self.api(op), IntegrationId=op.id)


class Authorizer(_Part):
    """`aws:apigatewayv2/authorizer:Authorizer`, of the kind that checks tokens."""

    tokens = ("aws:apigatewayv2/authorizer:Authorizer",)
    supports = frozenset({"apiId", "authorizerType", "identitySources", "jwtConfiguration", "name"})
    replace_on = frozenset({"apiId", "authorizerType"})
    auto_name = AutoName(longest=128)

    def check(self, op: Operation, inputs: dict[str, Any]) -> list[Failure]:
        """Only that kind is served."""
        if inputs["authorizerType"] != "JWT":
            return [Failure("authorizerType", "only JWT is carried out by the stand-in provider")]
        return []

    def create(self, op: Operation) -> None:
        """Create it."""
        client = self.client(op)
        op.made(client.create_authorizer(**_authorizer(client, "CreateAuthorizer", op))["AuthorizerId"])

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The authorizer."""
        api, client = self.api(op), self.client(op)
        live = client.get_authorizer(ApiId=api, AuthorizerId=op.id)
        token = live.get("JwtConfiguration") or {}
        return {
            "apiId": api,
            "name": live["Name"],
            "authorizerType": live["AuthorizerType"],
            "identitySources": live.get("IdentitySource") or [],
            "jwtConfiguration": {"audiences": token.get("Audience") or [], "issuer": token.get("Issuer")},
        }

    def update(self, op: Operation) -> None:
        """All that can change."""
        client = self.client(op)
        client.update_authorizer(**_authorizer(client, "UpdateAuthorizer", op), AuthorizerId=op.id)

    def delete(self, op: Operation) -> None:
        """Delete it."""
        self.client(op).delete_authorizer(ApiId=self.api(op), AuthorizerId=op.id)


class Route(_Part):
    """`aws:apigatewayv2/route:Route`."""

    tokens = ("aws:apigatewayv2/route:Route",)
    supports = frozenset(
        {
            "apiId",
            "apiKeyRequired",
            "authorizationScopes",
            "authorizationType",
            "authorizerId",
            "operationName",
            "routeKey",
            "target",
        }
    )
    replace_on = frozenset({"apiId"})
    defaults: ClassVar[Mapping[str, Any]] = {"apiKeyRequired": False, "authorizationType": "NONE"}
    unordered = frozenset({"authorizationScopes"})

    def create(self, op: Operation) -> None:
        """Create it."""
        client = self.client(op)
        op.made(client.create_route(**shapes.request(client, "CreateRoute", op.inputs))["RouteId"])

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The route."""
        api, client = self.api(op), self.client(op)
        live = shapes.response(client, "GetRoute", client.get_route(ApiId=api, RouteId=op.id))
        return {name: live.get(name) for name in sorted(self.supports)} | {"apiId": api}

    def update(self, op: Operation) -> None:
        """What changed."""
        request = self.changed_request(op, "UpdateRoute", ApiId=self.api(op), RouteId=op.id)
        self.client(op).update_route(**request)

    def delete(self, op: Operation) -> None:
        """Delete it."""
        self.client(op).delete_route(ApiId=self.api(op), RouteId=op.id)


class Stage(_Part):
    """`aws:apigatewayv2/stage:Stage`; the id is the name."""

    tokens = ("aws:apigatewayv2/stage:Stage",)
    supports = frozenset(
        {
            "accessLogSettings",
            "apiId",
            "autoDeploy",
            "defaultRouteSettings",
            "deploymentId",
            "description",
            "name",
            "routeSettings",
            "stageVariables",
        }
    )
    replace_on = frozenset({"apiId", "name"})
    auto_name = AutoName(longest=128)
    defaults: ClassVar[Mapping[str, Any]] = {"autoDeploy": False}
    kept = frozenset({"deploymentId", "defaultRouteSettings"})
    taggable = True

    def create(self, op: Operation) -> None:
        """Create it."""
        client, name = self.client(op), op.inputs["name"]
        client.create_stage(**_stage(client, "CreateStage", op), StageName=name, Tags=op.all_tags)
        op.made(name)

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The stage and where it is called."""
        api, client = self.api(op), self.client(op)
        live = shapes.response(client, "GetStage", client.get_stage(ApiId=api, StageName=op.id))
        routes = live.get("routeSettings") or {}
        url = endpoint(op, api)
        return {name: live.get(name) for name in ("autoDeploy", "deploymentId", "description", "stageVariables")} | {
            "apiId": api,
            "name": op.id,
            "accessLogSettings": live.get("accessLogSettings") or None,
            "defaultRouteSettings": live.get("defaultRouteSettings") or None,
            "routeSettings": [{"routeKey": key, **settings} for key, settings in sorted(routes.items())],
            "arn": _arn(op, api, op.id),
            "executionArn": f"arn:aws:execute-api:{op.region}:{op.account}:{api}/{op.id}",
            "invokeUrl": f"{url}/" if op.id == "$default" else f"{url}/{op.id}",
            "tagsAll": client.get_tags(ResourceArn=_arn(op, api, op.id)).get("Tags") or {},
        }

    def update(self, op: Operation) -> None:
        """All that can change; an update leaves out nothing it was given."""
        client = self.client(op)
        if op.has_changed("accessLogSettings") and not op.inputs.get("accessLogSettings"):
            client.delete_access_log_settings(ApiId=self.api(op), StageName=op.id)
        client.update_stage(**_stage(client, "UpdateStage", op) | {"ApiId": self.api(op), "StageName": op.id})

    def delete(self, op: Operation) -> None:
        """Delete it."""
        self.client(op).delete_stage(ApiId=self.api(op), StageName=op.id)

    def put_tags(self, op: Operation, change: tags.TagChange) -> None:
        """By the stage's ARN."""
        _put_tags(self.client(op), _arn(op, self.api(op), op.id), change)


def endpoint(op: Operation, api: str) -> str:
    """Where the emulator answers for an API; the `$default` stage needs no name in the path."""
    return f"{op.connection.access.endpoint('apigatewayv2').rstrip('/')}/_aws/execute-api/{api}"


def _arn(op: Operation, api: str, stage: str = "") -> str:
    return f"arn:aws:apigateway:{op.region}::/apis/{api}" + (f"/stages/{stage}" if stage else "")


def _timeout(op: Operation) -> dict[str, Any]:
    given = op.inputs.get("timeoutMilliseconds")
    return {"TimeoutInMillis": given} if given else {}


def _authorizer(client: Any, operation: str, op: Operation) -> dict[str, Any]:
    request = shapes.request(client, operation, op.inputs, {"jwtConfiguration"})
    token = op.inputs.get("jwtConfiguration") or {}
    issuer = {"Issuer": token["issuer"]} if token.get("issuer") else {}
    return request | {
        "IdentitySource": op.inputs.get("identitySources") or [],
        "JwtConfiguration": {"Audience": token.get("audiences") or [], **issuer},
    }


def _stage(client: Any, operation: str, op: Operation) -> dict[str, Any]:
    request = shapes.request(client, operation, op.inputs, {"routeSettings", "tags"})
    routes = op.inputs.get("routeSettings")
    if routes is not None:
        named = {item["routeKey"]: {k: v for k, v in item.items() if k != "routeKey"} for item in routes}
        request |= shapes.request(client, operation, {"routeSettings": named})
    return request


def _put_tags(client: Any, arn: str, change: tags.TagChange) -> None:
    if change.remove:
        client.untag_resource(ResourceArn=arn, TagKeys=change.remove)
    if change.put:
        client.tag_resource(ResourceArn=arn, Tags=change.put)
