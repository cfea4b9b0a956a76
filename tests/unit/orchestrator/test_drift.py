"""A ready environment whose service can't run any more has drifted, as one that somebody paused has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.sweep import Kind
from tests.unit.orchestrator.clouds import look_at
from tests.unit.orchestrator.worlds import World


@pytest.mark.parametrize("status", ["DELETE_FAILED", "CREATE_FAILED"])
def test_a_service_that_somebody_failed_to_delete_is_made_anew(status: str) -> None:
    world = World()
    world.ready("good")
    look_at(world)
    world.clock.sleep(60)
    world.dispatcher.asked.clear()
    world.inventory.found_services[0] = replace(world.inventory.found_services[0], status=status)
    step = world.sweep(Kind.DEEP)["steps"][0]
    assert (step["environment"], step["disagreement"], step["action"]) == ("good", "drifted", "restore")
    assert world.dispatcher.asked == ["good"]
