"""What many runs came to, added up, so that a campaign in which nothing happened is not taken for a good one.

The rule: only counts of what really happened are added; nothing is estimated.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.simulation import RunResult

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
