"""The operator's command, run as an operator runs it: the real engine makes the platform, changes it, and takes it down."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from bootstrap.settings import Settings
from localcloud.running import RunningCloud
from tests.functional.bootstrap_operator import (
    ACCOUNT,
    EVERYTHING,
    REGION,
    Operator,
    bucket_of,
    but,
    changes,
    interrupt,
    keys_below,
    one_sentence,
    outputs_of,
    user_with,
)
from tests.functional.counted_cli import CountedCli
from tests.functional.emulated_services import look_for, services

RESOURCES = 41
"""The number of a platform's resources without an API for GitHub's workflows."""
ALARMS = {
    *("api-throttled", "backlog", "dead-letters", "environments-failed", "iam-api-5xx", "no-deep-sweep"),
    *("no-light-sweep", "overdue", "sweep-failures", "sweep-incomplete", "worker-errors", "worker-throttled"),
}
USED = [
    "apigatewayv2",
    "cloudwatch",
    "dynamodb",
    "ecr",
    "iam",
    "kms",
    "lambda",
    "logs",
    "s3",
    "scheduler",
    "sns",
    "sqs",
]
"""The AWS services in which a platform has resources."""


def named(session: boto3.Session, platform: str) -> set[str]:
    """The names of all resources of this platform in the account."""
    logs, iam = session.client("logs"), session.client("iam")
    scheduler, apis = session.client("scheduler"), session.client("apigatewayv2")
    names = {
        *session.client("dynamodb").list_tables()["TableNames"],
        *(function["FunctionName"] for function in session.client("lambda").list_functions()["Functions"]),
        *(role["RoleName"] for role in iam.list_roles()["Roles"]),
        *(schedule["Name"] for schedule in scheduler.list_schedules()["Schedules"]),
        *(group["logGroupName"].rpartition("/")[2] for group in logs.describe_log_groups()["logGroups"]),
        *(api["Name"] for api in apis.get_apis()["Items"]),
        *(each["repositoryName"] for each in session.client("ecr").describe_repositories()["repositories"]),
        *(url.rpartition("/")[2] for url in session.client("sqs").list_queues().get("QueueUrls", [])),
        *(topic["TopicArn"].rpartition(":")[2] for topic in session.client("sns").list_topics()["Topics"]),
        *(alarm["AlarmName"] for alarm in session.client("cloudwatch").describe_alarms()["MetricAlarms"]),
        *(bucket["Name"] for bucket in session.client("s3").list_buckets()["Buckets"]),
        *(alias["AliasName"].removeprefix("alias/") for alias in session.client("kms").list_aliases()["Aliases"]),
    }
    return {name for name in names if name.startswith(platform)}


def kept(platform: str) -> set[str]:
    return {bucket_of(platform), f"{platform}-state"}


@pytest.fixture(scope="module")
def deployed(operator: Operator) -> dict[str, str]:
    """The outputs of a platform that tests read and do not change."""
    return outputs_of(operator.deploys("deployed"))


def test_the_outputs_contain_all_that_clients_need(deployed: dict[str, str]) -> None:
    bucket = bucket_of("deployed")
    assert deployed.keys() == {
        *("api_url", "platform", "region", "table_name", "api_function", "worker_function", "state_bucket"),
        *("secrets_provider", "access_role_arn", "api_id", "nightly_schedule", "light_schedule", "settings"),
        *("orchestrator_repository", "sample_repository", "dead_letters_url", "alarms_topic_arn", "dashboard_url"),
    }
    assert (deployed["platform"], deployed["region"], deployed["state_bucket"]) == ("deployed", REGION, bucket)
    assert deployed["access_role_arn"] == f"arn:aws:iam::{ACCOUNT}:role/deployed-apprunner-access"
    assert deployed["secrets_provider"].startswith("awskms:///arn:aws:kms:")


def test_outputs_can_be_read_again(operator: Operator, deployed: dict[str, str]) -> None:
    assert outputs_of(operator.runs("outputs", "--platform", "deployed", "--json")) == deployed


def test_a_second_deploy_changes_nothing_and_runs_the_cli_six_times(
    operator: Operator, deployed: dict[str, str], tmp_path: Path
) -> None:
    cli = CountedCli(tmp_path / "bin")
    again = operator.deploys("deployed", environment={"PATH": cli.path})
    assert changes(again) == []
    assert cli.commands() == ["version", "stack select", "stack export", "stack output", "preview", "up"]
    assert "nothing to change" in again.said
    assert outputs_of(again) == deployed


def test_all_resources_have_the_platforms_name_and_tag(
    operator_session: boto3.Session, deployed: dict[str, str]
) -> None:
    assert named(operator_session, "deployed") == kept("deployed") | {
        *("deployed", "deployed-environments", "deployed-api", "deployed-worker", "deployed-schedule"),
        *("deployed-apprunner-access", "deployed-nightly", "deployed-light"),
        *("deployed/orchestrator", "deployed/fibservice", "deployed-dead-letters", "deployed-alarms"),
        *(f"deployed-{alarm}" for alarm in ALARMS),
    }
    functions = operator_session.client("lambda")
    worker = functions.get_function(FunctionName=deployed["worker_function"])
    assert worker["Tags"] == {"fibfactory:platform": "deployed"}
    dynamodb = operator_session.client("dynamodb")
    table = dynamodb.describe_table(TableName=deployed["table_name"])["Table"]
    tag = {"Key": "fibfactory:platform", "Value": "deployed"}
    assert dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"] == [tag]
    topics = operator_session.client("sns")
    assert topics.list_tags_for_resource(ResourceArn=deployed["alarms_topic_arn"])["Tags"] == [tag]


def called(url: str, credentials: Any = None) -> int:
    """The status with which the API answers, unsigned or signed."""
    request = AWSRequest("GET", f"{url}/health")
    if credentials is not None:
        SigV4Auth(credentials, "execute-api", REGION).add_auth(request)
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{url}/health", headers=dict(request.headers))) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_the_api_lets_in_callers_that_iam_allows(cloud: RunningCloud, deployed: dict[str, str]) -> None:
    assert called(deployed["api_url"]) == 403
    assert called(deployed["api_url"], cloud.session("nobody").get_credentials()) == 403
    assert called(deployed["api_url"], cloud.session("alice").get_credentials()) == 200


def test_a_permanent_failure_of_the_worker_becomes_a_dead_letter(
    operator_session: boto3.Session, deployed: dict[str, str]
) -> None:
    lambda_, queue = operator_session.client("lambda"), operator_session.client("sqs")
    event = json.dumps({"nonsense": "of this test"}).encode()
    lambda_.invoke(FunctionName=deployed["worker_function"], InvocationType="Event", Payload=event)
    received = queue.receive_message(QueueUrl=deployed["dead_letters_url"], WaitTimeSeconds=20)["Messages"]
    (letter,) = (json.loads(message["Body"]) for message in received)
    assert letter["requestPayload"] == {"nonsense": "of this test"}
    assert letter["requestContext"]["condition"] == "RetriesExhausted"


def test_a_changed_setting_changes_only_its_resources(
    operator: Operator, operator_session: boto3.Session, deployed: dict[str, str]
) -> None:
    """The last test of this platform: it changes it."""
    changed = operator.deploys("deployed", "--light-schedule", "rate(1 hour)", "--default-ttl", "6h")
    assert changed.code == 0, changed.said
    assert 'default_ttl: "12h" → "6h"' in changed.said
    assert sorted(changes(changed)) == [
        *(f"~ changed cloudwatch MetricAlarm {name}" for name in ("backlog", "no-light-sweep", "overdue")),
        *(f"~ changed lambda Function deployed-{name}" for name in ("api", "worker")),
        "~ changed scheduler Schedule deployed-light",
    ]
    schedule = operator_session.client("scheduler").get_schedule(Name="deployed-light")
    assert schedule["ScheduleExpression"] == "rate(1 hour)"


CHANGED = {
    "prefix": "other",
    "image_registries": ["registry.example/team/"],
    "environments_per_owner": 3,
    "secrets_prefix": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/fibfactory/",
    "instance_role_arn": f"arn:aws:iam::{ACCOUNT}:role/environments",
    "operators": [f"arn:aws:iam::{ACCOUNT}:role/ops"],
    "session_owners": True,
    "github_audience": "fibfactory",
    "github_issuer": "https://github.example/_services/token",
    "default_ttl": "1h",
    "max_lifetime": "2h",
    "allow_never": True,
    "nightly_schedule": "cron(30 2 * * ? *)",
    "light_schedule": "rate(10 minutes)",
    "api_timeout": 20,
    "api_memory": 1024,
    "worker_timeout": 600,
    "worker_memory": 3008,
    "worker_storage": 4096,
    "api_concurrency": 5,
    "worker_concurrency": 10,
    "worker_policies": ["arn:aws:iam::aws:policy/AmazonSQSFullAccess"],
    "permissions_boundary": "arn:aws:iam::aws:policy/PowerUserAccess",
    "alarm_emails": ["ops@example.com"],
    "log_retention_days": 30,
    "requests_per_second": 10,
    "protect_table": True,
    "groups": {"team": ["github:repository:2"]},
    "github": [{"repository_owner_id": "1"}],
}
FIXED = {"platform", "region", "code", "image_uri", "build_arguments", "build_sample"}
"""What makes another platform, or what needs Docker to be built."""


def toml(settings: dict[str, Any]) -> str:
    """A settings file; JSON's strings, numbers and lists are TOML's, too."""
    plain = [f"{name} = {json.dumps(value)}" for name, value in settings.items() if name not in ("groups", "github")]
    groups = [f"{name} = {json.dumps(members)}" for name, members in settings["groups"].items()]
    callers = [
        line for each in settings["github"] for line in ("[[github]]", *(f'{k} = "{v}"' for k, v in each.items()))
    ]
    return "\n".join([*plain, "[groups]", *groups, *callers])


def holding_data(session: boto3.Session, platform: str) -> dict[str, Any]:
    """The resources that hold data, each with what distinguishes it from another of the same name."""
    table = session.client("dynamodb").describe_table(TableName=f"{platform}-environments")["Table"]
    groups = session.client("logs").describe_log_groups()["logGroups"]
    repositories = session.client("ecr").describe_repositories()["repositories"]
    made = session.client("sqs").get_queue_attributes(
        QueueUrl=f"{platform}-dead-letters", AttributeNames=["CreatedTimestamp"]
    )
    return {
        "table": table["TableId"],
        **{each["logGroupName"]: each["creationTime"] for each in groups if platform in each["logGroupName"]},
        **{each["repositoryName"]: each["createdAt"] for each in repositories if platform in each["repositoryName"]},
        "dead letters": made["Attributes"]["CreatedTimestamp"],
    }


def test_changing_all_settings_replaces_nothing_and_a_destroy_leaves_nothing(
    operator: Operator, operator_session: boto3.Session
) -> None:
    assert CHANGED.keys() | FIXED == Settings.model_fields.keys()
    first = operator.deploys("vanishing")
    assert len(changes(first)) == RESOURCES, first.said
    before = holding_data(operator_session, "vanishing")
    assert len(before) == 1 + 3 + 2 + 1

    file = operator.folder / "changed.toml"
    file.write_text(toml(CHANGED))
    deploy = ("deploy", "--platform", "vanishing", "--code", "archive", "--yes", "--json", "--settings", str(file))
    changed = operator.runs(*deploy)
    kept_settings = json.loads(outputs_of(changed)["settings"])
    assert {name: kept_settings[name] for name in CHANGED.keys() - {"github"}} == {
        name: value for name, value in CHANGED.items() if name != "github"
    }
    assert [line for line in changes(changed) if not line.startswith(("~ changed ", "+ made "))] == []
    assert {line.removeprefix("+ made ") for line in changes(changed) if line.startswith("+")} == {
        *(f"apigatewayv2 {part}" for part in ("Api github-api", "Authorizer github", "Integration github-api")),
        *("apigatewayv2 Route github-everything", "apigatewayv2 Stage github-default", "lambda Permission github-api"),
        *("cloudwatch MetricAlarm github-api-5xx", "sns TopicSubscription alarms-ops@example.com"),
        *(line.removeprefix("+ made ") for line in changes(changed) if "RolePolicyAttachment" in line),
    }
    assert holding_data(operator_session, "vanishing") == before
    assert changes(operator.runs(*deploy)) == []

    seen = look_for("vanishing", operator_session, USED)
    assert {name.partition(".")[0] for name in seen.found} == set(USED)

    done = operator.runs("destroy", "--platform", "vanishing", "--yes")
    assert done.code == 0, done.said
    everywhere = services(operator_session)
    left = look_for("vanishing", operator_session, everywhere)
    print(f"looked for what is left with {len(left.asked)} lists of {len(left.services)} services:")
    print("\n".join(left.asked))
    assert set(USED) <= left.services
    assert set().union(*left.found.values()) == {
        *(bucket_of("vanishing"), f"arn:aws:s3:::{bucket_of('vanishing')}"),
        *("alias/vanishing-state", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/vanishing-state"),
    }


@pytest.fixture(scope="module")
def ending(operator: Operator) -> str:
    """A platform whose table is protected, and which the last of its tests destroys."""
    file = operator.folder / "protected.toml"
    file.write_text("protect_table = true\n")
    outputs_of(operator.deploys("ending", "--settings", str(file)))
    return "ending"


def is_protected(session: boto3.Session, platform: str) -> bool:
    table = session.client("dynamodb").describe_table(TableName=f"{platform}-environments")["Table"]
    return bool(table["DeletionProtectionEnabled"])


def test_a_destroy_is_refused_while_there_are_environments(
    operator: Operator, operator_session: boto3.Session, ending: str
) -> None:
    assert is_protected(operator_session, ending)
    dynamodb = operator_session.client("dynamodb")
    record = {"pk": {"S": "ENV#test1"}, "sk": {"S": "RECORD"}, "status": {"S": "ready"}, "created_at": {"S": "now"}}
    dynamodb.put_item(TableName="ending-environments", Item=record)

    refused = operator.runs("destroy", "--platform", "ending", "--yes")
    assert refused.code == 1
    assert "still has 1 environment: test1" in refused.said
    assert is_protected(operator_session, ending)
    assert "ending-worker" in named(operator_session, "ending")

    dynamodb.put_item(TableName="ending-environments", Item=record | {"status": {"S": "destroyed"}})
    asked = operator.runs("destroy", "--platform", "ending", answers="n\n")
    assert asked.code == 130 and "Not done" in asked.said
    assert "ending-worker" in named(operator_session, "ending")


def test_a_failed_destroy_restores_the_tables_protection_and_the_next_leaves_nothing(
    operator: Operator, operator_session: boto3.Session, ending: str
) -> None:
    user = user_with(operator_session, "careless", EVERYTHING, but("dynamodb:DeleteTable"))
    failed = operator.runs("destroy", "--platform", "ending", "--yes", environment=user)
    assert "dynamodb:DeleteTable" in one_sentence(failed)
    assert is_protected(operator_session, ending)

    done = operator.runs("destroy", "--platform", "ending", answers="y\n")
    assert done.code == 0, done.said
    assert named(operator_session, "ending") == kept("ending")
    assert all(name in done.said for name in kept("ending"))
    stacks = keys_below(operator_session, "ending", ".pulumi/stacks/")
    assert [key for key in stacks if not key.endswith(".bak")] == []
    assert keys_below(operator_session, "ending", ".pulumi/locks/") == []

    again = operator.runs("destroy", "--platform", "ending", "--yes")
    assert again.code == 0 and "othing to destroy" in again.said


def test_the_answer_no_to_a_preview_makes_no_platform(operator: Operator, operator_session: boto3.Session) -> None:
    ran = operator.runs("deploy", "--platform", "hesitant", "--code", "archive", answers="n\n")
    assert ran.code == 130 and "Not done" in ran.said
    assert named(operator_session, "hesitant") == set()
    ran = operator.runs("deploy", "--platform", "hesitant", "--code", "archive", answers="y\nn\n")
    assert ran.code == 130
    assert "+ make dynamodb Table environments" in ran.said
    assert named(operator_session, "hesitant") == kept("hesitant")


def test_an_interrupted_deploy_stops_gracefully_and_the_next_continues(
    operator: Operator, operator_session: boto3.Session
) -> None:
    arguments = ("deploy", "--platform", "stopped", "--code", "archive", "--yes")
    stopped = operator.runs_until(lambda line: line.startswith("  + made"), interrupt, *arguments)
    assert stopped.code == 130, stopped.said
    assert "stopping gracefully" in stopped.said
    assert keys_below(operator_session, "stopped", ".pulumi/locks/") == []
    assert list(operator.folder.glob("fibfactory-*")) == []
    made = len(changes(stopped))

    resumed = operator.deploys("stopped")
    assert outputs_of(resumed)["platform"] == "stopped"
    assert 0 < len(changes(resumed)) <= RESOURCES - made


def test_the_lock_of_a_killed_run_is_named_with_the_command_that_removes_it(
    operator: Operator, operator_session: boto3.Session
) -> None:
    operator.runs("deploy", "--platform", "locked", "--code", "archive", answers="y\nn\n")
    lock = {"pid": 1, "username": "somebody", "hostname": "gone", "timestamp": "2024-01-01T00:00:00Z"}
    bucket = bucket_of("locked")
    key = ".pulumi/locks/organization/fibfactory-platform/locked/11111111-2222-3333-4444-555555555555.json"
    operator_session.client("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(lock).encode())

    ran = operator.deploys("locked")
    assert ran.code == 1
    assert "being changed by another run, or by one that was killed" in ran.said
    assert named(operator_session, "locked") == kept("locked")

    advised = ran.said.split("If it was killed: ")[1].split(";")[0]
    backend, *command = shlex.split(advised)
    environment = operator.environment | dict([backend.split("=", 1)])
    subprocess.run(command, env=environment, cwd=operator.folder, check=True, capture_output=True, timeout=60)
    assert keys_below(operator_session, "locked", ".pulumi/locks/") == []


def test_a_user_without_permissions_is_told_the_first_missing_one(
    operator: Operator, operator_session: boto3.Session
) -> None:
    ran = operator.deploys("nobodys", environment=operator.of("nobody"))
    assert ran.code == 1 and "kms:DescribeKey" in ran.said
    assert named(operator_session, "nobodys") == set()


def test_an_archive_is_refused_on_aws_before_any_call(operator: Operator) -> None:
    ran = operator.runs("deploy", "--code", "archive", "--yes", without=("AWS_ENDPOINT_URL",))
    assert ran.code == 2
    assert "On AWS the functions can't run from an archive" in ran.said and "--image-uri" in ran.said


def test_a_deploy_without_credentials_says_how_to_sign_in(operator: Operator) -> None:
    ran = operator.runs(
        *("deploy", "--code", "archive", "--yes"),
        without=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        environment={"AWS_EC2_METADATA_DISABLED": "true"},
    )
    assert ran.code == 1 and "no usable AWS credentials" in ran.said and "AWS_PROFILE" in ran.said


def test_a_command_without_a_region_says_how_to_choose_one(operator: Operator) -> None:
    without = ("AWS_REGION", "AWS_DEFAULT_REGION")
    assert "No region is chosen" in operator.runs("deploy", "--code", "archive", "--yes", without=without).said
    assert "--region" in operator.runs("destroy", "--yes", without=without).said


def test_a_deploy_without_the_pulumi_cli_makes_nothing(operator: Operator, operator_session: boto3.Session) -> None:
    ran = operator.deploys("unequipped", environment={"PATH": os.defpath})
    assert ran.code == 1 and "Pulumi CLI is not on PATH" in ran.said
    assert named(operator_session, "unequipped") == set()


@pytest.mark.parametrize("command", ["outputs", "destroy"])
def test_a_missing_platform_is_named(operator: Operator, command: str) -> None:
    ran = operator.runs(command, "--platform", "nowhere", *(("--yes",) if command == "destroy" else ()))
    assert ran.code == (1 if command == "outputs" else 0)
    assert "There is no platform nowhere" in ran.said
