"""A deploy that is killed, with things asked of AWS whose making it never learns the end of: the next run takes them on."""

from __future__ import annotations

import shlex
import signal
import subprocess
from pathlib import Path

import boto3
import pytest

from localcloud.running import RunningCloud
from tests.functional.bootstrap_operator import Operator, changes


@pytest.fixture
def operator(cloud: RunningCloud, tmp_path: Path) -> Operator:
    return Operator(cloud, tmp_path)


@pytest.mark.parametrize("made", [2, 20])
def test_a_deploy_that_was_killed_is_ended_by_the_next_without_anything_made_twice(
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


def test_a_teardown_after_a_deploy_that_was_killed_leaves_nothing_of_it(
    operator: Operator, operator_session: boto3.Session
) -> None:
    killed_at(operator, 4, "deploy", "--platform", "aborted", "--code", "archive", "--yes")
    command = ("destroy", "--platform", "aborted", "--yes")
    break_the_lock(operator, *command)
    done = operator.runs(*command)
    assert done.code == 0, done.said
    roles = {role["RoleName"] for role in operator_session.client("iam").list_roles()["Roles"]}
    assert not {name for name in roles if name.startswith("aborted")}
    assert "aborted-environments" not in operator_session.client("dynamodb").list_tables()["TableNames"]
    assert "aborted" not in {api["Name"] for api in operator_session.client("apigatewayv2").get_apis()["Items"]}


def killed_at(operator: Operator, made: int, *command: str) -> None:
    """Run it, and kill it once it has said so often that something was made."""
    lines = iter(range(1, 1000))
    ran = operator.runs_until(
        lambda line: line.startswith("  + made") and next(lines) == made, subprocess.Popen.kill, *command
    )
    assert ran.code == -signal.SIGKILL


def break_the_lock(operator: Operator, *command: str) -> None:
    """As the next run advises: its CLI's lock has nobody any more."""
    locked = operator.runs(*command)
    assert "being changed by another run, or by one that died" in locked.said
    backend, *advised = shlex.split(locked.said.split("If it died: ")[1].split(";")[0])
    environment = operator.environment | dict([backend.split("=", 1)])
    subprocess.run(advised, env=environment, cwd=operator.folder, check=True, capture_output=True, timeout=60)
