"""Many seeds, on as many cores as there are, and what they came to, added up.

The rule: the seeds and their results do not depend on how they are divided among the processes. Only counts of what really
happened are added, so that a campaign in which nothing happened is not taken for a good one.
"""

from __future__ import annotations

import gc
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import starmap
from typing import Any

from tests.simulation.scenario import SCENARIOS
from tests.simulation.simulation import RunResult, Simulation

CHUNK = 250
_FAILURES_KEPT = 100


@dataclass
class Counters:
    """The sum of many results. `counts` has the groups of `RunResult.counts`."""

    seeds: int = 0
    failures: list[tuple[int, str, str]] = field(default_factory=list)
    """Seed, invariant and message of the first runs that failed."""
    violations: int = 0
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    healed: int = 0
    latest_taken_up: float = 0.0
    """The longest time, in seconds, from the end of a dead worker's lease to the next claim."""
    most_services: int = 0
    virtual_seconds: float = 0.0

    def add(self, result: RunResult) -> None:
        taken_up = [each.taken_up_after for each in result.healings if each.taken_up_after is not None]
        self.merge(
            Counters(
                seeds=1,
                failures=[(result.seed, *result.violation)] if result.violation else [],
                violations=int(result.violation is not None),
                counts=result.counts,
                healed=sum(each.healed_at is not None for each in result.healings),
                latest_taken_up=max(taken_up, default=0.0),
                most_services=result.most_services,
                virtual_seconds=result.virtual_seconds,
            )
        )

    def merge(self, other: Counters) -> None:
        self.seeds += other.seeds
        self.violations += other.violations
        if other.failures:
            self.failures = sorted(self.failures + other.failures)[:_FAILURES_KEPT]
        for group, counts in other.counts.items():
            self.counts[group].update(counts)
        self.healed += other.healed
        self.latest_taken_up = max(self.latest_taken_up, other.latest_taken_up)
        self.most_services = max(self.most_services, other.most_services)
        self.virtual_seconds += other.virtual_seconds

    def as_json(self) -> dict[str, Any]:
        return {
            "seeds": self.seeds,
            "violations": self.violations,
            "failing": [
                {"seed": seed, "invariant": invariant, "message": message} for seed, invariant, message in self.failures
            ],
            **{group: dict(sorted(counts.items())) for group, counts in self.counts.items()},
            "healed_after_a_workers_death": self.healed,
            "latest_taken_up_after_lease_end_seconds": round(self.latest_taken_up, 1),
            "most_services_of_one_environment": self.most_services,
            "virtual_years": round(self.virtual_seconds / 86400 / 365, 3),
        }


def play(start: int, count: int, jobs: int = 1, kind: str = "any") -> Counters:
    """Play these seeds; `kind` is one of SCENARIOS."""
    return total(parts(start, count, jobs, kind))


def parts(start: int, count: int, jobs: int, kind: str) -> Iterator[Counters]:
    """The same, with a result for each CHUNK of seeds."""
    chunks = [(kind, first, min(CHUNK, start + count - first)) for first in range(start, start + count, CHUNK)]
    if jobs <= 1:
        yield from starmap(_play_chunk, chunks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_play_chunk, *zip(*chunks, strict=True))


def total(found: Iterable[Counters]) -> Counters:
    """All of these, added up."""
    counters = Counters()
    for each in found:
        counters.merge(each)
    return counters


def _play_chunk(kind: str, first: int, count: int) -> Counters:
    counters = Counters()
    # Each run leaves a cycle of objects. Collecting them once a chunk is cheaper than the collector's own schedule.
    gc.disable()
    for seed in range(first, first + count):
        counters.add(Simulation(SCENARIOS[kind](seed)).play())
    gc.enable()
    gc.collect()
    return counters
