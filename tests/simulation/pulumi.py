"""The Pulumi CLI as the facts have it, and the Engine port on it.

A CLI process is a generator of its steps: it yields what it is about to change (or nothing, when it only reads or waits) and how
long that takes, and does it when it goes on. So it can be ended between any two of its effects, and go on without its worker.

The rule: what a killed process leaves is what the real one leaves: its lock, a pending create, perhaps a service.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from orchestrator.domain import names
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import Interrupted, LockLeft, OperationFailed, Terminal, Transient
from orchestrator.ports import Deployed, Lock, PendingCreate, Progress
from tests.simulation.apprunner import ApiError, SimService
from tests.simulation.scenario import PREFIX
from tests.simulation.scheduler import NEVER, START, Actor
from tests.simulation.watching import SimStop
from tests.simulation.world import SimLock, SimStack, World

_SERVICE_TYPE = "aws:apprunner/service:Service"
_PROVIDER_PATIENCE = 1200.0
"""The provider's waiter gives up after so many seconds."""

Steps = Iterator[tuple[str, float]]


@dataclass(frozen=True)
class Target:
    """What a process works on."""

    environment_id: str
    stack: str
    image: str
    tags: Mapping[str, str]
    token: int


class Cli:
    """One CLI process."""

    def __init__(self, world: World, target: Target, worker: Actor, command: str, *, new: bool, refresh: bool) -> None:
        self.world = world
        self.target = target
        self.who = worker.name
        self.host = worker.host
        self.skew = worker.skew
        self.new = new
        self.refresh = refresh
        self.failure: OperationFailed | None = None
        self.not_found = False
        self.over = False
        self.signalled = False
        self.in_update = False
        """Only then does the first signal end it in order."""
        self.firm_at = NEVER
        self.next_effect = ""
        faults = world.faults
        self.obeys = not faults.hit("the CLI does not obey")
        self.steps_left = int(faults.between(2, 14)) if faults.hit("the CLI is ended by the machine") else -1
        self._lock: SimLock | None = None
        self._counted = False
        self._steps = {"up": self._up, "destroy": self._destroy, "clear": self._clear}[command]()

    def go_on(self) -> tuple[str, float] | None:
        """Do what was announced; returns what is next, or None at the end."""
        try:
            return next(self._steps)
        except StopIteration:
            self.end()
            return None

    def end(self) -> None:
        """The process is no more, whatever it was doing."""
        self.over = True
        if self._counted:
            self._counted = False
            self.world.checks.process_ends(self.target.stack)

    def _up(self) -> Steps:
        world, target = self.world, self.target
        yield "", self._some(0.3, 1.5)
        stack = world.stacks.get(target.stack)
        if stack is None and not self.new:
            self.not_found = True
            return
        if stack is None:
            yield "the stack is made", self._some(0.1, 0.4)
            stack = world.stacks.setdefault(target.stack, SimStack(changed_at=world.now()))
        yield from self._locking()
        if self._lock is None:
            return
        self.in_update = True
        if self.refresh:
            yield from self._refreshing(stack)
        if not self._stopped():
            yield from self._making(stack)
        self.in_update = False
        yield from self._unlocking()

    def _destroy(self) -> Steps:
        world, target = self.world, self.target
        yield "", self._some(0.3, 1.5)
        stack = world.stacks.get(target.stack)
        if stack is None:
            self.not_found = True
            return
        yield from self._locking()
        if self._lock is None:
            return
        self.in_update = True
        if self.refresh:
            yield from self._refreshing(stack)
        if not self._stopped():
            yield from self._deleting(stack)
        self.in_update = False
        if not self.failure:
            yield "the stack is removed", self._some(0.05, 0.3)
            world.stacks.pop(target.stack, None)
        yield from self._unlocking()

    def _clear(self) -> Steps:
        yield "", self._some(0.3, 1.5)
        stack = self.world.stacks.get(self.target.stack)
        if stack is None:
            self.failure = Terminal("The stack is not there.", "stack_missing")
            return
        yield from self._locking()
        if self._lock is None:
            return
        self.in_update = True
        yield from self._refreshing(stack, forget=True)
        self.in_update = False
        yield from self._unlocking()

    def _locking(self) -> Steps:
        """LIST, PUT, LIST: two that come at once may both back off, and both can't get it."""
        world, target = self.world, self.target
        yield "", self._some(0.02, 0.2)
        locks = world.locks.setdefault(target.stack, [])
        if locks:
            self._locked_out()
            return
        yield "the lock is taken", self._some(0.02, 0.1)
        key = f"{target.stack}/{self.who}/{world.now():.6f}"
        mine = SimLock(key, world.now() + self.skew, f"fibfactory@{self.host}, process 7", self.host)
        locks.append(mine)
        yield "", self._some(0.02, 0.1)
        if any(lock is not mine for lock in locks):
            yield "the lock is given back", self._some(0.02, 0.1)
            _drop(locks, mine)
            self._locked_out()
            return
        self._lock = mine
        self._counted = True
        world.checks.process_begins(self.who, target.stack)

    def _locked_out(self) -> None:
        self.failure = Terminal("Another process holds the lock of this stack.", "stack_locked")

    def _unlocking(self) -> Steps:
        yield "the lock is removed", self._some(0.02, 0.1)
        _drop(self.world.locks[self.target.stack], self._lock)

    def _refreshing(self, stack: SimStack, forget: bool = False) -> Steps:
        yield "", self._some(0.2, 1.0)
        if self._throttled() or self._stopped():
            return
        if stack.service is not None:
            arn = stack.service[0]
            service = self.world.apprunner.at(arn)
            stack.service = (arn, service.image, service.tags) if service else None
        yield from self._saving(stack)
        if forget and not self.failure:
            stack.pending.clear()

    def _making(self, stack: SimStack) -> Steps:
        if stack.service is None:
            yield from self._creating(stack)
            return
        arn, image, tags = stack.service
        target = self.target
        if image != target.image:
            yield from self._updating(stack, arn)
        if not self.failure and tags != target.tags:
            yield "the service is tagged", self._some(0.1, 0.5)
            service = self.world.apprunner.at(arn)
            if service is None:
                self.failure = Transient("Somebody else removed the service.", "service_gone")
                return
            self._touch(service)
            self.world.apprunner.tag(arn, target.tags)
            stack.tags = target.tags
            yield from self._saving(stack)
            if not self.failure:
                stack.service = (arn, target.image, target.tags)

    def _creating(self, stack: SimStack) -> Steps:
        world, target = self.world, self.target
        pending = PendingCreate(
            f"urn:pulumi:{target.stack}::{_SERVICE_TYPE}::app-runner-service", _SERVICE_TYPE, main=True
        )
        yield from self._saving(stack)
        if self.failure:
            return
        stack.tags = target.tags
        stack.pending.append(pending)
        yield "CreateService", self._some(0.2, 1.5)
        silent = False
        try:
            if self._throttled():
                raise ApiError("throttled")
            world.checks.changes(self.who, target.token, target.environment_id)
            name = names.service_name(PREFIX, target.environment_id)
            service = world.apprunner.create(name, target.image, target.tags)
            silent = world.faults.hit("the provider says nothing of a success")
            if silent:
                self.failure = Transient("The connection was closed.", "aws_unreachable")
        except ApiError as refused:
            self.failure = self.failure or _refused(refused)
        if self.failure:
            # The provider returned an error and no ID: the engine's operation is over, and it knows of no resource.
            yield "the checkpoint is written", self._some(0.05, 0.2)
            _drop(stack.pending, pending)
            stack.changed_at = world.now()
            return
        yield from self._waiting(service)
        yield from self._saving(stack)
        if self.failure is None or self.failure.code != "unsaved":
            # With an ID the resource is in the state, however its creation ended.
            _drop(stack.pending, pending)
            stack.service = (service.arn, target.image, target.tags)
        if not self.failure and service.status == "CREATE_FAILED":
            self.failure = Terminal("App Runner could not start the service.", "create_failed")

    def _updating(self, stack: SimStack, arn: str) -> Steps:
        world, target = self.world, self.target
        yield "UpdateService", self._some(0.2, 1.5)
        try:
            if self._throttled():
                return
            service = self._found(arn)
            self._touch(service)
            world.apprunner.update(arn, target.image)
        except ApiError as refused:
            self.failure = _refused(refused)
            return
        if world.faults.hit("the provider says nothing of a success"):
            self.failure = Transient("The connection was closed.", "aws_unreachable")
        else:
            yield from self._waiting(service)
        tags = stack.service[2] if stack.service else {}
        yield from self._saving(stack)
        # Also a failed update leaves in the state what was wanted (Pulumi's issue 21458).
        stack.service = (arn, target.image, tags)

    def _deleting(self, stack: SimStack) -> Steps:
        world = self.world
        if stack.service is None:
            return
        arn = stack.service[0]
        yield "DeleteService", self._some(0.2, 1.5)
        service = world.apprunner.at(arn)
        if service is not None:
            try:
                if self._throttled():
                    return
                self._touch(service)
                world.apprunner.delete(arn)
            except ApiError as refused:
                self.failure = _refused(refused)
                return
            if world.faults.hit("the provider says nothing of a success"):
                self.failure = Transient("The connection was closed.", "aws_unreachable")
                return
            yield from self._waiting(service)
            if not self.failure and service.status == "DELETE_FAILED":
                self.failure = Transient("App Runner could not delete the service.", "delete_failed")
        if not self.failure:
            yield from self._saving(stack)
        if not self.failure:
            stack.service = None

    def _waiting(self, service: SimService) -> Steps:
        """The provider's waiter: until nothing is in progress, its patience is at an end, or it is told to stop."""
        world = self.world
        if world.faults.hit("the provider hangs"):
            self.obeys = False
            yield "", _PROVIDER_PATIENCE
        patience = world.now() + _PROVIDER_PATIENCE
        while True:
            world.apprunner.current()
            if service.ends_at is None or self.failure:
                return
            if world.now() >= patience:
                self.failure = Transient("Timeout while waiting: OPERATION_IN_PROGRESS", "busy")
                return
            yield "", min(service.ends_at, patience) - world.now() + 0.1
            if self._stopped():
                return

    def _saving(self, stack: SimStack) -> Steps:
        yield "the checkpoint is written", self._some(0.05, 0.2)
        if self.world.faults.hit("a checkpoint is not saved"):
            self.failure = Transient("The checkpoint could not be saved: SlowDown", "unsaved")
        else:
            stack.changed_at = self.world.now()

    def _stopped(self) -> bool:
        if self.signalled and self.failure is None:
            self.failure = Interrupted("Stopped in order; what was made until then is in the state.")
        return self.failure is not None

    def _throttled(self) -> bool:
        if self.world.faults.hit("the provider is throttled"):
            self.failure = Transient("AWS asked to come again later.", "aws_unavailable")
        elif self.world.faults.hit("permissions are missing"):
            self.failure = Terminal("The worker's role may not do this.", "access_denied")
        return self.failure is not None

    def _found(self, arn: str) -> SimService:
        service = self.world.apprunner.at(arn)
        if service is None:
            raise ApiError("not found")
        return service

    def _touch(self, service: SimService) -> None:
        checks, target = self.world.checks, self.target
        checks.changes(self.who, target.token, target.environment_id)
        checks.touches(self.who, service, target.environment_id)

    def _some(self, least: float, most: float) -> float:
        return least + (most - least) * self.world.random()


