"""Many seeds, on as many cores as there are.

The rule: which seeds are played and what comes out does not depend on how they are shared out.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.counters import Tally
from tests.simulation.scenario import Scenario, scenario_of
from tests.simulation.simulation import Simulation

_CHUNK = 250

Progress = Callable[[int], None]
"""Told how many more seeds are done."""


def play(
    start: int, count: int, jobs: int, progress: Progress, scenario: Callable[[int], Scenario] = scenario_of
) -> Tally:
    """Play these seeds. `scenario` makes one of a seed, and is known by name, so that other processes find it."""
    tally = Tally()
    for part in _parts(start, count, jobs, scenario):
        tally.merge(part)
        progress(part.seeds)
    return tally


def _parts(start: int, count: int, jobs: int, scenario: Callable[[int], Scenario]) -> Iterator[Tally]:
    chunks = [(first, min(_CHUNK, start + count - first)) for first in range(start, start + count, _CHUNK)]
    if jobs <= 1:
        yield from (_played(scenario, first, size) for first, size in chunks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_played, *zip(*((scenario, *chunk) for chunk in chunks), strict=True))


def _played(scenario: Callable[[int], Scenario], first: int, count: int) -> Tally:
    tally = Tally()
    # A run leaves a ring of objects; collecting them once in a while is cheaper than being asked all the time.
    gc.disable()
    for seed in range(first, first + count):
        tally.add(Simulation(scenario(seed)).play())
    gc.enable()
    gc.collect()
    return tally
