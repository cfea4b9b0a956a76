"""Compare the desired state with the observed one and do the next thing, until nothing is left to do.

The rule: whatever went wrong is healed by running this again. `decide` is pure; `Reconciler` carries its decisions out through
the ports, under the environment's lease.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.domain import lease
from orchestrator.domain.environment import Environment, Operation
from orchestrator.domain.errors import (
    ErrorCode,
    FibfactoryError,
    Interrupted,
    LeaseLost,
    LockLeft,
    OperationFailed,
    Terminal,
    Transient,
    VersionConflict,
    message_of,
)
from orchestrator.domain.events import Event, EventKind
from orchestrator.domain.invocation import InvocationLimits
from orchestrator.domain.observed import (
    MAX_ATTEMPTS,
    mark_destroyed,
    mark_failed,
    mark_interrupted,
    mark_ready,
    mark_started,
)
from orchestrator.ports import StopSignal, WorkerPorts
from orchestrator.worker.cancellation import cancellation_monitor
from orchestrator.worker.operations import Operations, Pauses

MAX_CONTINUATIONS = 8
"""How many invocations in a row may continue one operation; Lambda cuts chains of more than 16. Then the sweep takes over."""

_STARTED = {
    Operation.DEPLOY: EventKind.DEPLOYING,
    Operation.UPDATE: EventKind.UPDATING,
    Operation.PAUSE: EventKind.PAUSING,
    Operation.RESUME: EventKind.RESUMING,
    Operation.DESTROY: EventKind.DESTROYING,
}


def decide(environment: Environment, now: datetime) -> Operation | None:
    """The next operation, or None when there is nothing to do now."""
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
class Reconciler:
    ports: WorkerPorts
    host: str | None = None
    """This machine's host name, which Pulumi writes into its locks."""
    pauses: Pauses = field(default_factory=Pauses)
    monitor: Callable[..., AbstractContextManager[StopSignal]] = cancellation_monitor
    """What tells a running operation to stop."""

    def run(self, environment_id: str, holder: str, limits: InvocationLimits) -> Environment | None:
        """Work on one environment until it is as desired, has failed, or the time is over.

        Returns the record as it was released, or None when there was nothing to claim. Raises LeaseLost when another worker took
        over (nothing was written then), and LockLeft, with the lease kept, when the engine's lock could not be removed.
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
            work.release_if_possible()
            raise
        if work.out_of_time and work.environment.outstanding and work.environment.continuations <= MAX_CONTINUATIONS:
            self.ports.dispatcher.work(environment_id)
        return work.environment

    def _claim(self, environment_id: str, holder: str, limits: InvocationLimits) -> Environment | None:
        while True:
            before = self.ports.records.get(environment_id)
            if before is None or not before.outstanding:
                return None
            after = lease.claim(before, holder, self.ports.clock(), limits.lease_until, self.host)
            if after is None:
                return None
            try:
                self.ports.records.write(before, after)
            except VersionConflict:
                continue
            return after


class _Work:
    """One worker's work on one environment, under one token."""

    def __init__(self, reconciler: Reconciler, claimed: Environment, limits: InvocationLimits) -> None:
        self.reconciler = reconciler
        self.ports = reconciler.ports
        self.environment = claimed
        self.token = claimed.lease.token
        self.limits = limits

    @property
    def out_of_time(self) -> bool:
        return self.ports.clock() >= self.limits.stop_at

    def go_on(self) -> None:
        """Do the next thing until nothing is left or the time is over, then release the lease."""
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
        """Do one operation and write its outcome. Raises only LeaseLost, LockLeft and unexpected errors."""
        target = self.environment
        if not self._replace(mark_started(target, self.token, operation), _STARTED[operation]):
            return  # something changed since the decision: decide again
        try:
            with self._monitor(target, operation) as stop:
                operations = Operations(self.ports, target, self._note, stop, self.reconciler.pauses)
                if operation is Operation.DESTROY:
                    self._write(EventKind.DESTROYED, "Nothing of it is left.", mark_destroyed, operations.destroy())
                else:
                    observed = operations.deploy()
                    kind = EventKind.PAUSED if observed.paused else EventKind.READY
                    how = "keeps" if observed.paused else "answers at"
                    self._write(kind, f"It {how} {observed.url}.", mark_ready, observed)
        except Interrupted as stopped:
            outcome = (target.generation, operation, self.ports.clock())
            self._write(EventKind.INTERRUPTED, stopped.message, mark_interrupted, *outcome)
        except (LeaseLost, LockLeft):
            raise
        except OperationFailed as error:
            self._fail(target, operation, error)
        except Exception as error:
            self._fail(target, operation, Transient(message_of(error), ErrorCode.INTERNAL))
            raise

    def release_if_possible(self) -> None:
        """Release the lease after an error; if that fails too, the lease ends by itself."""
        with suppress(FibfactoryError):
            while not self.release():
                pass

    def release(self) -> bool:
        """Release the lease. Returns False when the record changed meanwhile: it was read again and must be decided on first."""
        return self._replace(lease.release(self.environment, self.token))

    def _monitor(self, target: Environment, operation: Operation) -> AbstractContextManager[StopSignal]:
        reconciler = self.reconciler
        return reconciler.monitor(self.ports, target, operation, self.limits, reconciler.pauses.between_reads)

    def _fail(self, target: Environment, operation: Operation, error: OperationFailed) -> None:
        outcome = (target.generation, operation, error, self.ports.clock())
        self._write(EventKind.FAILED, error.message, mark_failed, *outcome, code=error.code)

    def _note(self, line: str) -> None:
        """Write a line of progress. An error here fails nothing: a lost lease is noticed at the next write."""
        with suppress(FibfactoryError):
            self.ports.records.note(self.environment, Event(self.ports.clock(), EventKind.PROGRESS, line))

    def _write(
        self, kind: EventKind, message: str, mark: Callable[..., Environment], *outcome: object, **data: str
    ) -> None:
        """Mark the record with the outcome of an operation; again, if it changed meanwhile."""
        while not self._replace(mark(self.environment, self.token, *outcome), kind, message, **data):
            pass

    def _replace(self, after: Environment, kind: EventKind | None = None, message: str = "", **data: str) -> bool:
        """Write the record with an event of this kind, if any. If it changed meanwhile, read it again and return False."""
        events = [Event(self.ports.clock(), kind, message, {"generation": after.generation, **data})] if kind else []
        try:
            self.ports.records.write(self.environment, after, *events)
        except VersionConflict:
            self._read_again()
            return False
        self.environment = after
        return True

    def _read_again(self) -> None:
        latest = self.ports.records.get(self.environment.id)
        if latest is None:
            raise LeaseLost(f"The record of {self.environment.id} does not exist any more.")
        self.environment = lease.require_lease(latest, self.token)


def _died_too_often(environment: Environment) -> Terminal:
    return Terminal(
        f"{environment.attempts} attempts ended badly, and the last worker died: it may need more memory, /tmp or time. "
        "The worker function's log says how it ended.",
        ErrorCode.WORKER_DIED,
    )
