"""The Pulumi CLI, as far as its behaviour is known.

A process is a generator of its steps: it yields what it is about to change (nothing when it only reads or waits) and how long
that takes, and makes the change when it goes on. So it can end between any two of its effects, and can go on without its worker.

The rule: a killed process leaves what the real one leaves: its lock, a pending create, perhaps a service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from orchestrator.domain import names
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import ErrorCode, Interrupted, OperationFailed, Terminal, Transient
from orchestrator.ports import PendingCreate
from tests.simulation.apprunner import ApiError, SimService
from tests.simulation.scenario import PLATFORM, PREFIX
from tests.simulation.scheduler import NEVER, Actor
from tests.simulation.world import SimLock, SimStack, StackService, World

EFFECT_PREFIX = "CLI: "
"""Begins the effects of a process: at these its worker may die while the process goes on."""

_SERVICE_TYPE = "aws:apprunner/service:Service"
_PROVIDER_TIMEOUT = 1200.0
"""The provider waits so many seconds for an operation of App Runner."""

Command = Literal["up", "destroy", "clear"]
Steps = Iterator[tuple[str, float]]


class Cli:
    """One process. `failure` is why it failed, `not_found` that there was no stack."""

    def __init__(
        self, world: World, environment: Environment, worker: Actor, command: Command, *, new: bool, refresh: bool
    ) -> None:
        self.world = world
        self.environment = environment
        self.stack_name = names.stack_name(environment.id)
        self.image = environment.spec.image
        self.tags = names.tags(
            PLATFORM, environment.owner, environment.id, environment.generation, paused=environment.paused
        )
        self.worker = worker
        self.command = command
        self.new = new
        self.refresh = refresh
        self.failure: OperationFailed | None = None
        self.not_found = False
        self.over = False
        self.signalled = False
        self.in_update = False
        """Only then does the first signal stop it gracefully."""
        self.kill_at = NEVER
        self.next_effect = ""
        faults = world.faults
        self.obeys = not faults.hit("the CLI ignores the first signal")
        self.steps_left = int(faults.between(2, 14)) if faults.hit("the CLI is killed by the machine") else -1
        self._lock: SimLock | None = None
        self._counted = False
        self._unsaved = False
        self._steps = self._run()

    def go_on(self) -> tuple[str, float] | None:
        """Do what was announced. Returns what is next, or None at the end."""
        try:
            return next(self._steps)
        except StopIteration:
            self.end()
            return None

    def end(self) -> None:
        """The process is gone, whatever it was doing."""
        self.over = True
        if self._counted:
            self._counted = False
            self.world.checks.process_ended(self.stack_name)

    def _run(self) -> Steps:
        world, name = self.world, self.stack_name
        yield "", self._seconds(0.3, 1.5)
        stack = world.stacks.get(name)
        if stack is None and not self.new:
            self.not_found = True
            return
        if stack is None:
            yield "the stack is created", self._seconds(0.1, 0.4)
            stack = world.stacks.setdefault(name, SimStack(changed_at=world.now()))
        yield from self._take_lock()
        if self._lock is None:
            return
        self.in_update = True
        if self.command == "clear":
            yield from self._refresh(stack)
            if not self.failure:
                stack.pending.clear()
        else:
            if self.refresh:
                yield from self._refresh(stack)
            if not self._stopped():
                yield from self._up(stack) if self.command == "up" else self._destroy(stack)
        self.in_update = False
        if self.command == "destroy" and not self.failure:
            yield "the stack is removed", self._seconds(0.05, 0.3)
            world.stacks.pop(name, None)
        yield "the lock is removed", self._seconds(0.02, 0.1)
        _drop(world.locks[name], self._lock)

    def _take_lock(self) -> Steps:
        """LIST, PUT, LIST: of two that come at once, both may give up, and at most one gets it."""
        world, worker, stack = self.world, self.worker, self.stack_name
        yield "", self._seconds(0.02, 0.2)
        locks = world.locks.setdefault(stack, [])
        if not locks:
            yield "the lock is taken", self._seconds(0.02, 0.1)
            key = f"{stack}/{worker.name}/{world.now():.6f}"
            mine = SimLock(key, world.now() + worker.skew, f"fibfactory@{worker.host}, process 7", worker.host)
            locks.append(mine)
            yield "", self._seconds(0.02, 0.1)
            if all(lock is mine for lock in locks):
                self._lock = mine
                self._counted = True
                world.checks.process_started(worker.name, stack)
                return
            yield "the lock is given back", self._seconds(0.02, 0.1)
            _drop(locks, mine)
        self.failure = Terminal("Another process holds the lock of this stack.", ErrorCode.STACK_LOCKED)

    def _refresh(self, stack: SimStack) -> Steps:
        yield "", self._seconds(0.2, 1.0)
        if self._throttled() or self._stopped():
            return
        if stack.service is not None:
            service = self.world.apprunner.at(stack.service.arn)
            stack.service = StackService(service.arn, service.image, service.tags) if service else None
        yield from self._save(stack)

    def _up(self, stack: SimStack) -> Steps:
        if stack.service is None:
            yield from self._create(stack)
            return
        arn, image, tags = stack.service
        if image != self.image:
            yield from self._update(stack, arn)
        if not self.failure and tags != self.tags:
            yield "the service is tagged", self._seconds(0.1, 0.5)
            service = self.world.apprunner.at(arn)
            if service is None:
                self.failure = Transient("The service does not exist any more.", ErrorCode.SERVICE_GONE)
                return
            self._check_change(service)
            self.world.apprunner.tag(arn, self.tags)
            stack.tags = self.tags
            yield from self._save(stack)
            if not self.failure:
                stack.service = StackService(arn, self.image, self.tags)

    def _create(self, stack: SimStack) -> Steps:
        world, environment = self.world, self.environment

        def create() -> SimService:
            world.checks.changed(self.worker.name, environment.lease.token, environment.id)
            return world.apprunner.create(names.service_name(PREFIX, environment.id), self.image, self.tags)

        yield from self._save(stack)
        if self.failure:
            return
        stack.tags = self.tags
        urn = f"urn:pulumi:{self.stack_name}::{_SERVICE_TYPE}::app-runner-service"
        pending = PendingCreate(urn, _SERVICE_TYPE, main=True)
        stack.pending.append(pending)
        yield "CreateService", self._seconds(0.2, 1.5)
        service = self._call(create)
        if service is None or self._unreported():
            # The provider returned an error and no ID: the engine's operation is over, and it knows no resource.
            yield "the checkpoint is written", self._seconds(0.05, 0.2)
            _drop(stack.pending, pending)
            stack.changed_at = world.now()
            return
        yield from self._wait(service)
        yield from self._save(stack)
        if not self._unsaved:
            # With an ID the resource is in the state, however its creation ended.
            _drop(stack.pending, pending)
            stack.service = StackService(service.arn, self.image, self.tags)
        if not self.failure and service.status == "CREATE_FAILED":
            self.failure = Terminal("App Runner could not start the service.", ErrorCode.CREATE_FAILED)

    def _update(self, stack: SimStack, arn: str) -> Steps:
        yield "UpdateService", self._seconds(0.2, 1.5)
        service = self._call(lambda: self.world.apprunner.update(self._checked(arn), self.image))
        if service is None:
            return
        if not self._unreported():
            yield from self._wait(service)
        tags = stack.service.tags if stack.service else {}
        yield from self._save(stack)
        # Even a failed update leaves the desired values in the state (Pulumi's issue 21458).
        stack.service = StackService(arn, self.image, tags)

    def _destroy(self, stack: SimStack) -> Steps:
        if stack.service is None:
            return
        arn = stack.service.arn
        yield "DeleteService", self._seconds(0.2, 1.5)
        if self.world.apprunner.at(arn) is not None:
            service = self._call(lambda: self.world.apprunner.delete(self._checked(arn)))
            if service is None or self._unreported():
                return
            yield from self._wait(service)
            if not self.failure and service.status == "DELETE_FAILED":
                self.failure = Transient("App Runner could not delete the service.", ErrorCode.DELETE_FAILED)
        if not self.failure:
            yield from self._save(stack)
        if not self.failure:
            stack.service = None

    def _wait(self, service: SimService) -> Steps:
        """The provider's waiter: until no operation is in progress, its time is over, or it is stopped."""
        world = self.world
        if world.faults.hit("the provider hangs"):
            self.obeys = False
            yield "", _PROVIDER_TIMEOUT
        give_up = world.now() + _PROVIDER_TIMEOUT
        while True:
            world.apprunner.services()
            if service.ends_at is None or self.failure:
                return
            if world.now() >= give_up:
                self.failure = Transient("Timeout while waiting: OPERATION_IN_PROGRESS", ErrorCode.BUSY)
                return
            yield "", min(service.ends_at, give_up) - world.now() + 0.1
            if self._stopped():
                return

    def _save(self, stack: SimStack) -> Steps:
        yield "the checkpoint is written", self._seconds(0.05, 0.2)
        if self.world.faults.hit("a checkpoint is not saved"):
            self._unsaved = True
            self.failure = Transient("The checkpoint could not be saved: SlowDown", ErrorCode.AWS_UNAVAILABLE)
        else:
            stack.changed_at = self.world.now()

    def _call(self, call: Callable[[], SimService]) -> SimService | None:
        """One request to App Runner; None when it was refused, with the reason in `failure`."""
        if self._throttled():
            return None
        try:
            return call()
        except ApiError as refusal:
            error, message, code = _REFUSALS[refusal.code]
            self.failure = error(message, code)
            return None

    def _checked(self, arn: str) -> str:
        service = self.world.apprunner.at(arn)
        if service is None:
            raise ApiError("not found")
        self._check_change(service)
        return arn

    def _check_change(self, service: SimService) -> None:
        checks, who, environment = self.world.checks, self.worker.name, self.environment
        checks.changed(who, environment.lease.token, environment.id)
        checks.service_changed(who, service, environment.id)

    def _stopped(self) -> bool:
        if self.signalled and self.failure is None:
            self.failure = Interrupted("Stopped gracefully; the state has what was made until then.")
        return self.failure is not None

    def _throttled(self) -> bool:
        if self.world.faults.hit("the provider is throttled"):
            self.failure = Transient("AWS answered ThrottlingException.", ErrorCode.AWS_UNAVAILABLE)
        elif self.world.faults.hit("permissions are missing"):
            self.failure = Terminal("The worker's role may not do this.", ErrorCode.ACCESS_DENIED)
        return self.failure is not None

    def _unreported(self) -> bool:
        """Whether the request succeeded and its answer was lost."""
        if self.world.faults.hit("the provider does not report a success"):
            self.failure = Transient("The connection was closed.", ErrorCode.AWS_UNREACHABLE)
        return self.failure is not None

    def _seconds(self, least: float, most: float) -> float:
        return least + (most - least) * self.world.random()


_REFUSALS: Mapping[str, tuple[type[OperationFailed], str, ErrorCode]] = {
    "name exists": (Terminal, "A service of this name runs already.", ErrorCode.NAME_TAKEN),
    "quota": (Terminal, "App Runner's quota of services is used up.", ErrorCode.QUOTA),
    "invalid state": (Transient, "App Runner was busy with the service.", ErrorCode.BUSY),
    "not found": (Transient, "The service does not exist any more.", ErrorCode.SERVICE_GONE),
}
"""What the provider makes of App Runner's refusals."""


def _drop(items: list, item: object) -> None:
    """Remove the item unless it is gone: a lock may have been broken meanwhile."""
    if item in items:
        items.remove(item)
