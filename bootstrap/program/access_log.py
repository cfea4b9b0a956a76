"""The log of who called the APIs: one JSON line a request.

The rule: it names the caller as IAM or the token's issuer does, what was asked for and how that ended. No query strings, headers,
tokens or bodies: none of the fields below holds any.
"""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

from bootstrap.names import Names

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


def access_log(names: Names, retention_days: int, opts: pulumi.ResourceOptions) -> aws.cloudwatch.LogGroup:
    """The log group, one for all of a platform's APIs."""
    return aws.cloudwatch.LogGroup("access-log", name=names.access_log, retention_in_days=retention_days, opts=opts)


def into(group: aws.cloudwatch.LogGroup) -> aws.apigatewayv2.StageAccessLogSettingsArgs:
    """A stage's settings that write this log into `group`."""
    return aws.apigatewayv2.StageAccessLogSettingsArgs(destination_arn=group.arn, format=json.dumps(FIELDS))
