"""A failing scenario made as small as possible while the same invariant is violated.

The rule: parts are only left out, so the result is a part of the scenario that failed first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.simulation.scenario import Scenario
from tests.simulation.simulation import Simulation

_PARTS = ("requests", "manual_actions", "existing")


def shrink(scenario: Scenario, simulation: type[Simulation] = Simulation) -> Scenario:
    """The smallest scenario found. Raises ValueError when this one violates nothing."""
    invariant = violated(scenario, simulation)
    if invariant is None:
        raise ValueError(f"Seed {scenario.seed} violates nothing.")
    while True:
        smaller = next((each for each in _smaller(scenario) if violated(each, simulation) == invariant), None)
        if smaller is None:
            return scenario
        scenario = smaller


def violated(scenario: Scenario, simulation: type[Simulation] = Simulation) -> str | None:
    """The invariant that the scenario violates."""
    violation = simulation(scenario).play().violation
    return violation[0] if violation else None


def _smaller(scenario: Scenario) -> Iterator[Scenario]:
    for kind in scenario.rates:
        yield replace(scenario, rates={name: rate for name, rate in scenario.rates.items() if name != kind})
    if scenario.deep_sweeps:
        yield replace(scenario, deep_sweeps=())
    for part in _PARTS:
        items = getattr(scenario, part)
        if len(items) > (part == "requests"):
            for number in range(len(items)):
                fewer = {part: items[:number] + items[number + 1 :]}
                yield replace(scenario, **fewer)
