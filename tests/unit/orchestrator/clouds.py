"""Services, stacks and other resources for the fake inventory of a deep sweep."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from orchestrator.domain import names
from orchestrator.ports import FoundResource, FoundService, FoundStack
from tests.unit.orchestrator.worlds import PLATFORM, World

PREFIX = "fib-app"
OWNER = "arn:aws:iam::000000000000:user/carol"


def our_tags(environment_id: str, **other: str) -> Mapping[str, str]:
    """The tags of one of this platform's environments; `other` replaces values by the tag's short name."""
    tags = dict(names.tags(PLATFORM, OWNER, environment_id, 1))
    return tags | {f"fibfactory:{name}": value for name, value in other.items()}


def service(
    environment_id: str, since: datetime, tags: Mapping[str, str] | None, status: str = "RUNNING"
) -> FoundService:
    name = names.service_name(PREFIX, environment_id)
    return FoundService(f"arn:aws:apprunner:x:0:service/{name}/1", name, status, since, tags)


def stack(environment_id: str, since: datetime, tags: Mapping[str, str] | None) -> FoundStack:
    return FoundStack(names.stack_name(environment_id), since, tags)


def queue(environment_id: str) -> FoundResource:
    return FoundResource(f"arn:aws:sqs:x:0:{environment_id}", our_tags(environment_id))


def refresh_inventory(world: World) -> None:
    """List in the inventory what the world's fake cloud holds now."""
    now = world.clock()
    world.inventory.found_services = [
        service(environment_id, now, our_tags(environment_id), found.status)
        for environment_id, found in world.cloud.services.items()
    ]
    stacks = [names.id_of_stack(name) or "" for name in sorted(world.cloud.stacks)]
    world.inventory.found_stacks = [stack(each, now, our_tags(each)) for each in stacks]
