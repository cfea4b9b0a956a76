"""Virtual time and the actors that live in it: one runs at a time, and at each call of a port another may take over.

The rule: what happens follows from the order of (time, number) alone. An actor dies only inside its own call of a port, and a
dead actor changes nothing more, whatever its `finally` blocks try.

An actor is a greenlet, because the code that it runs is synchronous. The scheduler switches only when another actor is due
before the running one's next moment; otherwise time simply moves on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Any

from greenlet import getcurrent, greenlet

START = datetime(2026, 1, 1, tzinfo=UTC)
NEVER = float("inf")


def seconds_of(moment: datetime) -> float:
    """The moment in seconds of virtual time."""
    return (moment - START).total_seconds()


def moment_of(seconds: float) -> datetime:
    """The moment that these seconds of virtual time stand for."""
    return START + timedelta(seconds=seconds)


class Killed(BaseException):
    """The actor is dead. The product's `except Exception` does not catch it, just as nothing catches SIGKILL."""


@dataclass(eq=False, slots=True)
class Actor:
    """A caller, a worker, a sweep, or a CLI process that outlived its worker."""

    name: str
    kind: str
    deadline: float = NEVER
    """The hard limit of its invocation, at which it dies."""
    alive: bool = True
    error: BaseException | None = None
    steps: int = 0
    effects: int = 0
    dies_at: int = 0
    """The number of its own effect at which it dies (0: none): before it, or with `dies_after` right after it."""
    dies_after: bool = False
    stalls_at: int = 0
    """The number of its own step at which it stands still for a long time (0: none)."""
    host: str = ""
    """The machine that it runs on; several of Lambda's sandboxes may have the same name."""
    skew: float = 0.0
    """Seconds by which its clock is ahead."""
    environment: str = ""
    """The environment whose lease it claimed last, the lease's token, and when the lease ends."""
    token: int = 0
    lease_until: float = 0.0
    force: bool = False
    """Whether it may remove a protected environment."""
    process: Any = None
    """The CLI process that it runs."""
    cli_survives: bool | None = None
    """Whether that process goes on when the actor dies; None: by chance."""
    body: greenlet | None = None
    turn: int = 0
    asleep_until: float = NEVER


class Scheduler:
    """Decides who runs next. `on_death` is called with each actor that dies, and how."""

    def __init__(self) -> None:
        self.now = 0.0
        self.current: Actor | None = None
        self.effects = 0
        self.dies_at = 0
        """The number of the effect, counted over all actors, whose actor dies (0: none)."""
        self.dies_after = False
        self.deaths: Counter[str] = Counter()
        self.effect_names: list[str] | None = None
        self.on_death: Callable[[Actor, str], None] = lambda actor, how: None
        self._hub = getcurrent()
        self._heap: list[tuple[float, int, Any, Any]] = []
        self._number = 0
        self._run_until = 0.0
        self._last_reading = (-1.0, START)

    def clock(self) -> datetime:
        """The time on the running actor's clock."""
        actor = self.current
        now = self.now + (actor.skew if actor is not None else 0.0)
        at, shown = self._last_reading
        if at != now:
            shown = moment_of(now)
            self._last_reading = (now, shown)
        return shown

    def spawn(self, actor: Actor, at: float, run: Callable[[], object], ended: Callable[[Actor], None]) -> None:
        """Start an actor at a moment; `ended` is called when it has ended or died."""

        def body() -> None:
            try:
                run()
            except (Exception, Killed) as error:
                actor.error = error
            actor.alive = False
            ended(actor)

        actor.body = greenlet(body, self._hub)
        self._push(actor, at)

    def call(self, at: float, function: Callable[[], None]) -> None:
        """Call a function at a moment, as no actor."""
        self._number += 1
        heappush(self._heap, (at, self._number, None, function))

    def run(self, until: float) -> None:
        """Run everything that is due until then."""
        heap = self._heap
        self._run_until = until
        while heap and heap[0][0] <= until:
            moment, number, actor, body = heappop(heap)
            if actor is None:
                self.now = moment
                self.current = None
                body()
            elif actor.turn == number:
                self.now = moment
                self.current = actor
                body.switch()
        self.current = None
        if until != NEVER:
            self.now = max(self.now, until)

    @property
    def busy(self) -> bool:
        """Whether any actor has not ended yet."""
        return any(actor is not None and actor.turn == number for _, number, actor, _ in self._heap)

    def sleep(self, seconds: float) -> None:
        """Let time pass for the running actor. It dies if its hard limit comes first."""
        self.sleep_until(self.now + seconds)

    def sleep_until(self, moment: float, *, interruptible: bool = False) -> None:
        """As `sleep`; an interruptible sleeper can be woken earlier."""
        actor = self._running()
        if not actor.alive:
            raise Killed
        limit = actor.deadline
        if moment < limit:
            limit = NEVER
        else:
            moment = limit
        if moment <= self._run_until and (not self._heap or self._heap[0][0] > moment):
            self.now = moment
        else:
            actor.asleep_until = moment if interruptible else NEVER
            self._push(actor, moment)
            self._hub.switch()
            actor.asleep_until = NEVER
        if self.now >= limit:
            self.die("at its hard limit")

    def wake(self, actor: Actor, at: float) -> None:
        """Let an interruptible sleeper go on at this moment if it would sleep longer."""
        if actor.alive and at < actor.asleep_until != NEVER:
            actor.asleep_until = at
            self._push(actor, max(at, self.now))

    def before_effect(self, effect: str) -> None:
        """The running actor is about to change something."""
        actor = self._running()
        self.effects += 1
        actor.effects += 1
        if self.effect_names is not None:
            self.effect_names.append(f"{actor.kind}: {effect}")
        self._die_if_planned(actor, f"before: {effect}", after=False)

    def after_effect(self, effect: str) -> None:
        """The running actor has changed something and has not got the answer yet."""
        self._die_if_planned(self._running(), f"after: {effect}", after=True)

    def die(self, how: str) -> None:
        """End the running actor where it stands."""
        actor = self._running()
        actor.alive = False
        self.deaths[how.split(":")[0]] += 1
        self.on_death(actor, how)
        raise Killed

    def _die_if_planned(self, actor: Actor, how: str, *, after: bool) -> None:
        of_all = self.effects == self.dies_at and self.dies_after is after
        if of_all or (actor.effects == actor.dies_at and actor.dies_after is after):
            self.die(how)

    def _running(self) -> Actor:
        assert self.current is not None
        return self.current

    def _push(self, actor: Actor, at: float) -> None:
        self._number += 1
        actor.turn = self._number
        heappush(self._heap, (at, self._number, actor, actor.body))
