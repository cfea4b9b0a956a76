"""The operator's command, run as an operator runs it: the real engine makes the platform, changes it, and takes it down."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from localcloud.running import RunningCloud
from localcloud.settings import ROOT

# Each deploy takes seconds: on one worker they share a cloud, and the one platform that is only looked at.
pytestmark = pytest.mark.xdist_group("bootstrap")

REGION, ACCOUNT = RunningCloud.region, RunningCloud.account
RESOURCES = 21
"""How many things a platform consists of."""


@dataclass(frozen=True)
class Ran:
    """How a command ended: its code, what is for programs (`out`) and what is for people (`said`)."""

    code: int
    out: str
    said: str


class Operator:
    """Runs `python -m bootstrap` against a local cloud, with nothing of this process's own environment but PATH."""

    def __init__(self, cloud: RunningCloud, folder: Path) -> None:
        self._cloud, self.folder = cloud, folder
        self.environment = {"HOME": str(folder), "TMPDIR": str(folder), **self.of("operator")}

    def of(self, name: str) -> dict[str, str]:
        return self._cloud.environment(self._cloud.identity(name))

    def runs(
        self,
        *arguments: str,
        answers: str = "",
        environment: Mapping[str, str] = MappingProxyType({}),
        without: Collection[str] = (),
    ) -> Ran:
        """One command to its end; `environment` is added to the operator's, `without` taken from it."""
        done = subprocess.run(
            [sys.executable, "-m", "bootstrap", *arguments],
            cwd=ROOT,
            env={name: value for name, value in {**self.environment, **environment}.items() if name not in without},
            input=answers,
            capture_output=True,
            text=True,
            timeout=180,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def deploys(self, platform: str, *arguments: str, environment: Mapping[str, str] = MappingProxyType({})) -> Ran:
        """A deploy from the checkout's own code, without questions."""
        command = ("deploy", "--platform", platform, "--code", "archive", "--yes")
        return self.runs(*command, *arguments, environment=environment)


def outputs_of(ran: Ran) -> dict[str, str]:
    assert ran.code == 0, ran.said
    outputs: dict[str, str] = json.loads(ran.out)
    return outputs


def changes(ran: Ran) -> list[str]:
    """The lines that say what was changed, without their times."""
    lines = [line.strip() for line in ran.said.splitlines() if line.startswith(("  + ", "  ~ ", "  - "))]
    return [re.sub(r" [0-9]+ s$", "", line) for line in lines]


def named(session: boto3.Session, platform: str) -> set[str]:
    """All that this platform has in the account, by name."""
    logs, iam = session.client("logs"), session.client("iam")
    scheduler, apis = session.client("scheduler"), session.client("apigatewayv2")
    names = {
        *session.client("dynamodb").list_tables()["TableNames"],
        *(function["FunctionName"] for function in session.client("lambda").list_functions()["Functions"]),
        *(role["RoleName"] for role in iam.list_roles()["Roles"]),
        *(schedule["Name"] for schedule in scheduler.list_schedules()["Schedules"]),
        *(group["logGroupName"].removeprefix("/aws/lambda/") for group in logs.describe_log_groups()["logGroups"]),
        *(api["Name"] for api in apis.get_apis()["Items"]),
        *(bucket["Name"] for bucket in session.client("s3").list_buckets()["Buckets"]),
        *(alias["AliasName"].removeprefix("alias/") for alias in session.client("kms").list_aliases()["Aliases"]),
    }
    return {name for name in names if name.startswith(platform)}


def kept(platform: str) -> set[str]:
    return {f"{platform}-state-{ACCOUNT}-{REGION}", f"{platform}-state"}


def keys_below(session: boto3.Session, platform: str, prefix: str) -> list[str]:
    bucket = f"{platform}-state-{ACCOUNT}-{REGION}"
    listed = session.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
    return [entry["Key"] for entry in listed.get("Contents", [])]


@pytest.fixture(scope="module")
def operator(cloud: RunningCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    operator = Operator(cloud, tmp_path_factory.mktemp("operator"))
    yield operator
    assert list(operator.folder.glob("fibfactory-*")) == [], "a command left its work folder behind"


@pytest.fixture(scope="module")
def deployed(operator: Operator) -> dict[str, str]:
    """The outputs of a platform that all tests may look at and none may change."""
    return outputs_of(operator.deploys("deployed", "--json"))


def test_the_outputs_say_all_that_clients_need(deployed: dict[str, str]) -> None:
    bucket = f"deployed-state-{ACCOUNT}-{REGION}"
    assert deployed.keys() == {
        *("api_url", "platform", "region", "table_name", "api_function", "worker_function", "state_bucket"),
        *("secrets_provider", "access_role_arn", "api_id", "nightly_schedule", "light_schedule"),
    }
    assert (deployed["platform"], deployed["region"], deployed["state_bucket"]) == ("deployed", REGION, bucket)
    assert deployed["access_role_arn"] == f"arn:aws:iam::{ACCOUNT}:role/deployed-apprunner-access"
    assert deployed["secrets_provider"].startswith("awskms:///arn:aws:kms:")


def test_outputs_can_be_read_again(operator: Operator, deployed: dict[str, str]) -> None:
    assert outputs_of(operator.runs("outputs", "--platform", "deployed", "--json")) == deployed


def test_a_second_deploy_changes_nothing(operator: Operator, deployed: dict[str, str]) -> None:
    again = operator.deploys("deployed", "--json")
    assert changes(again) == []
    assert "nothing to change" in again.said
    assert outputs_of(again) == deployed


def test_everything_made_has_the_platforms_name_and_tag(
    operator_session: boto3.Session, deployed: dict[str, str]
) -> None:
    assert named(operator_session, "deployed") == kept("deployed") | {
        *("deployed", "deployed-environments", "deployed-api", "deployed-worker", "deployed-schedule"),
        *("deployed-apprunner-access", "deployed-nightly", "deployed-light"),
    }
    functions = operator_session.client("lambda")
    worker = functions.get_function(FunctionName=deployed["worker_function"])
    assert worker["Tags"] == {"fibfactory:platform": "deployed"}
    dynamodb = operator_session.client("dynamodb")
    table = dynamodb.describe_table(TableName=deployed["table_name"])["Table"]
    assert dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"] == [
        {"Key": "fibfactory:platform", "Value": "deployed"}
    ]


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


def test_the_api_lets_in_whom_iam_lets_in(cloud: RunningCloud, deployed: dict[str, str]) -> None:
    assert called(deployed["api_url"]) == 403
    assert called(deployed["api_url"], cloud.session("nobody").get_credentials()) == 403
    assert called(deployed["api_url"], cloud.session("alice").get_credentials()) == 200


def test_a_changed_setting_changes_what_it_is_about_and_replaces_nothing(
    operator: Operator, operator_session: boto3.Session
) -> None:
    first = operator.deploys("changing", "--json")
    assert len(changes(first)) == RESOURCES, first.said
    before = operator_session.client("dynamodb").describe_table(TableName="changing-environments")["Table"]["TableId"]
    changed = operator.deploys("changing", "--json", "--light-schedule", "rate(1 hour)", "--default-ttl", "6h")
    assert changed.code == 0, changed.said
    assert sorted(changes(changed)) == [
        "~ changed lambda Function changing-api",
        "~ changed lambda Function changing-worker",
        "~ changed scheduler Schedule changing-light",
    ]
    schedule = operator_session.client("scheduler").get_schedule(Name="changing-light")
    assert schedule["ScheduleExpression"] == "rate(1 hour)"
    after = operator_session.client("dynamodb").describe_table(TableName="changing-environments")["Table"]["TableId"]
    assert after == before


def test_a_destroy_is_refused_while_environments_live_and_leaves_state_and_key(
    operator: Operator, operator_session: boto3.Session
) -> None:
    file = operator.folder / "protected.toml"
    file.write_text("protect_table = true\n")
    outputs_of(operator.deploys("ending", "--json", "--settings", str(file)))
    dynamodb = operator_session.client("dynamodb")
    table = dynamodb.describe_table(TableName="ending-environments")["Table"]
    assert table["DeletionProtectionEnabled"]
    record = {"pk": {"S": "ENV#test1"}, "sk": {"S": "RECORD"}, "status": {"S": "ready"}, "created_at": {"S": "now"}}
    dynamodb.put_item(TableName="ending-environments", Item=record)

    refused = operator.runs("destroy", "--platform", "ending", "--yes")
    assert refused.code == 1
    assert "still has 1 environment: test1" in refused.said
    assert dynamodb.describe_table(TableName="ending-environments")["Table"]["DeletionProtectionEnabled"]
    assert "ending-worker" in named(operator_session, "ending")

    dynamodb.put_item(TableName="ending-environments", Item=record | {"status": {"S": "destroyed"}})
    asked = operator.runs("destroy", "--platform", "ending", answers="n\n")
    assert asked.code == 130 and "Not done" in asked.said
    assert "ending-worker" in named(operator_session, "ending")

    done = operator.runs("destroy", "--platform", "ending", answers="y\n")
    assert done.code == 0, done.said
    assert named(operator_session, "ending") == kept("ending")
    assert all(name in done.said for name in kept("ending"))
    stacks = keys_below(operator_session, "ending", ".pulumi/stacks/")
    assert [key for key in stacks if not key.endswith(".bak")] == []
    assert keys_below(operator_session, "ending", ".pulumi/locks/") == []

    again = operator.runs("destroy", "--platform", "ending", "--yes")
    assert again.code == 0 and "othing to destroy" in again.said


def test_a_preview_that_is_answered_with_no_makes_no_platform(
    operator: Operator, operator_session: boto3.Session
) -> None:
    ran = operator.runs("deploy", "--platform", "hesitant", "--code", "archive", answers="n\n")
    assert ran.code == 130 and "Not done" in ran.said
    assert named(operator_session, "hesitant") == set()
    ran = operator.runs("deploy", "--platform", "hesitant", "--code", "archive", answers="y\nn\n")
    assert ran.code == 130
    assert "+ make dynamodb Table environments" in ran.said
    assert named(operator_session, "hesitant") == kept("hesitant")


def test_a_stop_is_in_order_and_the_next_run_goes_on_from_there(
    operator: Operator, operator_session: boto3.Session
) -> None:
    arguments = ["deploy", "--platform", "stopped", "--code", "archive", "--yes"]
    with subprocess.Popen(
        [sys.executable, "-m", "bootstrap", *arguments],
        cwd=ROOT,
        env=operator.environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("  + made"):
                process.send_signal(signal.SIGINT)
                break
        said.extend(process.stderr)
    assert process.returncode == 130, "".join(said)
    assert "stopping in order" in "".join(said)
    assert keys_below(operator_session, "stopped", ".pulumi/locks/") == []
    assert list(operator.folder.glob("fibfactory-*")) == []
    made = sum(line.startswith("  + made") for line in said)

    resumed = operator.deploys("stopped", "--json")
    assert outputs_of(resumed)["platform"] == "stopped"
    assert 0 < len(changes(resumed)) <= RESOURCES - made


def test_a_lock_of_a_run_that_died_is_named_with_the_command_that_breaks_it(
    operator: Operator, operator_session: boto3.Session
) -> None:
    operator.runs("deploy", "--platform", "locked", "--code", "archive", answers="y\nn\n")
    lock = {"pid": 1, "username": "somebody", "hostname": "gone", "timestamp": "2024-01-01T00:00:00Z"}
    bucket = f"locked-state-{ACCOUNT}-{REGION}"
    key = ".pulumi/locks/organization/fibfactory-platform/locked/11111111-2222-3333-4444-555555555555.json"
    operator_session.client("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(lock).encode())

    ran = operator.deploys("locked")
    assert ran.code == 1
    assert "being changed by another run, or by one that died" in ran.said
    assert named(operator_session, "locked") == kept("locked")

    advised = ran.said.split("If it died: ")[1].split(";")[0]
    backend, *command = shlex.split(advised)
    environment = operator.environment | dict([backend.split("=", 1)])
    subprocess.run(command, env=environment, cwd=operator.folder, check=True, capture_output=True, timeout=60)
    assert keys_below(operator_session, "locked", ".pulumi/locks/") == []


def test_a_permission_that_is_missing_in_the_middle_is_named_and_the_next_run_mends_it(
    operator: Operator, operator_session: boto3.Session
) -> None:
    iam = operator_session.client("iam")
    iam.create_user(UserName="halfway")
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    but = {"Effect": "Deny", "Action": "iam:CreateRole", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [everything, but]}
    iam.put_user_policy(UserName="halfway", PolicyName="halfway", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="halfway")["AccessKey"]
    halfway = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    ran = operator.deploys("halfway", environment=halfway)
    assert ran.code == 1
    last = ran.said[ran.said.index("error ") :]
    assert "AccessDenied for iam:CreateRole" in last
    assert "run it again" in last

    assert operator.deploys("halfway").code == 0
    assert "halfway-worker" in named(operator_session, "halfway")


def test_who_may_nothing_is_told_the_first_permission_that_is_missing(
    operator: Operator, operator_session: boto3.Session
) -> None:
    ran = operator.deploys("nobodys", environment=operator.of("nobody"))
    assert ran.code == 1 and "kms:DescribeKey" in ran.said
    assert named(operator_session, "nobodys") == set()


def test_an_archive_is_refused_on_aws_before_anything_is_asked_of_it(operator: Operator) -> None:
    ran = operator.runs("deploy", "--code", "archive", "--yes", without=("AWS_ENDPOINT_URL",))
    assert ran.code == 2
    assert "On AWS the functions can't run from an archive" in ran.said and "--image-uri" in ran.said


def test_without_credentials_it_says_how_to_sign_in(operator: Operator) -> None:
    ran = operator.runs(
        *("deploy", "--code", "archive", "--yes"),
        without=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        environment={"AWS_EC2_METADATA_DISABLED": "true"},
    )
    assert ran.code == 1 and "no usable AWS credentials" in ran.said and "AWS_PROFILE" in ran.said


def test_without_a_region_it_says_how_to_choose_one(operator: Operator) -> None:
    without = ("AWS_REGION", "AWS_DEFAULT_REGION")
    assert "region is missing" in operator.runs("deploy", "--code", "archive", "--yes", without=without).said
    assert "--region" in operator.runs("destroy", "--yes", without=without).said


def test_without_the_pulumi_cli_it_says_so_and_makes_nothing(
    operator: Operator, operator_session: boto3.Session
) -> None:
    ran = operator.deploys("unequipped", environment={"PATH": os.defpath})
    assert ran.code == 1 and "Pulumi CLI is not on PATH" in ran.said
    assert named(operator_session, "unequipped") == set()


@pytest.mark.parametrize("command", ["outputs", "destroy"])
def test_a_platform_that_is_not_there_is_said_so(operator: Operator, command: str) -> None:
    ran = operator.runs(command, "--platform", "nowhere", *(("--yes",) if command == "destroy" else ()))
    assert ran.code == (1 if command == "outputs" else 0)
    assert "There is no platform nowhere" in ran.said
