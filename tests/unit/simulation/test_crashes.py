"""Deaths one by one and in pairs: at most two sweeps later everything is as desired."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation import crashes
from tests.simulation.simulation import LIGHT_EVERY, Death

pytestmark = pytest.mark.slow


def test_a_death_at_each_effect_of_each_operation_is_healed_within_two_sweeps() -> None:
    cases = list(crashes.crash_points())
    assert Counter(case.outcome for case in cases) == {"healed": len(cases)}
    assert all(len(case.died) == 1 for case in cases)
    assert max(case.sweeps for case in cases) <= 2
    assert {case.operation for case in cases} == set(crashes.OPERATIONS)
    assert len(cases) > 200


def test_a_second_death_in_the_recovery_is_healed_too() -> None:
    cases = list(crashes.crash_pairs(120))
    assert Counter(case.outcome for case in cases) == {"healed": 120}
    assert all(len(case.died) == 2 for case in cases)
    assert max(case.sweeps for case in cases) <= 2


def test_a_dead_workers_environment_is_taken_up_within_five_minutes_of_its_leases_end() -> None:
    cases = list(crashes.deaths_under_lease(60))
    taken_up = [case.taken_up_after for case in cases if case.taken_up_after is not None]
    assert len(taken_up) == 60
    assert min(taken_up) >= 0
    assert max(taken_up) <= LIGHT_EVERY + 5


def test_a_death_that_does_not_happen_is_not_counted() -> None:
    case = crashes.crash("create", (Death(1000, after=False),))
    assert case.died == () and case.outcome == "healed"
