"""The parts that every operation of the emulator works with, put together.

Rule: an operation gets this and its caller, and nothing else. What may change while the emulator runs is read from
here each time.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

from localcloud.apprunner.clock import EmulatorClock
from localcloud.apprunner.faults import Faults
from localcloud.apprunner.runtime import Runtime
from localcloud.apprunner.settings import Behaviour
from localcloud.apprunner.store import Store
from localcloud.apprunner.views import CallView
from localcloud.apprunner.worker import Worker

_CALLS_KEPT = 10_000


@dataclass
class Cloud:
    """One emulator's state and helpers.

    The control API replaces `behaviour` as a whole. `calls` are the newest calls to AWS's API, oldest first, without
    parameters and answers, so without secrets.
    """

    runtime: Runtime
    initial: Behaviour
    store: Store = field(default_factory=Store)
    faults: Faults = field(default_factory=Faults)
    calls: deque[CallView] = field(default_factory=lambda: deque(maxlen=_CALLS_KEPT))
    clock: EmulatorClock = field(init=False)
    worker: Worker = field(init=False)
    behaviour: Behaviour = field(init=False)
    _resetting: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.behaviour = self.initial
        self.clock = EmulatorClock(self.initial.clock_speed)
        self.worker = Worker(self.store, self.clock, self.runtime)

    def behave(self, behaviour: Behaviour) -> None:
        """Continue with other settings; operations in progress keep the delay they began with."""
        self.behaviour = behaviour
        self.clock.set_speed(behaviour.clock_speed)

    def reset(self) -> None:
        """Forget everything, end every process, and behave as at the start."""
        with self._resetting:
            with self.store.lock:
                services = self.store.all_services()
                self.store.clear()
            self.faults.clear()
            self.clock.reset(self.initial.clock_speed)
            self.behaviour = self.initial
            for service in services:
                self.runtime.release(service.id)
            self.calls.clear()

    def close(self) -> None:
        """End every process and everything in progress."""
        self.clock.close()
        self.runtime.close()
        self.worker.join()
