"""A platform without a cloud: the real use cases, reconciler and sweep on the fakes of their ports."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any

from orchestrator.api.use_cases import EnvironmentService, SweepService
from orchestrator.domain.access import Caller
from orchestrator.domain.desired import EnvironmentRequest, LifetimeLimits
from orchestrator.domain.environment import Environment, Spec
from orchestrator.domain.invocation import InvocationLimits
from orchestrator.domain.policy import Policy
from orchestrator.domain.sweeps import SweepKind, SweepReport
from orchestrator.ports import StopSignal, WorkerPorts
from orchestrator.sweeper.sweep import Sweep
from orchestrator.worker.operations import Pauses
from orchestrator.worker.reconciler import Reconciler
from tests.fakes.clock import FakeClock
from tests.fakes.cloud import FakeCloud, FakeInventory
from tests.fakes.dispatcher import FakeDispatcher
from tests.fakes.records import FakeRecords, FakeReports

ALICE = Caller("arn:aws:iam::000000000000:user/alice", operator=False)
BOB = Caller("arn:aws:iam::000000000000:user/bob", operator=False)
OPERATOR = Caller("arn:aws:iam::000000000000:user/operator", operator=True)
PLATFORM = "tests"
HOST = "this-sandbox"
IMAGE = "public.ecr.aws/fibfactory/fibservice:latest"
POLICY = Policy(("public.ecr.aws/", "111122223333.dkr.ecr.us-west-2.amazonaws.com/"), environments_per_owner=1000)


def request(image: str = IMAGE, **more: Any) -> EnvironmentRequest:
    return EnvironmentRequest(spec=Spec(image=image), **more)


class World:
    """Everything a test needs to request environments and to run workers and sweeps when it wants."""

    def __init__(self, limits: LifetimeLimits | None = None, policy: Policy = POLICY) -> None:
        self.clock = FakeClock()
        self.records = FakeRecords()
        self.reports = FakeReports()
        self.dispatcher = FakeDispatcher()
        self.inventory = FakeInventory()
        self.cloud = FakeCloud()
        self.ports = WorkerPorts(
            self.records,
            self.reports,
            self.dispatcher,
            self.clock,
            engine=self.cloud,
            cloud=self.cloud,
            health=self.cloud,
            inventory=self.inventory,
        )
        limits = limits or LifetimeLimits(timedelta(hours=12), timedelta(days=7))
        self.environments = EnvironmentService(self.ports, limits, policy, self.clock.sleep)
        self.sweeps = SweepService(self.ports, lambda: "sweep-1")
        pauses = Pauses(between_reads=0.01, leftovers=(0.0, 0.0), late_service=(0.0, 0.0))
        self.reconciler = Reconciler(self.ports, HOST, pauses)
        self.sweeper = Sweep(self.ports, PLATFORM, prefix="fib-app")

    def work(self, environment_id: str, holder: str = "worker-1") -> Environment | None:
        """Run one worker; returns the record it released, or None if there was nothing to do."""
        return self.reconciler.run(environment_id, holder, self._limits())

    def reconcile(self, environment_id: str = "test1", holder: str = "worker-1") -> Environment:
        """Run one worker that has something to do; returns the record it released."""
        environment = self.work(environment_id, holder)
        assert environment is not None, "the worker had nothing to do"
        return environment

    def interrupted(self, environment_id: str = "test1") -> Environment:
        """Run one worker whose operation takes longer than its invocation; returns the record it released."""
        self.cloud.during = lambda: self.clock.sleep(14 * 60)
        out_of_time = replace(self.reconciler, monitor=lambda *_: nullcontext(StopSignal(grace=1.0, seconds=0)))
        environment = out_of_time.run(environment_id, "worker-1", self._limits())
        assert environment is not None, "the worker had nothing to do"
        return environment

    def sweep(
        self, kind: SweepKind = SweepKind.LIGHT, *, dry_run: bool = False, scheduled: bool = False
    ) -> SweepReport:
        return self.sweeper.run("s", kind, self._limits(), dry_run=dry_run, scheduled=scheduled)

    def _limits(self) -> InvocationLimits:
        now = self.clock()
        return InvocationLimits(
            stop_at=now + timedelta(minutes=13),
            ends_at=now + timedelta(minutes=15),
            lease_until=now + timedelta(minutes=16),
        )

    def ready(self, environment_id: str = "test1", caller: Caller = ALICE, **more: Any) -> Environment:
        """Create an environment and run its worker until it is ready."""
        self.environments.put(caller, environment_id, request(**more))
        environment = self.reconcile(environment_id)
        assert environment.status == "ready"
        return environment

    def destroy(self, environment_id: str = "test1", caller: Caller = ALICE) -> Environment:
        """Remove an environment and run its worker until it is destroyed; returns the tombstone."""
        self.environments.remove(caller, environment_id)
        tombstone = self.reconcile(environment_id)
        assert tombstone.status == "destroyed"
        return tombstone

    def record(self, environment_id: str = "test1") -> Environment:
        environment = self.records.get(environment_id)
        assert environment is not None
        return environment
