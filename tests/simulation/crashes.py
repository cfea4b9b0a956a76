"""Deaths one by one: at each effect of each operation, before and after it, and a second one in the recovery.

The rule: the effects are those seen in an undisturbed run, and nothing goes wrong but the deaths themselves, so that they are the
cause of whatever is not healed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from random import Random

from orchestrator.domain.sweeps import SweepKind, SweepStatus
from tests.simulation.checks import Violation
from tests.simulation.cli import EFFECT_PREFIX
from tests.simulation.scenario import IMAGE, Existing, Request, Scenario
from tests.simulation.scheduler import Actor
from tests.simulation.simulation import LIGHT_EVERY, Death, Simulation

ENVIRONMENT = "alpha"
_MEASURED_AT = 3000.0
_HEALS_WITHIN = 3 * 3600.0
_PUT = Request(10, "alice", "put", ENVIRONMENT, f"{IMAGE}:v1")


@dataclass(frozen=True)
class Measured:
    """What happens before, undisturbed, and what is measured then: a request or a sweep."""

    before: tuple[Request, ...]
    request: Request | None = None
    sweep: SweepKind | None = None
    existing: tuple[Existing, ...] = ()


def _then(kind: str, image: str = "v1") -> Request:
    return Request(_MEASURED_AT, "alice", kind, ENVIRONMENT, f"{IMAGE}:{image}")


OPERATIONS: Mapping[str, Measured] = {
    "create": Measured((), _then("put")),
    "update": Measured((_PUT,), _then("put", "v2")),
    "pause": Measured((_PUT,), _then("pause")),
    "resume": Measured((_PUT, Request(900, "alice", "pause", ENVIRONMENT)), _then("resume")),
    "destroy": Measured((_PUT,), _then("remove")),
    "light sweep": Measured(
        (Request(10, "alice", "put", ENVIRONMENT, f"{IMAGE}:v1", ttl=_MEASURED_AT - 10),), sweep=SweepKind.LIGHT
    ),
    "deep sweep": Measured((), sweep=SweepKind.DEEP, existing=(Existing("delta"),)),
}


@dataclass(frozen=True)
class Case:
    """One run with deaths at given effects, and what became of it."""

    operation: str
    deaths: tuple[Death, ...]
    died: tuple[str, ...]
    """How each actor died; fewer than planned if the recovery was over before."""
    outcome: str
    sweeps: int
    """How many sweeps ran between the last death and the healing, without those that found another one running."""
    taken_up_after: float | None
    """Seconds from the end of the dead worker's lease until the next worker claimed it; None where no lease was held."""
    healed_after: float | None
    """Seconds from the end of that lease until the environment was as desired."""

    @property
    def healed(self) -> bool:
        return self.outcome == "healed"


@cache
def effects_of(name: str, seed: int = 0) -> tuple[str, ...]:
    """The effects of the operation, in the order of an undisturbed run."""
    simulation = _prepare(name, seed)
    names: list[str] = []
    simulation.scheduler.effect_names = names
    _perform(simulation, name)
    simulation.settle()
    return tuple(names)


def crash_points(seed: int = 0) -> Iterator[Case]:
    """Each crash point of each operation: before and after each effect; in a CLI process also with the CLI going on."""
    for name in OPERATIONS:
        for number, effect in enumerate(effects_of(name, seed), start=1):
            for after in (False, True):
                for cli_survives in (False, True) if effect.startswith(f"worker: {EFFECT_PREFIX}") else (False,):
                    yield crash(name, (Death(number, after, cli_survives),), seed)


