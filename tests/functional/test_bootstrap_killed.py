"""After a killed deploy the next run records what AWS has made, except for resources of others.

It does not while another run may be changing the platform.
"""

from __future__ import annotations

import io
import json
import math
import shlex
import signal
import subprocess
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from rich.console import Console

from bootstrap.commands.platform_stack import PROJECT, PlatformStack, open_stack
from bootstrap.commands.recovery import Found, finder
from bootstrap.errors import BootstrapError, StackLocked
from bootstrap.foundations.ensure import ensure_foundations
from bootstrap.foundations.lookup import Foundations
from bootstrap.names import Names
from localcloud.running import RunningCloud
from orchestrator.adapters.pulumi.process import PulumiProcess
from orchestrator.ports import StopSignal
from tests.functional.bootstrap_operator import ACCOUNT, REGION, Operator, changes


@pytest.fixture
def operator(cloud: RunningCloud, tmp_path: Path) -> Operator:
    return Operator(cloud, tmp_path)


@pytest.mark.parametrize("made", [2, 20])
def test_a_killed_deploy_is_completed_by_the_next_without_duplicates(
    operator: Operator, operator_session: boto3.Session, made: int
) -> None:
    platform = f"killed-{made}"
    command = ("deploy", "--platform", platform, "--code", "archive", "--yes")
    killed_at(operator, made, *command)
    break_the_lock(operator, *command)
    again = operator.runs(*command)
    assert again.code == 0, again.said
    apis = operator_session.client("apigatewayv2").get_apis()["Items"]
    assert [api["Name"] for api in apis].count(platform) == 1
    assert changes(operator.runs(*command)) == []


def test_a_teardown_after_a_killed_deploy_leaves_nothing(operator: Operator, operator_session: boto3.Session) -> None:
    killed_at(operator, 4, "deploy", "--platform", "aborted", "--code", "archive", "--yes")
    command = ("destroy", "--platform", "aborted", "--yes")
    break_the_lock(operator, *command)
    done = operator.runs(*command)
    assert done.code == 0, done.said
    roles = {role["RoleName"] for role in operator_session.client("iam").list_roles()["Roles"]}
    assert not {name for name in roles if name.startswith("aborted")}
    assert "aborted-environments" not in operator_session.client("dynamodb").list_tables()["TableNames"]
    assert "aborted" not in {api["Name"] for api in operator_session.client("apigatewayv2").get_apis()["Items"]}


# While another run may be changing the platform


@dataclass(frozen=True)
class State:
    """A stack's state in the bucket."""

    session: boto3.Session
    foundations: Foundations
    platform: str

    def read(self) -> dict[str, Any]:
        body = self.session.client("s3").get_object(**self._object(f"stacks/{PROJECT}/{self.platform}.json"))["Body"]
        state: dict[str, Any] = json.load(body)
        return state

    def write(self, state: Mapping[str, Any]) -> None:
        self._put(f"stacks/{PROJECT}/{self.platform}.json", state)

    def lock(self) -> None:
        self._put(
            f"locks/organization/{PROJECT}/{self.platform}/1b2c.json", {"pid": 1, "username": "x", "hostname": "y"}
        )

    def leave_pending(self, *resources: dict[str, Any]) -> dict[str, Any]:
        """As a run does that is killed while it makes these; the state then."""
        state = self.read()
        pending = [{"resource": resource, "type": "creating"} for resource in resources]
        state["checkpoint"]["latest"]["pending_operations"] = pending
        self.write(state)
        return state

    def _object(self, key: str) -> dict[str, str]:
        return {"Bucket": self.foundations.bucket, "Key": f".pulumi/{key}"}

    def _put(self, key: str, content: Mapping[str, Any]) -> None:
        self.session.client("s3").put_object(**self._object(key), Body=json.dumps(content).encode())


@pytest.fixture
def platform_stack(
    operator: Operator, operator_session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Any]:
    """Opens a platform's stack in this process, after an empty deploy."""
    for name, value in operator.environment.items():
        monkeypatch.setenv(name, value)

    @contextmanager
    def opened(platform: str) -> Iterator[tuple[PlatformStack, State]]:
        foundations, quiet = ensure_foundations(operator_session, platform, lambda _: None), Console(quiet=True)
        with open_stack(foundations, quiet, PulumiProcess(StopSignal(math.inf)), lambda: None) as stack:
            stack.deploy()
            yield stack, State(operator_session, foundations, platform)

    return opened


def role_of(platform: str) -> dict[str, Any]:
    kind, name = "aws:iam/role:Role", f"{platform}-api"
    urn = f"urn:pulumi:{platform}::{PROJECT}::{kind}::{name}"
    return {"urn": urn, "custom": True, "type": kind, "inputs": {"name": name}}


def test_recovery_does_nothing_while_the_stack_is_locked(
    platform_stack: Callable[[str], Any], operator_session: boto3.Session
) -> None:
    def find(kind: str, inputs: Mapping[str, Any]) -> Found | None:
        raise AssertionError("looked for resources that another run may be making")

    with platform_stack("held") as (stack, state):
        before = state.leave_pending(role_of("held"))
        state.lock()
        with pytest.raises(StackLocked, match="being changed by another run"):
            stack.recover(operator_session, find)
        assert state.read() == before


