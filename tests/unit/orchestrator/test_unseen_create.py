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


def test_a_service_of_ours_that_the_engine_does_not_know_is_removed_and_made_again() -> None:
    world = World()
    world.environments.put(ALICE, "test1", request())
    world.cloud.services["test1"] = UNSEEN
    world.cloud.errors = [Terminal("A service of this name runs already.", "name_taken")]
    environment = world.work("test1")
    assert environment is not None and environment.status == "ready"
    assert world.cloud.calls == ["deploy new", "remove leftover", "deploy new"]
    assert environment.observed.service_arn != UNSEEN.arn


def test_one_that_is_not_listed_yet_is_looked_for_again() -> None:
    world = World()
    world.cloud = late = Late()
    world.reconciler = replace(world.reconciler, ports=replace(world.ports, engine=late, cloud=late, health=late))
    world.environments.put(ALICE, "test1", request())
    late.services["test1"] = UNSEEN
    late.errors = [Terminal("A service of this name runs already.", "name_taken")]
    environment = world.work("test1")
    assert environment is not None and environment.status == "ready"
    assert late.calls == ["deploy new", "remove leftover", "deploy new"]


def test_I5_a_removal_right_after_a_create_that_never_told_waits_for_its_service_to_be_listed() -> None:
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


def test_a_name_that_somebody_elses_service_has_stays_taken() -> None:
    world = World()
    world.environments.put(ALICE, "test1", request())
    world.cloud.errors = [Terminal("A service of this name runs already.", "name_taken")]
    environment = world.work("test1")
    assert environment is not None and environment.failure is not None
    assert (environment.failure.code, environment.failure.final) == ("name_taken", True)
    assert world.cloud.calls == ["deploy new"]


def test_another_refusal_removes_nothing() -> None:
    world = World()
    world.environments.put(ALICE, "test1", request())
    world.cloud.services["test1"] = UNSEEN
    world.cloud.errors = [Terminal("The quota is used up.", "quota")]
    environment = world.work("test1")
    assert environment is not None and environment.status == "failed"
    assert world.cloud.calls == ["deploy new"]
