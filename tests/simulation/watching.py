"""The stop signal as `watch.CancellationMonitor` gives it, without its thread.

The real one looks at the record every second; this one is told of each write, and sets the signal up to a second later.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from types import TracebackType

from orchestrator.domain.environment import Environment, Operation
from orchestrator.ports import Records, StopSignal
from tests.simulation.scheduler import START
from tests.simulation.world import World


class SimStop(StopSignal):
    """Set from `moment` on, which may come nearer while somebody waits."""

    def __init__(self, world: World, moment: float, grace: float) -> None:
        super().__init__(grace)
        self._clockwork = world.clockwork
        self._actor = world.actor
        self.moment = moment

    def is_set(self) -> bool:
        return self._clockwork.now >= self.moment

    def wait(self, timeout: float | None = None) -> bool:
        self.sleep_until(self.moment if timeout is None else self._clockwork.now + timeout)
        return self.is_set()

    def sleep_until(self, until: float) -> None:
        """Until then, or until the signal is set."""
        clockwork = self._clockwork
        until = max(min(until, self.moment), clockwork.now)
        clockwork.sleep_until(until, listening=True)

    def set_at(self, moment: float) -> None:
        if moment < self.moment:
            self.moment = moment
            self._clockwork.rouse(self._actor, moment)


class SimWatch:
    """Stands in for `CancellationMonitor`, with the same arguments."""

    def __init__(
        self,
        watches: Watches,
        environment: Environment,
        operation: Operation,
        stop_at: datetime,
        grace: float,
        every: float,
    ) -> None:
        self._watches = watches
        self._environment = environment
        self._operation = operation
        self._every = every
        world = watches.world
        self._world = world
        skew = world.actor.skew
        self._stop = SimStop(world, (stop_at - START).total_seconds() - skew + every * world.random(), grace)

    def __enter__(self) -> SimStop:
        self._watches.open.append(self)
        self.written(self._world.rows.get(self._environment.id))
        return self._stop

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watches.open.remove(self)

    def written(self, latest: Environment | None) -> None:
        """The record is this by now."""
        if latest is not None and latest.id != self._environment.id:
            return
        overtaken = latest is None or latest.lease.token != self._environment.lease.token
        if overtaken or (self._operation is not Operation.DESTROY and latest is not None and not latest.present):
            self._stop.set_at(self._world.clockwork.now + self._every * self._world.random())


class Watches:
    """All watches that are open; `Reconciler.watching` is `new`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.open: list[SimWatch] = []

    def new(
        self,
        records: Records,
        environment: Environment,
        operation: Operation,
        clock: Callable[[], datetime],
        stop_at: datetime,
        grace: float,
        every: float,
    ) -> SimWatch:
        return SimWatch(self, environment, operation, stop_at, grace, every)

    def written(self, latest: Environment) -> None:
        for watch in self.open:
            watch.written(latest)
