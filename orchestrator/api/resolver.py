"""A request from its event to its answer: the caller is checked first, then the body, then a route answers."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from orchestrator.api import problem_details, request_body, routes
from orchestrator.api.authentication import caller_of
from orchestrator.api.context import ApiContext
from orchestrator.domain.access import Access
from orchestrator.domain.errors import Rejected

# `debug` stays off whatever the environment says: it prints requests and answers with tracebacks.
app = APIGatewayHttpResolver(enable_validation=True, debug=False)
app.include_router(routes.router)
app.include_router(problem_details.router)


def handle_request(event: dict[str, Any], context: LambdaContext, api: ApiContext) -> dict[str, Any]:
    """The answer to an HTTP API event (payload 2.0), in the form that API Gateway expects."""
    refusal = reject_unknown_caller(event, api.settings.access) or request_body.validate(
        event, api.settings.max_body_bytes
    )
    if refusal:
        return {
            "statusCode": refusal.status_code,
            "headers": {"Content-Type": refusal.content_type},
            "body": refusal.body,
            "isBase64Encoded": False,
        }
    app.append_context(api=api)
    return app.resolve(event, context)


def reject_unknown_caller(event: dict[str, Any], access: Access) -> Response[Any] | None:
    """The answer to a caller who proves no identity or is not allowed; nothing else of the request is read before this."""
    try:
        caller_of(event["requestContext"], access)
    except Rejected as error:
        return problem_details.problem_of(error)
    return None
