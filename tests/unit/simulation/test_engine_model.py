"""What a CLI process leaves when it ends in each of its ways: the model has to leave what the real one does."""

from __future__ import annotations

import pytest

from tests.simulation.crashes import ENVIRONMENT, OPERATIONS, effects_of
from tests.simulation.scenario import IMAGE, Request, Scenario
from tests.simulation.simulation import Death, Simulation

STACK = f"fibfactory-{ENVIRONMENT}"


def begun(*requests: Request) -> Simulation:
    simulation = Simulation(Scenario(1, requests), keep_history=True)
    simulation.begin()
    return simulation


def killed_at(effect: str, *, after: bool) -> Simulation:
    """A create whose worker dies with its CLI at this effect, right after it happened."""
    simulation = begun()
    number = effects_of("create").index(f"worker: {effect}") + 1
    simulation.arm(Death(number, after))
    request = OPERATIONS["create"].request
    assert request is not None
    simulation.ask(request)
    simulation.go_on(request.at + 400)
    return simulation


def test_an_undisturbed_create_leaves_a_stack_a_service_and_no_lock() -> None:
    simulation = begun(Request(1, "alice", "put", ENVIRONMENT))
    simulation.go_on(600)
    stack = simulation.world.stacks[STACK]
    assert stack.service is not None and stack.pending == []
    assert simulation.world.locks[STACK] == []
    assert simulation.world.rows[ENVIRONMENT].status == "ready"


def test_one_killed_in_the_middle_of_a_create_leaves_its_lock_a_pending_create_and_a_service() -> None:
    world = killed_at("CreateService", after=True).world
    assert len(world.locks[STACK]) == 1
    assert [pending.type for pending in world.stacks[STACK].pending] == ["aws:apprunner/service:Service"]
    assert world.stacks[STACK].service is None
    assert world.apprunner.named(f"fib-app-{ENVIRONMENT}-service") is not None


def test_one_killed_before_it_asked_for_the_service_leaves_no_service() -> None:
    world = killed_at("CreateService", after=False).world
    assert len(world.stacks[STACK].pending) == 1
    assert world.apprunner.named(f"fib-app-{ENVIRONMENT}-service") is None


def test_a_removal_in_the_middle_of_a_create_stops_it_in_order() -> None:
    simulation = begun(Request(1, "alice", "put", ENVIRONMENT), Request(30, "alice", "remove", ENVIRONMENT))
    simulation.go_on(1200)
    told = [what for _, _, what, _ in simulation.world.history or ()]
    assert "interrupted" in told and "destroyed" in told
    assert simulation.world.locks[STACK] == []
    assert simulation.world.apprunner.current() == [simulation.world.apprunner.named("fib-app-bystander-service")]


def test_an_update_that_app_runner_rolls_back_is_seen() -> None:
    simulation = begun(
        Request(1, "alice", "put", ENVIRONMENT), Request(600, "alice", "put", ENVIRONMENT, f"{IMAGE}:bad")
    )
    simulation.go_on(1500)
    failure = simulation.world.rows[ENVIRONMENT].failure
    assert failure is not None and failure.code == "rolled_back"


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_every_measured_operation_has_effects_of_workers(name: str) -> None:
    assert sum(effect.startswith("worker: ") for effect in effects_of(name)) >= 6
