"""Compare what is desired with what was observed, and do the one next thing, until there is nothing left to do.

The rule: everything that goes wrong is healed by running this again. `decide` is pure; `Reconciler` carries its decisions
out through the ports, under the environment's lease.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator import lease, progress
from orchestrator.environment import Environment, Observed, Operation, Receipt
from orchestrator.errors import (
    FibfactoryError,
    Interrupted,
    LeaseLost,
    OperationFailed,
    Terminal,
    Transient,
    VersionConflict,
)
from orchestrator.ports import Cloud, Dispatcher, Engine, Event, Health, Look, Records, Service, StopSignal
from orchestrator.watch import Watch

MAX_CONTINUATIONS = 8
"""So many invocations in a row may carry on one operation; Lambda cuts chains of more than 16. Then the sweep takes over."""

_HEALTH_PATIENCE = timedelta(seconds=60)

_BEGUN = {Operation.DEPLOY: "deploying", Operation.UPDATE: "updating", Operation.DESTROY: "destroying"}


def decide(environment: Environment, now: datetime) -> Operation | None:
    """The next thing to do, or None when there is none now."""
    if not environment.outstanding or (environment.retry_at and environment.retry_at > now):
        return None
    if not environment.present:
        return Operation.DESTROY
    return Operation.UPDATE if environment.observed.generation else Operation.DEPLOY


@dataclass(frozen=True)
class Limits:
    """One invocation's time: the work is stopped in order at `stop_at`; the lease ends at `lease_until`, when we must be dead."""

    stop_at: datetime
    lease_until: datetime


