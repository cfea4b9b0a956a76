"""The worker's events, and an invocation's time turned into limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.invocation import InvocationLimits
from orchestrator.worker_handler import ScheduleEvent, outcome_of
from tests.unit.orchestrator.worlds import ALICE, World, request

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCHEDULED = {"detail-type": "Scheduled Event"}


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({**SCHEDULED, "source": "aws.scheduler", "detail": {"sweep": "light"}}, "light"),
        ({**SCHEDULED, "source": "aws.scheduler", "detail": {"sweep": "deep"}}, "deep"),
        ({**SCHEDULED, "source": "aws.events", "detail": {}}, "deep"),
        ({**SCHEDULED, "source": "aws.scheduler", "detail": "{}"}, "deep"),
        ({**SCHEDULED, "source": "aws.scheduler", "detail": ""}, "deep"),
        (SCHEDULED, "deep"),
    ],
)
def test_a_scheduled_event_says_which_sweep_to_run(event: dict[str, object], kind: str) -> None:
    assert ScheduleEvent.model_validate(event).kind == kind


@pytest.mark.parametrize("seconds", [10, 20, 60, 900])
def test_work_stops_before_the_functions_limit_and_the_lease_ends_after_it(seconds: int) -> None:
    remaining = timedelta(seconds=seconds)
    limits = InvocationLimits.of(NOW, remaining, stop_before=timedelta(seconds=90), lease_margin=timedelta(seconds=60))
    assert NOW < limits.stop_at < NOW + remaining == limits.ends_at < limits.lease_until
    assert limits.stop_at >= NOW + remaining * 0.6


def test_the_outcome_of_work_is_named(world: World) -> None:
    assert outcome_of(world.work("test1")) == "nothing_to_do"
    world.environments.put(ALICE, "test1", request())
    assert outcome_of(world.work("test1")) == "environment_ready"
    assert outcome_of(world.work("test1")) == "nothing_to_do"
