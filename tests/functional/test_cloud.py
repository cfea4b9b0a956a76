"""The local cloud's processes: they start, answer, enforce permissions, and leave nothing behind, however they end."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest

from localcloud import cloud_handle
from localcloud.cloud import LocalCloud
from localcloud.errors import FolderInUse, NotReady, PortTaken
from localcloud.processes import MARK, marked
from localcloud.running import RunningCloud
from localcloud.settings import ROOT, Ports
from tests.functional.apprunner_fixtures import refused
from tests.waiting import eventually

FUNCTION = """
import os, subprocess, sys, time

def handler(event, context):
    if "sleep" in event:
        quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.Popen(["sleep", str(event["sleep"])], start_new_session=True, **quiet)
        time.sleep(event["sleep"])
    print("said on stdout")
    print("said on stderr", file=sys.stderr)
    return dict(os.environ)
"""


def make_function(session: boto3.Session, name: str) -> Any:
    """A function that answers with its environment, or sleeps with a child that has a session of its own.

    The Lambda client.
    """
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = session.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=policy)["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("function.py", FUNCTION)
    client = session.client("lambda")
    client.create_function(
        FunctionName=name,
        Role=role,
        Runtime="python3.11",
        Handler="function.handler",
        Timeout=600,
        Code={"ZipFile": code.getvalue()},
        Environment={"Variables": {"ITS_OWN": "setting"}},
    )
    return client


def make_busy(cloud: RunningCloud, count: int) -> None:
    """Have `count` invocations run at once, each with a child process that would outlive its worker."""
    client = make_function(cloud.session("operator"), "busy")
    for _ in range(count):
        client.invoke(FunctionName="busy", InvocationType="Event", Payload=json.dumps({"sleep": 600}))
    assert eventually(lambda: sleepers(cloud) == count)


def sleepers(cloud: RunningCloud) -> int:
    """How many of those children there are."""
    return sum(1 for name in names(marked(cloud.mark)) if name == "sleep")


def names(processes: list[psutil.Process]) -> Iterator[str]:
    """The names of those that are still there when asked."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            yield process.name()


def nothing_left(cloud: RunningCloud) -> bool:
    """Whether no process and no folder of the cloud is left."""
    return not marked(cloud.mark) and not cloud.folder.exists()


def test_every_endpoint_answers(cloud: RunningCloud, operator_session: boto3.Session) -> None:
    assert operator_session.client("sts").get_caller_identity()["Arn"] == cloud.identity("operator").user_arn
    assert "ServiceSummaryList" in operator_session.client("apprunner").list_services()
    assert "ResourceTagMappingList" in operator_session.client("resourcegroupstaggingapi").get_resources()
    with socket.create_connection(("127.0.0.1", cloud.ports.provider), timeout=5):
        pass