def test_recovery_does_not_overwrite_a_state_that_changed_meanwhile(
    platform_stack: Callable[[str], Any], operator_session: boto3.Session
) -> None:
    with platform_stack("overtaken") as (stack, state):
        pending = state.leave_pending(role_of("overtaken"))

        def find(kind: str, inputs: Mapping[str, Any]) -> Found | None:
            # The other run made the role and ended.
            latest = pending["checkpoint"]["latest"]
            made = {**role_of("overtaken"), "id": "overtaken-api", "outputs": {"name": "overtaken-api"}}
            latest["resources"].append(made)
            del latest["pending_operations"]
            state.write(pending)
            return None

        with pytest.raises(StackLocked, match="being changed by another run"):
            stack.recover(operator_session, find)
        assert state.read() == pending and pending["checkpoint"]["latest"]["resources"][-1]["id"] == "overtaken-api"


# Resources of others


def test_a_resource_of_others_is_named_and_not_changed(
    platform_stack: Callable[[str], Any], operator_session: boto3.Session
) -> None:
    make(operator_session, "Role", "foreign-api", {})
    with platform_stack("foreign") as (stack, state):
        state.leave_pending(role_of("foreign"))
        find = finder(operator_session, state.foundations.names)
        with pytest.raises(BootstrapError, match=r"Role foreign-api.*fibfactory:platform=foreign") as caught:
            stack.recover(operator_session, find)
        assert "destroy again" in caught.value.advice
        latest = state.read()["checkpoint"]["latest"]
        assert not latest.get("pending_operations") and [each["type"] for each in latest["resources"]] == [
            "pulumi:pulumi:Stack"
        ]
        stack.recover(operator_session, find)
        stack.destroy()
    assert operator_session.client("iam").get_role(RoleName="foreign-api")["Role"]["RoleName"] == "foreign-api"


KINDS = {
    "Function": "aws:lambda/function:Function",
    "LogGroup": "aws:cloudwatch/logGroup:LogGroup",
    "Repository": "aws:ecr/repository:Repository",
    "Role": "aws:iam/role:Role",
    "Table": "aws:dynamodb/table:Table",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_resource_belongs_to_the_platform_by_its_tag_not_its_name(operator_session: boto3.Session, kind: str) -> None:
    find = finder(operator_session, Names("tagged", "aws", REGION, ACCOUNT))
    own = f"tagged-{kind.lower()}"
    for whose, platform in {"ours": "tagged", "anothers": "other", "nobodys": None}.items():
        make(operator_session, kind, f"{own}-{whose}", {"fibfactory:platform": platform} if platform else {})
    assert find(KINDS[kind], {"name": f"{own}-ours"}) == Found(f"{own}-ours")
    assert find(KINDS[kind], {"name": f"{own}-anothers"}) == Found(f"{own}-anothers", ours=False)
    assert find(KINDS[kind], {"name": f"{own}-nobodys"}) == Found(f"{own}-nobodys", ours=False)
    assert find(KINDS[kind], {"name": f"{own}-missing"}) is None


def test_a_schedule_belongs_to_the_platform_when_it_calls_its_worker(operator_session: boto3.Session) -> None:
    names = Names("timed", "aws", REGION, ACCOUNT)
    scheduler, find = operator_session.client("scheduler"), finder(operator_session, names)
    for name, target in {"timed-light": names.worker_arn, "timed-nightly": names.dead_letters_arn}.items():
        scheduler.create_schedule(
            Name=name,
            ScheduleExpression="rate(1 day)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": target, "RoleArn": names.role_arn("timed-schedule")},
        )
    kind = "aws:scheduler/schedule:Schedule"
    assert find(kind, {"name": "timed-light"}) == Found("default/timed-light")
    assert find(kind, {"name": "timed-nightly"}) == Found("default/timed-nightly", ours=False)
    assert find(kind, {"name": "timed-missing"}) is None


def make(session: boto3.Session, kind: str, name: str, tags: dict[str, str]) -> None:
    """Make a resource with these tags."""
    listed = {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]} if tags else {}
    match kind:
        case "Function":
            make(session, "Role", name, {})
            code = io.BytesIO()
            with zipfile.ZipFile(code, "w") as archive:
                archive.writestr("main.py", "def handler(event, context): ...")
            session.client("lambda").create_function(
                FunctionName=name,
                Runtime="python3.12",
                Handler="main.handler",
                Role=f"arn:aws:iam::{ACCOUNT}:role/{name}",
                Code={"ZipFile": code.getvalue()},
                Tags=tags,
            )
        case "LogGroup":
            session.client("logs").create_log_group(logGroupName=name, **({"tags": tags} if tags else {}))
        case "Repository":
            session.client("ecr").create_repository(repositoryName=name, tags=listed.get("Tags", []))
        case "Role":
            nobody = {"Version": "2012-10-17", "Statement": []}
            session.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(nobody), **listed)
        case "Table":
            session.client("dynamodb").create_table(
                TableName=name,
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                BillingMode="PAY_PER_REQUEST",
                **listed,
            )


def killed_at(operator: Operator, made: int, *command: str) -> None:
    """Run the command, and kill it when it has reported so many made resources."""
    lines = iter(range(1, 1000))
    ran = operator.runs_until(
        lambda line: line.startswith("  + made") and next(lines) == made, subprocess.Popen.kill, *command
    )
    assert ran.code == -signal.SIGKILL


def break_the_lock(operator: Operator, *command: str) -> None:
    """Remove the lock of the killed CLI, as the next run advises."""
    locked = operator.runs(*command)
    assert "being changed by another run, or by one that was killed" in locked.said
    backend, *advised = shlex.split(locked.said.split("If it was killed: ")[1].split(";")[0])
    environment = operator.environment | dict([backend.split("=", 1)])
    subprocess.run(advised, env=environment, cwd=operator.folder, check=True, capture_output=True, timeout=60)
