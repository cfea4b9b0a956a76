"""The log of who called the APIs: one JSON line a request.

The rule: it names the caller as IAM or the token's issuer does, the request and its outcome. None of the fields below contains a
query string, header, token or body.
"""

from __future__ import annotations

import json

import pulumi_aws as aws

from bootstrap.program.blueprint import Blueprint

# Fields of API Gateway's $context; `path` is without the query string.
FIELDS = {
    "time": "$context.requestTimeEpoch",
    "request_id": "$context.requestId",
    "source_ip": "$context.identity.sourceIp",
    "caller": "$context.identity.userArn",
    "repository_id": "$context.authorizer.claims.repository_id",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "status": "$context.status",
    "latency_ms": "$context.responseLatency",
    "response_bytes": "$context.responseLength",
    "refused_because": "$context.authorizer.error",
    "integration_error": "$context.integrationErrorMessage",
}


def access_log(blueprint: Blueprint) -> aws.cloudwatch.LogGroup:
    """The log group of all of a platform's APIs."""
    return aws.cloudwatch.LogGroup(
        "access-log",
        name=blueprint.names.access_log,
        retention_in_days=blueprint.settings.log_retention_days,
        opts=blueprint.opts,
    )


def log_to(group: aws.cloudwatch.LogGroup) -> aws.apigatewayv2.StageAccessLogSettingsArgs:
    """The settings of a stage that writes this log to `group`."""
    return aws.apigatewayv2.StageAccessLogSettingsArgs(destination_arn=group.arn, format=json.dumps(FIELDS))
