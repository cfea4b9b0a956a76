"""Fakes of the ports, for tests that need no cloud: small, honest, and scripted by the test that holds them.

The rule: they keep the promises that `ports` makes (above all the conditional writes) and nothing more.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from orchestrator.domain import names
from orchestrator.domain.environment import Environment, Status
from orchestrator.domain.errors import Interrupted, LeaseLost, OperationFailed, VersionConflict
from orchestrator.domain.events import Event
from orchestrator.domain.sweeps import SweepReport
from orchestrator.ports import (
    Deployed,
    FoundResource,
    FoundService,
    FoundStack,
    Lock,
    Page,
    PendingCreate,
    Progress,
    Service,
    StopSignal,
    Verification,
)


class FakeClock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class FakeRecords:
    """The table in memory.

    `meanwhile` holds what another writer does right before a write, once each: by the write's first event, or by `claimed` and
    `released`, which have none.
    """

    def __init__(self) -> None:
        self.records: dict[str, Environment] = {}
        self.tombstones: list[Environment] = []
        self.written_events: dict[tuple[str, int], list[Event]] = defaultdict(list)
        self.meanwhile: dict[str, Callable[[], object]] = {}
        self._lock = threading.Lock()

    def get(self, environment_id: str) -> Environment | None:
        return self.records.get(environment_id)

    def add(self, environment: Environment, event: Event) -> None:
        self._swap(None, environment, (event,))

    def replace(self, before: Environment, after: Environment, *events: Event) -> None:
        self._swap(before, after, events)

    def reuse(self, tombstone: Environment, after: Environment, event: Event) -> None:
        self._swap(tombstone, after, (event,))
        self.tombstones.append(tombstone)

    def note(self, environment: Environment, event: Event) -> None:
        with self._lock:
            if self.records[environment.id].lease.token != environment.lease.token:
                raise LeaseLost(environment.id)
            self._note(environment, event)

    def events(self, environment: Environment, cursor: str | None, limit: int) -> Page[Event]:
        start = int(cursor or 0)
        found = self.written_events[environment.id, environment.incarnation][start : start + limit]
        return Page(found, str(start + len(found)))

    def listing(
        self, owner: str | None, statuses: Sequence[Status], labels: Mapping[str, str], cursor: str | None, limit: int
    ) -> Page[Environment]:
        start = int(cursor or 0)
        found = [
            environment
            for status in statuses
            for environment in [*self.records.values(), *self.tombstones]
            if environment.status == status and owner in (None, environment.owner)
            if labels.items() <= environment.labels.items()
        ]
        more = len(found) > start + limit
        return Page(found[start : start + limit], str(start + limit) if more else None)

    def count_active(self, owner: str, most: int) -> int:
        return min(most, sum(each.owner == owner and not each.destroyed for each in self.records.values()))

    def due(self, now: datetime) -> Iterable[str]:
        due = [(each.due_at, each.id) for each in self.records.values() if each.due_at and each.due_at <= now]
        return [environment_id for _, environment_id in sorted(due)]

    def kinds(self, environment_id: str) -> list[str]:
        """The kinds of the events of all incarnations, for a test to compare."""
        return [
            event.kind
            for (name, _), events in self.written_events.items()
            if name == environment_id
            for event in events
        ]

    def _swap(self, before: Environment | None, after: Environment, events: Sequence[Event]) -> None:
        kind = events[0].kind if events else "claimed" if after.lease.holder else "released"
        self.meanwhile.pop(kind, lambda: None)()
        with self._lock:
            if self.records.get(after.id) != before:
                raise VersionConflict(after.id)
            self.records[after.id] = after
            for event in events:
                self._note(after, event)

    def _note(self, environment: Environment, event: Event) -> None:
        self.written_events[environment.id, environment.incarnation].append(event)


class FakeReports:
    def __init__(self) -> None:
        self.reports: dict[str, SweepReport] = {}
        self.running: str | None = None
        self.running_until = datetime.max.replace(tzinfo=UTC)
        self.suspected: dict[str, datetime] = {}

    def write(self, report: SweepReport) -> None:
        self.reports[report.id] = report

    def read(self, sweep_id: str) -> SweepReport | None:
        return self.reports.get(sweep_id)

    def acquire(self, sweep_id: str, now: datetime, until: datetime) -> bool:
        if self.running and self.running != sweep_id and now < self.running_until:
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


@dataclass
class FakeInventory:
    """All that exists, as the test puts it there. `error` is raised by any look; `while_looking` is run at the end of one."""

    found_services: list[FoundService] = field(default_factory=list)
    found_stacks: list[FoundStack] = field(default_factory=list)
    found_resources: list[FoundResource] = field(default_factory=list)
    error: OperationFailed | None = None
    while_looking: Callable[[], object] | None = None

    def services(self) -> Sequence[FoundService]:
        if self.error:
            raise self.error
        return list(self.found_services)

    def stacks(self) -> Sequence[FoundStack]:
        return list(self.found_stacks)

    def resources(self) -> Sequence[FoundResource]:
        found = list(self.found_resources)
        if self.while_looking:
            self.while_looking()
        return found


class FakeDispatcher:
    """Remembers who was asked for; the test decides whether somebody comes."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def work(self, environment_id: str) -> None:
        self.asked.append(environment_id)

    def sweep(self, sweep_id: str) -> None:
        self.asked.append(f"sweep {sweep_id}")


