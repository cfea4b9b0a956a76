"""Ten thousand seeds of everything at once, in five parts that run side by side; `make chaos` plays a million."""

from __future__ import annotations

import pytest

from tests.simulation import campaign
from tests.simulation.deliveries import schedule_of
from tests.simulation.faults import RATES
from tests.simulation.stale_workers import nightmare_of

SEEDS = 2_000
_RARE = {"permissions are missing", "a resume does nothing", "somebody locks a stack", "somebody changes a service"}
"""CloudSnapshot in a larger campaign; and what people do is counted where it happens."""


@pytest.mark.parametrize("part", range(5))
def test_all_invariants_hold_in_two_thousand_seeds(part: int) -> None:
    tally = campaign.play(part * SEEDS, SEEDS, 1, lambda _: None)
    assert tally.failures == []
    assert tally.seeds == SEEDS
    # A campaign in which nothing happened would prove nothing.
    never = set(RATES) - set(tally.counts["drawn"]) - _RARE
    assert never == set()
    assert tally.counts["happened"]["locks by a person"] > 20
    assert sum(tally.counts["deaths"].values()) > 300
    assert tally.healings > 50
    assert {"writes", "changes", "touches", "receipts", "inferred removals", "due", "ends"} <= set(
        tally.counts["looked"]
    )
    assert tally.counts["happened"]["requests accepted"] > SEEDS
    assert tally.most_services == 1


def test_deliveries_lost_doubled_and_late_lose_no_request_and_double_no_service() -> None:
    tally = campaign.play(0, 500, 1, lambda _: None, schedule_of)
    assert tally.failures == []
    assert tally.most_services == 1
    assert min(tally.counts["drawn"][kind] for kind in schedule_of(0).rates) > 200


def test_no_write_of_a_worker_that_lost_its_lease_is_accepted() -> None:
    tally = campaign.play(0, 300, 1, lambda _: None, nightmare_of)
    assert tally.counts["stale"]["writes refused"] > 200
    assert tally.counts["stale"]["writes accepted"] == 0


def test_seeds_come_out_the_same_however_they_are_shared_out() -> None:
    alone = campaign.play(0, 500, 1, lambda _: None).as_json()
    shared = campaign.play(0, 500, 2, lambda _: None).as_json()
    assert shared == alone
