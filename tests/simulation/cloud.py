"""The cloud as it is seen without the engine: the Cloud, Health and Inventory ports on the simulated App Runner.

The rule: as in `adapters/aws/cloud.py`, a service without all of our tags is neither shown nor touched; and a service that has
changed since it was read raises Transient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.domain import names
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import ErrorCode, Transient
from orchestrator.ports import FoundResource, FoundService, FoundStack, Service, Verification
from tests.simulation.apprunner import IN_PROGRESS, ApiError, AppRunner, SimService
from tests.simulation.scenario import PLATFORM, PREFIX
from tests.simulation.scheduler import moment_of
from tests.simulation.world import World

_BUSY = "the cloud is busy"
_LISTED_AFTER_DELETION = 12.0
"""For so many seconds the tagging API lists what was deleted."""
_SICK_IMAGE = "sick"
"""An image with this in its name starts and never answers."""


class SimCloud:
    """The Cloud and Health ports."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sick_until: dict[str, float] = {}

    def service(self, environment: Environment) -> Service | None:
        self._world.call_port("the service is read", environment.id, fault=_BUSY)
        found = self._service(environment)
        if found is None or (found.listed_at > self._world.now() and found.arn != environment.observed.service_arn):
            return None
        if found.busy:
            return Service(found.arn, IN_PROGRESS, found.image)
        operation_id, status = found.operations[-1] if found.operations else (None, None)
        return Service(found.arn, found.status, found.image, status, operation_id)

    def remove_leftover(self, environment: Environment, service: Service) -> None:
        self._change("a leftover is deleted", service, AppRunner.delete)

    def pause(self, service: Service) -> None:
        self._change("PauseService", service, AppRunner.pause)

    def resume(self, service: Service) -> None:
        self._change("ResumeService", service, AppRunner.resume)

    def digest(self, image: str) -> str | None:
        self._world.call_port("the image's digest is read", image)
        return f"sha256:{image.rsplit(':', 1)[-1]}"

    def verify_absent(self, environment: Environment) -> Verification:
        world = self._world
        world.call_port("leftovers are looked for", environment.id, fault=_BUSY)
        service = self._service(environment)
        found = [service.arn] if service and service.listed_at <= world.now() else []
        if world.faults.hit("tags of deleted services are listed"):
            deleted = recently_deleted(world)
            found += [
                f"{each.arn}/resource" for each in deleted if each.tags.get(names.TAG_ENVIRONMENT) == environment.id
            ]
        stack = names.stack_name(environment.id)
        if stack in world.stacks:
            found.append(f"the Pulumi stack {stack}")
        return Verification(("services", "tags", "stacks"), tuple(found), ("other accounts",))

    def answers(self, url: str) -> str | None:
        world = self._world
        world.call_port("the health path is read", url)
        arn = url.removeprefix("https://").removesuffix("/health")
        service = world.apprunner.at(arn)
        if service is None or service.status != "RUNNING":
            return "answered 404"
        if _SICK_IMAGE in service.image:
            return "answered 500"
        if arn not in self._sick_until:
            sick = world.faults.hit("the health check fails for a while")
            self._sick_until[arn] = world.now() + (world.faults.between(1, 90) if sick else 0)
        return "answered 503" if world.now() < self._sick_until[arn] else None

    def _service(self, environment: Environment) -> SimService | None:
        found = self._world.apprunner.named(names.service_name(PREFIX, environment.id))
        ours = {names.TAG_PLATFORM: PLATFORM, names.TAG_ENVIRONMENT: environment.id}
        return found if found and ours.items() <= found.tags.items() else None

    def _change(self, what: str, service: Service, change: Callable[[AppRunner, str], SimService]) -> None:
        world = self._world
        with world.effect(what, service.arn, fault=_BUSY) as actor:
            world.checks.changed(actor.name, actor.token, actor.environment)
            found = world.apprunner.at(service.arn)
            if found is not None:
                world.checks.service_changed(actor.name, found, actor.environment)
            try:
                change(world.apprunner, service.arn)
            except ApiError as refusal:
                raise Transient(
                    f"App Runner answered {refusal.code}: it changed meanwhile.", ErrorCode.BUSY
                ) from refusal
        world.lose_answer("the cloud's answer is lost")


class SimInventory:
    """The Inventory port."""

    def __init__(self, world: World) -> None:
        self._world = world

    def services(self) -> Sequence[FoundService]:
        world = self._world
        world.call_port("all services are listed", fault=_BUSY)
        world.checks.deep_sweep_started()
        return [
            FoundService(
                each.arn,
                each.name,
                IN_PROGRESS if each.busy else each.status,
                moment_of(each.created_at),
                each.tags,
            )
            for each in world.apprunner.services()
            if each.listed_at <= world.now()
        ]

    def stacks(self) -> Sequence[FoundStack]:
        self._world.call_port("all stacks are listed", fault=_BUSY)
        return [FoundStack(name, moment_of(stack.changed_at), stack.tags) for name, stack in self._world.stacks.items()]

    def resources(self) -> Sequence[FoundResource]:
        self._world.call_port("all tagged resources are listed", fault=_BUSY)
        shown = [*self._world.apprunner.services(), *recently_deleted(self._world)]
        return [FoundResource(each.arn, each.tags) for each in shown if each.tags.get(names.TAG_PLATFORM) == PLATFORM]

    def is_alive(self, service_arn: str) -> bool:
        self._world.call_port("a recorded service is described", fault=_BUSY)
        return any(each.arn == service_arn for each in self._world.apprunner.services())


def recently_deleted(world: World) -> list[SimService]:
    """The deleted services that the tagging API still lists."""
    return [each for each in world.apprunner.deleted if each.deleted_at + _LISTED_AFTER_DELETION > world.now()]
