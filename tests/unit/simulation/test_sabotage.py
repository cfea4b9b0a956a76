"""The simulator sees what it is there to see: a safeguard, once broken, is an invariant violated, with a seed to play again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from orchestrator.domain import names
from orchestrator.domain.environment import Environment
from orchestrator.ports import FoundService, FoundStack, Lock, Service, Verification
from orchestrator.sweeper.sweep import Sweep
from orchestrator.worker.invocation import Worker
from orchestrator.worker.reconciler import Limits, Reconciler
from tests.simulation.cloud import SimCloud, SimInventory
from tests.simulation.pulumi import SimEngine
from tests.simulation.scenario import PLATFORM, Act, Scenario, scenario_of
from tests.simulation.scheduler import START
from tests.simulation.shrink import violated
from tests.simulation.simulation import Outcome, Simulation, worker_settings
from tests.simulation.table import SimRecords, SimReports
from tests.simulation.watching import Watches

SEEDS = 400


class WithoutVersions(Simulation):
    """A table that writes whatever it is given."""

    class Records(SimRecords):
        def holds(self, stored: Environment | None, before: Environment | None) -> bool:
            return True

    def new_records(self, watches: Watches) -> SimRecords:
        return self.Records(self.world, watches)


class NeverDue(Simulation):
    """A light sweep that finds nothing."""

    class Records(SimRecords):
        def due(self, now: datetime) -> Sequence[str]:
            return []

    def new_records(self, watches: Watches) -> SimRecords:
        return self.Records(self.world, watches)


class ShortLease(Simulation):
    """A lease that ends before its holder is dead."""

    class Worker(Worker):
        def limits(self, remaining: timedelta) -> Limits:
            limits = super().limits(remaining)
            return replace(limits, lease_until=self.clock() + timedelta(seconds=10))

    def new_worker(self, reconciler: Reconciler, sweep: Sweep) -> Worker:
        return self.Worker(reconciler, sweep, worker_settings(), self.world.scheduler.clock, lambda: None)


class LocksUnseen(Simulation):
    """A recovery that breaks no dead worker's lock."""

    class Engine(SimEngine):
        def locks(self, environment: Environment) -> Sequence[Lock]:
            return ()

    def new_engine(self) -> SimEngine:
        return self.Engine(self.world)


class EverybodysLock(Simulation):
    """A recovery that takes every lock for a dead worker's."""

    class Engine(SimEngine):
        def locks(self, environment: Environment) -> Sequence[Lock]:
            dead = environment.expired_leases
            return [
                replace(lock, at=dead[-1].since, host=dead[-1].host or "") if dead else lock
                for lock in super().locks(environment)
            ]

    def new_engine(self) -> SimEngine:
        return self.Engine(self.world)


class BlindReceipt(Simulation):
    """A removal that believes the engine: it sees no service and finds nothing left."""

    class Cloud(SimCloud):
        def service(self, environment: Environment) -> Service | None:
            found = super().service(environment)
            return found if environment.present else None

        def verify_absent(self, environment: Environment) -> Verification:
            return replace(super().verify_absent(environment), found=())

    def new_cloud(self) -> SimCloud:
        return self.Cloud(self.world)


class EverythingIsOurs(Simulation):
    """An inventory that takes everybody's tags for ours."""

    class Inventory(SimInventory):
        def services(self) -> Sequence[FoundService]:
            return [replace(each, tags=_ours(each.tags)) for each in super().services()]

        def stacks(self) -> Sequence[FoundStack]:
            return [replace(each, tags=_ours(each.tags)) for each in super().stacks()]

    def new_inventory(self) -> SimInventory:
        return self.Inventory(self.world)


class RashSuspicion(Simulation):
    """A memory that has suspected everything for long."""

    class Reports(SimReports):
        def suspects(self) -> dict[str, datetime]:
            return {environment_id: START - timedelta(minutes=90) for environment_id in ("delta", "gamma")}

    def new_reports(self) -> SimReports:
        return self.Reports(self.world)


def _ours(tags: object) -> dict[str, str]:
    return {**(tags if isinstance(tags, dict) else {}), names.TAG_PLATFORM: PLATFORM}


def with_locks(seed: int) -> Scenario:
    """Workers die all the time, and a person locks the stack in the middle of it."""
    rates = {"a worker dies at an effect": 0.8}
    return replace(scenario_of(seed), rates=rates, acts=(Act(60.0 + seed, "lock", "alpha", 1500.0),))


def first_violation(broken: type[Simulation], scenario: Callable[[int], Scenario]) -> Outcome:
    outcomes = (broken(scenario(seed)).play() for seed in range(SEEDS))
    return next(outcome for outcome in outcomes if outcome.violation)


@pytest.mark.parametrize(
    ("broken", "scenario", "invariants"),
    [
        (WithoutVersions, scenario_of, ("I1", "I2")),
        (NeverDue, scenario_of, ("I1",)),
        (ShortLease, scenario_of, ("I1", "I2")),
        (LocksUnseen, scenario_of, ("I1",)),
        (EverybodysLock, with_locks, ("I4",)),
        (BlindReceipt, scenario_of, ("I5",)),
        (EverythingIsOurs, scenario_of, ("I4", "I6")),
        (RashSuspicion, scenario_of, ("I6",)),
    ],
)
def test_a_broken_safeguard_is_found_and_its_seed_plays_again(
    broken: type[Simulation], scenario: Callable[[int], Scenario], invariants: tuple[str, ...]
) -> None:
    found = first_violation(broken, scenario)
    assert found.violation is not None and found.violation[0] in invariants
    again = broken(scenario(found.seed), keep_history=True).play()
    assert again.violation == found.violation
    assert again.history
    assert violated(scenario(found.seed)) is None  # and whole, the safeguard holds
