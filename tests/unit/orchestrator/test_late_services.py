"""A create whose answer was lost leaves one of our services that the engine's state lacks, perhaps not yet listed."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import Terminal, Transient
from orchestrator.ports import Service
from tests.fakes.cloud import FakeCloud
from tests.unit.orchestrator.worlds import ALICE, IMAGE, World, request

UNKNOWN_TO_THE_STATE = Service("arn:unknown", "RUNNING", IMAGE, "SUCCEEDED", "operation-0")


class LateListing(FakeCloud):
    """A cloud that lists no service in the first two calls."""

    calls_to_service = 0

    def service(self, environment: Environment) -> Service | None:
        self.calls_to_service += 1
        return None if self.calls_to_service <= 2 else super().service(environment)


def list_late(world: World, **options: bool) -> LateListing:
    """Replace the world's cloud by one that lists services late."""
    late = LateListing(**options)
    world.cloud = late
    world.reconciler = replace(world.reconciler, ports=replace(world.ports, engine=late, cloud=late, health=late))
    return late


def test_an_own_service_that_is_not_in_the_state_is_removed_and_created_again(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    world.cloud.services["test1"] = UNKNOWN_TO_THE_STATE
    world.cloud.errors = [Terminal("A service of this name runs already.", "name_taken")]
    environment = world.reconcile()
    assert environment.status == "ready"
    assert world.cloud.calls == ["deploy new", "remove leftover", "deploy new"]
    assert environment.observed.service_arn != UNKNOWN_TO_THE_STATE.arn


def test_create_waits_for_an_unlisted_service(world: World) -> None:
    late = list_late(world)
    world.environments.put(ALICE, "test1", request())
    late.services["test1"] = UNKNOWN_TO_THE_STATE
    late.errors = [Terminal("A service of this name runs already.", "name_taken")]
    assert world.reconcile().status == "ready"
    assert late.calls == ["deploy new", "remove leftover", "deploy new"]


def test_I5_destroy_waits_for_an_unlisted_service(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    world.cloud.errors = [Transient("The connection was closed.", "aws_unreachable")]
    world.work("test1")
    late = list_late(world, forgets=True)
    late.services["test1"] = UNKNOWN_TO_THE_STATE
    world.environments.remove(ALICE, "test1")
    assert world.reconcile().status == "destroyed"
    assert late.calls == ["destroy refresh", "remove leftover"]


def test_a_name_taken_by_a_foreign_service_is_a_final_failure(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    world.cloud.errors = [Terminal("A service of this name runs already.", "name_taken")]
    environment = world.reconcile()
    assert environment.failure is not None
    assert (environment.failure.code, environment.failure.final) == ("name_taken", True)
    assert world.cloud.calls == ["deploy new"]


def test_a_create_refused_for_another_reason_removes_nothing(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    world.cloud.services["test1"] = UNKNOWN_TO_THE_STATE
    world.cloud.errors = [Terminal("The quota is used up.", "quota")]
    assert world.reconcile().status == "failed"
    assert world.cloud.calls == ["deploy new"]