_REFUSED: Mapping[str, tuple[type[OperationFailed], str, str]] = {
    "name exists": (Terminal, "A service of this name runs already.", "name_taken"),
    "quota": (Terminal, "App Runner's quota of services is used up.", "quota"),
    "invalid state": (Transient, "App Runner was busy with the service.", "busy"),
    "not found": (Transient, "Somebody else removed the service.", "service_gone"),
}


def _refused(error: ApiError) -> OperationFailed:
    """What the provider makes of a refusal. A new error each time: a raised one remembers where."""
    kind, message, code = _REFUSED[error.code]
    return kind(message, code)


class SimEngine:
    """The Engine port: it starts processes, stops them as they may be stopped, and removes a lock that one left."""

    def __init__(self, world: World) -> None:
        self._world = world

    def deploy(
        self, environment: Environment, *, new: bool, refresh: bool, progress: Progress, stop: SimStop
    ) -> Deployed:
        cli = self._ran("up", environment, stop, new=new, refresh=refresh)
        if cli.not_found:
            cli = self._ran("up", environment, stop, new=True)
        progress("The stack is up.")
        stack = self._world.stacks.get(cli.target.stack)
        arn = stack.service[0] if stack and stack.service else "nothing"
        return Deployed(f"https://{arn}")

    def destroy(self, environment: Environment, *, refresh: bool, progress: Progress, stop: SimStop) -> None:
        self._ran("destroy", environment, stop, refresh=refresh)
        progress("The stack is removed.")

    def locks(self, environment: Environment) -> Sequence[Lock]:
        world = self._world
        self._come("the locks are read")
        locks = world.locks.get(names.stack_name(environment.id), ())
        return [Lock(lock.key, START + timedelta(seconds=lock.at), lock.by, lock.host) for lock in locks]

    def break_lock(self, lock: Lock) -> None:
        world = self._world
        actor = self._come("a lock is broken", lock.key)
        world.clockwork.before_effect("a lock is broken")
        for stack, locks in world.locks.items():
            for found in locks:
                if found.key == lock.key:
                    world.checks.breaks(actor.name, found)
                    world.checks.changes(actor.name, actor.token, names.id_of_stack(stack) or "")
                    locks.remove(found)
                    break
        world.clockwork.after_effect("a lock is broken")

    def pending_creates(self, environment: Environment) -> Sequence[PendingCreate]:
        self._come("the pending creates are read")
        stack = self._world.stacks.get(names.stack_name(environment.id))
        return tuple(stack.pending) if stack else ()

    def knows(self, environment: Environment, arn: str) -> bool:
        self._come("the state is read")
        stack = self._world.stacks.get(names.stack_name(environment.id))
        return bool(stack and stack.service and stack.service[0] == arn)

    def clear_pending_creates(self, environment: Environment, *, progress: Progress, stop: SimStop) -> None:
        self._ran("clear", environment, stop)

    def _come(self, what: str, about: str = "") -> Actor:
        actor = self._world.come(what, about)
        if self._world.faults.hit("the state bucket is busy"):
            raise Transient("While reading the state bucket, AWS answered SlowDown", "aws_unavailable")
        return actor

    def _ran(
        self, command: str, environment: Environment, stop: SimStop, *, new: bool = False, refresh: bool = False
    ) -> Cli:
        """Run a process to its end. Raises what it failed with, once no lock of its own is left."""
        world = self._world
        target = Target(
            environment.id,
            names.stack_name(environment.id),
            environment.spec.image,
            world.tags_of(environment),
            environment.lease.token,
        )
        actor = world.come("the CLI starts", (command, "refresh" if refresh else "", "new" if new else ""))
        cli = Cli(world, target, actor, command, new=new, refresh=refresh)
        actor.process = cli
        drive(world, cli, stop)
        actor.process = None
        if stop.is_set() and (cli.failure or not cli.over):
            failure: OperationFailed | None = Interrupted("Stopped in order; what was made is in the state.")
        else:
            failure = cli.failure
        cli.end()
        world.tell(actor.name, "the CLI ended", failure or "well")
        if failure:
            self._leave_no_lock(environment, actor.host, failure)
            raise failure
        return cli

    def _leave_no_lock(self, environment: Environment, host: str, failure: OperationFailed) -> None:
        """As the real engine does it (`PulumiEngine._stack_of`)."""
        since = environment.lease.since
        try:
            for lock in self.locks(environment):
                if lock.host == host and since is not None and lock.at >= since:
                    self.break_lock(lock)
        except OperationFailed as error:
            raise LockLeft(f"{failure.message} The engine's lock could not be removed: {error.message}") from error