def test_nothing_listens_beyond_loopback(cloud: RunningCloud) -> None:
    listening = [
        # gRPC shows loopback in the notation of IPv6.
        connection.laddr.ip.removeprefix("::ffff:")
        for process in marked(cloud.mark)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 3
    assert set(listening) == {"127.0.0.1"}


@pytest.mark.parametrize("name", ["alice", "bob", "nobody"])
def test_only_the_operator_may_use_aws(cloud: RunningCloud, operator_session: boto3.Session, name: str) -> None:
    assert "TableNames" in operator_session.client("dynamodb").list_tables()
    assert refused(cloud.session(name).client("dynamodb").list_tables)[0] == "AccessDeniedException"


def test_a_wrong_secret_is_refused(cloud: RunningCloud) -> None:
    stranger = boto3.client(
        "dynamodb",
        endpoint_url=cloud.endpoint_url,
        region_name=cloud.region,
        aws_access_key_id=cloud.identity("operator").access_key,
        aws_secret_access_key="wrong",
    )
    # DynamoDB's own name for SignatureDoesNotMatch is InvalidSignatureException.
    assert refused(stranger.list_tables)[0] in {"SignatureDoesNotMatch", "InvalidSignatureException"}


def test_the_files_with_keys_are_private(cloud: RunningCloud) -> None:
    for path in ("cloud.json", "aws/credentials", "aws/config"):
        assert (cloud.folder / path).stat().st_mode & 0o077 == 0


def test_the_environment_is_enough_for_another_program(cloud: RunningCloud) -> None:
    alice = cloud.identity("alice")
    program = """
import boto3
print(boto3.client("sts").get_caller_identity()["Arn"], boto3.client("apprunner").meta.endpoint_url)
"""
    out = subprocess.run(
        [sys.executable, "-c", program],
        env=cloud.environment(alice),
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    assert out.split() == [alice.user_arn, cloud.apprunner_url]


def test_a_function_runs_with_its_role_and_the_listed_environment_only(
    cloud: RunningCloud, operator_session: boto3.Session
) -> None:
    client = make_function(operator_session, "environment")
    answer = json.load(client.invoke(FunctionName="environment", Payload=b"{}")["Payload"])

    lambdas_own = {name for name in answer if name.startswith(("AWS_", "_")) or name == "LAMBDA_TASK_ROOT"}
    listed = {"PATH", "HOME", "TMPDIR", "LANG", "PULUMI_DEBUG_PROVIDERS", MARK}
    ministacks_own = {
        "BIND_HOST", "GATEWAY_PORT", "AUTH", "IOT_MTLS_ENABLED", "SFTP_ENABLED", "MINISTACK_REGION",
        "LAMBDA_ACCOUNT_CONCURRENCY", "LOG_LEVEL",
    }  # fmt: skip
    assert set(answer) - lambdas_own == listed | ministacks_own | {"ITS_OWN"}
    assert {name for name in answer if name.startswith("AWS_ENDPOINT")} == {
        "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_APPRUNNER", "AWS_ENDPOINT_URL_RESOURCE_GROUPS_TAGGING_API",
    }  # fmt: skip
    assert answer["AWS_ENDPOINT_URL_APPRUNNER"] == cloud.apprunner_url
    assert answer["AWS_REGION"] == "us-west-2"
    # Session credentials of the function's role, not a long-lived key.
    assert answer["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    for name in ("HOME", "TMPDIR", "LAMBDA_TASK_ROOT"):
        assert Path(answer[name]).is_relative_to(cloud.folder)


def test_a_functions_output_is_in_its_log(operator_session: boto3.Session) -> None:
    client = make_function(operator_session, "talkative")
    client.invoke(FunctionName="talkative", Payload=b"{}")

    found = operator_session.client("logs").filter_log_events(logGroupName="/aws/lambda/talkative")["events"]
    assert {"said on stdout", "said on stderr"} <= {event["message"] for event in found}


def test_stopping_leaves_no_process_and_no_folder() -> None:
    with LocalCloud() as cloud:
        make_busy(cloud, 3)
    assert nothing_left(cloud)


def test_thirty_invocations_run_at_once() -> None:
    with LocalCloud() as cloud:
        make_busy(cloud, 30)
    assert nothing_left(cloud)


def test_an_exception_in_the_block_stops_it_too() -> None:
    with pytest.raises(LookupError), LocalCloud() as cloud:
        raise LookupError
    assert nothing_left(cloud)


def test_a_taken_port_is_reported_by_number() -> None:
    free = Ports.free()
    with socket.create_server(("127.0.0.1", free.apprunner)), pytest.raises(PortTaken) as taken:
        LocalCloud(ports=free).start()
    assert f"Port {free.apprunner} on 127.0.0.1 is taken" in str(taken.value)
    assert "FIBFACTORY_PORT=" in str(taken.value)


def test_a_part_that_cannot_start_is_named_with_its_log_and_nothing_stays(tmp_path: Path) -> None:
    folder = tmp_path / "cloud"
    with pytest.raises(NotReady, match="The App Runner emulator ended with code") as failed:
        LocalCloud(folder=folder, images=tmp_path / "missing.toml").start()
    assert "missing.toml" in str(failed.value)
    assert not folder.exists()


def test_a_folder_with_other_things_in_it_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(FolderInUse, match="is not empty"):
        LocalCloud(folder=tmp_path).start()
    assert (tmp_path / "letter.txt").read_text() == "mine"


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], RunningCloud]]:
    """`python -m localcloud` in a process group of its own, and its cloud."""
    command = [sys.executable, "-m", "localcloud", "--folder", str(tmp_path / "cloud")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        cloud = cloud_handle.find(Path(ready["file"]).parent)
        assert cloud is not None
        assert cloud.endpoint_url == ready["endpoint_url"]
        try:
            yield process, cloud
        finally:
            process.terminate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_supervisor_and_all_it_started(
    supervisor: tuple[subprocess.Popen[str], RunningCloud], number: signal.Signals
) -> None:
    process, cloud = supervisor
    make_busy(cloud, 2)
    # As a terminal does it: to the whole group.
    os.killpg(process.pid, number)
    assert process.wait(timeout=60) == 0
    assert nothing_left(cloud)


def test_killing_the_supervisor_leaves_no_process_and_no_folder(
    supervisor: tuple[subprocess.Popen[str], RunningCloud],
) -> None:
    process, cloud = supervisor
    make_busy(cloud, 2)
    process.kill()
    assert eventually(lambda: nothing_left(cloud))


def test_the_supervisor_ends_when_a_part_dies(
    supervisor: tuple[subprocess.Popen[str], RunningCloud],
) -> None:
    process, cloud = supervisor
    part = next(each for each in marked(cloud.mark) if each.cmdline()[-1].endswith("iam_endpoint.py"))
    part.kill()
    assert process.wait(timeout=60) == 1
    assert nothing_left(cloud)


def test_another_process_can_stop_the_supervisor_knowing_its_folder(
    supervisor: tuple[subprocess.Popen[str], RunningCloud],
) -> None:
    process, cloud = supervisor
    cloud_handle.stop(cloud)
    assert process.wait(timeout=60) == 0
    assert nothing_left(cloud)
    assert cloud_handle.find(cloud.folder) is None
