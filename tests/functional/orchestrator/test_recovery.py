"""Recovery after the real Pulumi CLI was killed during an operation, alone or together with its worker."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import psutil
import pytest

from localcloud.apprunner.admin import AppRunnerAdmin
from localcloud.running import RunningCloud
from orchestrator.adapters.aws.cloud import AwsCloud
from orchestrator.adapters.health import HttpHealth
from orchestrator.adapters.pulumi.engine import PulumiEngine
from orchestrator.adapters.pulumi.stacks import PulumiStacks, Target
from orchestrator.adapters.pulumi.state import StateBucket
from orchestrator.domain.environment import Environment, Lease, LeaseSpan, Observed, Receipt, Spec
from orchestrator.domain.errors import Terminal, Transient
from orchestrator.ports import StopSignal, WorkerPorts
from orchestrator.worker.operations import Operations, Pauses
from tests.chaos.kill_targets import processes_of
from tests.fakes.cloud import FakeInventory
from tests.fakes.dispatcher import FakeDispatcher
from tests.fakes.records import FakeRecords, FakeReports
from tests.functional.orchestrator.conftest import Backend
from tests.waiting import eventually

IMAGE = "public.ecr.aws/fibfactory/fibservice:latest"


@dataclass(frozen=True)
class Adapters:
    """The real engine and cloud adapters on the local cloud."""

    target: Target
    engine: PulumiEngine
    cloud: AwsCloud
    apprunner: AppRunnerAdmin

    def deploy(self, environment: Environment) -> Observed:
        return self._operations(environment).deploy()

    def destroy(self, environment: Environment) -> Receipt:
        return self._operations(environment).destroy()

    def active_services(self) -> list[str]:
        return [each.status for each in self.apprunner.services() if each.status != "DELETED"]

    def _operations(self, environment: Environment) -> Operations:
        ports = WorkerPorts(
            FakeRecords(),
            FakeReports(),
            FakeDispatcher(),
            now,
            engine=self.engine,
            cloud=self.cloud,
            health=HttpHealth(),
            inventory=FakeInventory(),
        )
        return Operations(ports, environment, print, StopSignal(grace=25.0), Pauses())


@pytest.fixture
def adapters(
    as_operator: None, backend: Backend, operator_session: boto3.Session, cloud: RunningCloud
) -> Iterator[Adapters]:
    state = StateBucket(operator_session.client("s3"), backend.url)
    target = Target(backend.url, backend.secrets_provider)
    clients = (operator_session.client(name) for name in ("apprunner", "resourcegroupstaggingapi", "ecr"))
    yield Adapters(
        target,
        PulumiEngine(PulumiStacks(target), state, "tests", "fib-app", cloud.region),
        AwsCloud(*clients, state, "tests", "fib-app"),
        cloud.apprunner_admin,
    )
    cloud.apprunner_admin.reset()


def now() -> datetime:
    return datetime.now(UTC)


def environment(environment_id: str) -> Environment:
    lease = Lease(1, "this", now(), now() + timedelta(minutes=15))
    return Environment(environment_id, "arn:alice", now(), now(), Spec(IMAGE), lease=lease)


def with_expired_lease(environment: Environment) -> Environment:
    """The record as the next worker claims it after this test's lease has expired."""
    assert environment.lease.since
    return replace(
        environment,
        needs_refresh=True,
        expired_leases=(LeaseSpan(environment.lease.since, now(), socket.gethostname()),),
    )


def test_a_killed_cli_leaves_no_lock_and_the_next_deploy_succeeds(adapters: Adapters) -> None:
    wanted = environment("cli-killed1")
    adapters.apprunner.behave(delays={"create": 3})

    def kill_when_created(line: str) -> None:
        if "app-runner-service: create" in line:
            eventually(adapters.active_services, "the service")
            processes_of("fibfactory-cli-killed1", "pulumi")[0].kill()

    with pytest.raises(Transient) as failure:
        adapters.engine.deploy(wanted, new=True, refresh=False, progress=kill_when_created, stop=StopSignal(grace=25.0))
    assert failure.value.code == "engine_killed"
    assert adapters.engine.locks(wanted) == []
    (pending,) = adapters.engine.pending_creates(wanted)
    assert pending.type == "aws:apprunner/service:Service" and pending.main
    first = adapters.apprunner.services()[0].arn

    observed = adapters.deploy(replace(wanted, needs_refresh=True))
    assert observed.service_arn != first, "the half-created service is removed and a new one created"
    assert adapters.active_services() == ["RUNNING"]
    assert adapters.engine.pending_creates(wanted) == []
    adapters.destroy(wanted)
    assert adapters.active_services() == []


