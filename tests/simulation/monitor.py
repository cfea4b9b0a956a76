"""The stop signal as `cancellation_monitor` gives it, without its thread.

The real monitor reads the record every second. This one is called at each write, and sets the signal up to a second later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
    """The monitors of all running operations."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._open: list[Callable[[Environment], None]] = []

    @contextmanager
    def new(
        self, ports: Ports, environment: Environment, operation: Operation, limits: InvocationLimits, every: float
    ) -> Iterator[SimStopSignal]:
        """Stands in for `cancellation_monitor`, as `Reconciler.monitor`."""
        world = self._world
        stop = SimStopSignal(
            world, seconds_of(limits.stop_at) - world.actor.skew + every * world.random(), limits.grace
        )

        def written(latest: Environment) -> None:
            if latest.id != environment.id:
                return
            overtaken = latest.lease.token != environment.lease.token
            if overtaken or (operation is not Operation.DESTROY and not latest.present):
                stop.set_at(world.now() + every * world.random())

        self._open.append(written)
        try:
            written(world.records[environment.id])
            yield stop
        finally:
            self._open.remove(written)

    def written(self, latest: Environment) -> None:
        """This is the newest version of a record."""
        for written in self._open:
            written(latest)
