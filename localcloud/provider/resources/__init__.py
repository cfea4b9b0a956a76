"""The table of resource types: Pulumi's token to the handler that serves it."""

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

_HANDLERS: tuple[Resource, ...] = (
    dynamodb.Table(),
    iam.Role(),
    iam.RolePolicy(),
    iam.RolePolicyAttachment(),
    logs.LogGroup(),
    lambda_.Function(),
    lambda_.Permission(),
    lambda_.EventInvokeConfig(),
    apigatewayv2.Api(),
    apigatewayv2.Authorizer(),
    apigatewayv2.Integration(),
    apigatewayv2.Route(),
    apigatewayv2.Stage(),
    scheduler.Schedule(),
    scheduler.ScheduleGroup(),
    apprunner.Service(),
    apprunner.AutoScalingConfigurationVersion(),
    s3.Bucket(),
    ecr.Repository(),
    ecr.LifecyclePolicy(),
    sqs.Queue(),
    sns.Topic(),
    sns.TopicSubscription(),
    cloudwatch.MetricAlarm(),
    cloudwatch.Dashboard(),
    kms.Key(),
    kms.Alias(),
    docker.Image(),
)

TYPES: dict[str, Resource] = {token: handler for handler in _HANDLERS for token in handler.tokens}


def handler_for(token: str) -> Resource:
    """The handler of a type. Raises ProviderError for one that is not served."""
    if token not in TYPES:
        raise ProviderError(f"the stand-in provider does not serve {token}; it serves: {', '.join(sorted(TYPES))}")
    return TYPES[token]
