"""Recovery with the real CLI: killed in the middle of an operation, alone or together with its worker."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
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
from tests.fakes.cloud import FakeInventory
from tests.fakes.dispatcher import FakeDispatcher
from tests.fakes.records import FakeRecords, FakeReports
from tests.functional.orchestrator.conftest import Backend

IMAGE = "public.ecr.aws/fibfactory/fibservice:latest"


@dataclass(frozen=True)
class Ground:
    """The real engine and cloud ports on the local cloud."""

    target: Target
    engine: PulumiEngine
    cloud: AwsCloud
    apprunner: AppRunnerAdmin

    def deploy(self, environment: Environment) -> Observed:
        return self._operations(environment).deploy()

    def destroy(self, environment: Environment) -> Receipt:
        return self._operations(environment).destroy()

    def live(self) -> list[str]:
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
        return Operations(ports, Pauses(), environment, print, StopSignal(grace=25.0))


@pytest.fixture
def ground(
    as_operator: None, backend: Backend, operator_session: boto3.Session, cloud: RunningCloud
) -> Iterator[Ground]:
    state = StateBucket(operator_session.client("s3"), backend.url)
    target = Target(backend.url, backend.secrets_provider)
    clients = (operator_session.client(name) for name in ("apprunner", "resourcegroupstaggingapi", "ecr"))
    yield Ground(
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


def after_the_death_of(environment: Environment) -> Environment:
    """The record as the next worker claims it: the lease that this test held is a dead one's."""
    assert environment.lease.since
    return replace(
        environment,
        needs_refresh=True,
        expired_leases=(LeaseSpan(environment.lease.since, now(), socket.gethostname()),),
    )


def cli_of(environment_id: str) -> psutil.Process | None:
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        if command and "pulumi" in command[0] and f"fibfactory-{environment_id}" in command:
            return process
    return None


def eventually(look: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + 60
    while not look():
        assert time.monotonic() < give_up, what
        time.sleep(0.05)


def test_a_killed_cli_leaves_no_lock_and_the_next_deploy_succeeds(ground: Ground) -> None:
    wanted = environment("cli-killed1")
    ground.apprunner.behave(delays={"create": 3})

    def kill_when_created(line: str) -> None:
        if "app-runner-service: create" in line:
            eventually(ground.live, "the service")
            process = cli_of("cli-killed1")
            assert process
            process.kill()

    with pytest.raises(Transient) as failure:
        ground.engine.deploy(wanted, new=True, refresh=False, progress=kill_when_created, stop=StopSignal(grace=25.0))
    assert failure.value.code == "engine_killed"
    assert ground.engine.locks(wanted) == []
    (pending,) = ground.engine.pending_creates(wanted)
    assert pending.type == "aws:apprunner/service:Service" and pending.main
    first = ground.apprunner.services()[0].arn

    observed = ground.deploy(replace(wanted, needs_refresh=True))
    assert observed.service_arn != first, "what was half made is removed, then made anew"
    assert ground.live() == ["RUNNING"]
    assert ground.engine.pending_creates(wanted) == []
    ground.destroy(wanted)
    assert ground.live() == []


@pytest.fixture
def killed_worker(ground: Ground, tmp_path: Path) -> Iterator[Callable[[Environment], Environment]]:
    """Starts a worker's deploy in a process of its own and kills it and its CLI once the service is being made."""
    code = (
        "import sys\nfrom tests.functional.orchestrator.test_recovery import deploy_here\ndeploy_here(*sys.argv[1:])\n"
    )
    started: list[subprocess.Popen[bytes]] = []

    def die(environment: Environment) -> Environment:
        target, region = ground.target, ground.engine.region
        arguments = [environment.id, str(target.backend_url), str(target.secrets_provider), region]
        worker = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            env={**os.environ, "PYTHONPATH": os.getcwd(), "TMPDIR": str(tmp_path)},
        )
        started.append(worker)
        eventually(ground.live, "the service")
        cli = cli_of(environment.id)
        worker.kill()
        worker.wait()
        assert cli
        cli.kill()
        eventually(lambda: not cli.is_running() or cli.status() == psutil.STATUS_ZOMBIE, "the CLI's end")
        return after_the_death_of(environment)

    yield die
    for worker in started:
        worker.kill()
        worker.wait()


