"""Deaths one by one: at each effect of each operation, before and after it, and a second one in the recovery.

The rule: the effects are those of a run in which nothing goes wrong, as it was seen to have them; nothing else goes wrong than
the death itself, so that what isn't healed is not healed because of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from random import Random

from orchestrator.sweeper.sweep import Kind
from tests.simulation.checks import Violation
from tests.simulation.scenario import IMAGE, Request, Scenario
from tests.simulation.scheduler import Actor
from tests.simulation.simulation import LIGHT_EVERY, Death, Simulation

ENVIRONMENT = "alpha"
_MEASURED_AT = 3000.0
_HEALS_WITHIN = 3 * 3600.0
_PUT = Request(10, "alice", "put", ENVIRONMENT, f"{IMAGE}:v1")


@dataclass(frozen=True)
class Measured:
    """What is done before, undisturbed, and what is measured then: a request, or a sweep."""

    before: tuple[Request, ...]
    request: Request | None = None
    sweep: Kind | None = None
    furniture: tuple[tuple[str, str], ...] = ()


def _then(kind: str, image: str = "v1") -> Request:
    return Request(_MEASURED_AT, "alice", kind, ENVIRONMENT, f"{IMAGE}:{image}")


OPERATIONS: Mapping[str, Measured] = {
    "create": Measured((), _then("put")),
    "update": Measured((_PUT,), _then("put", "v2")),
    "pause": Measured((_PUT,), _then("pause")),
    "resume": Measured((_PUT, Request(900, "alice", "pause", ENVIRONMENT)), _then("resume")),
    "destroy": Measured((_PUT,), _then("remove")),
    "light sweep": Measured(
        (Request(10, "alice", "put", ENVIRONMENT, f"{IMAGE}:v1", ttl=_MEASURED_AT - 10),), sweep=Kind.LIGHT
    ),
    "deep sweep": Measured((), sweep=Kind.DEEP, furniture=(("orphan", "delta"),)),
}


@dataclass(frozen=True)
class Case:
    """One run with deaths at given effects, and what became of it."""

    operation: str
    deaths: tuple[Death, ...]
    died: tuple[str, ...]
    """How those who died did; fewer than were planned if the recovery was over before."""
    outcome: str
    sweeps: int
    """SweepService that ran between the (last) death and the healing, those left out that found another one's place taken."""
    taken_up_after: float | None
    """Seconds from the end of the dead worker's lease until the next worker claimed it; None where no lease was held."""
    healed_after: float | None
    """Seconds from the end of that lease until all was as desired."""

    @property
    def healed(self) -> bool:
        return self.outcome == "healed"


@cache
def effects_of(name: str, seed: int = 0) -> tuple[str, ...]:
    """The effects of the operation, in the order of an undisturbed run."""
    simulation = _prepared(name, seed)
    names: list[str] = []
    simulation.world.clockwork.effect_names = names
    _do(simulation, name)
    simulation.settle()
    return tuple(names)


def points(seed: int = 0) -> Iterator[Case]:
    """Each crash point of each operation: before and after each effect; inside a CLI process also with that one going on."""
    for name in OPERATIONS:
        for number, effect in enumerate(effects_of(name, seed), start=1):
            for after in (False, True):
                for stray in (False, True) if _may_stray(effect) else (False,):
                    yield crash(name, (Death(number, after, stray),), seed)


def pairs(count: int, seed: int = 0) -> Iterator[Case]:
    """So many pairs: a crash at a point of an operation, and a second one in what heals it, drawn from all there are."""
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


def crash(name: str, deaths: tuple[Death, ...], seed: int = 0) -> Case:
    """Let somebody die at these effects, and see whether all is well afterwards."""
    simulation = _prepared(name, seed)
    world = simulation.world
    died: list[tuple[str, int]] = []
    """How, and how many sweeps were done by then."""
    tell = world.clockwork.on_death

    def remember(actor: Actor, how: str) -> None:
        died.append((f"{actor.kind} {how}", simulation.reports.statuses["done"]))
        tell(actor, how)

    world.clockwork.on_death = remember
    simulation.arm(*deaths)
    _do(simulation, name)
    outcome = "healed"
    sweeps = simulation.reports.statuses["done"]
    try:
        simulation.settle(_HEALS_WITHIN)
        sweeps = simulation.reports.statuses["done"]
        outcome = _outcome(simulation)
    except Violation as violation:
        outcome = {"I1": "stuck", "I3": "leaked", "I5": "leaked"}.get(violation.invariant, violation.invariant)
    healing = next((each for each in world.checks.healing if each.healed_at is not None), None)
    return Case(
        name,
        deaths,
        tuple(how for how, _ in died),
        outcome,
        sweeps - (died[-1][1] if died else sweeps),
        healing.taken_up_at - healing.lease_until if healing and healing.taken_up_at is not None else None,
        healing.healed_at - healing.lease_until if healing and healing.healed_at is not None else None,
    )


def deaths_of_workers(count: int, seed: int = 0) -> Iterator[Case]:
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


def _outcome(simulation: Simulation) -> str:
    """Healed is: as desired, with nothing left over, as two deep sweeps and all checks say."""
    row = simulation.world.rows.get(ENVIRONMENT)
    if row is not None and row.failed_permanently and row.failure:
        return f"failed: {row.failure.code}"
    simulation.arm()
    simulation.sweep_deeply(simulation.scenario.hard_limit)
    simulation.sweep_deeply(2 * 3600)
    simulation.world.checks.all_is_well()
    return "healed"


def _prepared(name: str, seed: int) -> Simulation:
    operation = OPERATIONS[name]
    simulation = Simulation(Scenario(seed, operation.before, furniture=operation.furniture, active_until=_MEASURED_AT))
    simulation.begin()
    simulation.go_on(_MEASURED_AT - LIGHT_EVERY)
    simulation.be_quiet()
    if operation.sweep is Kind.DEEP:
        # The first pass only suspects; what is measured is the one that removes.
        simulation.sweep_deeply(1)
        simulation.go_on(simulation.world.clockwork.now + 2 * 3600)
    elif operation.sweep is None:
        simulation.go_on(_MEASURED_AT)
    return simulation


def _do(simulation: Simulation, name: str) -> None:
    operation = OPERATIONS[name]
    now = simulation.world.clockwork.now
    if operation.request:
        simulation.ask(operation.request)
        simulation.go_on(now + 1)
    elif operation.sweep is Kind.DEEP:
        simulation.start_sweep(Kind.DEEP)
        simulation.go_on(now + 1)
    else:
        simulation.go_on(_MEASURED_AT + LIGHT_EVERY + 1)


def _may_stray(effect: str) -> bool:
    """Whether it is one of a CLI process, which may outlive its worker."""
    return effect.removeprefix("worker: ") in _OF_THE_CLI


_OF_THE_CLI = frozenset(
    {
        "the stack is made",
        "the lock is taken",
        "the lock is removed",
        "the checkpoint is written",
        "the service is tagged",
        "the stack is removed",
        "CreateService",
        "UpdateService",
        "DeleteService",
    }
)
