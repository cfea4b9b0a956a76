"""A seed always plays the same, in every process, and a violation's history can be read and made short."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime

import pytest

from tests.simulation.history import lines
from tests.simulation.monitor import Monitors
from tests.simulation.scenario import Existing, ManualAction, Request, Scenario, any_scenario
from tests.simulation.shrink import shrink, violated
from tests.simulation.simulation import Simulation
from tests.simulation.table import SimRecords

pytestmark = pytest.mark.slow


class NeverDue(Simulation):
    """A light sweep that finds nothing, so that a lost request stays lost."""

    class Records(SimRecords):
        def due(self, now: datetime) -> Sequence[str]:
            return []

    def new_records(self, monitors: Monitors) -> SimRecords:
        return self.Records(self.world, monitors)


def history_of(scenario: Scenario) -> list[str]:
    return list(lines(scenario, Simulation(scenario, keep_history=True).play()))


@pytest.mark.parametrize("seed", range(20))
def test_the_same_seed_has_the_same_history(seed: int) -> None:
    first = history_of(any_scenario(seed))
    assert len(first) > 20
    assert history_of(any_scenario(seed)) == first


def test_history_is_the_same_in_another_process_with_another_hash_seed() -> None:
    def replay(hash_seed: str) -> str:
        command = [sys.executable, "-m", "tests.simulation", "replay", "7"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout

    assert replay("1") == replay("2")


def test_keeping_the_history_changes_nothing() -> None:
    without, with_history = (Simulation(any_scenario(3), keep_history=keep).play() for keep in (False, True))
    assert with_history.history and not without.history
    assert (without.counts, without.virtual_seconds) == (with_history.counts, with_history.virtual_seconds)


def test_a_scenario_that_violates_nothing_is_not_shrunk() -> None:
    with pytest.raises(ValueError, match="violates nothing"):
        shrink(any_scenario(3))


def test_shrinking_leaves_out_what_the_violation_does_not_need() -> None:
    scenario = Scenario(
        5,
        (
            Request(1, "alice", "put", "alpha"),
            Request(400, "alice", "put", "beta"),
            Request(900, "alice", "pause", "beta"),
        ),
        manual_actions=(ManualAction(100, "lock", "beta", 10),),
        existing=(Existing("gamma", "another", stack=False),),
        rates={"an invocation is lost": 1.0, "the table is busy": 0.01},
    )
    assert violated(scenario) is None
    smallest = shrink(scenario, NeverDue)
    assert violated(smallest, NeverDue) == "I1"
    assert (len(smallest.requests), smallest.manual_actions, smallest.existing) == (1, (), ())
    assert list(smallest.rates) == ["an invocation is lost"]
