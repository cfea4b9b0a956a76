"""The HTTP APIs: one for callers with AWS credentials and, if the settings say so, one for GitHub's workflows.

The rule: each has a single route, the catch-all, with an authorizer, so that no path can be left open by mistake. They are two
APIs because a route has one authorizer, and the function must never guess which kind of caller it has.
"""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from bootstrap.program.access_log import log_to
from bootstrap.program.blueprint import Blueprint


def http_apis(
    blueprint: Blueprint, function: aws.lambda_.Function, log: aws.cloudwatch.LogGroup
) -> dict[str, aws.apigatewayv2.Api]:
    """The APIs in front of `function` by their kinds of callers: `iam`, who sign with SigV4 and need `execute-api:Invoke`, and
    `github`, who send a token, if the settings ask for it."""
    names, settings = blueprint.names, blueprint.settings
    description = f"fibfactory, platform {names.platform}"

    def api(name: str, full_name: str, description: str) -> aws.apigatewayv2.Api:
        return aws.apigatewayv2.Api(
            name, name=full_name, protocol_type="HTTP", description=description, opts=blueprint.opts
        )

    iam = api("api", names.platform, description)
    _connect(blueprint, iam, ("api", "everything", "default"), function, log, authorization_type="AWS_IAM")
    if settings.github_audience is None:
        return {"iam": iam}
    github = api("github-api", names.github_api, f"{description}, for GitHub's workflows")
    # It checks signature, issuer, audience and times. Any repository can get a token for any audience; the function checks which
    # of them are allowed.
    authorizer = aws.apigatewayv2.Authorizer(
        "github",
        name="github",
        api_id=github.id,
        authorizer_type="JWT",
        identity_sources=["$request.header.Authorization"],
        jwt_configuration=aws.apigatewayv2.AuthorizerJwtConfigurationArgs(
            audiences=[settings.github_audience], issuer=settings.github_issuer
        ),
        opts=blueprint.opts,
    )
    parts = ("github-api", "github-everything", "github-default")
    _connect(blueprint, github, parts, function, log, authorization_type="JWT", authorizer_id=authorizer.id)
    return {"iam": iam, "github": github}


def _connect(
    blueprint: Blueprint,
    api: aws.apigatewayv2.Api,
    parts: tuple[str, str, str],
    function: aws.lambda_.Function,
    log: aws.cloudwatch.LogGroup,
    **authorization: pulumi.Input[str],
) -> None:
    """Route all requests of the API to the function; above the rate callers get 429.

    `parts` are Pulumi's names of the integration (and permission), the route and the stage.
    """
    name, route_name, stage_name = parts
    rate = blueprint.settings.requests_per_second
    integration = aws.apigatewayv2.Integration(
        name,
        api_id=api.id,
        integration_type="AWS_PROXY",
        integration_method="POST",
        integration_uri=function.invoke_arn,
        payload_format_version="2.0",
        opts=blueprint.opts,
    )
    route = aws.apigatewayv2.Route(
        route_name,
        api_id=api.id,
        route_key="$default",
        target=integration.id.apply(lambda integration_id: f"integrations/{integration_id}"),
        **authorization,
        opts=blueprint.opts,
    )
    aws.apigatewayv2.Stage(
        stage_name,
        api_id=api.id,
        name="$default",
        auto_deploy=True,
        default_route_settings=aws.apigatewayv2.StageDefaultRouteSettingsArgs(
            throttling_rate_limit=rate, throttling_burst_limit=2 * rate
        ),
        access_log_settings=log_to(log),
        # A stage deploys the routes that exist when it is made.
        opts=blueprint.after(route),
    )
    aws.lambda_.Permission(
        name,
        statement_id="this-api" if name == "api" else f"this-{name}",
        action="lambda:InvokeFunction",
        function=function.name,
        principal="apigateway.amazonaws.com",
        # Any stage, method and path of this API, and of no other.
        source_arn=api.execution_arn.apply(lambda arn: f"{arn}/*"),
        opts=blueprint.opts,
    )
