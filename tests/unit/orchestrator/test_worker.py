"""The worker's events, and an invocation's time turned into limits."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.settings import WorkerSettings
from orchestrator.worker.invocation import ScheduleEvent, Worker, WorkEvent
from tests.unit.orchestrator.worlds import ALICE, World, wish


def worker(world: World) -> Worker:
    settings = WorkerSettings(
        platform="tests", table="t", worker_function="w", backend_url="s3://b", secrets_provider="awskms:///k"
    )
    return Worker(world.reconciler, world.sweeper, settings, world.clock, lambda: None)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"detail-type": "Scheduled Event", "source": "aws.scheduler", "detail": {"sweep": "light"}}, "light"),
        ({"detail-type": "Scheduled Event", "source": "aws.scheduler", "detail": {"sweep": "deep"}}, "deep"),
        ({"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}, "deep"),
        ({"detail-type": "Scheduled Event", "source": "aws.scheduler", "detail": "{}"}, "deep"),
        ({"detail-type": "Scheduled Event", "source": "aws.scheduler", "detail": ""}, "deep"),
        ({"detail-type": "Scheduled Event"}, "deep"),
    ],
)
def test_rules_and_schedules_say_which_sweep(event: dict[str, object], kind: str) -> None:
    assert ScheduleEvent.model_validate(event).kind == kind


@pytest.mark.parametrize("seconds", [10, 20, 60, 900])
def test_the_work_stops_before_the_functions_limit_and_the_lease_ends_after_it(seconds: int) -> None:
    world = World()
    remaining = timedelta(seconds=seconds)
    limits = worker(world).limits(remaining)
    assert world.clock() < limits.stop_at < world.clock() + remaining < limits.lease_until
    assert limits.stop_at >= world.clock() + remaining * 0.6


def test_work_says_how_it_ended() -> None:
    world = World()
    world.environments.put(ALICE, "test1", wish())
    done = worker(world).work(WorkEvent(environment="test1"), "request-1", timedelta(minutes=15))
    assert done == {"environment": "test1", "outcome": "ready", "failure": None}
    again = worker(world).work(WorkEvent(environment="test1"), "request-2", timedelta(minutes=15))
    assert again["outcome"].startswith("nothing to do")
