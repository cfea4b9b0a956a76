"""Upgrade, teardown and purge, run as an operator runs them, with real environments."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from bootstrap.foundations.ensure import ensure_foundations
from bootstrap.program.schedules import sweep_event
from fibfactory_cli.client import Client
from localcloud.running import RunningCloud
from localcloud.settings import ROOT
from tests.functional.bootstrap_operator import (
    EVERYTHING,
    Operator,
    bucket_of,
    changes,
    interrupt,
    keys_below,
    last_words,
    outputs_of,
    user_with,
)
from tests.waiting import eventually

LATEST = "public.ecr.aws/fibfactory/fibservice:latest"


@pytest.fixture(scope="module")
def lived_in(operator: Operator, cloud: RunningCloud) -> dict[str, str]:
    """The outputs of a platform with prefix `lived`, whose environments tests make."""
    return outputs_of(operator.deploys("lived-in", "--prefix", "lived"))


def client(cloud: RunningCloud, outputs: dict[str, str], name: str = "operator") -> Client:
    return Client(outputs["api_url"], cloud.session(name))


def ready(api: Client, environment_id: str, **more: Any) -> Any:
    api.call("PUT", f"/environments/{environment_id}", {"image": LATEST, **more}).checked()
    record = api.follow(environment_id, timeout_seconds=120)
    assert record["status"] == "ready", record["error"]
    return record


def described(record: Any) -> dict[str, Any]:
    """A record without its version: the worker releases its lease by a write of its own, after the one that says `ready`."""
    return {name: value for name, value in record.items() if name not in ("version", "updated_at")}


@contextmanager
def slow(cloud: RunningCloud, **seconds: float) -> Iterator[None]:
    """Within the block, App Runner takes so many seconds for these operations."""
    before = cloud.apprunner_admin.behaviour().delays
    cloud.apprunner_admin.behave(delays=seconds)
    try:
        yield
    finally:
        cloud.apprunner_admin.behave(delays=before.model_dump())


def record_of(environment_id: str, status: str) -> dict[str, Any]:
    """The part of a record that the search for active environments reads."""
    return {
        "pk": {"S": f"ENV#{environment_id}"},
        "sk": {"S": "RECORD"},
        "status": {"S": status},
        "created_at": {"S": "2026-01-01T00:00:00Z"},
    }


def exists(session: boto3.Session, function: str) -> bool:
    lambda_ = session.client("lambda")
    return function in {each["FunctionName"] for each in lambda_.list_functions()["Functions"]}


# Upgrade


def test_an_upgrade_keeps_settings_and_shows_those_that_change(
    operator: Operator, operator_session: boto3.Session, lived_in: dict[str, str]
) -> None:
    given = ("--light-schedule", "rate(1 hour)")
    upgraded = operator.runs("upgrade", "--platform", "lived-in", "--yes", "--json", *given)
    outputs = outputs_of(upgraded)
    assert 'light_schedule: "rate(5 minutes)" → "rate(1 hour)"' in upgraded.said
    # The alarms about light sweeps have the schedule's interval.
    alarms = [f"~ changed cloudwatch MetricAlarm {name}" for name in ("backlog", "no-light-sweep", "overdue")]
    assert sorted(changes(upgraded)) == [*alarms, "~ changed scheduler Schedule lived-in-light"]
    assert outputs["api_url"] == lived_in["api_url"]
    assert '"prefix":"lived"' in outputs["settings"].replace(" ", "")

    back = operator.runs("upgrade", "--platform", "lived-in", "--unset", "light_schedule", "--yes", "--json")
    assert outputs_of(back)["settings"] == lived_in["settings"]
    assert 'light_schedule: "rate(1 hour)" → "rate(5 minutes)"' in back.said


def test_an_upgrade_shows_what_would_change_and_asks(operator: Operator, lived_in: dict[str, str]) -> None:
    asked = operator.runs("upgrade", "--platform", "lived-in", "--default-ttl", "6h", answers="n\n")
    assert asked.code == 130 and "Not done" in asked.said
    assert 'default_ttl: "12h" → "6h"' in asked.said
    assert "~ change lambda Function lived-in-api (environment)" in asked.said


def test_environments_survive_an_upgrade_also_while_being_deployed(
    operator: Operator, operator_session: boto3.Session, cloud: RunningCloud, lived_in: dict[str, str]
) -> None:
    """On AWS a running invocation ends with the code it began with. The local cloud kills it, which is recovered from."""
    worker, api = operator_session.client("lambda"), client(cloud, lived_in)
    before = described(ready(api, "survivor"))
    limits = {"Timeout": 20, "Environment": worker_variables(worker, FIBFACTORY_LEASE_MARGIN_SECONDS="1")}
    worker.update_function_configuration(FunctionName="lived-in-worker", **limits)
    with cloud.apprunner_admin.standing_still():
        api.call("PUT", "/environments/halfway", {"image": LATEST}).checked()
        eventually(lambda: api.call("GET", "/environments/halfway").checked().body["status"] == "deploying")
        assert operator.runs("upgrade", "--platform", "lived-in", "--default-ttl", "6h", "--yes").code == 0
        assert api.call("GET", "/environments/halfway").checked().body["status"] == "deploying"
    eventually(lambda: swept(worker) and api.call("GET", "/environments/halfway").checked().body["status"] == "ready")
    assert described(api.call("GET", "/environments/survivor").checked().body) == before
    for environment_id in ("survivor", "halfway"):
        api.call("DELETE", f"/environments/{environment_id}").checked()
        assert api.follow(environment_id, timeout_seconds=120)["status"] == "destroyed"


def worker_variables(worker: Any, **more: str) -> dict[str, dict[str, str]]:
    found = worker.get_function_configuration(FunctionName="lived-in-worker")["Environment"]["Variables"]
    return {"Variables": {**found, **more}}


def swept(worker: Any) -> bool:
    """A light sweep, as the schedule starts one."""
    event = json.dumps(sweep_event("light")).encode()
    return worker.invoke(FunctionName="lived-in-worker", Payload=event)["StatusCode"] == 200


def test_another_prefix_is_refused_while_there_are_environments(
    operator: Operator, operator_session: boto3.Session, lived_in: dict[str, str]
) -> None:
    table = operator_session.client("dynamodb")
    table.put_item(TableName=lived_in["table_name"], Item=record_of("old", "ready"))
    refused = operator.runs("upgrade", "--platform", "lived-in", "--prefix", "other", "--yes")
    assert refused.code == 2 and "prefix can't change from lived to other" in last_words(refused)
    table.delete_item(TableName=lived_in["table_name"], Key={"pk": {"S": "ENV#old"}, "sk": {"S": "RECORD"}})


def test_a_version_that_would_replace_the_table_is_refused(
    operator: Operator, operator_session: boto3.Session, lived_in: dict[str, str], tmp_path: Path
) -> None:
    for package in ("bootstrap", "fibfactory_cli", "orchestrator"):
        shutil.copytree(ROOT / package, tmp_path / package)
    for file in ROOT.glob("template_stack.py"):
        shutil.copy(file, tmp_path)
    source = (tmp_path / "bootstrap" / "program" / "table.py").read_text()
    assert "name=blueprint.names.table," in source
    renamed = source.replace("name=blueprint.names.table,", "name=blueprint.names.table + '-2',")
    (tmp_path / "bootstrap" / "program" / "table.py").write_text(renamed)

    for questions in (("--yes",), ()):
        refused = operator.runs(
            "upgrade", "--platform", "lived-in", "--default-ttl", "3h", *questions, answers="y\n", checkout=tmp_path
        )
        assert refused.code == 1
        assert "would remove or replace resources that hold data: dynamodb Table environments" in last_words(refused)
    assert operator_session.client("dynamodb").list_tables()["TableNames"].count("lived-in-environments-2") == 0
    variables = operator_session.client("lambda").get_function_configuration(FunctionName="lived-in-api")["Environment"]
    assert variables["Variables"]["FIBFACTORY_DEFAULT_TTL"] != "3h"


def test_an_upgrade_without_recorded_settings_is_refused_with_advice(operator: Operator) -> None:
    stopped = operator.runs("deploy", "--platform", "begun", "--code", "archive", answers="y\nn\n")
    assert stopped.code == 130
    refused = operator.runs("upgrade", "--platform", "begun", "--yes")
    assert refused.code == 2
    assert "are not recorded" in refused.said and "bootstrap deploy" in refused.said


def test_an_upgrade_refuses_a_missing_platform_and_an_unknown_setting(
    operator: Operator, lived_in: dict[str, str]
) -> None:
    nowhere = operator.runs("upgrade", "--platform", "nowhere", "--yes")
    assert nowhere.code == 1 and "There is no platform nowhere" in nowhere.said
    unknown = operator.runs("upgrade", "--platform", "lived-in", "--unset", "nonsense", "--yes")
    assert unknown.code == 2 and "no setting nonsense" in unknown.said


# Teardown


@pytest.fixture(scope="module")
def crowded(operator: Operator) -> dict[str, str]:
    """The outputs of a platform that teardowns are refused for, until the last of its tests destroys it."""
    return outputs_of(operator.deploys("crowded", "--prefix", "crowd"))


def test_a_service_without_a_record_stops_the_teardown(
    operator: Operator, operator_session: boto3.Session, crowded: dict[str, str]
) -> None:
    apprunner = operator_session.client("apprunner")
    source = {"ImageRepository": {"ImageIdentifier": LATEST, "ImageRepositoryType": "ECR_PUBLIC"}}
    service = apprunner.create_service(
        ServiceName="crowd-one-service",
        SourceConfiguration={**source, "AutoDeploymentsEnabled": False},
        Tags=[{"Key": "fibfactory:platform", "Value": "crowded"}],
    )["Service"]
    refused = operator.runs("destroy", "--platform", "crowded", "--yes")
    assert (
        refused.code == 1
        and "have this platform's tag and no record" in refused.said
        and "crowd-one-service" in refused.said
    )
    assert exists(operator_session, "crowded-api")
    arn = service["ServiceArn"]
    eventually(lambda: apprunner.describe_service(ServiceArn=arn)["Service"]["Status"] == "RUNNING")
    apprunner.delete_service(ServiceArn=arn)
    eventually(lambda: apprunner.describe_service(ServiceArn=arn)["Service"]["Status"] == "DELETED")


def test_a_request_while_the_api_closes_stops_the_teardown_and_an_upgrade_reopens_it(
    operator: Operator, operator_session: boto3.Session, cloud: RunningCloud, crowded: dict[str, str]
) -> None:
    table, late = operator_session.client("dynamodb"), record_of("late", "pending")

    late_ran = operator.runs_until(
        lambda line: "closing the API" in line,
        lambda _: table.put_item(TableName="crowded-environments", Item=late),
        *("destroy", "--platform", "crowded", "--yes"),
    )
    assert late_ran.code == 1
    assert "somebody requested 1 environment: late" in late_ran.said and "upgrade" in late_ran.said
    assert exists(operator_session, "crowded-worker")
    apis, schedules = operator_session.client("apigatewayv2"), operator_session.client("scheduler")
    assert "crowded" not in {api["Name"] for api in apis.get_apis()["Items"]}
    assert not any(each["Name"].startswith("crowded-") for each in schedules.list_schedules()["Schedules"])

    closed = operator.runs("destroy", "--platform", "crowded", "--environments", "--yes")
    assert closed.code == 1 and "opens it again" in last_words(closed)

    reopened = outputs_of(operator.runs("upgrade", "--platform", "crowded", "--yes", "--json"))
    assert client(cloud, reopened).call("GET", "/health").status == 200
    table.delete_item(TableName="crowded-environments", Key={"pk": late["pk"], "sk": late["sk"]})


def test_a_teardown_destroys_the_environments_first_with_the_option(
    operator: Operator, operator_session: boto3.Session, cloud: RunningCloud, crowded: dict[str, str]
) -> None:
    """The last test of this platform: it destroys it."""
    outputs = outputs_of(operator.runs("outputs", "--platform", "crowded", "--json"))
    api = client(cloud, outputs)
    ready(api, "guarded", protected=True)
    ready(client(cloud, outputs, "alice"), "alices")

    refused = operator.runs("destroy", "--platform", "crowded", "--yes")
    assert refused.code == 1
    assert "still has 2 environments: alices, guarded" in refused.said and "--environments" in refused.said

    somebody = user_with(operator_session, "somebody", EVERYTHING)
    lesser = operator.runs("destroy", "--platform", "crowded", "--environments", "--yes", environment=somebody)
    assert lesser.code == 1 and "Only operators of the platform can destroy" in last_words(lesser)
    assert "--operator" in last_words(lesser) and exists(operator_session, "crowded-api")

    log_group = "/aws/apprunner/crowd-alices-service/0123456789abcdef0123456789abcdef/application"
    operator_session.client("logs").create_log_group(logGroupName=log_group)
    done = operator.runs("destroy", "--platform", "crowded", "--environments", answers="y\n")
    assert done.code == 0, done.said
    assert "its 2 environments (alices, guarded)" in done.said
    assert "- alices destroyed" in done.said and "- guarded destroyed" in done.said
    assert not exists(operator_session, "crowded-worker")
    services = operator_session.client("apprunner").list_services()["ServiceSummaryList"]
    assert [each for each in services if each["ServiceName"].startswith("crowd-")] == []
    assert bucket_of("crowded") in done.said and log_group in done.said


def test_an_interrupted_teardown_is_completed_by_the_next(
    operator: Operator, operator_session: boto3.Session, cloud: RunningCloud
) -> None:
    outputs = outputs_of(operator.deploys("slow", "--prefix", "slow"))
    ready(client(cloud, outputs), "lazy")
    command = ("destroy", "--platform", "slow", "--environments", "--yes")
    with slow(cloud, delete=6):
        stopped = operator.runs_until(lambda line: "destroying 1 environment" in line, interrupt, *command)
        assert stopped.code == 130, stopped.said
        assert exists(operator_session, "slow-api")
    done = operator.runs(*command)
    assert done.code == 0, done.said
    assert not exists(operator_session, "slow-worker")


# Purge


def test_a_purge_asks_its_own_question_and_leaves_nothing(
    operator: Operator, operator_session: boto3.Session, lived_in: dict[str, str]
) -> None:
    """The last test of the platform that was upgraded: it destroys it."""
    logs, s3, kms = (operator_session.client(name) for name in ("logs", "s3", "kms"))
    gone = "/aws/apprunner/lived-one-service/0123456789abcdef0123456789abcdef/application"
    others = "/aws/apprunner/livedin-one-service/0123456789abcdef0123456789abcdef/application"
    strangers = "/aws/apprunner/fib-app-one-service/0123456789abcdef0123456789abcdef/application"
    nobodys = "/aws/apprunner/lived-mine/0123456789abcdef0123456789abcdef/application"
    for name in (gone, others, strangers, nobodys):
        logs.create_log_group(logGroupName=name)
    key = kms.describe_key(KeyId="alias/lived-in-state")["KeyMetadata"]["KeyId"]

    wrong = operator.runs("destroy", "--platform", "lived-in", "--purge", "--prefix", "fib-app", "--yes")
    assert wrong.code == 2 and "begin with lived, not with fib-app" in last_words(wrong)
    asked = operator.runs("destroy", "--platform", "lived-in", "--purge", answers="y\nn\n")
    assert (
        asked.code == 130
        and f"Remove for ever, with all objects and their versions: the bucket {bucket_of('lived-in')}" in asked.said
    )
    assert s3.list_object_versions(Bucket=bucket_of("lived-in"))["Versions"], "the state's history is there"

    done = operator.runs("destroy", "--platform", "lived-in", "--purge", "--prefix", "lived", "--yes")
    assert done.code == 0, done.said
    assert bucket_of("lived-in") not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    assert "alias/lived-in-state" not in {alias["AliasName"] for alias in kms.list_aliases()["Aliases"]}
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    assert f"cancel-key-deletion --region us-west-2 --key-id {key}" in done.said
    left = {group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]}
    assert gone not in left and left >= {others, strangers, nobodys}

    again = operator.runs("destroy", "--platform", "lived-in", "--purge", "--yes")
    assert again.code == 0 and "no platform lived-in" in again.said and "nothing is left to purge" in again.said
    assert strangers in {group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]}


def test_a_purge_is_refused_while_the_bucket_has_other_state(
    operator: Operator, operator_session: boto3.Session
) -> None:
    ensure_foundations(operator_session, "entangled", print)
    state = ".pulumi/stacks/fibfactory/fibfactory-mine1.json"
    s3 = operator_session.client("s3")
    s3.put_object(Bucket=bucket_of("entangled"), Key=state, Body=b"{}")
    refused = operator.runs("destroy", "--platform", "entangled", "--purge", "--yes")
    assert refused.code == 1 and "still has the state of fibfactory/fibfactory-mine1" in last_words(refused)
    assert state in keys_below(operator_session, "entangled", ".pulumi/stacks/")
    s3.delete_object(Bucket=bucket_of("entangled"), Key=state)
    assert operator.runs("destroy", "--platform", "entangled", "--purge", "--yes").code == 0


def test_an_interrupted_purge_is_completed_by_the_next(operator: Operator, operator_session: boto3.Session) -> None:
    ensure_foundations(operator_session, "cut", print)
    kms = operator_session.client("kms")
    key = kms.describe_key(KeyId="alias/cut-state")["KeyMetadata"]["KeyId"]
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    operator_session.resource("s3").Bucket(bucket_of("cut")).object_versions.delete()
    operator_session.client("s3").delete_bucket(Bucket=bucket_of("cut"))
    done = operator.runs("destroy", "--platform", "cut", "--purge", "--yes")
    assert done.code == 0, done.said
    assert "alias/cut-state" not in {alias["AliasName"] for alias in kms.list_aliases()["Aliases"]}
