"""The cancellation monitor stops an operation at its deadline even if the record can't be read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from orchestrator.domain.environment import Environment, Operation
from orchestrator.domain.invocation import InvocationLimits
from orchestrator.worker.cancellation import cancellation_monitor
from tests.fakes.records import FakeRecords
from tests.unit.orchestrator.worlds import World


def test_the_monitor_stops_at_the_deadline_when_the_record_cannot_be_read() -> None:
    class Records(FakeRecords):
        def get(self, environment_id: str) -> Environment | None:
            world.clock.sleep(1)
            raise ValueError("no such status")

    world = World()
    target = world.ready()
    stop_at = world.clock() + timedelta(seconds=3)
    ports = replace(world.ports, records=Records())
    limits = InvocationLimits(stop_at, stop_at, stop_at, grace=1.0)
    with cancellation_monitor(ports, target, Operation.UPDATE, limits, every=0.01) as stop:
        assert stop.wait(10)
