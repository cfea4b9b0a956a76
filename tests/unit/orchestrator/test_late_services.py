"""A create that succeeded without saying so leaves a service that is ours and that the engine does not know."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import Terminal, Transient
from orchestrator.ports import Service
from tests.fakes.cloud import FakeCloud
from tests.unit.orchestrator.worlds import ALICE, IMAGE, World, request

UNSEEN = Service("arn:unseen", "RUNNING", IMAGE, "SUCCEEDED", "operation-0")


class Late(FakeCloud):
    """A cloud that does not list a service at the first two looks."""

    looks = 0

    def service(self, environment: Environment) -> Service | None:
        self.looks += 1
        return None if self.looks <= 2 else super().service(environment)


def test_an_own_service_that_is_not_in_the_state_is_removed_and_created_again() -> None:
    world = World()
    world.environments.put(ALICE, "test1", request())
    world.cloud.services["test1"] = UNSEEN
    world.cloud.errors = [Terminal("A service of this name runs already.", "name_taken")]
    environment = world.work("test1")
    assert environment is not None and environment.status == "ready"
    assert world.cloud.calls == ["deploy new", "remove leftover", "deploy new"]
    assert environment.observed.service_arn != UNSEEN.arn


def test_create_waits_for_an_unlisted_service() -> None:
    world = World()
    world.cloud = late = Late()
    world.reconciler = replace(world.reconciler, ports=replace(world.ports, engine=late, cloud=late, health=late))
    world.environments.put(ALICE, "test1", request())
    late.services["test1"] = UNSEEN
    late.errors = [Terminal("A service of this name runs already.", "name_taken")]
    environment = world.work("test1")
    assert environment is not None and environment.status == "ready"
    assert late.calls == ["deploy new", "remove leftover", "deploy new"]


def test_I5_destroy_waits_for_an_unlisted_service() -> None:
    world = World()
    world.environments.put(ALICE, "test1", request())
    world.cloud.errors = [Transient("The connection was closed.", "aws_unreachable")]
    world.work("test1")
    world.cloud = late = Late(forgets=True)
    world.reconciler = replace(world.reconciler, ports=replace(world.ports, engine=late, cloud=late, health=late))
    late.services["test1"] = UNSEEN
    world.environments.remove(ALICE, "test1")
    environment = world.work("test1")
    assert environment is not None and environment.status == "destroyed"
    assert late.calls == ["destroy refresh", "remove leftover"]


def test_a_name_taken_by_a_foreign_service_is_a_final_failure() -> None:
    world = World()
    world.environments.put(ALICE, "test1", request())
    world.cloud.errors = [Terminal("A service of this name runs already.", "name_taken")]
    environment = world.work("test1")
    assert environment is not None and environment.failure is not None
    assert (environment.failure.code, environment.failure.final) == ("name_taken", True)
    assert world.cloud.calls == ["deploy new"]


def test_a_create_refused_for_another_reason_removes_nothing() -> None:
    world = World()
    world.environments.put(ALICE, "test1", request())
    world.cloud.services["test1"] = UNSEEN
    world.cloud.errors = [Terminal("The quota is used up.", "quota")]
    environment = world.work("test1")
    assert environment is not None and environment.status == "failed"
    assert world.cloud.calls == ["deploy new"]
