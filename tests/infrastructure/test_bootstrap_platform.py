"""The resources of the platform's program: names, protection, access, and nothing that costs while idle."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from bootstrap.program.archive import ROOT
from orchestrator.domain.metrics import Metric
from tests.infrastructure.bootstrap_recorder import ACCOUNT, FOUNDATIONS, IMAGE, REGION, Plan, plan

FUNCTION = "lambda/function:Function"
NOT_FOR_THE_API = {
    "FIBFACTORY_BACKEND_URL",
    "FIBFACTORY_SECRETS_PROVIDER",
    "FIBFACTORY_PREFIX",
    "FIBFACTORY_ACCESS_ROLE_ARN",
}


@pytest.fixture(scope="module")
def planned() -> Plan:
    return plan()


def environment(planned: Plan, function: str) -> Mapping[str, str]:
    variables: Mapping[str, str] = planned.one(FUNCTION, function)["environment"]["variables"]
    return variables


def test_all_resources_use_one_provider_with_region_and_tags(planned: Plan) -> None:
    (provider,) = planned.of("pulumi:providers:aws")
    assert provider.inputs["region"] == REGION
    tags = provider.inputs["defaultTags"]
    assert (json.loads(tags) if isinstance(tags, str) else tags) == {"tags": {"fibfactory:platform": "fibfactory"}}
    others = [one for one in planned.asked if one is not provider and one.type.startswith("aws:")]
    assert len(others) > 15
    assert [one.name for one in others if "::aws::aws-id" not in one.provider] == []


def test_every_name_begins_with_the_platform() -> None:
    named = {str(one.inputs["name"]) for one in plan(platform="ours").asked if "name" in one.inputs}
    plain = {name.removeprefix("/aws/lambda/").removeprefix("/aws/vendedlogs/apis/") for name in named}
    assert {name for name in plain if not name.startswith("ours")} == {"$default"}


def test_the_table_is_paid_per_request_and_has_its_three_indexes(planned: Plan) -> None:
    table = planned.one("dynamodb/table:Table", "fibfactory-environments")
    assert (table["hashKey"], table["rangeKey"], table["billingMode"]) == ("pk", "sk", "PAY_PER_REQUEST")
    indexes = table["globalSecondaryIndexes"]
    keys = {index["name"]: [(key["attributeName"], key["keyType"]) for key in index["keySchemas"]] for index in indexes}
    assert keys == {
        "by_owner": [("owner", "HASH"), ("status_created", "RANGE")],
        "by_status": [("status", "HASH"), ("created_at", "RANGE")],
        "by_due": [("due_shard", "HASH"), ("due_at", "RANGE")],
    }
    projections = {index["name"]: index["projectionType"] for index in indexes}
    assert projections == {"by_owner": "ALL", "by_status": "ALL", "by_due": "KEYS_ONLY"}
    named = {"pk", "sk"} | {name for key in keys.values() for name, _ in key}
    assert {(a["name"], a["type"]) for a in table["attributes"]} == {(name, "S") for name in named}


@pytest.mark.parametrize(
    ("settings", "protected"), [({}, True), ({"code": "archive"}, False), ({"protect_table": False}, False)]
)
def test_the_table_is_protected_where_the_settings_say_so(settings: dict[str, Any], protected: bool) -> None:
    assert plan(**settings).one("dynamodb/table:Table")["deletionProtectionEnabled"] is protected


def test_both_functions_run_the_same_code_with_different_resources(planned: Plan) -> None:
    api, worker = (planned.one(FUNCTION, f"fibfactory-{name}") for name in ("api", "worker"))
    assert (api["timeout"], api["memorySize"]) == (29, 512)
    assert (worker["timeout"], worker["memorySize"], worker["ephemeralStorage"]["size"]) == (900, 2048, 2048)
    for function, module in ((api, "http_handler"), (worker, "worker_handler")):
        assert (function["packageType"], function["imageUri"]) == ("Image", IMAGE)
        assert function["imageConfig"]["commands"] == [f"orchestrator.{module}.handler"]
        assert "handler" not in function and "runtime" not in function and "code" not in function


def test_an_archive_names_its_handler_and_runtime() -> None:
    planned = plan(code="archive")
    for name, module in (("fibfactory-api", "http_handler"), ("fibfactory-worker", "worker_handler")):
        function = planned.one(FUNCTION, name)
        assert (function["handler"], function["runtime"]) == (f"orchestrator.{module}.handler", "python3.11")
        assert "imageUri" not in function


def test_each_function_has_a_role_of_its_own(planned: Plan) -> None:
    for name in ("fibfactory-api", "fibfactory-worker"):
        assert planned.one(FUNCTION, name)["role"].endswith(f"iam/role:Role/{name}")


def test_the_worker_gets_all_its_settings(planned: Plan) -> None:
    assert environment(planned, "fibfactory-worker") == {
        "FIBFACTORY_PLATFORM": "fibfactory",
        "FIBFACTORY_TABLE": "fibfactory-environments",
        "FIBFACTORY_WORKER_FUNCTION": "fibfactory-worker",
        "FIBFACTORY_BACKEND_URL": FOUNDATIONS.backend_url,
        "FIBFACTORY_SECRETS_PROVIDER": FOUNDATIONS.secrets_provider,
        "FIBFACTORY_PREFIX": "fib-app",
        "FIBFACTORY_ACCESS_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/fibfactory-apprunner-access",
        "FIBFACTORY_OPERATORS": "[]",
        "FIBFACTORY_GROUPS": "{}",
        "FIBFACTORY_SESSION_OWNERS": "false",
        "FIBFACTORY_GITHUB": "[]",
        "FIBFACTORY_GITHUB_ISSUER": "https://token.actions.githubusercontent.com",
        "FIBFACTORY_ENVIRONMENTS_PER_OWNER": "20",
        "FIBFACTORY_IMAGE_REGISTRIES": f'["{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/"]',
        "FIBFACTORY_DEFAULT_TTL": "12h",
        "FIBFACTORY_MAX_LIFETIME": "7d",
        "FIBFACTORY_ALLOW_NEVER": "false",
        "POWERTOOLS_SERVICE_NAME": "fibfactory",
        "POWERTOOLS_METRICS_NAMESPACE": "fibfactory",
        "LOG_LEVEL": "INFO",
    }


def test_the_api_does_not_get_state_key_and_access_role(planned: Plan) -> None:
    api, worker = environment(planned, "fibfactory-api"), environment(planned, "fibfactory-worker")
    assert worker.keys() - api.keys() == NOT_FOR_THE_API
    assert api.items() <= worker.items()


def test_settings_become_environment_variables() -> None:
    operator = f"arn:aws:iam::{ACCOUNT}:role/ops"
    variables = environment(
        plan(operators=[operator], allow_never=True, default_ttl="1h", prefix="demo"), "fibfactory-worker"
    )
    assert json.loads(variables["FIBFACTORY_OPERATORS"]) == [operator]
    assert (variables["FIBFACTORY_ALLOW_NEVER"], variables["FIBFACTORY_DEFAULT_TTL"]) == ("true", "1h")
    assert variables["FIBFACTORY_PREFIX"] == "demo"


def test_access_settings_become_environment_variables_as_json() -> None:
    callers = {"repository_owner_id": "1", "refs": ["refs/heads/*"]}
    variables = environment(
        plan(
            groups={"team": ["github:repository:2"]},
            github=[callers],
            github_audience="ours",
            github_issuer="https://github.example/_services/token",
            session_owners=True,
            environments_per_owner=3,
            image_registries=["ghcr.io/team/"],
        ),
        "fibfactory-api",
    )
    assert json.loads(variables["FIBFACTORY_GROUPS"]) == {"team": ["github:repository:2"]}
    assert json.loads(variables["FIBFACTORY_GITHUB"]) == [callers]
    assert variables["FIBFACTORY_GITHUB_ISSUER"] == "https://github.example/_services/token"
    assert variables["FIBFACTORY_SESSION_OWNERS"] == "true"
    assert variables["FIBFACTORY_ENVIRONMENTS_PER_OWNER"] == "3"
    assert json.loads(variables["FIBFACTORY_IMAGE_REGISTRIES"]) == ["ghcr.io/team/"]


def test_only_the_worker_gets_the_instance_role() -> None:
    prefix, role = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/fibfactory/", f"arn:aws:iam::{ACCOUNT}:role/environments"
    planned = plan(secrets_prefix=prefix, instance_role_arn=role)
    api, worker = environment(planned, "fibfactory-api"), environment(planned, "fibfactory-worker")
    assert api["FIBFACTORY_SECRETS_PREFIX"] == worker["FIBFACTORY_SECRETS_PREFIX"] == prefix
    assert worker["FIBFACTORY_INSTANCE_ROLE_ARN"] == role
    assert "FIBFACTORY_INSTANCE_ROLE_ARN" not in api


def test_concurrency_is_reserved_only_by_a_setting() -> None:
    def kept(planned: Plan) -> list[int]:
        functions = (planned.one(FUNCTION, f"fibfactory-{name}") for name in ("api", "worker"))
        return [function["reservedConcurrentExecutions"] for function in functions]

    assert kept(plan()) == [-1, -1]
    assert kept(plan(api_concurrency=5, worker_concurrency=10)) == [5, 10]


def test_metrics_of_two_platforms_are_separate() -> None:
    planned = plan(platform="second")
    assert environment(planned, "second-worker")["POWERTOOLS_SERVICE_NAME"] == "second"
    own = [one.inputs for one in planned.of("metricAlarm:MetricAlarm") if one.inputs["namespace"] == "fibfactory"]
    assert len(own) > 5
    assert all(alarm["dimensions"] == {"service": "second"} for alarm in own)


def test_each_function_has_a_log_group_with_a_retention(planned: Plan) -> None:
    groups = {one.inputs["name"]: one.inputs["retentionInDays"] for one in planned.of("cloudwatch/logGroup:LogGroup")}
    assert groups == dict.fromkeys(
        ("/aws/lambda/fibfactory-api", "/aws/lambda/fibfactory-worker", "/aws/vendedlogs/apis/fibfactory"), 14
    )


def test_a_failed_asynchronous_call_of_the_worker_is_repeated_twice(planned: Plan) -> None:
    config = planned.one("lambda/functionEventInvokeConfig:FunctionEventInvokeConfig")
    assert (config["functionName"], config["maximumRetryAttempts"]) == ("fibfactory-worker", 2)
    assert config["destinationConfig"]["onFailure"]["destination"].endswith("sqs/queue:Queue/dead-letters")
    assert 60 <= config["maximumEventAgeInSeconds"] <= 21600


def test_no_route_answers_without_iam_authorization(planned: Plan) -> None:
    (route,) = planned.of("apigatewayv2/route:Route")
    assert (route.inputs["routeKey"], route.inputs["authorizationType"]) == ("$default", "AWS_IAM")


def test_the_api_passes_requests_to_the_function_in_payload_format_2(planned: Plan) -> None:
    integration = planned.one("apigatewayv2/integration:Integration")
    assert (integration["integrationType"], integration["payloadFormatVersion"]) == ("AWS_PROXY", "2.0")
    assert integration["integrationUri"].endswith("fibfactory-api")


def test_the_stage_deploys_automatically_and_throttles(planned: Plan) -> None:
    stage = planned.one("apigatewayv2/stage:Stage", "$default")
    assert stage["autoDeploy"] is True
    assert (
        0 < stage["defaultRouteSettings"]["throttlingRateLimit"] < stage["defaultRouteSettings"]["throttlingBurstLimit"]
    )


def test_only_this_api_may_call_the_api_function(planned: Plan) -> None:
    permission = planned.one("lambda/permission:Permission")
    assert permission["function"] == "fibfactory-api"
    assert permission["principal"] == "apigateway.amazonaws.com"
    assert permission["sourceArn"] == f"arn:aws:execute-api:{REGION}:{ACCOUNT}:api-id/*"


@pytest.mark.parametrize(
    ("name", "expression", "sweep"),
    [("fibfactory-nightly", "cron(0 3 * * ? *)", "deep"), ("fibfactory-light", "rate(5 minutes)", "light")],
)
def test_the_schedules_call_the_worker_with_a_scheduled_event(
    planned: Plan, name: str, expression: str, sweep: str
) -> None:
    schedule = planned.one("scheduler/schedule:Schedule", name)
    assert schedule["scheduleExpression"] == expression
    target = schedule["target"]
    assert target["arn"].endswith("Function/fibfactory-worker")
    assert target["roleArn"].endswith("Role/fibfactory-schedule")
    assert json.loads(target["input"]) == {
        "version": "0",
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "detail": {"sweep": sweep},
    }
    assert target["retryPolicy"]["maximumRetryAttempts"] > 0
    assert target["retryPolicy"]["maximumEventAgeInSeconds"] >= 60
    assert target["deadLetterConfig"]["arn"].endswith("sqs/queue:Queue/dead-letters")


def test_schedules_are_settings() -> None:
    planned = plan(light_schedule="rate(1 hour)", nightly_schedule="cron(30 2 * * ? *)")
    expressions = {one.inputs["scheduleExpression"] for one in planned.of("scheduler/schedule:Schedule")}
    assert expressions == {"rate(1 hour)", "cron(30 2 * * ? *)"}


def test_githubs_workflows_have_an_api_of_their_own_that_checks_their_tokens() -> None:
    planned = plan(github_audience="ours", github=[{"repository_owner_id": "1"}])
    routes = {one.name: one.inputs for one in planned.of("apigatewayv2/route:Route")}
    assert {name: route["authorizationType"] for name, route in routes.items()} == {
        "everything": "AWS_IAM",
        "github-everything": "JWT",
    }
    assert routes["github-everything"]["apiId"] == "github-api-id"
    authorizer = planned.one("apigatewayv2/authorizer:Authorizer")
    assert authorizer["jwtConfiguration"] == {
        "audiences": ["ours"],
        "issuer": "https://token.actions.githubusercontent.com",
    }
    assert authorizer["identitySources"] == ["$request.header.Authorization"]
    assert {one.inputs["sourceArn"] for one in planned.of("lambda/permission:Permission")} == {
        f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api}-id/*" for api in ("api", "github-api")
    }


def test_both_apis_have_alarms_and_graphs() -> None:
    planned = plan(github_audience="ours", github=[{"repository_owner_id": "1"}])
    watched = [one.inputs["dimensions"] for one in planned.of("metricAlarm:MetricAlarm") if one.name.endswith("-5xx")]
    assert sorted(dimensions["ApiId"] for dimensions in watched) == ["api-id", "github-api-id"]
    shown = planned.one("cloudwatch/dashboard:Dashboard")["dashboardBody"]
    assert '"api-id"' in shown and '"github-api-id"' in shown


def test_the_dashboard_shows_every_alarm_and_its_metric(planned: Plan) -> None:
    body = json.loads(planned.one("cloudwatch/dashboard:Dashboard")["dashboardBody"])
    alarms = planned.of("metricAlarm:MetricAlarm")
    (shown,) = (widget for widget in body["widgets"] if widget["type"] == "alarm")
    assert len(shown["properties"]["alarms"]) == len(alarms)
    graphs = {
        metric[1]
        for widget in body["widgets"]
        if widget["type"] == "metric"
        for metric in widget["properties"]["metrics"]
    }
    assert {one.inputs["metricName"] for one in alarms} <= graphs
    places = [(widget["x"], widget["y"]) for widget in body["widgets"]]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize(
    ("schedule", "period", "times"),
    [
        ("rate(5 minutes)", 300, 3),
        ("rate(1 minute)", 60, 3),
        ("rate(12 hours)", 43200, 2),
        ("rate(1 day)", 86400, 1),
        ("cron(0/10 * * * ? *)", 86400, 1),
    ],
)
def test_missing_light_sweeps_are_an_alarm_after_a_few_intervals(schedule: str, period: int, times: int) -> None:
    alarm = plan(light_schedule=schedule).one("metricAlarm:MetricAlarm", "fibfactory-no-light-sweep")
    assert (alarm["period"], alarm["evaluationPeriods"], alarm["treatMissingData"]) == (period, times, "breaching")
    assert (alarm["metricName"], alarm["comparisonOperator"]) == ("light_sweeps", "LessThanThreshold")


def test_alarm_emails_are_subscribed_to_the_topic() -> None:
    planned = plan(alarm_emails=["ops@example.com"])
    subscription = planned.one("sns/topicSubscription:TopicSubscription")
    assert (subscription["protocol"], subscription["endpoint"]) == ("email", "ops@example.com")
    assert subscription["topic"] == planned.one("metricAlarm:MetricAlarm", "fibfactory-overdue")["alarmActions"][0]


def test_alarms_use_metrics_that_the_worker_writes(planned: Plan) -> None:
    written = set(Metric)
    asked = {
        one.inputs["metricName"]
        for one in planned.of("metricAlarm:MetricAlarm")
        if one.inputs["namespace"] == "fibfactory"
    }
    body = json.loads(planned.one("cloudwatch/dashboard:Dashboard")["dashboardBody"])
    drawn = {
        metric[1]
        for widget in body["widgets"]
        if widget["type"] == "metric"
        for metric in widget["properties"]["metrics"]
        if metric[0] == "fibfactory"
    }
    assert (asked | drawn) - written == set()


@pytest.mark.parametrize(
    ("schedule", "period", "times"),
    [
        ("cron(0 3 * * ? *)", 86400, 7),
        ("rate(1 day)", 86400, 2),
        ("rate(3 days)", 86400, 4),
        ("rate(6 hours)", 21600, 3),
    ],
)
def test_missing_deep_sweeps_are_an_alarm_but_not_on_the_first_day(schedule: str, period: int, times: int) -> None:
    alarm = plan(nightly_schedule=schedule).one("metricAlarm:MetricAlarm", "fibfactory-no-deep-sweep")
    assert (alarm["period"], alarm["evaluationPeriods"], alarm["treatMissingData"]) == (period, times, "notBreaching")
    assert (alarm["metricName"], alarm["comparisonOperator"]) == ("deep_sweeps", "LessThanThreshold")


def test_the_operators_guide_says_for_every_alarm_what_to_do() -> None:
    planned = plan(github_audience="ours", github=[{"repository_owner_id": "1"}])
    _, _, guide = (ROOT / "docs" / "aws.md").read_text("utf-8").partition("## Alarms")
    rows = [line for line in guide.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    told = {name for row in rows for name in re.findall(r"`([a-z0-9-]+)`", row.split("|")[1])}
    assert told == {one.name for one in planned.of("metricAlarm:MetricAlarm")}
