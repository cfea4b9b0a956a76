"""The stop signal as `cancellation_monitor` gives it, without its thread.

The real monitor reads the record every second. This one is called at each write, and sets the signal up to a second later.
"""

from __future__ import annotations

from types import TracebackType

from orchestrator.domain.environment import Environment, Operation
from orchestrator.domain.invocation import InvocationLimits
from orchestrator.ports import Ports, StopSignal
from tests.simulation.scheduler import seconds_of
from tests.simulation.world import World


class SimStopSignal(StopSignal):
    """Set from `moment` on, which may move closer while an actor waits."""

    def __init__(self, world: World, moment: float, grace: float) -> None:
        super().__init__(grace)
        self._scheduler = world.scheduler
        self._actor = world.actor
        self.moment = moment

    def is_set(self) -> bool:
        return self._scheduler.now >= self.moment

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.sleep_until(self._scheduler.now + timeout)
        return self.is_set()

    def sleep_until(self, until: float) -> None:
        """Sleep until then, or until the signal is set."""
        until = max(min(until, self.moment), self._scheduler.now)
        self._scheduler.sleep_until(until, interruptible=True)

    def set_at(self, moment: float) -> None:
        if moment < self.moment:
            self.moment = moment
            self._scheduler.wake(self._actor, moment)


class Monitors:
    """The monitors of all running operations. `new` is `Reconciler.monitor`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.open: list[SimMonitor] = []

    def new(
        self, ports: Ports, environment: Environment, operation: Operation, limits: InvocationLimits, every: float
    ) -> SimMonitor:
        return SimMonitor(self, environment, operation, limits, every)

    def written(self, latest: Environment) -> None:
        for monitor in self.open:
            monitor.written(latest)


class SimMonitor:
    """Stands in for `cancellation_monitor`."""

    def __init__(
        self,
        monitors: Monitors,
        environment: Environment,
        operation: Operation,
        limits: InvocationLimits,
        every: float,
    ) -> None:
        self._monitors = monitors
        self._world = world = monitors.world
        self._environment = environment
        self._operation = operation
        self._every = every
        stop_at = seconds_of(limits.stop_at) - world.actor.skew + every * world.random()
        self._stop = SimStopSignal(world, stop_at, limits.grace)

    def __enter__(self) -> SimStopSignal:
        self._monitors.open.append(self)
        self.written(self._world.records[self._environment.id])
        return self._stop

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._monitors.open.remove(self)

    def written(self, latest: Environment) -> None:
        """This is the newest version of a record."""
        if latest.id != self._environment.id:
            return
        overtaken = latest.lease.token != self._environment.lease.token
        if overtaken or (self._operation is not Operation.DESTROY and not latest.present):
            self._stop.set_at(self._world.now() + self._every * self._world.random())
