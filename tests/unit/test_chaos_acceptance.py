"""The criteria of `make chaos`: each is met by good figures only."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.acceptance import Criterion, criteria

CRITERIA = {each.name: each for each in criteria()}
GOOD_CRASHES = {"runs": 600, "deaths": 1200, "healed": 600, "most_sweeps": 2, "leaked": 0, "stuck": 0}
GOOD_KILLS = {"kills": 120, "deaths": 130, "as_desired": 120, "stuck": 0, "lost": 0, "leaked": 0, "most_sweeps": 2} | {
    "not_ok": [],
    "left_in_the_end": [],
}


def healing(longest: float, healed: int) -> dict[str, Any]:
    times = {"taken up by the next worker": {"longest": longest}, "as desired": {"longest": 515.0}}
    return {"deaths_of_workers_under_a_lease": 2000, "healed": healed, "seconds_from_lease_end": times}


@pytest.mark.parametrize("criterion", CRITERIA.values(), ids=list(CRITERIA))
def test_a_criterion_has_one_way_to_be_tried_and_something_to_show(criterion: Criterion) -> None:
    assert bool(criterion.command) is not bool(criterion.tests)
    assert bool(criterion.tests) is bool(criterion.examples)
    assert criterion.at_least or criterion.at_most or criterion.equal


def test_good_figures_meet_their_criterion_and_are_summarized() -> None:
    summary, met = CRITERIA["crash-pairs"].judge({"rows": {"all": GOOD_CRASHES}})
    assert met and summary == "600 runs, 1200 deaths, 600 healed within 2 sweeps, 0 leaked, 0 stuck"
    summary, met = CRITERIA["healing-time"].judge(healing(300.0, 2000))
    assert met and "taken up at most 300 s after the lease's end" in summary
    assert CRITERIA["kills"].judge(GOOD_KILLS)[1]
    assert CRITERIA["simulator"].judge({"seeds": 5, "wanted_seeds": 5, "virtual_years": 1, "violations": 0})[1]


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        *(
            ("crash-pairs", {"rows": {"all": GOOD_CRASHES | bad}})
            for bad in ({"runs": 499, "healed": 499}, {"healed": 599}, {"most_sweeps": 3}, {"leaked": 1}, {"stuck": 1})
        ),
        ("healing-time", healing(306.0, 2000)),
        ("healing-time", healing(300.0, 1999)),
        *(("kills", GOOD_KILLS | bad) for bad in ({"kills": 99}, {"not_ok": [{}]}, {"left_in_the_end": ["arn"]})),
        ("simulator", {"seeds": 4, "wanted_seeds": 5, "virtual_years": 1, "violations": 0}),
        ("simulator", {"seeds": 5, "wanted_seeds": 5, "virtual_years": 1, "violations": 1}),
    ],
)
def test_a_figure_that_breaks_the_promise_does_not_meet_the_criterion(name: str, figures: dict[str, Any]) -> None:
    assert not CRITERIA[name].judge(figures)[1]
