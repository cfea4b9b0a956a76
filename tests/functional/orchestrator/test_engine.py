"""The engine adapter with the real Pulumi CLI: its processes, progress, failures and stops."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import boto3
import psutil
import pytest

from localcloud.apprunner.admin import AppRunnerAdmin
from localcloud.running import RunningCloud
from orchestrator.adapters.pulumi.engine import PulumiEngine
from orchestrator.adapters.pulumi.stacks import PulumiStacks, Target
from orchestrator.adapters.pulumi.state import StateBucket
from orchestrator.domain.environment import Environment, Spec
from orchestrator.domain.errors import Interrupted, Terminal, Transient
from orchestrator.ports import StopSignal
from tests.functional.counted_cli import CountedCli
from tests.functional.orchestrator.conftest import Backend
from tests.waiting import eventually

IMAGE = "public.ecr.aws/fibfactory/fibservice:latest"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def engine(
    as_operator: None, backend: Backend, operator_session: boto3.Session, cloud: RunningCloud, tmp_path: Path
) -> PulumiEngine:
    return PulumiEngine(
        stacks=PulumiStacks(Target(backend.url, backend.secrets_provider, str(tmp_path / "home"))),
        state=StateBucket(operator_session.client("s3"), backend.url),
        platform="tests",
        prefix="fib-app",
        region=cloud.region,
        access_role_arn="arn:aws:iam::000000000000:role/access",
    )


def environment(environment_id: str, image: str = IMAGE) -> Environment:
    return Environment(environment_id, "arn:alice", NOW, NOW, Spec(image))


def never_stop() -> StopSignal:
    return StopSignal(grace=25.0)


def test_a_create_takes_two_cli_processes_an_update_one_and_a_destroy_one(
    counted_cli: CountedCli, engine: PulumiEngine, apprunner: AppRunnerAdmin
) -> None:
    first = environment("counted1")
    engine.deploy(first, new=True, refresh=False, progress=print, stop=never_stop())
    assert counted_cli.commands() == ["stack select", "up"]
    second = replace(first, spec=Spec("public.ecr.aws/fibfactory/fibservice:v2"), generation=2)
    engine.deploy(second, new=False, refresh=False, progress=print, stop=never_stop())
    assert counted_cli.commands() == ["up"]
    engine.destroy(second, refresh=False, progress=print, stop=never_stop())
    assert counted_cli.commands() == ["destroy"]


def test_a_deploy_reports_its_progress_and_returns_the_url(engine: PulumiEngine, apprunner: AppRunnerAdmin) -> None:
    lines: list[str] = []
    deployed = engine.deploy(
        environment("progress1"), new=True, refresh=False, progress=lines.append, stop=never_stop()
    )
    assert deployed.url.startswith("http://127.0.0.1:")
    assert "aws:apprunner/service:Service app-runner-service: create done" in lines
    engine.destroy(environment("progress1"), refresh=False, progress=lines.append, stop=never_stop())
    assert "aws:apprunner/service:Service app-runner-service: delete done" in lines


def test_a_destroy_leaves_nothing_of_the_stack_in_the_bucket(
    engine: PulumiEngine, backend: Backend, operator_session: boto3.Session, apprunner: AppRunnerAdmin
) -> None:
    engine.deploy(environment("traces1"), new=True, refresh=False, progress=print, stop=never_stop())
    assert engine.state.exists("fibfactory-traces1")
    engine.destroy(environment("traces1"), refresh=False, progress=print, stop=never_stop())
    assert not engine.state.exists("fibfactory-traces1")
    entries = operator_session.client("s3").list_objects_v2(Bucket=backend.bucket).get("Contents", [])
    assert [entry["Key"] for entry in entries if "traces1" in entry["Key"]] == []


def test_destroying_a_stack_that_does_not_exist_succeeds(engine: PulumiEngine) -> None:
    engine.destroy(environment("absent1"), refresh=False, progress=print, stop=never_stop())


def test_an_update_without_a_stack_creates_it(engine: PulumiEngine, apprunner: AppRunnerAdmin) -> None:
    deployed = engine.deploy(environment("recreated1"), new=False, refresh=False, progress=print, stop=never_stop())
    assert deployed.url
    engine.destroy(environment("recreated1"), refresh=False, progress=print, stop=never_stop())


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ("throttling", Transient, "aws_unavailable"),
        ("access_role", Terminal, "access_role"),
        ("fail", Terminal, "create_failed"),
    ],
)
def test_a_failed_deploy_has_the_kind_and_code_of_its_cause(
    engine: PulumiEngine, apprunner: AppRunnerAdmin, fault: str, kind: type[Exception], code: str
) -> None:
    # More failures than the provider itself retries.
    apprunner.inject(fault, operation="CreateService", times=1 if fault == "fail" else 20)
    image = "000000000000.dkr.ecr.us-west-2.amazonaws.com/fibservice:latest" if fault == "access_role" else IMAGE
    with pytest.raises(kind) as failure:
        engine.deploy(environment("faulty1", image), new=True, refresh=False, progress=print, stop=never_stop())
    assert failure.value.code == code  # type: ignore[attr-defined]
    apprunner.clear_faults()
    engine.destroy(environment("faulty1"), refresh=False, progress=print, stop=never_stop())


def test_an_exceeded_quota_is_a_terminal_failure(engine: PulumiEngine, apprunner: AppRunnerAdmin) -> None:
    apprunner.behave(quota=0)
    with pytest.raises(Terminal) as failure:
        engine.deploy(environment("quota1"), new=True, refresh=False, progress=print, stop=never_stop())
    assert failure.value.code == "quota"
    engine.destroy(environment("quota1"), refresh=False, progress=print, stop=never_stop())


def test_a_stopped_deploy_keeps_its_service_in_the_state_and_leaves_no_process(
    engine: PulumiEngine, apprunner: AppRunnerAdmin
) -> None:
    apprunner.behave(delays={"create": 5})
    stop = never_stop()

    def stop_when_created(line: str) -> None:
        if "app-runner-service: create" in line:
            threading.Timer(0.5, stop.set).start()

    with pytest.raises(Interrupted):
        engine.deploy(environment("stopped1"), new=True, refresh=False, progress=stop_when_created, stop=stop)
    children = [child.name() for child in psutil.Process().children(recursive=True)]
    assert "pulumi" not in children
    assert engine.state.exists("fibfactory-stopped1")
    eventually(lambda: all(each.status != "OPERATION_IN_PROGRESS" for each in apprunner.services()))
    lines: list[str] = []
    engine.destroy(environment("stopped1"), refresh=False, progress=lines.append, stop=never_stop())
    assert "aws:apprunner/service:Service app-runner-service: delete done" in lines
    assert [each.status for each in apprunner.services()] == ["DELETED"]


def test_a_service_removed_outside_pulumi_is_created_again_and_can_be_destroyed(
    engine: PulumiEngine, apprunner: AppRunnerAdmin, operator_session: boto3.Session
) -> None:
    first = environment("removed1")
    engine.deploy(first, new=True, refresh=False, progress=print, stop=never_stop())
    client = operator_session.client("apprunner")

    def remove_service() -> None:
        client.delete_service(ServiceArn=client.list_services()["ServiceSummaryList"][0]["ServiceArn"])
        eventually(lambda: not client.list_services()["ServiceSummaryList"])

    remove_service()
    assert engine.deploy(first, new=False, refresh=True, progress=print, stop=never_stop()).url
    assert len(client.list_services()["ServiceSummaryList"]) == 1
    remove_service()
    engine.destroy(first, refresh=True, progress=print, stop=never_stop())
    assert not engine.state.exists("fibfactory-removed1")


def test_an_update_refused_by_aws_is_sent_again_after_a_refresh(
    engine: PulumiEngine, apprunner: AppRunnerAdmin, operator_session: boto3.Session
) -> None:
    first = environment("refused1")
    engine.deploy(first, new=True, refresh=False, progress=print, stop=never_stop())
    second = replace(first, spec=Spec("public.ecr.aws/fibfactory/fibservice:v2"), generation=2)
    apprunner.inject("internal_error", operation="UpdateService", times=20)
    with pytest.raises(Transient):
        engine.deploy(second, new=False, refresh=False, progress=print, stop=never_stop())
    apprunner.clear_faults()
    engine.deploy(second, new=False, refresh=True, progress=print, stop=never_stop())
    client = operator_session.client("apprunner")
    arn = client.list_services()["ServiceSummaryList"][0]["ServiceArn"]
    source = client.describe_service(ServiceArn=arn)["Service"]["SourceConfiguration"]
    assert source["ImageRepository"]["ImageIdentifier"].endswith(":v2")
    engine.destroy(second, refresh=False, progress=print, stop=never_stop())


def test_a_locked_stack_is_a_terminal_failure_and_keeps_its_lock(
    engine: PulumiEngine, backend: Backend, operator_session: boto3.Session, apprunner: AppRunnerAdmin
) -> None:
    engine.deploy(environment("locked1"), new=True, refresh=False, progress=print, stop=never_stop())
    lock = ".pulumi/locks/organization/fibfactory/fibfactory-locked1/0d8d4d6c-4ea4-4d3c-9d2c-1f2e3d4c5b6a.json"
    body = b'{"pid":1,"username":"ann","hostname":"other-host","timestamp":"2026-01-01T00:00:00Z"}'
    operator_session.client("s3").put_object(Bucket=backend.bucket, Key=lock, Body=body)
    with pytest.raises(Terminal) as failure:
        engine.destroy(environment("locked1"), refresh=False, progress=print, stop=never_stop())
    assert failure.value.code == "stack_locked"
    assert operator_session.client("s3").head_object(Bucket=backend.bucket, Key=lock)
    operator_session.client("s3").delete_object(Bucket=backend.bucket, Key=lock)
    engine.destroy(environment("locked1"), refresh=False, progress=print, stop=never_stop())
