"""Light sweeps heal, so nothing may keep them from running."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.sweep import Kind
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
