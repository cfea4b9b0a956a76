"""Light sweeps heal, so nothing may keep them from running."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.sweeper.sweep import Kind, metrics_of
from tests.unit.orchestrator.worlds import World


def test_a_light_sweep_runs_whatever_other_sweep_runs_or_died() -> None:
    world = World()
    world.ready(ttl=timedelta(hours=1))
    world.clock.sleep(3600)
    world.reports.running = "a deep one"
    assert world.sweep(Kind.LIGHT)["status"] == "done"
    assert world.record().status == "destroying"


def test_two_light_sweeps_at_once_ask_for_one_worker() -> None:
    world = World()
    world.ready(ttl=timedelta(hours=1))
    world.clock.sleep(3600)
    world.dispatcher.asked.clear()
    world.records.meanwhile["expire"] = lambda: world.sweep(Kind.LIGHT)
    report = world.sweep(Kind.LIGHT)
    assert [step["outcome"] for step in report["steps"]] == ["changed meanwhile; left alone"]
    assert world.dispatcher.asked == ["test1"]


def test_how_long_the_longest_overdue_has_waited_is_told_and_counted() -> None:
    world = World()
    world.ready(ttl=timedelta(hours=1))
    world.ready("test2", ttl=timedelta(hours=2))
    world.clock.sleep(2 * 3600 + 60)
    report = world.sweep(Kind.LIGHT)
    overdue = [(step["environment"], step["overdue_seconds"]) for step in report["steps"]]
    assert overdue == [("test1", 3660), ("test2", 60)]
    assert report["oldest_overdue_seconds"] == 3660
    assert metrics_of(report)["oldest_overdue_seconds"] == 3660


def test_when_nothing_is_due_nothing_is_overdue() -> None:
    world = World()
    world.ready(ttl=timedelta(hours=1))
    assert metrics_of(world.sweep(Kind.LIGHT))["oldest_overdue_seconds"] == 0


def test_a_sweep_that_only_found_another_one_running_is_not_counted() -> None:
    report = World().sweep(Kind.DEEP)
    assert metrics_of(report)["deep_sweeps"] == 1
    assert metrics_of({**report, "status": "skipped: another deep sweep is running"})["deep_sweeps"] == 0


def test_sweeps_that_do_something_are_counted_by_their_kind_and_dry_ones_are_not() -> None:
    world = World()

    def counts(kind: Kind, *, dry_run: bool = False) -> tuple[int, int]:
        found = metrics_of(world.sweep(kind, dry_run=dry_run))
        return found["light_sweeps"], found["deep_sweeps"]

    assert counts(Kind.LIGHT) == (1, 0)
    assert counts(Kind.DEEP) == (0, 1)
    assert counts(Kind.DEEP, dry_run=True) == (0, 0)
