"""The fault proxy: it passes calls on unchanged, and faults happen to the matching calls only."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import boto3
import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError

from localcloud.faults import faults
from localcloud.faults.calls import Call
from localcloud.faults.faults import Fault, Match, Moment
from localcloud.faults.proxy import Proxy, serve
from localcloud.running import RunningCloud

ONE_TRY = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})


@pytest.fixture
def proxy(cloud: RunningCloud) -> Iterator[Proxy]:
    with serve(cloud.endpoint_url, cloud.apprunner_url) as running:
        yield running


@pytest.fixture(scope="module")
def bucket(operator_session: boto3.Session) -> str:
    operator_session.client("s3").create_bucket(
        Bucket="faults", CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
    )
    return "faults"


def through(proxy: Proxy, session: boto3.Session, service: str, config: Config = ONE_TRY) -> Any:
    return session.client(service, endpoint_url=proxy.url, config=config)


def test_a_passed_call_is_unchanged_and_its_signature_valid(
    proxy: Proxy, operator_session: boto3.Session, bucket: str
) -> None:
    s3 = through(proxy, operator_session, "s3")
    body = bytes(range(256)) * 5000
    s3.put_object(Bucket=bucket, Key="a folder/ä.bin", Body=body)
    assert s3.get_object(Bucket=bucket, Key="a folder/ä.bin")["Body"].read() == body
    assert s3.head_object(Bucket=bucket, Key="a folder/ä.bin")["ContentLength"] == len(body)
    s3.delete_object(Bucket=bucket, Key="a folder/ä.bin")
    assert [(call.service, call.operation, call.changes) for call in proxy.calls] == [
        ("s3", "PutObject", True),
        ("s3", "GetObject", False),
        ("s3", "HeadObject", False),
        ("s3", "DeleteObject", True),
    ]
    assert {call.target for call in proxy.calls} == {"a folder/ä.bin"}


def test_a_wrong_secret_is_refused_as_without_the_proxy(proxy: Proxy, cloud: RunningCloud) -> None:
    session = boto3.Session(cloud.identity("operator").access_key, "wrong", region_name=cloud.region)
    with pytest.raises(ClientError, match=r"SignatureDoesNotMatch|InvalidSignatureException"):
        through(proxy, session, "dynamodb").list_tables()


def test_app_runner_and_the_rest_are_behind_the_same_port(proxy: Proxy, operator_session: boto3.Session) -> None:
    assert "ServiceSummaryList" in through(proxy, operator_session, "apprunner").list_services()
    assert "TableNames" in through(proxy, operator_session, "dynamodb").list_tables()
    through(proxy, operator_session, "resourcegroupstaggingapi").get_resources()
    assert [(call.service, call.operation) for call in proxy.calls] == [
        ("apprunner", "ListServices"),
        ("dynamodb", "ListTables"),
        ("tagging", "GetResources"),
    ]


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "code"),
    [
        ("dynamodb", "list_tables", {}, "ThrottlingException"),
        ("s3", "list_objects_v2", {"Bucket": "faults"}, "SlowDown"),
        ("apprunner", "list_services", {}, "InternalServiceErrorException"),
        ("lambda", "list_functions", {}, "TooManyRequestsException"),
    ],
)
def test_an_injected_error_has_the_form_of_the_service(
    proxy: Proxy,
    operator_session: boto3.Session,
    bucket: str,
    service: str,
    operation: str,
    arguments: dict[str, str],
    code: str,
) -> None:
    call = getattr(through(proxy, operator_session, service), operation)
    armed = proxy.arm(Fault(Match(service), faults.answer(503, code)))
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    assert refused.value.response["Error"]["Code"] == code
    assert armed.happened.is_set()
    call(**arguments)


def test_only_matching_calls_are_counted(proxy: Proxy, operator_session: boto3.Session, bucket: str) -> None:
    s3 = through(proxy, operator_session, "s3")
    match = Match("s3", "PutObject", "wanted/*", about="wanted/x")
    proxy.arm(Fault(match, faults.answer(500, "InternalError"), nth=2, every=2, times=2))
    outcomes = []
    for key in ("wanted/y", "wanted/x1", "other/x", "wanted/x2", "wanted/x3", "wanted/x4", "wanted/x5", "wanted/x6"):
        try:
            s3.put_object(Bucket=bucket, Key=key, Body=b"")
            outcomes.append((key, "stored"))
        except ClientError:
            outcomes.append((key, "failed"))
    assert [key for key, outcome in outcomes if outcome == "failed"] == ["wanted/x2", "wanted/x4"]


@pytest.mark.parametrize(("moment", "stored"), [(Moment.BEFORE, False), (Moment.AFTER, True)])
def test_a_call_is_cut_before_or_after_its_effect(
    proxy: Proxy, operator_session: boto3.Session, bucket: str, moment: Moment, stored: bool
) -> None:
    s3 = through(proxy, operator_session, "s3")
    proxy.arm(Fault(Match(operation="PutObject"), faults.cut, moment))
    with pytest.raises((ConnectionClosedError, EndpointConnectionError)):
        s3.put_object(Bucket=bucket, Key=f"cut-{moment}", Body=b"x")
    found = s3.list_objects_v2(Bucket=bucket, Prefix=f"cut-{moment}")
    assert bool(found.get("Contents")) is stored


def test_a_delayed_call_arrives(proxy: Proxy, operator_session: boto3.Session) -> None:
    dynamodb = through(proxy, operator_session, "dynamodb")
    proxy.arm(Fault(Match("dynamodb"), faults.delay(0.5)))
    started = time.monotonic()
    dynamodb.list_tables()
    assert time.monotonic() - started >= 0.5


def test_a_disarmed_fault_does_not_happen(proxy: Proxy, operator_session: boto3.Session) -> None:
    dynamodb = through(proxy, operator_session, "dynamodb")
    kept = proxy.arm(Fault(Match("s3"), faults.cut))
    proxy.disarm(proxy.arm(Fault(Match("dynamodb"), faults.cut, times=10)))
    dynamodb.list_tables()
    proxy.disarm()
    assert not kept.happened.is_set()


def test_a_fault_can_find_the_calling_process(
    proxy: Proxy, cloud: RunningCloud, operator_session: boto3.Session
) -> None:
    seen: list[int | None] = []

    def kill(call: Call) -> faults.Outcome:
        seen.append(call.client())
        psutil.Process(call.client()).kill()
        return faults.CUT

    proxy.arm(Fault(Match("sts", about="the-one-that-is-meant"), kill))
    program = (
        f"import boto3, time; boto3.client('sts', endpoint_url='{proxy.url}').get_caller_identity(); time.sleep(60)"
    )
    environment = cloud.environment(cloud.identity("operator"))
    through(proxy, operator_session, "sts").get_caller_identity()  # of this process, whose command line does not say so
    with subprocess.Popen([sys.executable, "-c", program, "the-one-that-is-meant"], env=environment) as child:
        assert child.wait(30) == -9
    assert seen == [child.pid]
    assert psutil.pid_exists(psutil.Process().pid)


def test_nothing_is_left_when_it_ends(cloud: RunningCloud, operator_session: boto3.Session) -> None:
    with serve(cloud.endpoint_url, cloud.apprunner_url) as proxy:
        dynamodb = through(proxy, operator_session, "dynamodb")
        dynamodb.list_tables()
    with pytest.raises((EndpointConnectionError, ConnectionClosedError)):
        dynamodb.list_tables()
