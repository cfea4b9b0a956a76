"""The sweep finds what is due, decides, dispatches, and reports (I1, I3, I6)."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.domain import lease
from orchestrator.domain.desired import Adjustment
from orchestrator.domain.sweeps import SweepReport
from orchestrator.sweeper import due
from tests.unit.orchestrator.worlds import ALICE, World, request


def outcomes(report: SweepReport) -> list[tuple[str | None, str, str]]:
    return [(finding.environment, finding.kind, finding.outcome) for finding in report.findings]


def test_an_expired_environment_is_marked_for_removal_and_dispatched(world: World) -> None:
    world.ready(ttl=timedelta(hours=1))
    world.clock.sleep(3600)
    report = world.sweep()
    assert outcomes(report) == [("test1", "expired", "dispatched")]
    record = world.record()
    assert record.status == "destroying" and record.reason.startswith("expired: its TTL ended at 2026-01-01T01:00")
    assert world.reconcile().status == "destroyed"


def test_a_dry_run_stores_a_plan_and_changes_nothing(world: World) -> None:
    before = world.ready(ttl=timedelta(hours=1))
    world.clock.sleep(3600)
    report = world.sweep(dry_run=True)
    assert outcomes(report) == [("test1", "expired", "planned")]
    assert report.status == "planned"
    assert world.record() == before
    assert world.reports.read("s") == report


def test_I6_a_protected_environment_does_not_expire(world: World) -> None:
    world.ready(ttl=timedelta(hours=1), protected=True)
    world.clock.sleep(7200)
    assert outcomes(world.sweep()) == []
    assert world.record().status == "ready"


def test_I1_a_request_whose_invocation_was_lost_is_dispatched_again(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    world.dispatcher.asked.clear()
    assert outcomes(world.sweep()) == []
    world.clock.sleep(120)
    assert outcomes(world.sweep()) == [("test1", "not_picked_up", "dispatched")]
    assert world.dispatcher.asked == ["test1"]
    assert outcomes(world.sweep()) == []


def test_I1_a_dead_workers_environment_is_dispatched_when_its_lease_ends(world: World) -> None:
    environment = world.environments.put(ALICE, "test1", request())
    claimed = lease.claim(environment, "dead-worker", world.clock(), world.clock() + timedelta(minutes=16))
    assert claimed is not None
    world.records.write(environment, claimed)
    world.clock.sleep(15 * 60)
    assert outcomes(world.sweep()) == []
    world.clock.sleep(60)
    assert outcomes(world.sweep()) == [("test1", "lease_expired", "dispatched")]
    assert world.reconcile().status == "ready"


def test_an_environment_changed_since_the_index_was_read_is_left_alone(world: World) -> None:
    world.ready(ttl=timedelta(hours=1))
    world.clock.sleep(3600)

    world.records.meanwhile["expired"] = lambda: world.environments.adjust(
        ALICE, "test1", Adjustment(ttl=timedelta(hours=1))
    )
    assert outcomes(world.sweep()) == [("test1", "expired", "changed_meanwhile")]
    assert world.record().status == "ready"


def test_expiries_beyond_the_limit_of_one_run_are_left_to_the_next(world: World) -> None:
    for number in range(due.EXPIRIES_PER_RUN + 5):
        world.ready(f"env-{number:03d}", ttl=timedelta(hours=1))
    world.clock.sleep(3600)
    first = [outcome for _, _, outcome in outcomes(world.sweep())]
    assert first.count("dispatched") == due.EXPIRIES_PER_RUN
    assert first.count("deferred") == 5
    assert [outcome for _, kind, outcome in outcomes(world.sweep()) if kind == "expired"] == ["dispatched"] * 5
