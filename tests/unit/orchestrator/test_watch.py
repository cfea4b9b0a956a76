"""The watch keeps the deadline, whatever becomes of its looks at the record."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.domain.environment import Environment, Operation
from orchestrator.worker.cancellation import CancellationMonitor
from tests.fakes.ports import FakeRecords
from tests.unit.orchestrator.worlds import World


def test_the_deadline_holds_even_when_the_record_can_not_be_read() -> None:
    class Records(FakeRecords):
        def get(self, environment_id: str) -> Environment | None:
            world.clock.sleep(1)
            raise ValueError("no such status")

    world = World()
    target = world.ready()
    stop_at = world.clock() + timedelta(seconds=3)
    with CancellationMonitor(Records(), target, Operation.UPDATE, world.clock, stop_at, grace=1.0, every=0.01) as stop:
        assert stop.wait(10)
