"""What many runs came to, added up: so that a campaign in which nothing happened can't look good.

The rule: only counts of what really happened are added; nothing is estimated.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.simulation import Outcome

_FAILURES_KEPT = 100
_GROUPS = ("drawn", "deaths", "looked", "stale", "happened")


@dataclass
class Tally:
    """The sum of outcomes."""

    seeds: int = 0
    failures: list[tuple[int, str, str]] = field(default_factory=list)
    """Seed, invariant and message of the first ones that failed."""
    violations: int = 0
    counts: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in _GROUPS})
    healings: int = 0
    latest_taken_up: float = 0.0
    """Seconds after the lease's end at which the last of them was taken up."""
    most_services: int = 0
    virtual_seconds: float = 0.0

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        if outcome.violation:
            self.violations += 1
            if len(self.failures) < _FAILURES_KEPT:
                self.failures.append((outcome.seed, *outcome.violation))
        for name in _GROUPS:
            self.counts[name].update(getattr(outcome, name))
        for healing in outcome.healing:
            if healing.healed_at is not None:
                self.healings += 1
            if healing.taken_up_at is not None:
                self.latest_taken_up = max(self.latest_taken_up, healing.taken_up_at - healing.lease_until)
        self.most_services = max(self.most_services, outcome.most_services)
        self.virtual_seconds += outcome.virtual_seconds

    def merge(self, other: Tally) -> None:
        self.seeds += other.seeds
        self.violations += other.violations
        self.failures = sorted(self.failures + other.failures)[:_FAILURES_KEPT]
        for name in _GROUPS:
            self.counts[name].update(other.counts[name])
        self.healings += other.healings
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
            "faults": dict(sorted(self.counts["drawn"].items())),
            "deaths": dict(sorted(self.counts["deaths"].items())),
            "checks": dict(sorted(self.counts["looked"].items())),
            "without_lease": dict(sorted(self.counts["stale"].items())),
            "happened": dict(sorted(self.counts["happened"].items())),
            "healed_after_a_workers_death": self.healings,
            "latest_taken_up_after_lease_end_seconds": round(self.latest_taken_up, 1),
            "most_services_of_one_environment": self.most_services,
            "virtual_years": round(self.virtual_seconds / 86400 / 365, 3),
        }
