"""A platform without a cloud: the real use cases, reconciler and sweep on fakes, and workers that come when they are called."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from orchestrator.api.use_cases import Caller, EnvironmentService, SweepService
from orchestrator.domain.desired import EnvironmentRequest, LifetimeLimits
from orchestrator.domain.environment import Environment, Spec
from orchestrator.domain.policy import Policy
from orchestrator.sweeper.deep import DeepSweep
from orchestrator.sweeper.sweep import Kind, Sweep
from orchestrator.worker.reconciler import Limits, Reconciler
from tests.fakes.ports import FakeClock, FakeDispatcher, FakeInventory, FakeRecords, FakeReports, FakeWorld

ALICE = Caller("arn:aws:iam::000000000000:user/alice", operator=False)
BOB = Caller("arn:aws:iam::000000000000:user/bob", operator=False)
OPERATOR = Caller("arn:aws:iam::000000000000:user/operator", operator=True)
PLATFORM = "tests"
HOST = "this-sandbox"
IMAGE = "public.ecr.aws/fibfactory/fibservice:latest"
RULES = Policy(("public.ecr.aws/", "111122223333.dkr.ecr.us-west-2.amazonaws.com/"), environments_per_owner=1000)


def wish(image: str = IMAGE, **more: Any) -> EnvironmentRequest:
    return EnvironmentRequest(spec=Spec(image=image), **more)


class World:
    """Everything a test needs to ask for environments and to let workers and sweeps come."""

    def __init__(self, limits: LifetimeLimits | None = None, rules: Policy = RULES) -> None:
        self.clock = FakeClock()
        self.records = FakeRecords()
        self.reports = FakeReports()
        self.dispatcher = FakeDispatcher()
        self.inventory = FakeInventory()
        self.cloud = FakeWorld()
        limits = limits or LifetimeLimits(timedelta(hours=12), timedelta(days=7))
        self.environments = EnvironmentService(
            self.records, self.dispatcher, limits, rules, self.clock, self.clock.sleep
        )
        self.sweeps = SweepService(self.reports, self.dispatcher, self.clock, lambda: "sweep-1")
        self.reconciler = Reconciler(
            self.records,
            self.cloud,
            self.cloud,
            self.cloud,
            self.dispatcher,
            self.clock,
            host=HOST,
            watch_every=0.01,
            look_again_after=(0.0, 0.0),
            listed_late=(0.0, 0.0),
        )

        deep = DeepSweep(
            self.records, self.reports, self.dispatcher, self.inventory, self.clock, PLATFORM, prefix="fib-app"
        )
        self.sweeper = Sweep(self.records, self.reports, self.dispatcher, self.clock, deep)

    def work(self, environment_id: str, holder: str = "worker-1") -> Environment | None:
        now = self.clock()
        limits = Limits(stop_at=now + timedelta(minutes=13), lease_until=now + timedelta(minutes=16))
        return self.reconciler.run(environment_id, holder, limits)

    def sweep(self, kind: Kind = Kind.LIGHT, *, dry_run: bool = False) -> Mapping[str, Any]:
        now = self.clock()
        return self.sweeper.run(
            "s",
            kind=kind,
            dry_run=dry_run,
            stop_at=now + timedelta(minutes=13),
            ends_at=now + timedelta(minutes=15),
        )

    def ready(self, environment_id: str = "test1", caller: Caller = ALICE, **more: Any) -> Environment:
        self.environments.put(caller, environment_id, wish(**more))
        environment = self.work(environment_id)
        assert environment is not None and environment.status == "ready"
        return environment

    def record(self, environment_id: str = "test1") -> Environment:
        environment = self.records.get(environment_id)
        assert environment is not None
        return environment
