"""The table, the sweeps' reports and the asking for workers, simulated.

The rule: a write is accepted or refused by what the stored record is at that moment, as DynamoDB does it: by version and token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from orchestrator.domain.environment import Environment, Status
from orchestrator.domain.errors import LeaseLost, Transient, VersionConflict
from orchestrator.ports import Event, Page
from tests.simulation.scheduler import START
from tests.simulation.watching import Watches
from tests.simulation.world import World

_BUSY = "AWS answered ThrottlingException"
_LOST = "AWS could not be reached: the answer never came"


class SimRecords:
    """The Records port."""

    def __init__(self, world: World, watches: Watches) -> None:
        self._world = world
        self._watches = watches
        self._index: dict[str, tuple[float, Environment | None, Environment]] = {}
        """From when on an index shows the newest record, and what it shows until then."""
        self.written: Counter[str] = Counter()

    def get(self, environment_id: str) -> Environment | None:
        self._world.come("a record is read", environment_id)
        self._perhaps_busy()
        return self._world.rows.get(environment_id)

    def add(self, environment: Environment, event: Event) -> None:
        self._write(None, environment, (event,))

    def replace(self, before: Environment, after: Environment, *events: Event) -> None:
        self._write(before, after, events)

    def reuse(self, tombstone: Environment, after: Environment, event: Event) -> None:
        self._write(tombstone, after, (event,))

    def note(self, environment: Environment, event: Event) -> None:
        actor = self._world.come("an event is written", event.message)
        self._perhaps_busy()
        if self._world.rows[environment.id].lease.token != environment.lease.token:
            self._world.checks.refused_write(actor, self._world.rows[environment.id])
            raise LeaseLost(environment.id)

    def events(self, environment: Environment, cursor: str | None, limit: int) -> Page[Event]:
        raise NotImplementedError("nobody in a simulation reads events")

    def listing(
        self, owner: str | None, statuses: Sequence[Status], labels: Mapping[str, str], cursor: str | None, limit: int
    ) -> Page[Environment]:
        self._world.come("records are listed")
        self._perhaps_busy()
        start = int(cursor or 0)
        found = [record for record in map(self._shown, self._world.rows) if record and record.status in statuses]
        more = len(found) > start + limit
        return Page(found[start : start + limit], str(start + limit) if more else None)

    def count_active(self, owner: str, most: int) -> int:
        # No moment of its own: nobody asks for so many here that the answer would matter.
        shown = [record for record in map(self._shown, self._world.rows) if record]
        return min(most, sum(each.owner == owner and not each.destroyed for each in shown))

    def due(self, now: datetime) -> Iterable[str]:
        self._world.come("what is due is read")
        self._perhaps_busy()
        shown = [record for record in map(self._shown, self._world.rows) if record]
        due = [(each.due_at, each.id) for each in shown if each.due_at and each.due_at <= now]
        return [environment_id for _, environment_id in sorted(due)]

    def holds(self, stored: Environment | None, before: Environment | None) -> bool:
        """The condition of a write."""
        if stored is None or before is None:
            return stored is before
        return stored.version == before.version and stored.lease.token == before.lease.token

    def _shown(self, environment_id: str) -> Environment | None:
        """The record as an index shows it by now."""
        entry = self._index.get(environment_id)
        if entry is None:
            return self._world.rows[environment_id]
        from_when, former, newest = entry
        return newest if self._world.clockwork.now >= from_when else former

    def _write(self, before: Environment | None, after: Environment, events: Sequence[Event]) -> None:
        world = self._world
        what = events[0].kind if events else "claimed" if after.lease.holder else "let go"
        actor = world.come(what, after)
        self._perhaps_busy()
        world.clockwork.before_effect(what)
        stored = world.rows.get(after.id)
        if not self.holds(stored, before):
            world.tell(actor.name, f"  refused: {what}")
            world.checks.refused_write(actor, stored)
            raise VersionConflict("The record changed between reading and writing it.")
        world.checks.before_write(actor, stored, after)
        if actor.kind == "worker" and after.lease.holder == actor.name:
            actor.token, actor.environment = after.lease.token, after.id
            if after.lease.until:
                actor.holds_until = (after.lease.until - START).total_seconds()
        world.rows[after.id] = after
        self.written[what] += 1
        lag = world.faults.between(0.1, 5) if world.faults.hit("indexes lag") else 0.0
        former = self._shown(after.id) if after.id in self._index else stored
        self._index[after.id] = (world.clockwork.now + lag, former, after)
        world.checks.after_write(actor, after)
        self._watches.written(after)
        world.clockwork.after_effect(what)
        if world.faults.hit("the table's answer is lost"):
            raise Transient(f"While writing a record, {_LOST}", "aws_unreachable")

    def _perhaps_busy(self) -> None:
        if self._world.faults.hit("the table is busy"):
            raise Transient(f"While using the table, {_BUSY}", "aws_unavailable")


class SimReports:
    """The Reports port."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._running: tuple[str, datetime] | None = None
        self._suspects: Mapping[str, datetime] = {}
        self.statuses: Counter[str] = Counter()

    def write(self, sweep_id: str, report: Mapping[str, Any]) -> None:
        self._effect("the report is written", report["status"])
        self._world.checks.reported(report)
        self.statuses[str(report["status"]).split(":")[0]] += 1
        self._world.clockwork.after_effect("the report is written")

    def read(self, sweep_id: str) -> Mapping[str, Any] | None:
        return None

    def acquire(self, sweep_id: str, now: datetime, until: datetime) -> bool:
        self._effect("the sweep takes its place")
        if self._running and self._running[1] > now:
            return False
        self._running = (sweep_id, until)
        self._world.clockwork.after_effect("the sweep takes its place")
        return True

    def release(self, sweep_id: str) -> None:
        self._effect("the sweep leaves its place")
        if self._running and self._running[0] == sweep_id:
            self._running = None
        self._world.clockwork.after_effect("the sweep leaves its place")

    def suspects(self) -> Mapping[str, datetime]:
        self._world.come("the suspects are read")
        return self._suspects

    def suspect(self, suspects: Mapping[str, datetime]) -> None:
        self._effect("the suspects are remembered", tuple(suspects))
        self._suspects = dict(suspects)
        self._world.clockwork.after_effect("the suspects are remembered")

    def _effect(self, what: str, about: Any = "") -> None:
        self._world.come(what, about)
        if self._world.faults.hit("the table is busy"):
            raise Transient(f"While writing a sweep's report, {_BUSY}", "aws_unavailable")
        self._world.clockwork.before_effect(what)


class SimDispatcher:
    """The Dispatcher port: asking may be lost, doubled, late, and so overtaken by a later one."""

    def __init__(self, world: World, invoke: Callable[[str], None]) -> None:
        self._world = world
        self._invoke = invoke

    def work(self, environment_id: str) -> None:
        world = self._world
        world.come("a worker is asked for", environment_id)
        world.clockwork.before_effect("a worker is asked for")
        faults = world.faults
        if not faults.hit("an invocation is lost"):
            self._deliver(environment_id)
            if faults.hit("an invocation is doubled"):
                self._deliver(environment_id)
        world.clockwork.after_effect("a worker is asked for")

    def sweep(self, sweep_id: str) -> None:
        raise NotImplementedError("the simulator starts its sweeps by itself")

    def _deliver(self, environment_id: str) -> None:
        world = self._world
        seconds = 0.05 + world.random()
        if world.faults.hit("an invocation is late"):
            seconds += world.faults.between(1, 1200) if world.faults.random() < 0.5 else world.faults.between(0, 20)
        world.clockwork.call(world.clockwork.now + seconds, lambda: self._invoke(environment_id))
