"""The front doors: an HTTP API that lets in whom IAM lets in and, when asked for, one that lets in GitHub's workflows.

The rule: one route each, the catch-all, with an authorizer. No path is open, and a new one can't be by mistake. They are two APIs
because a route has one authorizer, and the function shall never guess which kind of caller it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from bootstrap.names import Names
from bootstrap.program import access_log
from bootstrap.settings import Settings


@dataclass(frozen=True)
class HttpApis:
    """The API for callers with AWS credentials, and that for workflows with GitHub's tokens, where there is one."""

    iam: aws.apigatewayv2.Api
    github: aws.apigatewayv2.Api | None

    @property
    def all(self) -> dict[str, aws.apigatewayv2.Api]:
        """Those there are, by the names of their kinds of callers."""
        return {"iam": self.iam} | ({"github": self.github} if self.github else {})


def http_apis(
    settings: Settings,
    names: Names,
    function: aws.lambda_.Function,
    log: aws.cloudwatch.LogGroup,
    opts: pulumi.ResourceOptions,
) -> HttpApis:
    """The APIs in front of `function`. Callers sign with SigV4 and need `execute-api:Invoke`, or send a token."""
    rate = settings.requests_per_second
    iam = _api("api", names.platform, f"fibfactory, platform {names.platform}", opts)
    _open(iam, ("api", "everything", "default"), function, rate, log, opts, authorization_type="AWS_IAM")
    if settings.github_audience is None:
        return HttpApis(iam, None)
    github = _api(
        "github-api", names.github_api, f"fibfactory, platform {names.platform}, for GitHub's workflows", opts
    )
    authorizer = _token_authorizer(github, settings.github_issuer, settings.github_audience, opts)
    _open(
        github,
        ("github-api", "github-everything", "github-default"),
        function,
        rate,
        log,
        opts,
        authorization_type="JWT",
        authorizer_id=authorizer.id,
    )
    return HttpApis(iam, github)


def _api(name: str, full_name: str, description: str, opts: pulumi.ResourceOptions) -> aws.apigatewayv2.Api:
    return aws.apigatewayv2.Api(name, name=full_name, protocol_type="HTTP", description=description, opts=opts)


def _token_authorizer(
    api: aws.apigatewayv2.Api, issuer: str, audience: str, opts: pulumi.ResourceOptions
) -> aws.apigatewayv2.Authorizer:
    # It checks signature, issuer, audience and times. Any repository can get a token for any audience: which of them
    # are let in, the function checks.
    return aws.apigatewayv2.Authorizer(
        "github",
        name="github",
        api_id=api.id,
        authorizer_type="JWT",
        identity_sources=["$request.header.Authorization"],
        jwt_configuration=aws.apigatewayv2.AuthorizerJwtConfigurationArgs(audiences=[audience], issuer=issuer),
        opts=opts,
    )


def _open(
    api: aws.apigatewayv2.Api,
    called: tuple[str, str, str],
    function: aws.lambda_.Function,
    requests_per_second: int,
    log: aws.cloudwatch.LogGroup,
    opts: pulumi.ResourceOptions,
    **authorization: pulumi.Input[str],
) -> None:
    """Lead the API to the function; above the rate callers get 429. `called` are the parts' names in Pulumi."""
    name, route_name, stage_name = called
    integration = aws.apigatewayv2.Integration(
        name,
        api_id=api.id,
        integration_type="AWS_PROXY",
        integration_method="POST",
        integration_uri=function.invoke_arn,
        payload_format_version="2.0",
        opts=opts,
    )
    route = aws.apigatewayv2.Route(
        route_name,
        api_id=api.id,
        route_key="$default",
        target=integration.id.apply(lambda integration_id: f"integrations/{integration_id}"),
        **authorization,
        opts=opts,
    )
    aws.apigatewayv2.Stage(
        stage_name,
        api_id=api.id,
        name="$default",
        auto_deploy=True,
        default_route_settings=aws.apigatewayv2.StageDefaultRouteSettingsArgs(
            throttling_rate_limit=requests_per_second, throttling_burst_limit=2 * requests_per_second
        ),
        access_log_settings=access_log.into(log),
        # A stage deploys the routes that are there when it is made.
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[route])),
    )
    aws.lambda_.Permission(
        name,
        statement_id="this-api" if name == "api" else f"this-{name}",
        action="lambda:InvokeFunction",
        function=function.name,
        principal="apigateway.amazonaws.com",
        # Any stage, method and path, but of this one API.
        source_arn=api.execution_arn.apply(lambda arn: f"{arn}/*"),
        opts=opts,
    )
