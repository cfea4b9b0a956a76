"""The faults that wait to happen.

Rule: a fault happens to the first calls that match it, as many as asked for, by any caller; the oldest fault first.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from fnmatch import fnmatchcase

from localcloud.apprunner.settings import Fault, FaultKind


class Faults:
    """A queue of faults; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let this happen to the next calls that match."""
        with self._lock:
            self._waiting.append(fault)

    def take(self, kinds: Collection[FaultKind], operation: str, service: str) -> FaultKind | None:
        """The fault that happens to this call now, if any; it is used up once."""
        with self._lock:
            for position, fault in enumerate(self._waiting):
                if (
                    fault.kind in kinds
                    and fnmatchcase(operation, fault.operation)
                    and fnmatchcase(service, fault.service)
                ):
                    left = [fault.model_copy(update={"times": fault.times - 1})] if fault.times > 1 else []
                    self._waiting[position : position + 1] = left
                    return fault.kind
        return None

    def waiting(self) -> list[Fault]:
        """The faults that have not happened yet."""
        with self._lock:
            return list(self._waiting)

    def clear(self) -> None:
        """Remove all of them."""
        with self._lock:
            self._waiting.clear()
