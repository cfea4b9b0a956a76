"""Watches, while an operation runs, whether it has to stop.

The rule: it only reads. It says stop when the record is desired absent during a deploy, when the lease is lost, and when the
invocation's time is nearly over. A newer spec does not stop a deploy; it is deployed next.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.domain.environment import Environment, Operation
from orchestrator.domain.invocation import InvocationLimits
from orchestrator.ports import Ports, StopSignal


@contextmanager
def cancellation_monitor(
    ports: Ports, environment: Environment, operation: Operation, limits: InvocationLimits, every: float
) -> Iterator[StopSignal]:
    """Gives an operation its stop signal, and meanwhile reads the record every `every` seconds."""
    stop, over = StopSignal(limits.grace), threading.Event()

    def overtaken() -> bool:
        try:
            latest = ports.records.get(environment.id)
        except Exception:
            return False  # the next read may succeed; the deadline has to hold in any case
        if latest is None or latest.lease.token != environment.lease.token:
            return True
        return operation is not Operation.DESTROY and not latest.present

    def watch() -> None:
        while not over.wait(every):
            if ports.clock() >= limits.stop_at or overtaken():
                stop.set()
                return

    thread = threading.Thread(target=watch, name=f"monitor-{environment.id}", daemon=True)
    thread.start()
    try:
        yield stop
    finally:
        over.set()
        thread.join()
