"""SIGKILL at each effect of a sweep, before it and after it: the next sweep finishes what it began.

Rule: one sweep at a time, as on AWS. Each finds an environment whose time is up, and it is the sweep that is killed, not the
worker that it asks for.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator

from localcloud.faults.calls import Call
from localcloud.faults.faults import Armed, Fault, Match, Moment, Outcome
from orchestrator.domain.environment import Status
from tests.chaos import effects, kill_targets
from tests.chaos.effects import Effect
from tests.chaos.kill_targets import Victim
from tests.chaos.kills import Kill, Point
from tests.chaos.platform_fixture import Stage
from tests.chaos.story import LATEST, STEPS, Step, asked, healed

FUNCTION_SECONDS = 12
"""A killed sweep holds the right to sweep until its function's hard limit, and each kill here has to wait for that."""

_LIVE = Step("create", "PUT", "", {"image": LATEST, "ttl": "1s"}, Status.READY)
_EXPIRE = dataclasses.replace(STEPS[-1], name="sweep")


def kills(stage: Stage, kind: str, progress: Callable[[str], None]) -> Iterator[Kill]:
    """Record an undisturbed sweep, then kill one at each of its effects."""
    points = [Point(effect, moment, Victim.SANDBOX) for effect in recorded(stage, kind) for moment in Moment]
    for number, point in enumerate(points):
        kill = _killed(stage, kind, f"{kind}{number:03d}", point)
        progress(f"{kill.environment} {kind} sweep {len(kill.deaths)} × {point}: {kill.healing}")
        if kill.deaths:
            yield kill


def recorded(stage: Stage, kind: str) -> list[Effect]:
    """The effects of the sweep's own process in a sweep that removes an expired environment."""
    environment_id = f"{kind}-rec"
    _alive_and_expired(stage, environment_id)
    armed, seen = _spy(stage)
    try:
        stage.sweep(kind)
    finally:
        stage.proxy.faults.disarm(armed)
    healed(stage, _EXPIRE, environment_id, stage.sweep)
    (sweeper, *_) = [process for name, process in seen if "SWEEP" in name]
    times: Counter[str] = Counter()
    found = []
    for name, process in seen:
        if process == sweeper:
            times[name] += 1
            found.append(Effect(name, times[name]))
    return found


def _killed(stage: Stage, kind: str, environment_id: str, point: Point) -> Kill:
    _alive_and_expired(stage, environment_id)
    armed = stage.proxy.arm(
        Fault(
            Match(also=lambda call: call.changes and effects.name_of(call) == point.effect.name),
            kill_targets.kill(point.victim, "", (stage.worker_function,)),
            point.moment,
            nth=point.effect.nth,
        )
    )
    try:
        stage.sweep(kind)
    finally:
        stage.proxy.faults.disarm(armed)
    healing = healed(stage, _EXPIRE, environment_id, lambda: stage.sweep(kind))
    deaths = tuple(effects.name_of(call) for call in armed.calls)
    return Kill(environment_id, f"{kind} sweep", point, deaths, healing, strays=0)


def _alive_and_expired(stage: Stage, environment_id: str) -> None:
    asked(stage, _LIVE, environment_id)

    def ready() -> bool:
        record = stage.record(environment_id)
        return record is not None and record.settled and record.lease.holder is None

    stage.until(ready, 60, f"{environment_id} to be ready")


def _spy(stage: Stage) -> tuple[Armed, list[tuple[str, int | None]]]:
    """From now on, each effect's name and the process behind it."""
    seen: list[tuple[str, int | None]] = []

    def spy(call: Call) -> Outcome:
        seen.append((effects.name_of(call), call.client()))
        return None

    return stage.proxy.arm(Fault(Match(also=lambda call: call.changes), spy, times=1_000_000)), seen
