"""A failing scenario made as small as it can be while the same invariant is violated.

The rule: only things are left out, so what fails in the end is a part of what failed first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.simulation.scenario import Scenario
from tests.simulation.simulation import Simulation


def shrunk(scenario: Scenario, simulation: type[Simulation] = Simulation) -> Scenario:
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
    """The invariant that it violates."""
    violation = simulation(scenario).play().violation
    return violation[0] if violation else None


def _smaller(scenario: Scenario) -> Iterator[Scenario]:
    for kind in scenario.rates:
        yield replace(scenario, rates={name: rate for name, rate in scenario.rates.items() if name != kind})
    if scenario.deep_sweeps:
        yield replace(scenario, deep_sweeps=())
    if len(scenario.requests) > 1:
        for left_out in range(len(scenario.requests)):
            yield replace(scenario, requests=_without(scenario.requests, left_out))
    for left_out in range(len(scenario.acts)):
        yield replace(scenario, acts=_without(scenario.acts, left_out))
    for left_out in range(len(scenario.furniture)):
        yield replace(scenario, furniture=_without(scenario.furniture, left_out))


def _without(things: tuple, left_out: int) -> tuple:
    return things[:left_out] + things[left_out + 1 :]
