"""SIGKILL before and after each effect of a sweep: the next sweep finishes what it began.

The rule: one sweep at a time, as on AWS. Each finds an environment whose TTL is over, and the sweep is killed, not the worker
that it asks for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from localcloud.faults.calls import Call
from localcloud.faults.faults import Fault, Match, Moment, Outcome
from orchestrator.domain.environment import Status
from orchestrator.domain.sweeps import SweepKind
from tests.chaos import effects, kill_targets
from tests.chaos.effects import Effect
from tests.chaos.kill_targets import KillTarget
from tests.chaos.kills import Kill, Point
from tests.chaos.lifecycle import LATEST, POLL_SECONDS, STEPS, Step, heal, send
from tests.chaos.platform_fixture import PlatformFixture
from tests.waiting import eventually

FUNCTION_SECONDS = 12
"""A killed sweep keeps the place of the running sweep until its function's hard limit, and each kill here waits for that."""

_CREATE = Step("create", "PUT", "", {"image": LATEST, "ttl": "1s"}, Status.READY)
_EXPIRE = dataclasses.replace(STEPS[-1], name="sweep")


def sweep_kills(fixture: PlatformFixture, kind: SweepKind, progress: Callable[[str], None]) -> Iterator[Kill]:
    """Record an undisturbed sweep, then kill one at each of its effects."""
    points = [Point(effect, moment, KillTarget.SANDBOX) for effect in _record(fixture, kind) for moment in Moment]
    for number, point in enumerate(points):
        kill = _kill(fixture, kind, f"{kind}{number:03d}", point)
        progress(str(kill))
        if kill.deaths:
            yield kill


def _record(fixture: PlatformFixture, kind: SweepKind) -> list[Effect]:
    """The effects of the sweep's own process in a sweep that removes an expired environment."""
    environment_id = f"{kind}-rec"
    _create_expired(fixture, environment_id)
    seen: list[tuple[str, int | None]] = []

    def spy(call: Call) -> Outcome:
        seen.append((effects.name_of(call), call.client()))
        return None

    with fixture.armed(Fault(effects.CHANGES, spy, times=effects.ALWAYS)):
        fixture.sweep(kind)
    heal(fixture, _EXPIRE, environment_id, fixture.sweep)
    sweeper = next(process for name, process in seen if "SWEEP" in name)
    return effects.numbered(name for name, process in seen if process == sweeper)


def _kill(fixture: PlatformFixture, kind: SweepKind, environment_id: str, point: Point) -> Kill:
    _create_expired(fixture, environment_id)
    action = kill_targets.kill(point.target, "", (fixture.worker_function,))
    with fixture.armed(Fault(Match(also=point.effect.is_done_by), action, point.moment, point.effect.nth)) as armed:
        fixture.sweep(kind)
    healing = heal(fixture, _EXPIRE, environment_id, lambda: fixture.sweep(kind))
    deaths = tuple(effects.name_of(call) for call in armed.calls)
    return Kill(environment_id, f"{kind} sweep", point, deaths, healing, strays=0)


def _create_expired(fixture: PlatformFixture, environment_id: str) -> None:
    send(fixture, _CREATE, environment_id)

    def ready() -> bool:
        record = fixture.record(environment_id)
        return record is not None and record.settled and record.lease.holder is None

    eventually(ready, f"{environment_id} to be ready", every=POLL_SECONDS)
