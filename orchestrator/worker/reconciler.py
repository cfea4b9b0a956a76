"""Compare what is desired with what was observed, and do the one next thing, until there is nothing left to do.

The rule: everything that goes wrong is healed by running this again. `decide` is pure; `Reconciler` carries its decisions
out through the ports, under the environment's lease.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime

from orchestrator.domain import lease
from orchestrator.domain.environment import Environment, Observed, Operation, Receipt
from orchestrator.domain.errors import (
    FibfactoryError,
    Interrupted,
    LeaseLost,
    LockLeft,
    OperationFailed,
    Terminal,
    Transient,
    VersionConflict,
)
from orchestrator.domain.observed import (
    MAX_ATTEMPTS,
    mark_destroyed,
    mark_failed,
    mark_interrupted,
    mark_ready,
    mark_started,
)
from orchestrator.ports import Cloud, Dispatcher, Engine, Event, Health, Records, StopSignal
from orchestrator.worker.cancellation import CancellationMonitor
from orchestrator.worker.operations import Operations

MAX_CONTINUATIONS = 8
"""So many invocations in a row may carry on one operation; Lambda cuts chains of more than 16. Then the sweep takes over."""

_STARTED = {
    Operation.DEPLOY: "deploying",
    Operation.UPDATE: "updating",
    Operation.PAUSE: "pausing",
    Operation.RESUME: "resuming",
    Operation.DESTROY: "destroying",
}


def decide(environment: Environment, now: datetime) -> Operation | None:
    """The next thing to do, or None when there is none now."""
    if not environment.outstanding or (environment.retry_at and environment.retry_at > now):
        return None
    if not environment.present:
        return Operation.DESTROY
    if not environment.observed.generation:
        return Operation.DEPLOY
    if environment.paused:
        return Operation.PAUSE
    return Operation.RESUME if environment.observed.paused else Operation.UPDATE


@dataclass(frozen=True)
class Limits:
    """One invocation's time: the work is stopped in order at `stop_at`; the lease ends at `lease_until`, when we must be dead."""

    stop_at: datetime
    lease_until: datetime
    grace: float = 25.0
    """Seconds between one signal to stop and a firmer one."""


@dataclass(frozen=True)
class Reconciler:
    records: Records
    engine: Engine
    cloud: Cloud
    health: Health
    dispatcher: Dispatcher
    clock: Callable[[], datetime]
    host: str | None = None
    """This machine, as it signs the engine's locks."""
    watch_every: float = 1.0
    """Seconds between two looks at whether something newer is wanted."""
    look_again_after: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)
    """Seconds between two looks for what a destroy left."""
    listed_late: tuple[float, ...] = (0.5, 1.5, 2.0, 4.0)
    """Seconds between two looks for a service that was made a moment ago and may not be listed yet.

    All of them fit into one short invocation, or an operation that needs them would never end.
    """
    watching: Callable[..., AbstractContextManager[StopSignal]] = CancellationMonitor
    """What tells a running operation to stop."""

    def run(self, environment_id: str, holder: str, limits: Limits) -> Environment | None:
        """Work on one environment until it is as desired, has failed, or the time is up.

        Returns the record as it was let go, or None when there was nothing to claim. Raises LeaseLost when another worker
        took over; nothing was written then. Raises LockLeft, with the lease kept, when the engine's lock could not be removed.
        """
        claimed = self._claim(environment_id, holder, limits)
        if claimed is None:
            return None
        work = _Work(self, claimed, limits)
        try:
            work.go_on()
        except (LeaseLost, LockLeft):
            raise
        except Exception:
            work.give_back()
            raise
        if work.out_of_time and work.environment.outstanding and work.environment.continuations <= MAX_CONTINUATIONS:
            self.dispatcher.work(environment_id)
        return work.environment

    def _claim(self, environment_id: str, holder: str, limits: Limits) -> Environment | None:
        while True:
            before = self.records.get(environment_id)
            if before is None or not before.outstanding:
                return None
            after = lease.claim(before, holder, self.clock(), limits.lease_until, self.host)
            if after is None:
                return None
            try:
                self.records.replace(before, after)
            except VersionConflict:
                continue
            return after


