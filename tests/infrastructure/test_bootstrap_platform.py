"""What the platform's program asks AWS for: names, protection, who is let in, and nothing that costs while idle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

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


def test_everything_goes_through_one_provider_with_its_region_and_tags_named(planned: Plan) -> None:
    (provider,) = planned.of("pulumi:providers:aws")
    assert provider.inputs["region"] == REGION
    tags = provider.inputs["defaultTags"]
    assert (json.loads(tags) if isinstance(tags, str) else tags) == {"tags": {"fibfactory:platform": "fibfactory"}}
    others = [one for one in planned.asked if one is not provider and one.type.startswith("aws:")]
    assert len(others) > 15
    assert [one.name for one in others if "::aws::aws-id" not in one.provider] == []


def test_every_name_begins_with_the_platform() -> None:
    named = {str(one.inputs["name"]) for one in plan(platform="ours").asked if "name" in one.inputs}
    assert {name for name in named if not name.removeprefix("/aws/lambda/").startswith("ours")} == {"$default"}


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
def test_the_table_of_an_installation_for_real_use_refuses_to_be_deleted(
    settings: dict[str, Any], protected: bool
) -> None:
    assert plan(**settings).one("dynamodb/table:Table")["deletionProtectionEnabled"] is protected


def test_both_functions_run_the_same_code_with_different_means(planned: Plan) -> None:
    api, worker = (planned.one(FUNCTION, f"fibfactory-{name}") for name in ("api", "worker"))
    assert (api["timeout"], api["memorySize"]) == (29, 512)
    assert (worker["timeout"], worker["memorySize"], worker["ephemeralStorage"]["size"]) == (900, 2048, 2048)
    for function in (api, worker):
        assert (function["packageType"], function["imageUri"]) == ("Image", IMAGE)
        assert "handler" not in function and "runtime" not in function and "code" not in function


def test_an_archive_names_its_handler_and_runtime() -> None:
    planned = plan(code="archive")
    for name in ("fibfactory-api", "fibfactory-worker"):
        function = planned.one(FUNCTION, name)
        assert (function["handler"], function["runtime"]) == ("orchestrator.handler.handler", "python3.11")
        assert "imageUri" not in function


def test_each_function_has_a_role_of_its_own(planned: Plan) -> None:
    for name in ("fibfactory-api", "fibfactory-worker"):
        assert planned.one(FUNCTION, name)["role"].endswith(f"iam/role:Role/{name}")


def test_the_worker_is_told_all_that_it_needs(planned: Plan) -> None:
    assert environment(planned, "fibfactory-worker") == {
        "FIBFACTORY_PLATFORM": "fibfactory",
        "FIBFACTORY_TABLE": "fibfactory-environments",
        "FIBFACTORY_WORKER_FUNCTION": "fibfactory-worker",
        "FIBFACTORY_BACKEND_URL": FOUNDATIONS.backend_url,
        "FIBFACTORY_SECRETS_PROVIDER": FOUNDATIONS.secrets_provider,
        "FIBFACTORY_PREFIX": "fib-app",
        "FIBFACTORY_ACCESS_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/fibfactory-apprunner-access",
        "FIBFACTORY_OPERATORS": "[]",
        "FIBFACTORY_DEFAULT_TTL": "12h",
        "FIBFACTORY_MAX_LIFETIME": "7d",
        "FIBFACTORY_ALLOW_NEVER": "false",
        "POWERTOOLS_SERVICE_NAME": "fibfactory",
        "POWERTOOLS_METRICS_NAMESPACE": "fibfactory",
        "LOG_LEVEL": "INFO",
    }


def test_the_api_is_not_told_where_state_key_and_access_role_are(planned: Plan) -> None:
    api, worker = environment(planned, "fibfactory-api"), environment(planned, "fibfactory-worker")
    assert worker.keys() - api.keys() == NOT_FOR_THE_API
    assert api.items() <= worker.items()


def test_settings_arrive_in_the_environment() -> None:
    operator = f"arn:aws:iam::{ACCOUNT}:role/ops"
    variables = environment(
        plan(operators=[operator], allow_never=True, default_ttl="1h", prefix="demo"), "fibfactory-worker"
    )
    assert json.loads(variables["FIBFACTORY_OPERATORS"]) == [operator]
    assert (variables["FIBFACTORY_ALLOW_NEVER"], variables["FIBFACTORY_DEFAULT_TTL"]) == ("true", "1h")
    assert variables["FIBFACTORY_PREFIX"] == "demo"


def test_each_function_has_a_log_group_that_forgets(planned: Plan) -> None:
    groups = {one.inputs["name"]: one.inputs["retentionInDays"] for one in planned.of("cloudwatch/logGroup:LogGroup")}
    assert groups == {"/aws/lambda/fibfactory-api": 14, "/aws/lambda/fibfactory-worker": 14}


def test_a_failed_asynchronous_call_of_the_worker_is_tried_twice_more(planned: Plan) -> None:
    config = planned.one("lambda/functionEventInvokeConfig:FunctionEventInvokeConfig")
    assert (config["functionName"], config["maximumRetryAttempts"]) == ("fibfactory-worker", 2)
    assert 60 <= config["maximumEventAgeInSeconds"] <= 21600


def test_no_route_answers_without_iam_authorization(planned: Plan) -> None:
    (route,) = planned.of("apigatewayv2/route:Route")
    assert (route.inputs["routeKey"], route.inputs["authorizationType"]) == ("$default", "AWS_IAM")


def test_the_api_hands_requests_to_the_api_function_in_payload_2(planned: Plan) -> None:
    integration = planned.one("apigatewayv2/integration:Integration")
    assert (integration["integrationType"], integration["payloadFormatVersion"]) == ("AWS_PROXY", "2.0")
    assert integration["integrationUri"].endswith("fibfactory-api")


def test_the_stage_deploys_itself_and_slows_down_floods(planned: Plan) -> None:
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


def test_schedules_are_settings() -> None:
    planned = plan(light_schedule="rate(1 hour)", nightly_schedule="cron(30 2 * * ? *)")
    expressions = {one.inputs["scheduleExpression"] for one in planned.of("scheduler/schedule:Schedule")}
    assert expressions == {"rate(1 hour)", "cron(30 2 * * ? *)"}