def deploy_here(environment_id: str, backend_url: str, secrets_provider: str, region: str) -> None:
    """What the doomed worker runs."""
    stacks = PulumiStacks(Target(backend_url, secrets_provider))
    engine = PulumiEngine(stacks, StateBucket(boto3.client("s3"), backend_url), "tests", "fib-app", region)
    wanted = environment(environment_id)
    engine.deploy(wanted, new=True, refresh=False, progress=print, stop=StopSignal(grace=25.0))


def test_a_killed_workers_lock_and_half_created_service_are_removed(
    ground: Ground, killed_worker: Callable[[Environment], Environment]
) -> None:
    ground.apprunner.behave(delays={"create": 3})
    claimed = killed_worker(environment("killed1"))
    (lock,) = ground.engine.locks(claimed)
    assert lock.host == socket.gethostname()
    assert ground.deploy(claimed).url
    assert ground.engine.locks(claimed) == [] and ground.live() == ["RUNNING"]
    assert [each.status for each in ground.apprunner.services()].count("DELETED") == 1
    receipt = ground.destroy(claimed)
    assert ground.live() == [] and receipt.checked


def test_a_destroy_after_a_killed_create_leaves_nothing(
    ground: Ground, killed_worker: Callable[[Environment], Environment]
) -> None:
    ground.apprunner.behave(delays={"create": 2})
    claimed = killed_worker(environment("killed2"))
    ground.destroy(claimed)
    assert ground.live() == []
    assert not ground.engine.state.exists("fibfactory-killed2") and ground.engine.locks(claimed) == []


def test_a_lock_dated_outside_every_expired_lease_is_kept(
    ground: Ground, killed_worker: Callable[[Environment], Environment]
) -> None:
    claimed = killed_worker(environment("killed3"))
    stranger = replace(claimed, expired_leases=(LeaseSpan(now() - timedelta(hours=2), now() - timedelta(hours=1)),))
    with pytest.raises(Terminal) as failure:
        ground.deploy(stranger)
    assert failure.value.code == "stack_locked" and f"@{socket.gethostname()}" in failure.value.message
    assert len(ground.engine.locks(claimed)) == 1
    ground.destroy(claimed)
    assert ground.live() == []


def test_a_lock_left_by_a_successful_cli_is_removed(
    ground: Ground, backend: Backend, operator_session: boto3.Session
) -> None:
    wanted = environment("stays1")
    key = ".pulumi/locks/organization/fibfactory/fibfactory-stays1/0d8d4d6c-4ea4-4d3c-9d2c-1f2e3d4c5b6a.json"

    def leave_it(line: str) -> None:
        lock = {"pid": 1, "username": "u", "hostname": socket.gethostname(), "timestamp": now().isoformat()}
        operator_session.client("s3").put_object(Bucket=backend.bucket, Key=key, Body=json.dumps(lock).encode())

    ground.engine.deploy(wanted, new=True, refresh=False, progress=leave_it, stop=StopSignal(grace=25.0))
    assert ground.engine.locks(wanted) == []
    ground.destroy(wanted)


def test_the_engine_knows_only_the_services_in_its_state(ground: Ground) -> None:
    wanted = environment("known1")
    arn = ground.deploy(wanted).service_arn
    assert arn and ground.engine.knows(wanted, arn) and not ground.engine.knows(wanted, f"{arn}0")
    ground.destroy(wanted)


def test_a_half_created_stack_is_deployed_again(
    ground: Ground, backend: Backend, operator_session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)  # a worker has none
    wanted = replace(environment("half-made1"), needs_refresh=True)
    stack = b'{"version": 0, "checkpoint": {"stack": "organization/fibfactory/fibfactory-half-made1"}}'
    key = ".pulumi/stacks/fibfactory/fibfactory-half-made1.json"
    operator_session.client("s3").put_object(Bucket=backend.bucket, Key=key, Body=stack)
    assert ground.deploy(wanted).url
    ground.destroy(wanted)
    assert ground.live() == []
