"""The cloud for unit tests: the Engine, Cloud and Health ports on one set of services, and the Inventory port."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.domain import names
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import Interrupted, OperationFailed
from orchestrator.ports import (
    Deployed,
    FoundResource,
    FoundService,
    FoundStack,
    Lock,
    PendingCreate,
    Progress,
    Service,
    StopSignal,
    Verification,
)


@dataclass
class FakeCloud:
    """The Engine, Cloud and Health ports on the same services and stacks.

    `during` is called once in the middle of the next operation, `while_asked` at each health check; `errors` are raised by the
    next operations, one each.
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
    """The engine removes the stack and leaves the service."""
    undeletable: bool = False
    stuck_image: str | None = None
    """The service keeps running this image, whatever is deployed."""
    nothing_to_do: bool = False
    """The engine finds no difference, so App Runner has no new operation."""
    ignores_pauses: bool = False
    """The service neither pauses nor resumes."""
    leftovers: list[str] = field(default_factory=list)
    """What else `verify_absent` finds, whatever is destroyed."""
    held_locks: list[Lock] = field(default_factory=list)
    pending: list[PendingCreate] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    """The ARNs in the engine's state, where a test needs them."""
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
        progress("the service is created")
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
            if found.arn == service.arn and not self.ignores_pauses:
                operation = f"operation-{len(self.calls)}"
                self.services[name] = replace(found, status=status, operation_id=operation)

    def _go_on(self, stop: StopSignal) -> None:
        if self.during:
            during, self.during = self.during, None
            during()
            if stop.wait(5):
                raise Interrupted("Stopped gracefully.")
        error = self.errors.pop(0) if self.errors else None
        if error:
            raise error


@dataclass
class FakeInventory:
    """The Inventory port, with what the test puts there. `error` is raised, `while_listing` called at the end of the listing."""

    found_services: list[FoundService] = field(default_factory=list)
    found_stacks: list[FoundStack] = field(default_factory=list)
    found_resources: list[FoundResource] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    """The ARNs of services that exist no more, whatever the list shows."""
    error: OperationFailed | None = None
    while_listing: Callable[[], object] | None = None

    def services(self) -> Sequence[FoundService]:
        if self.error:
            raise self.error
        return list(self.found_services)

    def is_alive(self, service_arn: str) -> bool:
        return service_arn not in self.gone

    def stacks(self) -> Sequence[FoundStack]:
        return list(self.found_stacks)

    def resources(self) -> Sequence[FoundResource]:
        found = list(self.found_resources)
        if self.while_listing:
            self.while_listing()
        return found