@pytest.fixture
def killed_worker(adapters: Adapters, tmp_path: Path) -> Iterator[Callable[[Environment], Environment]]:
    """Start a worker's deploy in a process of its own, and kill it and its CLI as soon as the service exists."""
    code = (
        "import sys\nfrom tests.functional.orchestrator.test_recovery import deploy_here\ndeploy_here(*sys.argv[1:])\n"
    )
    started: list[subprocess.Popen[bytes]] = []

    def deploy_and_kill(environment: Environment) -> Environment:
        target, region = adapters.target, adapters.engine.region
        arguments = [environment.id, str(target.backend_url), str(target.secrets_provider), region]
        worker = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            env={**os.environ, "PYTHONPATH": os.getcwd(), "TMPDIR": str(tmp_path)},
        )
        started.append(worker)
        eventually(adapters.active_services, "the service")
        clis = processes_of(f"fibfactory-{environment.id}", "pulumi")
        worker.kill()
        worker.wait()
        cli = clis[0]
        cli.kill()
        eventually(lambda: not cli.is_running() or cli.status() == psutil.STATUS_ZOMBIE, "the CLI's end")
        return with_expired_lease(environment)

    yield deploy_and_kill
    for worker in started:
        worker.kill()
        worker.wait()


def deploy_here(environment_id: str, backend_url: str, secrets_provider: str, region: str) -> None:
    """The deploy that the killed worker runs."""
    stacks = PulumiStacks(Target(backend_url, secrets_provider))
    engine = PulumiEngine(stacks, StateBucket(boto3.client("s3"), backend_url), "tests", "fib-app", region)
    wanted = environment(environment_id)
    engine.deploy(wanted, new=True, refresh=False, progress=print, stop=StopSignal(grace=25.0))


def test_a_killed_workers_lock_and_half_created_service_are_removed(
    adapters: Adapters, killed_worker: Callable[[Environment], Environment]
) -> None:
    adapters.apprunner.behave(delays={"create": 3})
    claimed = killed_worker(environment("killed1"))
    (lock,) = adapters.engine.locks(claimed)
    assert lock.host == socket.gethostname()
    assert adapters.deploy(claimed).url
    assert adapters.engine.locks(claimed) == [] and adapters.active_services() == ["RUNNING"]
    assert [each.status for each in adapters.apprunner.services()].count("DELETED") == 1
    receipt = adapters.destroy(claimed)
    assert adapters.active_services() == [] and receipt.checked


def test_a_destroy_after_a_killed_create_leaves_nothing(
    adapters: Adapters, killed_worker: Callable[[Environment], Environment]
) -> None:
    adapters.apprunner.behave(delays={"create": 2})
    claimed = killed_worker(environment("killed2"))
    adapters.destroy(claimed)
    assert adapters.active_services() == []
    assert not adapters.engine.state.exists("fibfactory-killed2") and adapters.engine.locks(claimed) == []


def test_a_lock_dated_outside_every_expired_lease_is_kept(
    adapters: Adapters, killed_worker: Callable[[Environment], Environment]
) -> None:
    claimed = killed_worker(environment("killed3"))
    other_lease = replace(claimed, expired_leases=(LeaseSpan(now() - timedelta(hours=2), now() - timedelta(hours=1)),))
    with pytest.raises(Terminal) as failure:
        adapters.deploy(other_lease)
    assert failure.value.code == "stack_locked" and f"@{socket.gethostname()}" in failure.value.message
    assert len(adapters.engine.locks(claimed)) == 1
    adapters.destroy(claimed)
    assert adapters.active_services() == []


def test_a_lock_left_by_a_successful_cli_is_removed(
    adapters: Adapters, backend: Backend, operator_session: boto3.Session
) -> None:
    wanted = environment("lock-left1")
    key = ".pulumi/locks/organization/fibfactory/fibfactory-lock-left1/0d8d4d6c-4ea4-4d3c-9d2c-1f2e3d4c5b6a.json"

    def leave_a_lock(line: str) -> None:
        lock = {"pid": 1, "username": "u", "hostname": socket.gethostname(), "timestamp": now().isoformat()}
        operator_session.client("s3").put_object(Bucket=backend.bucket, Key=key, Body=json.dumps(lock).encode())

    adapters.engine.deploy(wanted, new=True, refresh=False, progress=leave_a_lock, stop=StopSignal(grace=25.0))
    assert adapters.engine.locks(wanted) == []
    adapters.destroy(wanted)


def test_the_engine_knows_only_the_services_in_its_state(adapters: Adapters) -> None:
    wanted = environment("known1")
    arn = adapters.deploy(wanted).service_arn
    assert arn and adapters.engine.knows(wanted, arn) and not adapters.engine.knows(wanted, f"{arn}0")
    adapters.destroy(wanted)


def test_a_half_created_stack_is_deployed_again(
    adapters: Adapters, backend: Backend, operator_session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)  # as in a worker
    wanted = replace(environment("half-made1"), needs_refresh=True)
    stack = b'{"version": 0, "checkpoint": {"stack": "organization/fibfactory/fibfactory-half-made1"}}'
    key = ".pulumi/stacks/fibfactory/fibfactory-half-made1.json"
    operator_session.client("s3").put_object(Bucket=backend.bucket, Key=key, Body=stack)
    assert adapters.deploy(wanted).url
    adapters.destroy(wanted)
    assert adapters.active_services() == []
