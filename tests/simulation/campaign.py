"""Many seeds, on as many cores as there are.

The rule: the seeds and their results do not depend on how they are divided among the processes.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.counters import Counters
from tests.simulation.scenario import SCENARIOS
from tests.simulation.simulation import Simulation

_CHUNK = 250

Progress = Callable[[int], None]
"""Called with the number of seeds that were done since the last call."""


def play(start: int, count: int, jobs: int = 1, progress: Progress | None = None, kind: str = "any") -> Counters:
    """Play these seeds; `kind` is one of SCENARIOS."""
    counters = Counters()
    for part in _parts(start, count, jobs, kind):
        counters.merge(part)
        if progress:
            progress(part.seeds)
    return counters


def _parts(start: int, count: int, jobs: int, kind: str) -> Iterator[Counters]:
    chunks = [(kind, first, min(_CHUNK, start + count - first)) for first in range(start, start + count, _CHUNK)]
    if jobs <= 1:
        yield from (_play_chunk(*chunk) for chunk in chunks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_play_chunk, *zip(*chunks, strict=True))


def _play_chunk(kind: str, first: int, count: int) -> Counters:
    counters = Counters()
    # Each run leaves a cycle of objects. Collecting them once a chunk is cheaper than the collector's own schedule.
    gc.disable()
    for seed in range(first, first + count):
        counters.add(Simulation(SCENARIOS[kind](seed)).play())
    gc.enable()
    gc.collect()
    return counters
