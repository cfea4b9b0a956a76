"""SIGKILL before and after each effect of each operation, and what becomes of the environment.

The rule: first a life cycle without kills is recorded; then a process is killed at each of its points, one kill in each step of a
life cycle. A point that such a run does not reach is not counted.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace

from localcloud.faults.calls import Call
from localcloud.faults.faults import Armed, Fault, Match, Moment
from orchestrator.domain import names
from orchestrator.domain.events import EventKind
from orchestrator.domain.sweeps import SweepReport
from tests.chaos import effects, kill_targets
from tests.chaos.effects import Effect
from tests.chaos.kill_targets import KillTarget
from tests.chaos.lifecycle import STEPS, Healing, Step, Sweep, heal, perform, send
from tests.chaos.platform_fixture import PlatformFixture, WrappedCli

_KILL_SECONDS = 60.0
_CHECKPOINT = "state: Put checkpoint"
_OF_A_SWEEP = (
    "lambda: Invoke",
    "table: SWEEP",
    f"table: {EventKind.LEASE_EXPIRED}",
    f"table: {EventKind.RETRY_DUE}",
    f"table: {EventKind.NOT_PICKED_UP}",
)


@dataclass(frozen=True)
class Point:
    """Where a process is killed. With `again`, the worker that heals is killed too, at the effect with this number."""

    effect: Effect
    moment: Moment
    target: KillTarget
    again: int | None = None

    def __str__(self) -> str:
        return f"{self.target} {self.moment} {self.effect}" + (f", again at {self.again}" if self.again else "")


@dataclass(frozen=True)
class Kill:
    """One disturbed step. `deaths` are the effects at which processes died: two when the healing worker was killed too."""

    environment: str
    step: str
    point: Point
    deaths: tuple[str, ...]
    healing: Healing
    strays: int
    """How many processes still worked on the environment's stack at the end."""

    def __str__(self) -> str:
        again = "".join(f"{death}; " for death in self.deaths[1:])
        return f"{self.environment} {self.step:8} {len(self.deaths)} × {self.point}: {again}{self.healing}"


class Sweeper:
    """Runs light sweeps. Threads that wait for one at the same time share it."""

    def __init__(self, fixture: PlatformFixture) -> None:
        self._fixture = fixture
        self._lock = threading.Lock()
        self._sweeps = 0
        self._latest: SweepReport | None = None

    def __call__(self) -> SweepReport | None:
        seen = self._sweeps
        with self._lock:
            if self._sweeps < seen + 2:  # no sweep began since we asked for one
                self._latest = self._fixture.sweep()
                self._sweeps += 1
            return self._latest


def record_effects(fixture: PlatformFixture, environment_id: str) -> dict[str, list[Effect]]:
    """The effects of each step of an undisturbed life."""
    found = {}
    sweep = Sweeper(fixture)
    for step in STEPS:
        before = len(fixture.proxy.calls)
        healing = perform(fixture, step, environment_id, sweep)
        if not healing.ok or healing.sweeps:
            raise RuntimeError(f"The undisturbed {step.name} did not end well: {healing}")
        found[step.name] = effects.effects_of(fixture.proxy.calls[before:], environment_id)
    return found


def kill_points(found: Sequence[Effect]) -> list[Point]:
    """Before and after every effect: the whole sandbox, every third time the worker alone; at each checkpoint also the CLI."""
    targets = itertools.cycle((KillTarget.SANDBOX, KillTarget.SANDBOX, KillTarget.WORKER))
    points = [Point(effect, moment, next(targets)) for effect in found for moment in Moment]
    checkpoints = [effect for effect in found if effect.name == _CHECKPOINT]
    clis = (KillTarget.CLI, KillTarget.CLI_AND_PLUGINS)
    return points + [Point(*each) for each in itertools.product(checkpoints, Moment, clis)]


LifePlan = Mapping[str, Point | None]
"""The kill in each step of one environment's life; None where nothing is killed."""


