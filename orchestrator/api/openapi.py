"""The document at /openapi.json: what the routes and models say, and what only this platform's settings say.

The rule: what the document calls valid is accepted, what it calls invalid is refused, and every answer is in it.
"""

from __future__ import annotations

import json
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.openapi.models import APIKey, HTTPBearer, SecurityScheme

from orchestrator.domain.policy import Policy
from orchestrator.domain.ttl import ttl_pattern
from orchestrator.settings import Settings

_DESCRIPTION = (
    "Ephemeral environments as a service in your own AWS account. Sign requests with AWS credentials (SigV4, service "
    "execute-api); unsigned ones are answered 403 by API Gateway itself."
)
_GITHUBS = (
    " At the platform's second URL (`github_api_url`) workflows bring GitHub's OpenID Connect token instead; without a "
    "good one API Gateway answers 401."
)
_SIGNED = {
    "type": "apiKey",
    "name": "Authorization",
    "in": "header",
    "description": "AWS Signature Version 4, service execute-api, by a principal with execute-api:Invoke.",
    "x-amazon-apigateway-authtype": "awsSigv4",
}
_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "GitHub's OpenID Connect token of a workflow that the platform's settings let in.",
}

# Powertools documents its own answer to invalid input, which ours replaces (`problems`).
_NEVER_ANSWERED = "422"
_ITS_SCHEMAS = ("HTTPValidationError", "ValidationError", "ResponseValidationError")

_WITH_TTL = ("SpecIn", "CreateIn", "AdjustIn", "ReviveIn")
_WITH_SPEC = ("SpecIn", "CreateIn")


def contract(app: APIGatewayHttpResolver, settings: Settings) -> str:
    """The API's OpenAPI document as JSON."""
    document = app.get_openapi_schema(
        title="fibfactory",
        version="0.1.0",
        description=_DESCRIPTION + (_GITHUBS if settings.github else ""),
        security_schemes=_schemes(settings),
        security=[{name: []} for name in _schemes(settings)],
    ).model_dump(mode="json", by_alias=True, exclude_none=True)
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        operation["responses"].pop(_NEVER_ANSWERED, None)
        for parameter in operation.get("parameters", ()):
            parameter["schema"] = _without_null(parameter["schema"])
    schemas = document["components"]["schemas"]
    for name in _ITS_SCHEMAS:
        schemas.pop(name, None)
    for name in _WITH_TTL:
        schemas[name]["properties"]["ttl"]["anyOf"][0]["pattern"] = ttl_pattern(allow_never=settings.allow_never)
    for name in _WITH_SPEC:
        schemas[name]["properties"]["image"]["pattern"] = f"^(?:{settings.policy.image_pattern})$"
        _narrow_secrets(schemas[name]["properties"]["secrets"], settings.policy)
    return json.dumps(document)


def _schemes(settings: Settings) -> dict[str, SecurityScheme]:
    signed: dict[str, SecurityScheme] = {"sigv4": APIKey.model_validate(_SIGNED)}
    return {**signed, "github": HTTPBearer.model_validate(_TOKEN)} if settings.github else signed


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter's schema: one that is left out is not sent, while a model's field may be null as well."""
    given, *others = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}] or [{}]
    return schema if others else {name: value for name, value in schema.items() if name != "anyOf"} | given


def _narrow_secrets(secrets: dict[str, Any], rules: Policy) -> None:
    if rules.secrets_prefix is None:
        secrets["maxProperties"] = 0
        return
    for reference in secrets["patternProperties"].values():
        reference["pattern"] = f"^{rules.secret_pattern}$"
