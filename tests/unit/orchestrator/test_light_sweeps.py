"""Light sweeps run beside any other sweep, and are counted in the metrics."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.domain.sweeps import SweepKind, SweepStatus
from orchestrator.sweeper.report import metrics_of
from tests.unit.orchestrator.worlds import World


def test_a_light_sweep_runs_while_another_sweep_is_marked_as_running(world: World) -> None:
    world.ready(ttl=timedelta(hours=1))
    world.clock.sleep(3600)
    world.reports.running = "a deep one"
    assert world.sweep(SweepKind.LIGHT).status == "done"
    assert world.record().status == "destroying"


def test_two_concurrent_light_sweeps_dispatch_one_worker(world: World) -> None:
    world.ready(ttl=timedelta(hours=1))
    world.clock.sleep(3600)
    world.dispatcher.asked.clear()
    world.records.meanwhile["expired"] = lambda: world.sweep(SweepKind.LIGHT)
    report = world.sweep(SweepKind.LIGHT)
    assert [finding.outcome for finding in report.findings] == ["changed_meanwhile"]
    assert world.dispatcher.asked == ["test1"]


def test_an_unexpected_error_is_logged_and_reported_without_its_text(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise ValueError("hunter2")

    world.ready(ttl=timedelta(hours=1))
    world.clock.sleep(3600)
    world.records.meanwhile["expired"] = broken
    (finding,) = world.sweep(SweepKind.LIGHT).findings
    assert finding.outcome == "failed" and finding.error is not None
    assert "ValueError" in finding.error and "hunter2" not in finding.error
    assert "hunter2" in caplog.text


def test_a_scheduled_light_sweep_that_finds_nothing_stores_no_report(world: World) -> None:
    """It runs 288 times a day."""
    world.ready(ttl=timedelta(hours=1))
    assert world.sweep(scheduled=True).status == "done"
    assert world.reports.reports == {}
    world.clock.sleep(3600)
    world.sweep(scheduled=True)
    assert world.reports.reports["s"].finding_count == 1


@pytest.mark.parametrize("kind", SweepKind)
def test_a_sweep_that_somebody_asked_for_stores_its_report_in_any_case(world: World, kind: SweepKind) -> None:
    world.sweep(kind, scheduled=False)
    assert world.reports.reports["s"].status == "done"


def test_a_scheduled_deep_sweep_stores_its_report_in_any_case(world: World) -> None:
    world.sweep(SweepKind.DEEP, scheduled=True)
    assert world.reports.reports["s"].status == "done"


def test_the_longest_overdue_time_is_in_the_report_and_in_the_metrics(world: World) -> None:
    world.ready(ttl=timedelta(hours=1))
    world.ready("test2", ttl=timedelta(hours=2))
    world.clock.sleep(2 * 3600 + 60)
    report = world.sweep(SweepKind.LIGHT)
    overdue = [(finding.environment, finding.overdue_seconds) for finding in report.findings]
    assert overdue == [("test1", 3660), ("test2", 60)]
    assert report.oldest_overdue_seconds == 3660
    assert metrics_of(report)["oldest_overdue_seconds"] == 3660


def test_the_longest_overdue_time_is_zero_when_nothing_is_due(world: World) -> None:
    world.ready(ttl=timedelta(hours=1))
    assert metrics_of(world.sweep(SweepKind.LIGHT))["oldest_overdue_seconds"] == 0


def test_a_skipped_sweep_is_not_counted() -> None:
    report = World().sweep(SweepKind.DEEP)
    assert metrics_of(report)["deep_sweeps"] == 1
    assert metrics_of(replace(report, status=SweepStatus.SKIPPED))["deep_sweeps"] == 0


def test_sweeps_are_counted_by_kind_and_dry_runs_are_not(world: World) -> None:
    def counts(kind: SweepKind, *, dry_run: bool = False) -> tuple[int, int]:
        found = metrics_of(world.sweep(kind, dry_run=dry_run))
        return found["light_sweeps"], found["deep_sweeps"]

    assert counts(SweepKind.LIGHT) == (1, 0)
    assert counts(SweepKind.DEEP) == (0, 1)
    assert counts(SweepKind.DEEP, dry_run=True) == (0, 0)