class _Work:
    """One worker's work on one environment, under one token."""

    def __init__(self, ports: Reconciler, claimed: Environment, limits: Limits) -> None:
        self.ports = ports
        self.environment = claimed
        self.token = claimed.lease.token
        self.limits = limits

    @property
    def out_of_time(self) -> bool:
        return self.ports.clock() >= self.limits.stop_at

    def go_on(self) -> None:
        """Do the next thing until there is none or the time is up, and let go of the lease."""
        while True:
            operation = decide(self.environment, self.ports.clock())
            if operation is None or self.out_of_time:
                if self.release():
                    return
            elif self.environment.attempts >= MAX_ATTEMPTS:
                self._fail(self.environment, operation, _died_too_often(self.environment))
            else:
                self.perform(operation)

    def perform(self, operation: Operation) -> None:
        """Do one operation and write how it ended. Only LeaseLost and errors that nobody foresaw come out."""
        target = self.environment
        if not self._replace(mark_started(target, self.token, operation), _STARTED[operation]):
            return  # something changed since the decision: decide again
        try:
            with self._watching(target, operation) as stop:
                operations = self._operations(target, stop)
                if operation is Operation.DESTROY:
                    self._mark_destroyed(operations.destroy())
                else:
                    self._mark_ready(operations.deploy())
        except Interrupted as stopped:
            self._interrupt(target, operation, stopped)
        except (LeaseLost, LockLeft):
            raise
        except OperationFailed as error:
            self._fail(target, operation, error)
        except Exception as error:
            self._fail(target, operation, Transient(f"Something failed that should not have: {error!r}", "internal"))
            raise

    def give_back(self) -> None:
        """Let go of the lease after an error, if that can be done; else it ends by itself."""
        with suppress(FibfactoryError):
            while not self.release():
                pass

    def release(self) -> bool:
        """Give the lease back; False when a change came in meanwhile, which is read and must be decided on first."""
        return self._replace(lease.release(self.environment, self.token))

    def _watching(self, target: Environment, operation: Operation) -> AbstractContextManager[StopSignal]:
        ports, limits = self.ports, self.limits
        return ports.watching(
            ports.records, target, operation, ports.clock, limits.stop_at, limits.grace, ports.watch_every
        )

    def _operations(self, target: Environment, stop: StopSignal) -> Operations:
        ports = self.ports
        return Operations(
            ports.engine,
            ports.cloud,
            ports.health,
            ports.clock,
            ports.look_again_after,
            ports.listed_late,
            target,
            self._note,
            stop,
        )

    def _mark_ready(self, observed: Observed) -> None:
        kind, message = (
            ("paused", f"It keeps {observed.url}.") if observed.paused else ("ready", f"It answers at {observed.url}.")
        )
        self._write(lambda latest: mark_ready(latest, self.token, observed), kind, message)

    def _mark_destroyed(self, receipt: Receipt) -> None:
        self._write(lambda latest: mark_destroyed(latest, self.token, receipt), "destroyed", "Nothing of it is left.")

    def _interrupt(self, target: Environment, operation: Operation, stopped: Interrupted) -> None:
        generation, now = target.generation, self.ports.clock()
        self._write(
            lambda latest: mark_interrupted(latest, self.token, generation, operation, now),
            "interrupted",
            stopped.message,
        )

    def _fail(self, target: Environment, operation: Operation, error: OperationFailed) -> None:
        generation, now = target.generation, self.ports.clock()
        self._write(
            lambda latest: mark_failed(latest, self.token, generation, operation, error, now),
            "failed",
            error.message,
            code=error.code,
        )

    def _note(self, line: str) -> None:
        """Tell a line of progress. It is not worth failing for, and a lost lease is noticed at the next write."""
        with suppress(FibfactoryError):
            self.ports.records.note(self.environment, Event(self.ports.clock(), "progress", line))

    def _write(self, change: Callable[[Environment], Environment], kind: str, message: str = "", **data: str) -> None:
        while not self._replace(change(self.environment), kind, message, **data):
            pass

    def _replace(self, after: Environment, kind: str = "", message: str = "", **data: str) -> bool:
        """Write the record as it should be; when it changed meanwhile, read it again and return False."""
        event = Event(self.ports.clock(), kind, message, {"generation": after.generation, **data})
        try:
            self.ports.records.replace(self.environment, after, *([event] if kind else []))
        except VersionConflict:
            self._read_again()
            return False
        self.environment = after
        return True

    def _read_again(self) -> None:
        latest = self.ports.records.get(self.environment.id)
        if latest is None:
            raise LeaseLost(f"The record of {self.environment.id} is not there any more.")
        self.environment = lease.require_lease(latest, self.token)


def _died_too_often(environment: Environment) -> Terminal:
    return Terminal(
        f"{environment.attempts} attempts ended badly, the last ones with the worker itself: it may need more memory, more "
        "/tmp or more time. The worker function's log says how it ended.",
        "worker_died",
    )
