"""Every AWS type that the stand-in serves except App Runner's, through the real engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pulumi
import pulumi_aws as aws
import pytest
from pulumi import automation as auto

from tests.functional.provider_programs import WARNINGS_OF_THE_SDK, Workspace, changes, drift, provider

pytest_plugins = ("tests.functional.provider_fixtures",)
pytestmark = WARNINGS_OF_THE_SDK

_HANDLER = "import json\n\ndef handler(event, context):\n    return {'said': '%s', 'greeting': GREETING}\n"


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def allow(action: str) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})


def keep(images: int) -> str:
    selection = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": images}
    return json.dumps({"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]})


def page(text: str) -> str:
    return json.dumps({"widgets": [{"type": "text", "properties": {"markdown": text}}]})


def index(name: str) -> dict[str, Any]:
    keys = [{"attribute_name": name, "key_type": "HASH"}, {"attribute_name": "sk", "key_type": "RANGE"}]
    return {"name": f"by_{name}", "key_schemas": keys, "projection_type": "ALL"}


def everything(folder: Path, later: bool) -> None:
    """A program with every type; `later` changes each of them in place."""
    options = provider(default_tags={"tags": {"team": "platform"}})
    tags = {"version": "2"} if later else {"version": "1", "temporary": "yes"}

    aws.dynamodb.Table(
        "table",
        name="every-table",
        billing_mode="PAY_PER_REQUEST",
        hash_key="pk",
        range_key="sk",
        attributes=[{"name": name, "type": "S"} for name in (["pk", "sk", "owner"] + (["status"] if later else []))],
        global_secondary_indexes=[index(name) for name in (["owner"] + (["status"] if later else []))],
        point_in_time_recovery={"enabled": later},
        tags=tags,
        opts=options,
    )
    role = aws.iam.Role(
        "role",
        name="every-role",
        assume_role_policy=trust("lambda.amazonaws.com"),
        description="later" if later else "first",
        permissions_boundary=None if later else "arn:aws:iam::aws:policy/PowerUserAccess",
        tags=tags,
        opts=options,
    )
    aws.iam.RolePolicy(
        "role-policy", role=role.id, policy=allow("logs:*" if later else "logs:PutLogEvents"), opts=options
    )
    attached = aws.iam.RolePolicyAttachment(
        "attachment",
        role=role.name,
        policy_arn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
        opts=options,
    )
    logs = aws.cloudwatch.LogGroup(
        "logs", name="/aws/lambda/every-function", retention_in_days=30 if later else 14, tags=tags, opts=options
    )
    function = aws.lambda_.Function(
        "function",
        name="every-function",
        role=role.arn,
        runtime="python3.12",
        handler="app.handler",
        timeout=20 if later else 10,
        memory_size=256,
        reserved_concurrent_executions=2 if later else -1,
        environment={"variables": {"GREETING": "bye" if later else "hi"}},
        code=pulumi.AssetArchive(
            {
                "app.py": pulumi.StringAsset(
                    "import os\nGREETING = os.environ['GREETING']\n" + _HANDLER % ("later" if later else "first")
                ),
                "library": pulumi.FileArchive(str(folder)),
            }
        ),
        tags=tags,
        opts=pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=[attached])),
    )
    queue = aws.sqs.Queue(
        "queue", name="every-queue", message_retention_seconds=600 if later else 300, tags=tags, opts=options
    )
    aws.lambda_.FunctionEventInvokeConfig(
        "invoke",
        function_name=function.name,
        maximum_retry_attempts=1 if later else 0,
        maximum_event_age_in_seconds=120,
        destination_config={"on_failure": {"destination": queue.arn}},
        opts=options,
    )
    api = aws.apigatewayv2.Api(
        "api",
        name="every-api",
        protocol_type="HTTP",
        description="later" if later else "first",
        tags=tags,
        opts=options,
    )
    integration = aws.apigatewayv2.Integration(
        "integration",
        api_id=api.id,
        integration_type="AWS_PROXY",
        integration_uri=function.invoke_arn,
        payload_format_version="2.0",
        timeout_milliseconds=20000 if later else 29000,
        opts=options,
    )
    authorizer = aws.apigatewayv2.Authorizer(
        "authorizer",
        name="every-authorizer",
        api_id=api.id,
        authorizer_type="JWT",
        identity_sources=["$request.header.Authorization"],
        jwt_configuration={"audiences": ["later" if later else "first"], "issuer": "https://issuer.example"},
        opts=options,
    )
    aws.apigatewayv2.Route(
        "route",
        api_id=api.id,
        route_key="$default",
        authorization_type="JWT" if later else "AWS_IAM",
        authorizer_id=authorizer.id if later else None,
        target=integration.id.apply(lambda identifier: f"integrations/{identifier}"),
        opts=options,
    )
    aws.apigatewayv2.Stage(
        "stage",
        api_id=api.id,
        name="$default",
        auto_deploy=True,
        stage_variables={"color": "green" if later else "blue"},
        access_log_settings={"destination_arn": logs.arn, "format": json.dumps({"later": later})},
        tags=tags,
        opts=options,
    )
    aws.lambda_.Permission(
        "permission",
        action="lambda:InvokeFunction",
        function=function.name,
        principal="apigateway.amazonaws.com",
        source_arn=api.execution_arn.apply(lambda arn: f"{arn}/*"),
        opts=options,
    )
    aws.scheduler.Schedule(
        "schedule",
        name="every-schedule",
        flexible_time_window={"mode": "OFF"},
        schedule_expression="cron(0 4 * * ? *)" if later else "cron(0 3 * * ? *)",
        target={"arn": function.arn, "role_arn": role.arn, "input": json.dumps({"detail": {"sweep": "deep"}})},
        opts=options,
    )
    aws.s3.Bucket("bucket", bucket="every-bucket", force_destroy=True, tags=tags, opts=options)
    repository = aws.ecr.Repository(
        "repository",
        name="every-repository",
        image_scanning_configuration={"scan_on_push": later},
        encryption_configurations=[{"encryption_type": "AES256"}],
        image_tag_mutability="IMMUTABLE" if later else "MUTABLE",
        tags=tags,
        opts=options,
    )
    aws.ecr.LifecyclePolicy("lifecycle", repository=repository.name, policy=keep(5), opts=options)
    topic = aws.sns.Topic("topic", name="every-topic", tags=tags, opts=options)
    aws.sns.TopicSubscription("subscription", topic=topic.arn, protocol="sqs", endpoint=queue.arn, opts=options)
    aws.cloudwatch.MetricAlarm(
        "alarm",
        name="every-alarm",
        alarm_description="later" if later else "first",
        namespace="every",
        metric_name="failures",
        dimensions={"service": "every"},
        statistic="Sum",
        period=300,
        evaluation_periods=2 if later else 1,
        threshold=2 if later else 1,
        comparison_operator="GreaterThanOrEqualToThreshold",
        treat_missing_data="notBreaching",
        alarm_actions=[topic.arn],
        ok_actions=[topic.arn] if later else [],
        tags=tags,
        opts=options,
    )
    aws.cloudwatch.Dashboard(
        "dashboard", dashboard_name="every-dashboard", dashboard_body=page("later" if later else "first"), opts=options
    )
    pulumi.export("api_url", api.api_endpoint)
    pulumi.export("tags_all", role.tags_all)


# Resources without anything that can change in place.
_FIXED = {"attachment", "permission", "subscription", "lifecycle"}


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "words.py").write_text("WORD = 'fibonacci'\n")
    return folder


def test_every_type_is_created_left_alone_updated_in_place_refreshed_and_deleted(
    workspace: Workspace, library: Path, operator_session: boto3.Session
) -> None:
    made = workspace.up("every", lambda: everything(library, later=False))
    names = set(workspace.resources("every")) - {"aws-provider", "stand-in-every"}
    assert changes(made) == {"create": len(names) + len(("the stack", "the provider"))}
    assert made.outputs["tags_all"].value == {"team": "platform", "version": "1", "temporary": "yes"}
    assert called(operator_session) == {"said": "first", "greeting": "hi"}

    assert changes(workspace.up("every", lambda: everything(library, later=False))) == {}
    assert drift(workspace, "every") == {}

    changed = workspace.up("every", lambda: everything(library, later=True))
    assert changes(changed) == {"update": len(names - _FIXED)}
    assert changed.outputs["tags_all"].value == {"team": "platform", "version": "2"}
    assert called(operator_session) == {"said": "later", "greeting": "bye"}

    assert changes(workspace.up("every", lambda: everything(library, later=True))) == {}
    assert drift(workspace, "every") == {}

    workspace.stack("every").destroy()
    assert leftovers(operator_session) == []


def called(session: boto3.Session) -> Any:
    answer = session.client("lambda").invoke(FunctionName="every-function", Payload=b"{}")
    return json.loads(answer["Payload"].read())


def leftovers(session: boto3.Session) -> list[str]:
    """Names that begin with `every`, of all the services."""
    iam, apis, scheduler = session.client("iam"), session.client("apigatewayv2"), session.client("scheduler")
    found = [
        *session.client("dynamodb").list_tables()["TableNames"],
        *(role["RoleName"] for role in iam.list_roles()["Roles"]),
        *(group["logGroupName"] for group in session.client("logs").describe_log_groups()["logGroups"]),
        *(function["FunctionName"] for function in session.client("lambda").list_functions()["Functions"]),
        *(api["Name"] for api in apis.get_apis()["Items"]),
        *(schedule["Name"] for schedule in scheduler.list_schedules()["Schedules"]),
        *(bucket["Name"] for bucket in session.client("s3").list_buckets()["Buckets"]),
        *(each["repositoryName"] for each in session.client("ecr").describe_repositories()["repositories"]),
        *(topic["TopicArn"] for topic in session.client("sns").list_topics()["Topics"]),
        *(alarm["AlarmName"] for alarm in session.client("cloudwatch").describe_alarms()["MetricAlarms"]),
        *(each["DashboardName"] for each in session.client("cloudwatch").list_dashboards()["DashboardEntries"]),
        *(url.rsplit("/", 1)[-1] for url in session.client("sqs").list_queues().get("QueueUrls", [])),
    ]
    return [name for name in found if "every" in name]


def watched(name: str, threshold: int, lifecycle: int, audience: str) -> None:
    """A program of alarms, registries and an API; some of it cannot be changed in place."""
    options = provider()
    topic = aws.sns.Topic("topic", name=f"{name}-topic", opts=options)
    aws.cloudwatch.MetricAlarm(
        "alarm",
        name=f"{name}-alarm",
        namespace="watched",
        metric_name="failures",
        statistic="Sum",
        period=60,
        evaluation_periods=1,
        threshold=threshold,
        comparison_operator="GreaterThanThreshold",
        alarm_actions=[topic.arn],
        opts=options,
    )
    aws.cloudwatch.Dashboard("dashboard", dashboard_name=f"{name}-page", dashboard_body=page(name), opts=options)
    repository = aws.ecr.Repository("repository", name=f"{name}/repository", opts=options)
    aws.ecr.LifecyclePolicy(
        "lifecycle",
        repository=repository.name,
        policy=keep(lifecycle),
        opts=pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(delete_before_replace=True)),
    )
    api = aws.apigatewayv2.Api("api", name=f"{name}-api", protocol_type="HTTP", opts=options)
    aws.apigatewayv2.Authorizer(
        "authorizer",
        name="tokens",
        api_id=api.id,
        authorizer_type="JWT",
        identity_sources=["$request.header.Authorization"],
        jwt_configuration={"audiences": [audience], "issuer": "https://issuer.example"},
        opts=options,
    )
    images = aws.ecr.get_images_output(repository_name=repository.name, opts=asking(options))
    token = aws.ecr.get_authorization_token_output(opts=asking(options))
    pulumi.export("images", images.image_ids)
    pulumi.export("user", token.user_name)
    pulumi.export("signed_in", token.password.apply(bool))


def asking(options: pulumi.ResourceOptions) -> pulumi.InvokeOutputOptions:
    return pulumi.InvokeOutputOptions(provider=options.provider)


def replaced(result: Any) -> int:
    return changes(result).get("replace", 0) + changes(result).get("create-replacement", 0)


def test_only_resources_that_aws_cannot_change_in_place_are_replaced(
    workspace: Workspace, operator_session: boto3.Session
) -> None:
    made = workspace.up("watched", lambda: watched("before", 1, lifecycle=5, audience="ours"))
    assert (made.outputs["images"].value, made.outputs["user"].value) == ([], "AWS")
    assert made.outputs["signed_in"].value is True

    assert changes(workspace.up("watched", lambda: watched("before", 2, lifecycle=5, audience="theirs"))) == {
        "update": len(("alarm", "authorizer"))
    }
    rules = workspace.up("watched", lambda: watched("before", 2, lifecycle=9, audience="theirs"))
    assert replaced(rules) == 1
    ecr = operator_session.client("ecr")
    kept = ecr.get_lifecycle_policy(repositoryName="before/repository")["lifecyclePolicyText"]
    assert json.loads(kept) == json.loads(keep(9))

    renamed = workspace.up("watched", lambda: watched("after", 2, lifecycle=9, audience="theirs"))
    assert replaced(renamed) == len(("topic", "alarm", "dashboard", "repository", "lifecycle"))
    assert drift(workspace, "watched") == {}
    alarms = operator_session.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert [alarm["AlarmName"] for alarm in alarms if alarm["Namespace"] == "watched"] == ["after-alarm"]

    workspace.stack("watched").destroy()
    pages = operator_session.client("cloudwatch").list_dashboards()["DashboardEntries"]
    assert [entry["DashboardName"] for entry in pages if entry["DashboardName"].endswith("-page")] == []
    names = {each["repositoryName"] for each in ecr.describe_repositories()["repositories"]}
    assert names.isdisjoint({"before/repository", "after/repository"})


def test_an_authorizer_of_another_kind_is_refused_before_anything_is_created(workspace: Workspace) -> None:
    def program() -> None:
        options = provider()
        api = aws.apigatewayv2.Api("api", name="strange", protocol_type="HTTP", opts=options)
        aws.apigatewayv2.Authorizer("strange", api_id=api.id, authorizer_type="REQUEST", opts=options)

    with pytest.raises(auto.CommandError, match="only JWT is carried out"):
        workspace.up("strange", program)
