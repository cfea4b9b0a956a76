"""The table, the sweeps' reports and the requests for workers, simulated: with delays, lagging indexes, faults and deaths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from orchestrator.domain.environment import Environment, Status
from orchestrator.domain.errors import LeaseLost, VersionConflict
from orchestrator.domain.events import Event
from orchestrator.domain.sweeps import SweepReport
from orchestrator.ports import Page
from tests.fakes.records import FakeRecords, FakeReports, name_of_write
from tests.simulation.monitor import Monitors
from tests.simulation.scheduler import seconds_of
from tests.simulation.world import World

_BUSY = "the table is busy"


class SimRecords(FakeRecords):
    """The Records port."""

    def __init__(self, world: World, monitors: Monitors) -> None:
        super().__init__(world.records)
        self._world = world
        self._monitors = monitors
        self._index: dict[str, tuple[float, Environment | None, Environment]] = {}
        """The moment from which the indexes show the newest record, what they show until then, and the newest record."""

    def get(self, environment_id: str) -> Environment | None:
        self._world.call_port("a record is read", environment_id, fault=_BUSY)
        return super().get(environment_id)

    def note(self, environment: Environment, event: Event) -> None:
        actor = self._world.call_port("an event is written", event.message, fault=_BUSY)
        try:
            super().note(environment, event)
        except LeaseLost:
            self._world.checks.refused_write(actor, self.records[environment.id])
            raise

    def listing(
        self, owner: str | None, statuses: Sequence[Status], labels: Mapping[str, str], cursor: str | None, limit: int
    ) -> Page[Environment]:
        self._world.call_port("records are listed", fault=_BUSY)
        return super().listing(owner, statuses, labels, cursor, limit)

    def due(self, now: datetime) -> Iterable[str]:
        self._world.call_port("what is due is read", fault=_BUSY)
        return super().due(now)

    def indexed(self) -> Iterable[Environment]:
        return [record for record in map(self._shown, self.records) if record]

    def write(self, before: Environment | None, after: Environment, *events: Event) -> None:
        world, what = self._world, name_of_write(after, events)
        with world.effect(what, after, fault=_BUSY) as actor:
            stored = self.records.get(after.id)
            shown = self._shown(after.id) if after.id in self._index else stored
            try:
                super().write(before, after, *events)
            except VersionConflict:
                world.log(actor.name, f"  refused: {what}")
                world.checks.refused_write(actor, stored)
                raise
            lag = world.faults.between(0.1, 5) if world.faults.hit("indexes lag") else 0.0
            self._index[after.id] = (world.now() + lag, shown, after)
            world.checks.written(actor, stored, after)
            if actor.kind == "worker" and after.lease.holder == actor.name and after.lease.until:
                actor.token, actor.environment = after.lease.token, after.id
                actor.lease_until = seconds_of(after.lease.until)
            self._monitors.written(after)
        world.lose_answer("the table's answer is lost")

    def _shown(self, environment_id: str) -> Environment | None:
        """The record as the indexes show it now."""
        entry = self._index.get(environment_id)
        if entry is None:
            return self.records[environment_id]
        from_when, former, newest = entry
        return newest if self._world.now() >= from_when else former


class SimReports(FakeReports):
    """The Reports port. `statuses` counts the reports by how their sweeps ended."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self.statuses: Counter[str] = Counter()

    def write(self, report: SweepReport) -> None:
        with self._world.effect("the report is written", report.status, fault=_BUSY):
            super().write(report)
            self.statuses[report.status] += 1
            self._world.checks.reported(report)

    def acquire(self, sweep_id: str, now: datetime, until: datetime) -> bool:
        with self._world.effect("the place of the deep sweep is taken", fault=_BUSY):
            return super().acquire(sweep_id, now, until)

    def release(self, sweep_id: str) -> None:
        with self._world.effect("the place of the deep sweep is freed", fault=_BUSY):
            super().release(sweep_id)

    def suspects(self) -> Mapping[str, datetime]:
        self._world.call_port("the suspects are read")
        return super().suspects()

    def suspect(self, suspects: Mapping[str, datetime]) -> None:
        with self._world.effect("the suspects are written", tuple(suspects), fault=_BUSY):
            super().suspect(suspects)


class SimDispatcher:
    """The Dispatcher port: a request for a worker may be lost, doubled, or late and so overtaken by a later one."""

    def __init__(self, world: World, invoke: Callable[[str], None]) -> None:
        self._world = world
        self._invoke = invoke

    def work(self, environment_id: str) -> None:
        faults = self._world.faults
        with self._world.effect("a worker is asked for", environment_id):
            if not faults.hit("an invocation is lost"):
                self._deliver(environment_id)
                if faults.hit("an invocation is doubled"):
                    self._deliver(environment_id)

    def sweep(self, sweep_id: str) -> None:
        raise NotImplementedError("The simulator starts its sweeps itself.")

    def _deliver(self, environment_id: str) -> None:
        world = self._world
        seconds = 0.05 + world.random()
        if world.faults.hit("an invocation is late"):
            seconds += world.faults.between(1, 1200) if world.faults.random() < 0.5 else world.faults.between(0, 20)
        world.scheduler.call(world.now() + seconds, lambda: self._invoke(environment_id))