def plan_lives(recording: Mapping[str, Sequence[Effect]], most: int | None) -> list[LifePlan]:
    """The kills, distributed to as many lives as the longest step needs and some more.

    Where a step has no kill left for a life, one of its kills is repeated, and the worker that heals is killed too.
    """
    planned = {step.name: _thin(kill_points(recording[step.name]), most) for step in STEPS if step.name in recording}
    longest = max(len(points) for points in planned.values())
    count = longest + 1 + longest // 8
    number = itertools.count(1)
    for name, points in planned.items():
        single = list(points)
        for life in range(len(points), count):
            again = 1 + next(number) % max(2, len(recording[name]))
            points.append(replace(single[(life * 7) % len(single)], target=KillTarget.SANDBOX, again=again))
    return [{name: points[life] for name, points in planned.items()} for life in range(count)]


@dataclass(frozen=True)
class KillRun:
    """Runs lives with kills. `prefix` begins the ids of the environments."""

    fixture: PlatformFixture
    cli: WrappedCli
    sweep: Sweep
    progress: Callable[[str], None]
    prefix: str = "kill"

    def all(self, plans: Sequence[LifePlan], at_once: int) -> Iterator[Kill]:
        """The kills of all these lives, so many lives at once."""
        with ThreadPoolExecutor(at_once, thread_name_prefix="life") as pool:
            ids = [f"{self.prefix}{number:03d}" for number in range(len(plans))]
            for kills in pool.map(self._live, ids, plans):
                yield from kills

    def _live(self, environment_id: str, plan: LifePlan) -> list[Kill]:
        kills = []
        for step in STEPS:
            if step.name not in plan:
                continue
            point = plan[step.name]
            if point is None:
                perform(self.fixture, step, environment_id, self.sweep)
                continue
            kill = self._disturb(environment_id, step, point)
            if kill.deaths:
                kills.append(kill)
            self.progress(str(kill))
            if not kill.healing.ok:
                perform(self.fixture, step, environment_id, self.sweep)  # the next step needs something to begin with
        return kills

    def _disturb(self, environment_id: str, step: Step, point: Point) -> Kill:
        """One step with its kill, and the healing."""
        stack, effect = names.stack_name(environment_id), point.effect
        first = self._fault(environment_id, point.target, effect.is_done_by, point.moment, effect.nth)
        self.cli.plug_in(stack, point.target.is_cli)
        with ExitStack() as until_healed:
            armed = [until_healed.enter_context(self.fixture.armed(first))]
            send(self.fixture, step, environment_id)
            self._wait(armed[0], environment_id)
            self.cli.plug_in(stack, False)
            if point.again and armed[0].happened.is_set():
                second = self._fault(environment_id, KillTarget.SANDBOX, _of_a_worker, point.moment, point.again)
                armed.append(until_healed.enter_context(self.fixture.armed(second)))
            healing = heal(self.fixture, step, environment_id, self.sweep)
        deaths = tuple(effects.name_of(call) for each in armed for call in each.calls)
        return Kill(environment_id, step.name, point, deaths, healing, len(kill_targets.processes_of(stack)))

    def _fault(
        self, environment_id: str, target: KillTarget, condition: Callable[[Call], bool], moment: Moment, nth: int
    ) -> Fault:
        outputs = self.fixture.platform.outputs
        functions = (outputs["worker_function"], outputs["api_function"])
        action = kill_targets.kill(target, names.stack_name(environment_id), functions)
        return Fault(Match(about=environment_id, also=condition), action, moment, nth)

    def _wait(self, armed: Armed, environment_id: str) -> None:
        """Wait until a process was killed, or nothing is left to do for a worker."""
        give_up = time.monotonic() + _KILL_SECONDS
        while not armed.happened.wait(0.25) and time.monotonic() < give_up:
            record = self.fixture.record(environment_id)
            if record and not record.outstanding and record.lease.holder is None:
                return


def _of_a_worker(call: Call) -> bool:
    """Whether it is an effect of the worker that heals, and not of the sweep that asks for that worker."""
    return call.changes and not effects.name_of(call).startswith(_OF_A_SWEEP)


def _thin(points: list[Point], most: int | None) -> list[Point]:
    """So many of the points, evenly spread, with the first and the last."""
    if most is None or len(points) <= most:
        return points
    return [points[round(place * (len(points) - 1) / max(1, most - 1))] for place in range(most)]
