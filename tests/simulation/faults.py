"""What may go wrong, how often, and how often it did.

The rule: each seed has its own few kinds of faults at its own rates (swarm testing: Groce et al., ISSTA 2012), because a run in
which everything goes wrong finds less than many runs in which two things do. A kind that is switched off draws no random number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from random import Random

RATES: Mapping[str, float] = {
    "the table is busy": 0.03,
    "the table's answer is lost": 0.02,
    "indexes lag": 0.5,
    "an invocation is lost": 0.25,
    "an invocation is doubled": 0.3,
    "an invocation is late": 0.3,
    "a worker dies at an effect": 0.5,
    "a worker dies at some moment": 0.3,
    "a sweep dies": 0.15,
    "a caller dies": 0.1,
    "the CLI outlives its worker": 0.5,
    "a worker is slow": 0.05,
    "a clock is wrong": 0.5,
    "the cloud is busy": 0.03,
    "the cloud's answer is lost": 0.05,
    "the state bucket is busy": 0.04,
    "a checkpoint is not saved": 0.02,
    "the provider does not report a success": 0.1,
    "the provider is throttled": 0.1,
    "the provider hangs": 0.06,
    "the CLI is killed by the machine": 0.06,
    "the CLI ignores the first signal": 0.3,
    "a service is slow": 0.15,
    "a service is busy for hours": 0.01,
    "a create fails": 0.1,
    "an update is rolled back": 0.15,
    "a delete fails": 0.15,
    "a pause does nothing": 0.1,
    "a resume does nothing": 0.1,
    "a service is listed late": 0.5,
    "tags of deleted services are listed": 0.4,
    "the health check fails for a while": 0.15,
    "a person locks a stack": 0.3,
    "a person changes a service": 0.4,
    "the quota is full": 0.05,
    "permissions are missing": 0.01,
}
"""Each kind of fault, and how often it happens, where it can, in a seed that has it."""

_CHOSEN = 0.35
"""The share of the kinds that a seed has."""


class Faults:
    """The faults of one run. `counts` has those that happened."""

    def __init__(self, rng: Random, rates: Mapping[str, float]) -> None:
        self._rates = dict(rates)
        self.counts: Counter[str] = Counter()
        self.random = rng.random

    def hit(self, kind: str) -> bool:
        """Whether this goes wrong now."""
        rate = self._rates.get(kind)
        if not rate or self.random() >= rate:
            return False
        self.counts[kind] += 1
        return True

    def between(self, least: float, most: float) -> float:
        return least + (most - least) * self.random()

    def stop(self) -> None:
        """From now on nothing goes wrong."""
        self._rates = {}


def swarm(rng: Random) -> dict[str, float]:
    """Some kinds of faults, each at up to its rate; in a few seeds none, in a few all."""
    mood = rng.random()
    if mood < 0.03:
        return {}
    share = 1.0 if mood > 0.97 else _CHOSEN
    return {kind: rate * (0.3 + 0.7 * rng.random()) for kind, rate in RATES.items() if rng.random() < share}
