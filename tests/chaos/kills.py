"""SIGKILL at each effect of each operation, before it and after it, and what becomes of the environment.

Rule: first an undisturbed life is recorded; then each point of it is a kill of its own, in a life whose other steps have their
own kills. A point that the disturbed run does not reach is no kill and is not counted.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from localcloud.faults.calls import Call
from localcloud.faults.faults import Armed, Fault, Match, Moment
from orchestrator.domain import names
from tests.chaos import effects, kill_targets
from tests.chaos.effects import Effect
from tests.chaos.kill_targets import Victim
from tests.chaos.platform_fixture import Stage, WrappedCli
from tests.chaos.story import STEPS, Healing, Step, Sweep, asked, healed

_TO_BE_KILLED_SECONDS = 60.0
_CHECKPOINT = "state: Put checkpoint"
_OF_A_SWEEP = ("lambda: Invoke", "table: SWEEP", "table: recover", "table: retry", "table: send again")


@dataclass(frozen=True)
class Point:
    """Where somebody is killed. With `again`, whoever heals it is killed too, at that effect of the healing."""

    effect: Effect
    moment: Moment
    victim: Victim
    again: int | None = None

    def __str__(self) -> str:
        return f"{self.victim} {self.moment} {self.effect}" + (f", again at {self.again}" if self.again else "")


@dataclass(frozen=True)
class Kill:
    """One disturbed step. `deaths` are the effects at which somebody died: two when the healing was killed too."""

    environment: str
    step: str
    point: Point
    deaths: tuple[str, ...]
    healing: Healing
    strays: int


class Sweeper:
    """The one who orders light sweeps; those who wait for one at the same time share it."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._lock = threading.Lock()
        self._passes = 0
        self._latest: Mapping[str, Any] = {}

    def __call__(self) -> Mapping[str, Any]:
        seen = self._passes
        with self._lock:
            if self._passes < seen + 2:  # one that began after we asked
                self._latest = self._stage.sweep()
                self._passes += 1
            return self._latest


def recorded(stage: Stage, environment_id: str) -> dict[str, list[Effect]]:
    """The effects of each step of an undisturbed life."""
    found = {}
    sweep = Sweeper(stage)
    for step in STEPS:
        before = len(stage.proxy.calls)
        asked(stage, step, environment_id)
        ended = healed(stage, step, environment_id, sweep)
        if not ended.well or ended.sweeps:
            raise RuntimeError(f"The undisturbed {step.name} ended so: {ended}")
        found[step.name] = effects.effects_of(stage.proxy.calls[before:], environment_id)
    return found


def points(found: Sequence[Effect]) -> list[Point]:
    """Every effect, before and after: mostly the whole sandbox, each third time the worker alone; the CLI at each checkpoint."""
    who = itertools.cycle((Victim.SANDBOX, Victim.SANDBOX, Victim.WORKER))
    every = [Point(effect, moment, next(who)) for effect in found for moment in Moment]
    clis = [
        Point(effect, moment, victim)
        for effect in found
        if effect.name == _CHECKPOINT
        for moment in Moment
        for victim in (Victim.CLI, Victim.CLI_AND_PLUGINS)
    ]
    return every + clis


Life = Mapping[str, Point | None]
"""Where somebody is killed in each step that is lived; None: nobody is."""


def lives(recording: Mapping[str, Sequence[Effect]], most: int | None) -> list[Life]:
    """The kills, dealt out to as many lives as the longest step needs and some more: where a step has no kill left for a life,
    the healing is killed too.
    """
    dealt = {step.name: _thinned(points(recording[step.name]), most) for step in STEPS if step.name in recording}
    longest = max(len(each) for each in dealt.values())
    number = longest + 1 + longest // 8
    again = itertools.count(1)
    for name, each in dealt.items():
        once = list(each)
        for number_of_life in range(len(each), number):
            first = once[(number_of_life * 7) % len(once)]
            nth = 1 + next(again) % max(2, len(recording[name]))
            each.append(Point(first.effect, first.moment, Victim.SANDBOX, again=nth))
    return [{name: each[life] for name, each in dealt.items()} for life in range(number)]