@dataclass(frozen=True)
class Reconciler:
    records: Records
    engine: Engine
    cloud: Cloud
    health: Health
    dispatcher: Dispatcher
    clock: Callable[[], datetime]
    watch_every: float = 1.0
    """Seconds between two looks at whether something newer is wanted."""
    look_again_after: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)
    """Seconds between two looks for what a destroy left."""

    def run(self, environment_id: str, holder: str, limits: Limits) -> Environment | None:
        """Work on one environment until it is as desired, has failed, or the time is up.

        Returns the record as it was let go, or None when there was nothing to claim. Raises LeaseLost when another worker
        took over; nothing was written then.
        """
        claimed = self._claim(environment_id, holder, limits)
        if claimed is None:
            return None
        work = _Work(self, claimed, limits)
        try:
            work.go_on()
        except LeaseLost:
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
            after = lease.claim(before, holder, self.clock(), limits.lease_until)
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
                if self.let_go():
                    return
            else:
                self.perform(operation)

    def perform(self, operation: Operation) -> None:
        """Do one operation and write how it ended. Only LeaseLost and errors that nobody foresaw come out."""
        target = self.environment
        if not self._replace(progress.begun(target, self.token, operation), _BEGUN[operation]):
            return  # something changed since the decision: decide again
        try:
            with Watch(
                self.ports.records, target, operation, self.ports.clock, self.limits.stop_at, self.ports.watch_every
            ) as stop:
                if operation is Operation.DESTROY:
                    self._destroy(target, stop)
                else:
                    self._deploy(target, stop)
        except Interrupted as stopped:
            self._write(
                lambda latest: progress.interrupted(latest, self.token, self.ports.clock()),
                "interrupted",
                stopped.message,
            )
        except LeaseLost:
            raise
        except OperationFailed as error:
            self._fail(target, operation, error)
        except Exception as error:
            self._fail(target, operation, Transient(f"Something failed that should not have: {error!r}", "internal"))
            raise

    def give_back(self) -> None:
        """Let go of the lease after an error, if that can be done; else it ends by itself."""
        with suppress(FibfactoryError):
            while not self.let_go():
                pass

    def let_go(self) -> bool:
        """Give the lease back; False when a change came in meanwhile, which is read and must be decided on first."""
        return self._replace(lease.let_go(self.environment, self.token))

    def _deploy(self, target: Environment, stop: StopSignal) -> None:
        before = self._idle_service(target, stop)
        if before and before.never_ran:
            self._note(f"The service is {before.status}: it is removed before the next try.")
            self.ports.engine.destroy(target, refresh=True, progress=self._note, stop=stop)
            before = None
        deployed = self.ports.engine.deploy(
            target,
            new=not target.observed.generation,
            refresh=self._state_may_differ(target, before),
            progress=self._note,
            stop=stop,
        )
        service = self._idle_service(target, stop)
        if service is None:
            raise Transient("The stack is up, but App Runner lists no such service yet.", "service_missing")
        if service.last_operation != "SUCCEEDED" and not (before and before.operation_id == service.operation_id):
            raise Terminal(
                f"App Runner's last operation ended {service.last_operation}: the service runs its former version. "
                "Look at the application's log for why the new one did not start.",
                "rolled_back",
            )
        if service.image != target.spec.image:
            raise Transient(f"The stack is up, but App Runner still runs {service.image}.", "not_deployed")
        self._wait_until_healthy(deployed.url, target.spec.health_path, stop)
        observed = Observed(
            generation=target.generation,
            url=deployed.url,
            service_arn=service.arn,
            image=target.spec.image,
            at=self.ports.clock(),
        )
        self._write(
            lambda environment: progress.made_ready(environment, self.token, observed),
            "ready",
            f"It answers at {deployed.url}.",
        )

    def _state_may_differ(self, target: Environment, service: Service | None) -> bool:
        """Whether the engine has to look at the cloud before it compares.

        A failed update leaves the values that were wanted in Pulumi's state (its issue 21458), so the next one would find nothing
        to do; the same goes for a rolled-back one, and for a service that somebody else removed.
        """
        if service is None:
            return target.unsure or target.observed.generation > 0
        return target.unsure or service.last_operation != "SUCCEEDED"

    def _destroy(self, target: Environment, stop: StopSignal) -> None:
        service = self._idle_service(target, stop)
        refresh = self._state_may_differ(target, service)
        self.ports.engine.destroy(target, refresh=refresh, progress=self._note, stop=stop)
        leftover = self._idle_service(target, stop)
        if leftover:
            self._note(f"The engine left {leftover.arn}; it is removed by name and tags.")
            self.ports.cloud.remove_leftover(target, leftover)
            self._idle_service(target, stop)
        look = self._look_until_gone(target, stop)
        receipt = Receipt(
            at=self.ports.clock(),
            looked_at=look.looked_at,
            cannot_see=look.cannot_see,
            reason=target.reason,
            image=target.observed.image or target.spec.image,
        )
        self._write(
            lambda environment: progress.made_absent(environment, self.token, receipt),
            "destroyed",
            "Nothing of it is left.",
        )

    def _look_until_gone(self, target: Environment, stop: StopSignal) -> Look:
        """A look that finds nothing any more. The tagging API goes on showing for a while what was deleted."""
        look = self.ports.cloud.look(target)
        for pause in self.ports.look_again_after:
            if not look.found:
                break
            if stop.wait(pause):
                raise Interrupted("Stopped while looking for what is left.")
            look = self.ports.cloud.look(target)
        if look.found:
            raise Transient(f"After the destroy this was still there: {', '.join(look.found)}.", "leftovers")
        return look

    def _idle_service(self, target: Environment, stop: StopSignal) -> Service | None:
        """The service once nothing is in progress on it: App Runner refuses changes and deletes of a busy one."""
        waited = 0.2
        while (service := self.ports.cloud.service(target)) and service.busy:
            if stop.wait(waited):
                raise Interrupted("Stopped while App Runner was busy with the service.")
            waited = min(waited * 2, 5.0)
        return service

    def _wait_until_healthy(self, url: str, path: str, stop: StopSignal) -> None:
        patience = self.ports.clock() + _HEALTH_PATIENCE
        waited = 0.1
        while problem := self.ports.health.answers(f"{url}{path}"):
            if self.ports.clock() >= patience:
                raise Terminal(
                    f"The service runs, but {path} {problem}. An environment is ready when it answers 200 there: "
                    "mend the application or the spec's health_path.",
                    "unhealthy",
                )
            if stop.wait(waited):
                raise Interrupted("Stopped while waiting for the service to answer.")
            waited = min(waited * 2, 5.0)

    def _fail(self, target: Environment, operation: Operation, error: OperationFailed) -> None:
        generation, now = target.generation, self.ports.clock()
        self._write(
            lambda latest: progress.failed(latest, self.token, generation, operation, error, now),
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
        self.environment = lease.held(latest, self.token)