def crash_pairs(count: int, seed: int = 0) -> Iterator[Case]:
    """So many pairs, drawn from all there are: a crash at a point of an operation, and a second one in the recovery."""
    rng = Random(seed)
    effects = {name: effects_of(name, seed) for name in OPERATIONS}
    firsts = [(name, number) for name, names in effects.items() for number in range(1, len(names) + 1)]
    made = 0
    while made < count:
        name, number = rng.choice(firsts)
        first = Death(number, rng.random() < 0.5, rng.random() < 0.3)
        case = crash(name, (first, Death(rng.randrange(1, 16), rng.random() < 0.5, rng.random() < 0.3)), seed)
        if len(case.died) == 2:
            made += 1
            yield case


def deaths_under_lease(count: int, seed: int = 0) -> Iterator[Case]:
    """So many deaths of workers that held a lease, at points drawn from all there are, at any phase of the schedule."""
    rng = Random(seed)
    made = tried = 0
    while made < count:
        tried += 1
        name = rng.choice(list(OPERATIONS))
        number = rng.randrange(1, len(effects_of(name, seed)) + 1)
        case = crash(name, (Death(number, rng.random() < 0.5, rng.random() < 0.3),), seed + tried)
        if case.taken_up_after is not None:
            made += 1
            yield case


def crash(name: str, deaths: tuple[Death, ...], seed: int = 0) -> Case:
    """Kill the actors that do these effects of the operation, and see whether everything is healed afterwards."""
    simulation = _prepare(name, seed)
    died: list[str] = []
    sweeps_by_then = 0

    def sweeps() -> int:
        return simulation.reports.statuses[SweepStatus.DONE]

    on_death = simulation.scheduler.on_death

    def remember(actor: Actor, how: str) -> None:
        nonlocal sweeps_by_then
        died.append(f"{actor.kind} {how}")
        sweeps_by_then = sweeps()
        on_death(actor, how)

    simulation.scheduler.on_death = remember
    simulation.plan_deaths(*deaths)
    _perform(simulation, name)
    needed = 0
    try:
        simulation.settle(_HEALS_WITHIN)
        needed = sweeps() - sweeps_by_then if died else 0
        outcome = _outcome(simulation)
    except Violation as violation:
        outcome = {"I1": "stuck", "I3": "leaked", "I5": "leaked"}.get(violation.invariant, violation.invariant)
    healing = next((each for each in simulation.world.checks.healings.all if each.healed_at is not None), None)
    return Case(
        name,
        deaths,
        tuple(died),
        outcome,
        needed,
        healing.taken_up_after if healing else None,
        healing.healed_after if healing else None,
    )


def _outcome(simulation: Simulation) -> str:
    """`healed` when everything is as desired and nothing is left over, as two deep sweeps and all checks confirm."""
    record = simulation.world.records.get(ENVIRONMENT)
    if record is not None and record.failed_permanently and record.failure:
        return f"failed: {record.failure.code}"
    simulation.plan_deaths()
    simulation.deep_sweep_after(simulation.scenario.hard_limit)
    simulation.deep_sweep_after(2 * 3600)
    simulation.world.checks.consistent()
    return "healed"


def _prepare(name: str, seed: int) -> Simulation:
    operation = OPERATIONS[name]
    simulation = Simulation(Scenario(seed, operation.before, existing=operation.existing, active_until=_MEASURED_AT))
    simulation.begin()
    simulation.scheduler.run(_MEASURED_AT - LIGHT_EVERY)
    simulation.stop_faults()
    if operation.sweep is SweepKind.DEEP:
        # The first sweep only suspects; what is measured is the one that removes.
        simulation.deep_sweep_after(1)
        simulation.run_for(2 * 3600)
    elif operation.sweep is None:
        simulation.scheduler.run(_MEASURED_AT)
    return simulation


def _perform(simulation: Simulation, name: str) -> None:
    operation = OPERATIONS[name]
    if operation.request:
        simulation.request(operation.request)
        simulation.run_for(1)
    elif operation.sweep is SweepKind.DEEP:
        simulation.start_sweep(SweepKind.DEEP)
        simulation.run_for(1)
    else:
        simulation.scheduler.run(_MEASURED_AT + LIGHT_EVERY + 1)
