"""Carries out what takes time: one thread for each operation, from its request to its end.

Rules: the real work (a process starts or ends) is done at once, and the operation settles when both the work and the
operation's delay, by the emulator's clock, are over. A wedged operation has no thread and never settles. A service
that was removed meanwhile is not touched. After a failed rollback the service's status is RUNNING, as AWS has no other
for it, and nothing answers at its URL.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from localcloud.apprunner import configuration, lifecycle
from localcloud.apprunner.clock import EmulatorClock
from localcloud.apprunner.deployment import Deployment, DeploymentFailed, HealthCheck
from localcloud.apprunner.lifecycle import Outcome
from localcloud.apprunner.model import Configuration, OperationType, Service, ServiceStatus
from localcloud.apprunner.runtime import Runtime
from localcloud.apprunner.settings import FaultKind
from localcloud.apprunner.store import Store

_log = logging.getLogger(__name__)

FAULTS = (FaultKind.FAIL, FaultKind.FAIL_ROLLBACK, FaultKind.WEDGE)
"""The faults that happen to an operation's work."""

_INJECTED = "an injected fault made it fail"
_Result = tuple[Outcome, str | None]


class Worker:
    """Moves services from an operation in progress to its end."""

    def __init__(self, store: Store, clock: EmulatorClock, runtime: Runtime) -> None:
        self._store = store
        self._clock = clock
        self._runtime = runtime
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()

    def carry_out(self, service: Service, delay: float, fault: FaultKind | None) -> None:
        """Work on the service's operation in progress; returns at once. `delay` in seconds of the clock."""
        if fault is FaultKind.WEDGE:
            return
        due = service.operations[-1].started_at + delay
        thread = threading.Thread(
            target=self._run, args=(service, due, fault), name=f"operation on {service.name}", daemon=True
        )
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def join(self) -> None:
        """Return once no operation is being worked on. To be called after the clock and the runtime were closed."""
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def _run(self, service: Service, due: float, fault: FaultKind | None) -> None:
        try:
            outcome, reason = self._work(service, fault)
        except Exception as error:
            # Without this, a mistake of the emulator would look like a wedged service.
            _log.exception("operation on %s", service.arn)
            outcome, reason = Outcome.FAILED, f"the emulator failed: {error}"
        try:
            if self._clock.wait_until(due):
                self._write(service, lambda current: lifecycle.settle(current, outcome, self._clock.now(), reason))
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _work(self, service: Service, fault: FaultKind | None) -> _Result:
        match service.operations[-1].type:
            case OperationType.UPDATE_SERVICE | OperationType.START_DEPLOYMENT:
                return self._fail_change(service, fault) if fault else self._change(service)
            case _ if fault:
                return Outcome.FAILED, _INJECTED
            case OperationType.CREATE_SERVICE | OperationType.RESUME_SERVICE:
                return self._deploy(service, service.configuration)
            case OperationType.PAUSE_SERVICE:
                self._runtime.stop(service.id)
            case OperationType.DELETE_SERVICE:
                self._runtime.release(service.id)
        return Outcome.DONE, None

    def _change(self, service: Service) -> _Result:
        before = service.before
        if before is None or before.status is ServiceStatus.PAUSED:
            return Outcome.DONE, None
        outcome, reason = self._deploy(service, service.configuration)
        # A service that never ran has nothing to return to.
        if outcome is Outcome.DONE or before.status is ServiceStatus.CREATE_FAILED:
            return outcome, reason
        self._write(service, lambda current: lifecycle.roll_back(current, self._clock.now()))
        undone, why = self._deploy(service, before.configuration)
        if undone is Outcome.DONE:
            return Outcome.ROLLED_BACK, reason
        return Outcome.ROLLBACK_FAILED, f"{reason}; and the rollback failed: {why}"

    def _fail_change(self, service: Service, fault: FaultKind) -> _Result:
        """Fail a change before anything was touched: the old process keeps running, unless the rollback fails too."""
        self._write(service, lambda current: lifecycle.roll_back(current, self._clock.now()))
        if fault is FaultKind.FAIL_ROLLBACK:
            self._runtime.stop(service.id)
            return Outcome.ROLLBACK_FAILED, _INJECTED
        return Outcome.ROLLED_BACK, _INJECTED

    def _deploy(self, service: Service, wanted: Configuration) -> _Result:
        image = configuration.image_repository(wanted)
        settings = image["ImageConfiguration"]
        check = wanted[configuration.HEALTH_CHECK]
        deployment = Deployment(
            service_id=service.id,
            name=service.name,
            image=image["ImageIdentifier"],
            variables=settings.get("RuntimeEnvironmentVariables", {}),
            secret_names=tuple(settings.get("RuntimeEnvironmentSecrets", {})),
            start_command=settings.get("StartCommand"),
            health=HealthCheck(
                path=check["Path"] if check["Protocol"] == "HTTP" else None,
                timeout=check["Timeout"],
                healthy_threshold=check["HealthyThreshold"],
            ),
        )
        try:
            self._runtime.deploy(deployment)
        except DeploymentFailed as error:
            return Outcome.FAILED, str(error)
        return Outcome.DONE, None

    def _write(self, service: Service, change: Callable[[Service], Service]) -> None:
        """Change what is stored of the service, unless it was removed or has another operation meanwhile."""
        with self._store.lock:
            current = self._store.find(service.arn)
            if current and current.operations[-1].id == service.operations[-1].id:
                self._store.put(change(current))
