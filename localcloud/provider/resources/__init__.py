"""The table of resource types: Pulumi's token to the handler that serves it.

Every class in these modules that names tokens is in the table.
"""

from __future__ import annotations

from localcloud.provider.errors import ProviderError
from localcloud.provider.resource import Resource
from localcloud.provider.resources import (
    apigatewayv2,
    apprunner,
    cloudwatch,
    docker,
    dynamodb,
    ecr,
    iam,
    kms,
    lambda_,
    logs,
    s3,
    scheduler,
    sns,
    sqs,
)

_MODULES = (
    apigatewayv2,
    apprunner,
    cloudwatch,
    docker,
    dynamodb,
    ecr,
    iam,
    kms,
    lambda_,
    logs,
    s3,
    scheduler,
    sns,
    sqs,
)
_CLASSES = [found for module in _MODULES for found in vars(module).values() if isinstance(found, type)]
TYPES: dict[str, Resource] = {
    token: found() for found in _CLASSES if issubclass(found, Resource) for token in found.tokens
}


def handler_for(token: str) -> Resource:
    """The handler of a type. Raises ProviderError for one that is not served."""
    if token not in TYPES:
        raise ProviderError(f"the stand-in provider does not serve {token}; it serves: {', '.join(sorted(TYPES))}")
    return TYPES[token]
