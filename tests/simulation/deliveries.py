"""Nothing goes wrong but the asking for workers: it is lost, doubled, late, and so overtaken.

The rule: every schedule has requests for one or two environments, and every kind of bad delivery may happen in each.
"""

from __future__ import annotations

from dataclasses import replace

from tests.simulation.scenario import Scenario, scenario_of

_RATES = {"an invocation is lost": 0.3, "an invocation is doubled": 0.4, "an invocation is late": 0.4}


def schedule_of(seed: int) -> Scenario:
    """The requests of a seed, under bad deliveries alone."""
    return replace(scenario_of(seed), rates=_RATES, furniture=(), acts=(), deep_sweeps=())
