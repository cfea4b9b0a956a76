"""What all simulated ports share: time, chance, what exists, the checks, and the history of what was done.

The rule: an actor comes to a port, time passes, and what it does there happens at one moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from orchestrator.domain import names
from orchestrator.domain.environment import Environment
from orchestrator.ports import PendingCreate
from tests.simulation.apprunner import AppRunner
from tests.simulation.checks import Checks
from tests.simulation.faults import Faults
from tests.simulation.scenario import PLATFORM
from tests.simulation.scheduler import Actor, Clockwork, Killed

Entry = tuple[float, str, str, Any]
"""When, who, what, and what about it: told in words only when somebody wants to read it."""


@dataclass(eq=False)
class SimLock:
    """A lock file of the CLI's on one stack. `person`: somebody's who is none of ours."""

    key: str
    at: float
    by: str
    host: str
    person: bool = False


@dataclass(eq=False)
class SimStack:
    """A checkpoint: the service that it knows (ARN, image, tags) and what was begun to be made."""

    service: tuple[str, str, Mapping[str, str]] | None = None
    pending: list[PendingCreate] = field(default_factory=list)
    tags: Mapping[str, str] | None = None
    changed_at: float = 0.0
    foreign: bool = False


class World:
    """Everything there is in one run."""

    def __init__(self, seed: int, faults: Faults, keep_history: bool) -> None:
        self.seed = seed
        self.faults = faults
        self.clockwork = Clockwork()
        self.random = Random(seed * 4 + 1).random
        self.apprunner = AppRunner(self.now, faults)
        self.stacks: dict[str, SimStack] = {}
        self.locks: dict[str, list[SimLock]] = {}
        self.rows: dict[str, Environment] = {}
        self.history: list[Entry] | None = [] if keep_history else None
        self.checks = Checks(self)

    def now(self) -> float:
        return self.clockwork.now

    @property
    def actor(self) -> Actor:
        actor = self.clockwork.current
        if actor is None:  # the run is over, and this one is only being cleared away
            raise Killed
        return actor

    def come(self, what: str, about: Any = "") -> Actor:
        """The running actor comes to a port; a little time passes, or more."""
        clockwork, actor = self.clockwork, self.actor
        actor.steps += 1
        seconds = 0.004 + 0.06 * self.random()
        if self.faults.hit("a worker is slow"):
            seconds += self.faults.between(1, 60)
        if actor.steps == actor.stalls_at:
            seconds += self.faults.between(600, 3000)
        clockwork.sleep_until(clockwork.now + seconds)
        if self.history is not None:
            self.history.append((clockwork.now, actor.name, what, about))
        return actor

    def tell(self, who: str, what: str, about: Any = "") -> None:
        """Remember that something happened."""
        if self.history is not None:
            self.history.append((self.clockwork.now, who, what, about))

    def tags_of(self, environment: Environment) -> Mapping[str, str]:
        return names.tags(
            PLATFORM, environment.owner, environment.id, environment.generation, paused=environment.paused
        )
