"""What all simulated ports share: time, chance, what exists, the checks, and the history of what was done.

The rule: when an actor calls a port, time passes first, and then the port does its work at one moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import ErrorCode, Transient
from orchestrator.ports import PendingCreate
from tests.simulation.apprunner import AppRunner
from tests.simulation.checks import Checks
from tests.simulation.faults import Faults
from tests.simulation.scheduler import Actor, Killed, Scheduler

Entry = tuple[float, str, str, Any]
"""When, who, what, and a detail that `history` turns into text when it is read."""


@dataclass(eq=False)
class SimLock:
    """A lock file of the CLI on one stack. `person`: it is no worker's."""

    key: str
    at: float
    by: str
    host: str
    person: bool = False


class StackService(NamedTuple):
    """The service as a checkpoint has it."""

    arn: str
    image: str
    tags: Mapping[str, str]


@dataclass(eq=False)
class SimStack:
    """A checkpoint: the service that it knows, and the creates that began."""

    service: StackService | None = None
    pending: list[PendingCreate] = field(default_factory=list)
    tags: Mapping[str, str] | None = None
    changed_at: float = 0.0
    foreign: bool = False


class World:
    """Everything that exists in one run."""

    def __init__(self, seed: int, faults: Faults, keep_history: bool) -> None:
        self.faults = faults
        self.scheduler = Scheduler()
        self.random = Random(seed * 4 + 1).random
        self.apprunner = AppRunner(self.now, faults)
        self.stacks: dict[str, SimStack] = {}
        self.locks: dict[str, list[SimLock]] = {}
        self.records: dict[str, Environment] = {}
        self.history: list[Entry] | None = [] if keep_history else None
        self.checks = Checks(self)

    def now(self) -> float:
        return self.scheduler.now

    @property
    def actor(self) -> Actor:
        actor = self.scheduler.current
        if actor is None:  # the run is over, and the actor's greenlet is being collected
            raise Killed
        return actor

    def call_port(self, what: str, detail: Any = "", *, fault: str = "") -> Actor:
        """The running actor calls a port, and some time passes. With `fault`, the port may answer Transient."""
        scheduler, actor = self.scheduler, self.actor
        actor.steps += 1
        seconds = 0.004 + 0.06 * self.random()
        if self.faults.hit("a worker is slow"):
            seconds += self.faults.between(1, 60)
        if actor.steps == actor.stalls_at:
            seconds += self.faults.between(600, 3000)
        scheduler.sleep_until(scheduler.now + seconds)
        self.log(actor.name, what, detail)
        if fault and self.faults.hit(fault):
            raise Transient(f"{fault}: AWS answered ThrottlingException to this: {what}", ErrorCode.AWS_UNAVAILABLE)
        return actor

    @contextmanager
    def effect(self, what: str, detail: Any = "", *, fault: str = "") -> Iterator[Actor]:
        """As `call_port`, for a change: the actor may die right before it or right after it."""
        actor = self.call_port(what, detail, fault=fault)
        self.scheduler.before_effect(what)
        yield actor
        self.scheduler.after_effect(what)

    def lose_answer(self, fault: str) -> None:
        """The change was made, but its answer may not arrive."""
        if self.faults.hit(fault):
            raise Transient(f"{fault}: AWS could not be reached", ErrorCode.AWS_UNREACHABLE)

    def log(self, who: str, what: str, detail: Any = "") -> None:
        """Remember what happened."""
        if self.history is not None:
            self.history.append((self.scheduler.now, who, what, detail))
