"""Watches, while an operation runs, whether it has to stop.

The rule: it only reads. It says stop when the record is desired absent during a deploy, when the lease is lost, and when the
invocation's time is nearly over. A newer spec does not stop a deploy; it is deployed next.
"""

from __future__ import annotations

import threading
from types import TracebackType

from orchestrator.domain.environment import Environment, Operation
from orchestrator.domain.invocation import InvocationLimits
from orchestrator.ports import Ports, StopSignal


class CancellationMonitor:
    """A context manager that gives an operation its stop signal and reads the record every `every` seconds."""

    def __init__(
        self, ports: Ports, environment: Environment, operation: Operation, limits: InvocationLimits, every: float
    ) -> None:
        self._ports = ports
        self._environment = environment
        self._operation = operation
        self._stop_at = limits.stop_at
        self._every = every
        self._stop = StopSignal(limits.grace)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"monitor-{environment.id}", daemon=True)

    def __enter__(self) -> StopSignal:
        self._thread.start()
        return self._stop

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every):
            if self._ports.clock() >= self._stop_at or self._overtaken():
                self._stop.set()
                return

    def _overtaken(self) -> bool:
        try:
            latest = self._ports.records.get(self._environment.id)
        except Exception:
            return False  # the next read may succeed; the deadline has to hold in any case
        if latest is None or latest.lease.token != self._environment.lease.token:
            return True
        return self._operation is not Operation.DESTROY and not latest.present