def drive(world: World, cli: Cli, stop: SimStop | None) -> None:
    """Let a process go on until it ends, or is ended. Without `stop` it has outlived its worker."""
    clockwork = world.clockwork
    while True:
        what = cli.next_effect
        if what:
            clockwork.before_effect(what)
        step = cli.go_on()
        cli.next_effect = ""
        if what:
            world.tell(world.actor.name, f"  CLI: {what}")
            clockwork.after_effect(what)
        if step is None:
            return
        cli.next_effect, seconds = step
        cli.steps_left -= 1
        if cli.steps_left == 0:
            cli.failure = Transient("The engine's process was ended by a signal.", "engine_killed")
            return
        if stop is None:
            clockwork.sleep(seconds)
        elif not _waited(world, cli, seconds, stop):
            return


def _waited(world: World, cli: Cli, seconds: float, stop: SimStop) -> bool:
    """Let the process do something for so long; False when it was ended in the middle of it.

    The first signal asks, the second ends. Outside of an update the first one ends it too, with its lock held.
    """
    clockwork = world.clockwork
    until = clockwork.now + seconds
    if not cli.signalled:
        stop.sleep_until(until)
        if not stop.is_set():
            return True
        cli.signalled = True
        cli.firm_at = clockwork.now + stop.grace
        if not cli.in_update:
            return False
        if cli.obeys:
            return True
    if until <= cli.firm_at:
        clockwork.sleep_until(max(until, clockwork.now))
        return True
    clockwork.sleep_until(max(cli.firm_at, clockwork.now))
    return False


def _drop(things: list, thing: object) -> None:
    """Remove it if it is there: a lock may have been broken meanwhile."""
    if thing in things:
        things.remove(thing)