@dataclass
class FakeWorld:
    """App Runner and Pulumi's state as one: engine, cloud and health look at the same services.

    `during` is run in the middle of the next operation, `while_asked` at each health check; `errors` are raised by the next
    operations, one each.
    """

    services: dict[str, Service] = field(default_factory=dict)
    stacks: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    errors: list[OperationFailed | None] = field(default_factory=list)
    during: Callable[[], object] | None = None
    while_asked: Callable[[], object] | None = None
    last_operation: str = "SUCCEEDED"
    unhealthy: str | None = None
    forgets: bool = False
    """The engine destroys the stack and leaves the service."""
    undeletable: bool = False
    stuck_image: str | None = None
    """The service goes on running this image, whatever is deployed."""
    nothing_to_do: bool = False
    """The engine finds no difference, so App Runner has no new operation."""
    stays_as_it_is: bool = False
    """The service neither pauses nor resumes."""
    leftovers: list[str] = field(default_factory=list)
    """What else a look finds, whatever is destroyed."""
    held_locks: list[Lock] = field(default_factory=list)
    pending: list[PendingCreate] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    """The ARNs in the engine's state, where a test cares."""
    digests: dict[str, str] = field(default_factory=dict)

    def deploy(
        self, environment: Environment, *, new: bool, refresh: bool, progress: Progress, stop: StopSignal
    ) -> Deployed:
        self.calls.append("deploy new" if new else "deploy refresh" if refresh else "deploy")
        self.stacks.add(names.stack_name(environment.id))
        self._go_on(stop)
        if self.nothing_to_do:
            return Deployed(f"https://{environment.id}.example")
        image = self.stuck_image or environment.spec.image
        operation = f"operation-{len(self.calls)}"
        known = self.services.get(environment.id)
        status = known.status if known and known.paused else "RUNNING"
        self.services[environment.id] = Service(f"arn:{environment.id}", status, image, self.last_operation, operation)
        progress("the service is made")
        return Deployed(f"https://{environment.id}.example")

    def destroy(self, environment: Environment, *, refresh: bool, progress: Progress, stop: StopSignal) -> None:
        self.calls.append("destroy refresh" if refresh else "destroy")
        self._go_on(stop)
        self.stacks.discard(names.stack_name(environment.id))
        if not self.forgets:
            self.services.pop(environment.id, None)

    def locks(self, environment: Environment) -> Sequence[Lock]:
        return list(self.held_locks)

    def break_lock(self, lock: Lock) -> None:
        self.calls.append(f"break {lock.key}")
        self.held_locks.remove(lock)

    def pending_creates(self, environment: Environment) -> Sequence[PendingCreate]:
        return list(self.pending)

    def knows(self, environment: Environment, arn: str) -> bool:
        return arn in self.known

    def clear_pending_creates(self, environment: Environment, *, progress: Progress, stop: StopSignal) -> None:
        self.calls.append("clear pending creates")
        self.pending.clear()

    def service(self, environment: Environment) -> Service | None:
        return self.services.get(environment.id)

    def pause(self, service: Service) -> None:
        self._turn(service, "PAUSED")

    def resume(self, service: Service) -> None:
        self._turn(service, "RUNNING")

    def digest(self, image: str) -> str | None:
        return self.digests.get(image)

    def remove_leftover(self, environment: Environment, service: Service) -> None:
        self.calls.append("remove leftover")
        if not self.undeletable:
            self.services.pop(environment.id, None)

    def verify_absent(self, environment: Environment) -> Verification:
        found = [service.arn for name, service in self.services.items() if name == environment.id]
        found += [stack for stack in self.stacks if stack == names.stack_name(environment.id)]
        return Verification(("services", "stacks"), (*found, *self.leftovers), ("other accounts",))

    def answers(self, url: str) -> str | None:
        if self.while_asked:
            self.while_asked()
        return self.unhealthy

    def _turn(self, service: Service, status: str) -> None:
        self.calls.append("pause" if status == "PAUSED" else "resume")
        for name, found in self.services.items():
            if found.arn == service.arn and not self.stays_as_it_is:
                operation = f"operation-{len(self.calls)}"
                self.services[name] = replace(found, status=status, operation_id=operation)

    def _go_on(self, stop: StopSignal) -> None:
        if self.during:
            during, self.during = self.during, None
            during()
            if stop.wait(5):
                raise Interrupted("Stopped in order.")
        error = self.errors.pop(0) if self.errors else None
        if error:
            raise error
