"""The API function's entry: answers HTTP API events (payload 2.0) with the routes in `api`.

The rule: clients and settings are made at the first event, not at import; an error is logged here, once.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from orchestrator import wiring
from orchestrator.api.context import ApiContext
from orchestrator.api.resolver import handle_request

logger = Logger(utc=True)


@cache
def _api() -> ApiContext:
    return wiring.Dependencies().api


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    try:
        return handle_request(event, context, _api())
    except Exception:
        logger.exception("The invocation failed.")
        raise
