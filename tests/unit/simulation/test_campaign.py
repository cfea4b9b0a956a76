"""Ten thousand seeds in which anything may happen, in five parts that run side by side; `make chaos` plays a million."""

from __future__ import annotations

import pytest

from tests.simulation import campaign
from tests.simulation.faults import RATES
from tests.simulation.scenario import SCENARIOS

pytestmark = pytest.mark.slow

SEEDS = 2_000
_RARE = {"permissions are missing", "a resume does nothing", "a person locks a stack", "a person changes a service"}
"""These happen in a larger campaign only; and what people do is counted where it happens."""


@pytest.mark.parametrize("part", range(5))
def test_all_invariants_hold_in_two_thousand_seeds(part: int) -> None:
    counters = campaign.play(part * SEEDS, SEEDS)
    assert counters.failures == []
    assert counters.seeds == SEEDS
    # A campaign in which nothing happened would prove nothing.
    counts = counters.counts
    assert set(RATES) - set(counts["faults"]) - _RARE == set()
    assert counts["happened"]["locks by a person"] > 20
    assert sum(counts["deaths"].values()) > 300
    assert counters.healed > 50
    assert {"writes", "changes", "service changes", "receipts", "inferred removals", "due", "ends"} <= set(
        counts["checks"]
    )
    assert counts["happened"]["requests accepted"] > SEEDS
    assert counters.most_services == 1


def test_lost_doubled_and_late_deliveries_lose_no_request_and_double_no_service() -> None:
    counters = campaign.play(0, 500, kind="deliveries")
    assert counters.failures == []
    assert counters.most_services == 1
    assert min(counters.counts["faults"][kind] for kind in SCENARIOS["deliveries"](0).rates) > 200


def test_no_write_of_a_worker_that_lost_its_lease_is_accepted() -> None:
    counters = campaign.play(0, 300, kind="stale-writes")
    assert counters.counts["without_lease"]["writes refused"] > 200
    assert counters.counts["without_lease"]["writes accepted"] == 0


def test_the_result_does_not_depend_on_how_the_seeds_are_divided() -> None:
    assert campaign.play(0, 500, jobs=2).as_json() == campaign.play(0, 500, jobs=1).as_json()
