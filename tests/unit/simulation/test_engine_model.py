"""What a simulated CLI process leaves when it ends in each of its ways: the same as the real one."""

from __future__ import annotations

import pytest

from tests.simulation.crashes import ENVIRONMENT, OPERATIONS, effects_of
from tests.simulation.scenario import IMAGE, Request, Scenario
from tests.simulation.simulation import Death, Simulation
from tests.simulation.world import World

STACK = f"fibfactory-{ENVIRONMENT}"
PUT = Request(1, "alice", "put", ENVIRONMENT)


def begin(*requests: Request) -> Simulation:
    simulation = Simulation(Scenario(1, requests), keep_history=True)
    simulation.begin()
    return simulation


def killed_at(effect: str, *, after: bool) -> World:
    """The world after a create whose worker died with its CLI before or after this effect."""
    simulation = begin()
    number = effects_of("create").index(f"worker: CLI: {effect}") + 1
    simulation.plan_deaths(Death(number, after))
    request = OPERATIONS["create"].request
    assert request is not None
    simulation.request(request)
    simulation.scheduler.run(request.at + 400)
    return simulation.world


def test_an_undisturbed_create_leaves_a_stack_a_service_and_no_lock() -> None:
    simulation = begin(PUT)
    simulation.scheduler.run(600)
    stack = simulation.world.stacks[STACK]
    assert stack.service is not None and stack.pending == []
    assert simulation.world.locks[STACK] == []
    assert simulation.world.records[ENVIRONMENT].status == "ready"


def test_a_cli_killed_after_create_service_leaves_its_lock_a_pending_create_and_a_service() -> None:
    world = killed_at("CreateService", after=True)
    assert len(world.locks[STACK]) == 1
    assert [pending.type for pending in world.stacks[STACK].pending] == ["aws:apprunner/service:Service"]
    assert world.stacks[STACK].service is None
    assert world.apprunner.named(f"fib-app-{ENVIRONMENT}-service") is not None


def test_a_cli_killed_before_create_service_leaves_no_service() -> None:
    world = killed_at("CreateService", after=False)
    assert len(world.stacks[STACK].pending) == 1
    assert world.apprunner.named(f"fib-app-{ENVIRONMENT}-service") is None


def test_a_removal_during_a_create_stops_it_gracefully() -> None:
    simulation = begin(PUT, Request(30, "alice", "remove", ENVIRONMENT))
    simulation.scheduler.run(1200)
    world = simulation.world
    happened = [what for _, _, what, _ in world.history or ()]
    assert "interrupted" in happened and "destroyed" in happened
    assert world.locks[STACK] == []
    assert world.apprunner.services() == [world.apprunner.named("fib-app-bystander-service")]


def test_an_update_that_app_runner_rolls_back_fails() -> None:
    simulation = begin(PUT, Request(600, "alice", "put", ENVIRONMENT, f"{IMAGE}:bad"))
    simulation.scheduler.run(1500)
    failure = simulation.world.records[ENVIRONMENT].failure
    assert failure is not None and failure.code == "rolled_back"


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_every_measured_operation_has_effects_of_workers(name: str) -> None:
    assert sum(effect.startswith("worker: ") for effect in effects_of(name)) >= 6
