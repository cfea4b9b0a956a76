"""What tells a running operation to stop: its deadline, or that the record says something else meanwhile.

The rule: it only reads. It says stop when the record is desired absent during a deploy, and when the lease is lost. The deadline
is in the signal itself, so that a table that does not answer can't delay it. A newer spec does not stop a deploy; it is deployed
next.
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
    left = (limits.stop_at - ports.clock()).total_seconds()
    stop, over = StopSignal(limits.grace, left), threading.Event()

    def overtaken() -> bool:
        try:
            latest = ports.records.get(environment.id)
        except Exception:
            return False  # the next read may succeed
        if latest is None or latest.lease.token != environment.lease.token:
            return True
        return operation is not Operation.DESTROY and not latest.present

    def watch() -> None:
        while not over.wait(every):
            if overtaken():
                stop.set()
                return

    # Nobody waits for its last read, which may hang.
    threading.Thread(target=watch, name=f"monitor-{environment.id}", daemon=True).start()
    try:
        yield stop
    finally:
        over.set()
