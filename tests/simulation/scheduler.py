"""Virtual time, and the actors that live in it: one runs at a time, and each call of a port is where another may go on.

The rule: what happens follows from the order of (time, number) alone. An actor dies only inside its own call of a port, and once
it is dead no call of it does anything, whatever its `finally` blocks try.

An actor is a greenlet, because the code that it runs is synchronous. Switching is needed only when somebody else is due before
the caller's own next moment; else time just moves on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Any

from greenlet import getcurrent, greenlet

START = datetime(2026, 1, 1, tzinfo=UTC)
NEVER = float("inf")


class Killed(BaseException):
    """The actor is dead. The real code's `except Exception` does not catch it, as nothing catches SIGKILL."""


class Actor:
    """Somebody who acts: a caller, a worker, a sweep, a person, a process that outlived its worker."""

    __slots__ = (
        "alive",
        "asleep_until",
        "body",
        "deadline",
        "dies_after",
        "dies_at",
        "effects",
        "environment",
        "error",
        "holds_until",
        "host",
        "kind",
        "name",
        "operator",
        "process",
        "skew",
        "stalls_at",
        "steps",
        "stray",
        "token",
        "turn",
    )

    def __init__(self, name: str, kind: str, deadline: float = NEVER) -> None:
        self.name = name
        self.kind = kind
        self.deadline = deadline
        """The hard limit of its invocation: then it dies."""
        self.alive = True
        self.error: BaseException | None = None
        self.effects = 0
        self.steps = 0
        self.dies_at = 0
        """It dies at its so-manieth effect (0: it does not), before it or, with `dies_after`, right after it."""
        self.dies_after = False
        self.stalls_at = 0
        """It stands still for long at its so-manieth step."""
        self.host = name
        """The machine that it runs on; Lambda's sandboxes often have the same name."""
        self.skew = 0.0
        """Seconds by which its clock is ahead."""
        self.body: greenlet | None = None
        self.turn = 0
        self.asleep_until = NEVER
        self.token = 0
        """The token of the lease that it last claimed, and on which environment."""
        self.environment = ""
        self.holds_until = 0.0
        self.operator = False
        """Whether it asks for a protected environment's removal by force."""
        self.process: Any = None
        """The CLI process that it runs."""
        self.stray: bool | None = None
        """Whether that process goes on when it dies; None: by chance."""


class Clockwork:
    """The schedule. `history` is told of deaths by whoever wants to know (`on_death`)."""

    def __init__(self) -> None:
        self.now = 0.0
        self.current: Actor | None = None
        self.horizon = 0.0
        self.effects = 0
        self.dies_at = 0
        """The so-manieth effect of all, at which whoever does it dies (0: none)."""
        self.dies_after = False
        self.deaths: Counter[str] = Counter()
        self.effect_names: list[str] | None = None
        self.on_death: Callable[[Actor, str], None] = lambda actor, how: None
        self._hub = getcurrent()
        self._heap: list[tuple[float, int, Any, Any]] = []
        self._number = 0
        self._read_at = (-1.0, START)

    def clock(self) -> datetime:
        """What the running actor's clock shows."""
        actor = self.current
        now = self.now + (actor.skew if actor is not None else 0.0)
        at, shown = self._read_at
        if at != now:
            shown = START + timedelta(seconds=now)
            self._read_at = (now, shown)
        return shown

    def spawn(self, actor: Actor, at: float, run: Callable[[], object], ended: Callable[[Actor], None]) -> None:
        """Let an actor run from a moment on; `ended` is told when it is over, also when it died."""

        def body() -> None:
            try:
                run()
            except Killed as killed:
                actor.error = killed
            except Exception as error:
                actor.error = error
            actor.alive = False
            ended(actor)

        self._number += 1
        actor.turn = self._number
        actor.body = greenlet(body, self._hub)
        heappush(self._heap, (at, self._number, actor, actor.body))

    def call(self, at: float, what: Callable[[], None]) -> None:
        """Let something happen at a moment that nobody does."""
        self._number += 1
        heappush(self._heap, (at, self._number, None, what))

    def run(self, until: float) -> None:
        """Let everything happen that is due until then."""
        heap = self._heap
        self.horizon = until
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
        """Whether any actor is still to go on."""
        return any(actor is not None and actor.turn == number for _, number, actor, _ in self._heap)

    def sleep(self, seconds: float) -> None:
        """Let time pass for the running actor. It dies if its hard limit comes first."""
        self.sleep_until(self.now + seconds)

    def sleep_until(self, moment: float, *, listening: bool = False) -> None:
        actor = self.current
        assert actor is not None
        if not actor.alive:
            raise Killed
        limit = actor.deadline
        if moment < limit:
            limit = NEVER
        else:
            moment = limit
        heap = self._heap
        if moment <= self.horizon and (not heap or heap[0][0] > moment):
            self.now = moment
        else:
            self._number += 1
            actor.turn = self._number
            actor.asleep_until = moment if listening else NEVER
            heappush(heap, (moment, self._number, actor, actor.body))
            self._hub.switch()
            actor.asleep_until = NEVER
        if self.now >= limit:
            self.die("at its hard limit")

    def rouse(self, actor: Actor, at: float) -> None:
        """Let a sleeping actor go on earlier than it meant to."""
        if actor.alive and at < actor.asleep_until != NEVER:
            self._number += 1
            actor.turn = self._number
            actor.asleep_until = at
            heappush(self._heap, (max(at, self.now), self._number, actor, actor.body))

    def before_effect(self, what: str) -> None:
        """The running actor is about to change the world."""
        actor = self.current
        assert actor is not None
        self.effects += 1
        actor.effects += 1
        if self.effect_names is not None:
            self.effect_names.append(f"{actor.kind}: {what}")
        if self.effects == self.dies_at and not self.dies_after:
            self.die(f"before: {what}")
        if actor.effects == actor.dies_at and not actor.dies_after:
            self.die(f"before: {what}")

    def after_effect(self, what: str) -> None:
        """The running actor has changed the world, and does not know it yet."""
        actor = self.current
        assert actor is not None
        if (self.effects == self.dies_at and self.dies_after) or (actor.effects == actor.dies_at and actor.dies_after):
            self.die(f"after: {what}")

    def die(self, how: str) -> None:
        """End the running actor where it stands."""
        actor = self.current
        assert actor is not None
        actor.alive = False
        self.deaths[how.split(":")[0]] += 1
        self.on_death(actor, how)
        raise Killed
