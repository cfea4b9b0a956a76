"""The cloud as it is seen without the engine: the Cloud, Health and Inventory ports on the simulated App Runner.

The rule: as in `adapters/cloud.py`, what carries not all of our tags is neither shown nor touched, and that a service is no
longer what it was when it was looked at is Transient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from orchestrator.domain import names
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import Transient
from orchestrator.ports import FoundResource, FoundService, FoundStack, Service, Verification
from tests.simulation.apprunner import IN_PROGRESS, ApiError, AppRunner, SimService
from tests.simulation.scenario import PLATFORM, PREFIX
from tests.simulation.scheduler import START, Actor
from tests.simulation.world import World

_SHOWN_FOR = 12.0
"""So many seconds the tagging API goes on showing what was deleted."""
_SICK = "sick"
"""What an image is called whose application starts and does not answer."""


class SimCloud:
    """The Cloud and Health ports."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sick_until: dict[str, float] = {}

    def service(self, environment: Environment) -> Service | None:
        self._come("the service is looked at", environment.id)
        found = self._ours(environment)
        if found is None:
            return None
        now = self._world.clockwork.now
        if found.listed_at > now and found.arn != environment.observed.service_arn:
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
        self._world.come("the registry is asked", image)
        return f"sha256:{image.rsplit(':', 1)[-1]}"

    def verify_absent(self, environment: Environment) -> Verification:
        world = self._world
        self._come("it is looked for what is left", environment.id)
        service = self._ours(environment)
        found = [service.arn] if service and service.listed_at <= world.clockwork.now else []
        if world.faults.hit("tags of what is gone are shown"):
            found += [
                f"{gone.arn}/what it had"
                for gone in world.apprunner.deleted
                if gone.gone_at + _SHOWN_FOR > world.clockwork.now
                and gone.tags.get(names.TAG_ENVIRONMENT) == environment.id
            ]
        stack = names.stack_name(environment.id)
        if stack in world.stacks:
            found.append(f"the Pulumi stack {stack}")
        return Verification(("services", "tags", "stacks"), tuple(found), ("other accounts",))

    def answers(self, url: str) -> str | None:
        world = self._world
        world.come("the health path is asked", url)
        arn = url.removeprefix("https://").removesuffix("/health")
        service = world.apprunner.at(arn)
        if service is None or service.status != "RUNNING":
            return "answered 404"
        if _SICK in service.image:
            return "answered 500"
        if arn not in self._sick_until:
            sick = world.faults.hit("the health check fails for a while")
            self._sick_until[arn] = world.clockwork.now + (world.faults.between(1, 90) if sick else 0)
        return "answered 503" if world.clockwork.now < self._sick_until[arn] else None

    def _ours(self, environment: Environment) -> SimService | None:
        name = names.service_name(PREFIX, environment.id)
        found = self._world.apprunner.named(name)
        wanted = {names.TAG_PLATFORM: PLATFORM, names.TAG_ENVIRONMENT: environment.id}
        return found if found and wanted.items() <= found.tags.items() else None

    def _change(self, what: str, service: Service, change: Callable[[AppRunner, str], SimService]) -> None:
        world = self._world
        actor = self._come(what, service.arn)
        world.clockwork.before_effect(what)
        found = world.apprunner.at(service.arn)
        world.checks.changes(actor.name, actor.token, actor.environment)
        if found is not None:
            world.checks.touches(actor.name, found, actor.environment)
        try:
            change(world.apprunner, service.arn)
        except ApiError as refused:
            raise Transient(f"App Runner answered {refused.code}: it was changed meanwhile.", "busy") from refused
        world.clockwork.after_effect(what)
        if world.faults.hit("the cloud's answer is lost"):
            raise Transient("AWS could not be reached: the answer never came", "aws_unreachable")

    def _come(self, what: str, about: str) -> Actor:
        actor = self._world.come(what, about)
        if self._world.faults.hit("the cloud is busy"):
            raise Transient("AWS answered TooManyRequestsException", "aws_unavailable")
        return actor


class SimInventory:
    """The Inventory port: all of it, or an error."""

    def __init__(self, world: World) -> None:
        self._world = world

    def services(self) -> Sequence[FoundService]:
        self._come("all services are listed")
        self._world.checks.deep_sweep_begins()
        now = self._world.clockwork.now
        return [
            FoundService(
                each.arn,
                each.name,
                IN_PROGRESS if each.busy else each.status,
                START + timedelta(seconds=each.created_at),
                each.tags,
            )
            for each in self._world.apprunner.current()
            if each.listed_at <= now
        ]

    def stacks(self) -> Sequence[FoundStack]:
        self._come("all stacks are read")
        return [
            FoundStack(name, START + timedelta(seconds=stack.changed_at), stack.tags)
            for name, stack in self._world.stacks.items()
        ]

    def resources(self) -> Sequence[FoundResource]:
        self._come("all tagged resources are listed")
        world = self._world
        gone = [each for each in world.apprunner.deleted if each.gone_at + _SHOWN_FOR > world.clockwork.now]
        shown = [*world.apprunner.current(), *gone]
        return [FoundResource(each.arn, each.tags) for each in shown if each.tags.get(names.TAG_PLATFORM) == PLATFORM]

    def _come(self, what: str) -> None:
        self._world.come(what)
        if self._world.faults.hit("the cloud is busy"):
            raise Transient("AWS answered TooManyRequestsException", "aws_unavailable")