@dataclass(frozen=True)
class Killing:
    """The runs on one stage."""

    stage: Stage
    cli: WrappedCli
    sweep: Sweep
    progress: Callable[[str], None]
    prefix: str = "kill"
    """Of the environments' ids."""

    def all(self, planned: Sequence[Life], at_once: int) -> Iterator[Kill]:
        """Live all these lives, so many at once."""
        with ThreadPoolExecutor(at_once, thread_name_prefix="life") as pool:
            futures = [
                pool.submit(self.live, f"{self.prefix}{number:03d}", life) for number, life in enumerate(planned)
            ]
            for future in futures:
                yield from future.result()

    def live(self, environment_id: str, life: Life) -> list[Kill]:
        """One environment's life with a kill in each step that has one."""
        kills = []
        for step in STEPS:
            point = life.get(step.name)
            if point is None:
                if step.name in life:
                    self._undisturbed(environment_id, step)
                continue
            kill = self.disturbed(environment_id, step, point)
            if kill.deaths:
                kills.append(kill)
            self._tell(kill)
            if not kill.healing.well:
                self._undisturbed(environment_id, step)  # so that the next step has something to begin with
        return kills

    def disturbed(self, environment_id: str, step: Step, point: Point) -> Kill:
        """One step with its kill, and the healing."""
        stack = names.stack_name(environment_id)
        self.cli.plug_in(stack, point.victim in (Victim.CLI, Victim.CLI_AND_PLUGINS))
        armed = [self._arm(environment_id, point)]
        try:
            asked(self.stage, step, environment_id)
            self._wait(armed[0], environment_id)
            self.cli.plug_in(stack, False)
            if point.again and armed[0].happened.is_set():
                armed.append(self._arm_again(environment_id, point))
            healing = healed(self.stage, step, environment_id, self.sweep)
        finally:
            self.stage.proxy.faults.disarm(*armed)
        deaths = tuple(effects.name_of(call) for each in armed for call in each.calls)
        return Kill(environment_id, step.name, point, deaths, healing, len(self.stage.strays(environment_id)))

    def _arm(self, environment_id: str, point: Point) -> Armed:
        def meant(call: Call) -> bool:
            return call.changes and effects.name_of(call) == point.effect.name

        deed = kill_targets.kill(point.victim, names.stack_name(environment_id), self._functions)
        match = Match(about=environment_id, also=meant)
        return self.stage.proxy.arm(Fault(match, deed, point.moment, nth=point.effect.nth))

    def _arm_again(self, environment_id: str, point: Point) -> Armed:
        deed = kill_targets.kill(Victim.SANDBOX, names.stack_name(environment_id), self._functions)
        match = Match(about=environment_id, also=_of_a_worker)
        return self.stage.proxy.arm(Fault(match, deed, point.moment, nth=point.again or 1))

    def _wait(self, armed: Armed, environment_id: str) -> None:
        """Until somebody was killed, or nothing is left to do for anybody."""
        give_up = time.monotonic() + _TO_BE_KILLED_SECONDS
        while not armed.happened.wait(0.25) and time.monotonic() < give_up:
            record = self.stage.record(environment_id)
            if record and not record.outstanding and record.lease.holder is None:
                return

    def _undisturbed(self, environment_id: str, step: Step) -> None:
        asked(self.stage, step, environment_id)
        healed(self.stage, step, environment_id, self.sweep)

    def _tell(self, kill: Kill) -> None:
        said = "; ".join([*kill.deaths[1:], kill.healing.ended, *kill.healing.wrong])
        self.progress(
            f"{kill.environment} {kill.step:8} {len(kill.deaths)} × {kill.point}: "
            f"{said}, {kill.healing.sweeps} sweeps, {kill.healing.seconds:.0f} s"
        )

    @property
    def _functions(self) -> tuple[str, ...]:
        outputs = self.stage.platform.outputs
        return outputs["worker_function"], outputs["api_function"]


def _of_a_worker(call: Call) -> bool:
    """Whether it is an effect of the worker that heals, and not of the sweep that asks for it."""
    return call.changes and not effects.name_of(call).startswith(_OF_A_SWEEP)


def _thinned(all_points: list[Point], most: int | None) -> list[Point]:
    """So many of them, evenly spread; the first and the last among them."""
    if most is None or len(all_points) <= most:
        return all_points
    return [all_points[round(place * (len(all_points) - 1) / max(1, most - 1))] for place in range(most)]
