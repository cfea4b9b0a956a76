"""A seed always plays the same, in whatever process, and a violation's history can be read and made short."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime

import pytest

from tests.simulation.history import lines
from tests.simulation.scenario import Act, Request, Scenario, scenario_of
from tests.simulation.shrink import shrunk, violated
from tests.simulation.simulation import Simulation
from tests.simulation.table import SimRecords
from tests.simulation.watching import Watches


def told(scenario: Scenario) -> list[str]:
    outcome = Simulation(scenario, keep_history=True).play()
    return list(lines(scenario, outcome.history, outcome.violation))


@pytest.mark.parametrize("seed", range(20))
def test_the_same_seed_has_the_same_history(seed: int) -> None:
    first = told(scenario_of(seed))
    assert len(first) > 20
    assert told(scenario_of(seed)) == first


def test_history_is_the_same_in_another_process_with_another_hash_seed() -> None:
    def replayed(hash_seed: str) -> str:
        command = [sys.executable, "-m", "tests.simulation", "replay", "7"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout

    assert replayed("1") == replayed("2")


def test_keeping_the_history_changes_nothing() -> None:
    quiet, told_of = Simulation(scenario_of(3)).play(), Simulation(scenario_of(3), keep_history=True).play()
    assert (quiet.drawn, quiet.happened, quiet.virtual_seconds) == (
        told_of.drawn,
        told_of.happened,
        told_of.virtual_seconds,
    )


def test_what_violates_nothing_is_not_shrunk() -> None:
    with pytest.raises(ValueError, match="violates nothing"):
        shrunk(scenario_of(3))


class NeverDue(Simulation):
    """A light sweep that finds nothing: what is lost stays lost."""

    class Records(SimRecords):
        def due(self, now: datetime) -> Sequence[str]:
            return []

    def new_records(self, watches: Watches) -> SimRecords:
        return self.Records(self.world, watches)


def test_shrinking_leaves_out_what_the_violation_does_not_need() -> None:
    scenario = Scenario(
        5,
        (
            Request(1, "alice", "put", "alpha"),
            Request(400, "alice", "put", "beta"),
            Request(900, "alice", "pause", "beta"),
        ),
        acts=(Act(100, "lock", "beta", 10),),
        furniture=(("another's service", "gamma"),),
        rates={"an invocation is lost": 1.0, "the table is busy": 0.01},
    )
    assert violated(scenario) is None
    smallest = shrunk(scenario, NeverDue)
    assert violated(smallest, NeverDue) == "I1"
    assert (len(smallest.requests), smallest.acts, smallest.furniture) == (1, (), ())
    assert list(smallest.rates) == ["an invocation is lost"]
