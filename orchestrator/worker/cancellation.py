"""Watches, while an operation runs, whether it should go on.

The rule: it only reads. It says stop when the record wants the environment gone in the middle of a deploy, when the lease is
lost, and when the invocation's time is nearly up; a newer spec does not stop a deploy, it comes after it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from types import TracebackType

from orchestrator.domain.environment import Environment, Operation
from orchestrator.ports import Records, StopSignal


class CancellationMonitor:
    """A context manager that gives the operation its stop signal and looks at the record every `every` seconds."""

    def __init__(
        self,
        records: Records,
        environment: Environment,
        operation: Operation,
        clock: Callable[[], datetime],
        stop_at: datetime,
        grace: float,
        every: float,
    ) -> None:
        self._records = records
        self._environment = environment
        self._operation = operation
        self._clock = clock
        self._stop_at = stop_at
        self._every = every
        self._stop = StopSignal(grace)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch-{environment.id}", daemon=True)

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
            if self._clock() >= self._stop_at or self._overtaken():
                self._stop.set()
                return

    def _overtaken(self) -> bool:
        try:
            latest = self._records.get(self._environment.id)
        except Exception:
            return False  # whatever it was, it is asked again in a moment; the deadline has to hold in any case
        if latest is None or latest.lease.token != self._environment.lease.token:
            return True
        return self._operation is not Operation.DESTROY and not latest.present
