"""The front door: an HTTP API that lets in whom IAM lets in.

The rule: one route, the catch-all, with IAM authorization. No path is open, and a new one can't be by mistake.
"""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from bootstrap.names import Names


def http_api(
    names: Names, function: aws.lambda_.Function, requests_per_second: int, opts: pulumi.ResourceOptions
) -> aws.apigatewayv2.Api:
    """The API in front of `function`. Callers sign with SigV4 and need `execute-api:Invoke`; above the rate they get 429."""
    api = aws.apigatewayv2.Api(
        "api",
        name=names.platform,
        protocol_type="HTTP",
        description=f"fibfactory, platform {names.platform}",
        opts=opts,
    )
    integration = aws.apigatewayv2.Integration(
        "api",
        api_id=api.id,
        integration_type="AWS_PROXY",
        integration_method="POST",
        integration_uri=function.invoke_arn,
        payload_format_version="2.0",
        opts=opts,
    )
    route = aws.apigatewayv2.Route(
        "everything",
        api_id=api.id,
        route_key="$default",
        authorization_type="AWS_IAM",
        target=integration.id.apply(lambda integration_id: f"integrations/{integration_id}"),
        opts=opts,
    )
    aws.apigatewayv2.Stage(
        "default",
        api_id=api.id,
        name="$default",
        auto_deploy=True,
        default_route_settings=aws.apigatewayv2.StageDefaultRouteSettingsArgs(
            throttling_rate_limit=requests_per_second, throttling_burst_limit=2 * requests_per_second
        ),
        # A stage deploys the routes that are there when it is made.
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[route])),
    )
    aws.lambda_.Permission(
        "api",
        statement_id="this-api",
        action="lambda:InvokeFunction",
        function=function.name,
        principal="apigateway.amazonaws.com",
        # Any stage, method and path, but of this one API.
        source_arn=api.execution_arn.apply(lambda arn: f"{arn}/*"),
        opts=opts,
    )
    return api
