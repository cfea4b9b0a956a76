"""The table in memory: the Records and Reports ports for the unit tests and, with delays and faults, for the simulator.

The rule: a write is accepted or refused as DynamoDB does it: by the stored record's version and lease token at that moment.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from orchestrator.domain.environment import Environment, Status
from orchestrator.domain.errors import LeaseLost, VersionConflict
from orchestrator.domain.events import Event
from orchestrator.domain.sweeps import SweepReport
from orchestrator.ports import Page


class FakeRecords:
    """The Records port. `records` has the newest incarnation of each id, `tombstones` the earlier ones.

    `meanwhile` holds what another writer does right before a write, once each, by that write's name (see `name_of_write`).
    """

    def __init__(self, records: dict[str, Environment] | None = None) -> None:
        self.records: dict[str, Environment] = {} if records is None else records
        self.tombstones: list[Environment] = []
        self.written_events: dict[tuple[str, int], list[Event]] = defaultdict(list)
        self.meanwhile: dict[str, Callable[[], object]] = {}
        self._lock = threading.Lock()

    def get(self, environment_id: str) -> Environment | None:
        return self.records.get(environment_id)

    def note(self, environment: Environment, event: Event) -> None:
        with self._lock:
            if self.records[environment.id].lease.token != environment.lease.token:
                raise LeaseLost(environment.id)
            self.written_events[environment.id, environment.incarnation].append(event)

    def events(self, environment: Environment, cursor: str | None, limit: int) -> Page[Event]:
        start = int(cursor or 0)
        found = self.written_events[environment.id, environment.incarnation][start : start + limit]
        return Page(found, str(start + len(found)))

    def listing(
        self, owner: str | None, statuses: Sequence[Status], labels: Mapping[str, str], cursor: str | None, limit: int
    ) -> Page[Environment]:
        start = int(cursor or 0)
        found = [
            each
            for each in self.indexed()
            if each.status in statuses and owner in (None, each.owner) and labels.items() <= each.labels.items()
        ]
        found.sort(key=lambda each: statuses.index(each.status))
        more = len(found) > start + limit
        return Page(found[start : start + limit], str(start + limit) if more else None)

    def count_active(self, owner: str, most: int) -> int:
        return min(most, sum(each.owner == owner and not each.destroyed for each in self.indexed()))

    def due(self, now: datetime) -> Iterable[str]:
        due = [(due_at, each.id) for each in self.indexed() if (due_at := each.due_at) and due_at <= now]
        return [environment_id for _, environment_id in sorted(due)]

    def kinds(self, environment_id: str) -> list[str]:
        """The kinds of the events of all incarnations, for a test to compare."""
        return [
            event.kind
            for (name, _), events in self.written_events.items()
            if name == environment_id
            for event in events
        ]

    def indexed(self) -> Iterable[Environment]:
        """The records that the indexes show."""
        return (*self.records.values(), *self.tombstones)

    def write(self, before: Environment | None, after: Environment, *events: Event) -> None:
        if self.meanwhile:
            self.meanwhile.pop(name_of_write(after, events), lambda: None)()
        with self._lock:
            if not _unchanged(self.records.get(after.id), before):
                raise VersionConflict(f"{after.id} changed between reading and writing it.")
            self.records[after.id] = after
            if before and before.incarnation != after.incarnation:
                self.tombstones.append(before)
            self.written_events[after.id, after.incarnation].extend(events)


class FakeReports:
    """The Reports port. `running` is the sweep that has the single place of a deep sweep until `running_until`."""

    def __init__(self) -> None:
        self.reports: dict[str, SweepReport] = {}
        self.running: str | None = None
        self.running_until: datetime | None = None
        self.suspected: dict[str, datetime] = {}

    def write(self, report: SweepReport) -> None:
        self.reports[report.id] = report

    def read(self, sweep_id: str) -> SweepReport | None:
        return self.reports.get(sweep_id)

    def acquire(self, sweep_id: str, now: datetime, until: datetime) -> bool:
        taken = self.running not in (None, sweep_id)
        if taken and (self.running_until is None or now < self.running_until):
            return False
        self.running, self.running_until = sweep_id, until
        return True

    def release(self, sweep_id: str) -> None:
        if self.running == sweep_id:
            self.running = None

    def suspects(self) -> Mapping[str, datetime]:
        return dict(self.suspected)

    def suspect(self, suspects: Mapping[str, datetime]) -> None:
        self.suspected = dict(suspects)


def name_of_write(after: Environment, events: Sequence[Event]) -> str:
    """The kind of the write's first event; `claimed` or `released` for a write of the lease, which has no event."""
    return events[0].kind if events else "claimed" if after.lease.holder else "released"


def _unchanged(stored: Environment | None, before: Environment | None) -> bool:
    if stored is None or before is None:
        return stored is before
    return stored.version == before.version and stored.lease.token == before.lease.token
