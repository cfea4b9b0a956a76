"""What the orchestrator did not do: what existed before the run, and what people do by hand during it."""

from __future__ import annotations

from functools import partial

from orchestrator.domain import names
from orchestrator.domain.access import Caller
from orchestrator.domain.environment import Environment, Observed, Spec
from tests.simulation.apprunner import ApiError, AppRunner, SimService
from tests.simulation.scenario import BYSTANDER, IMAGE, PREFIX, Existing, ManualAction
from tests.simulation.scheduler import moment_of
from tests.simulation.world import SimLock, SimStack, StackService, World

ALICE = Caller("arn:aws:iam::000000000000:user/alice", operator=False)
OPERATOR = Caller("arn:aws:iam::000000000000:user/operator", operator=True)

_LONG_AGO = -7200.0
_ACTIONS = {"delete": AppRunner.delete, "pause": AppRunner.pause, "resume": AppRunner.resume}


def create_bystander(world: World) -> None:
    """A protected environment that is ready, with its record."""
    create_existing(world, Existing(BYSTANDER), OPERATOR.owner)
    service = world.apprunner.of(BYSTANDER)[0]
    then = moment_of(_LONG_AGO)
    observed = Observed(1, f"https://{service.arn}", service.arn, service.image, at=then)
    world.records[BYSTANDER] = Environment(
        BYSTANDER, OPERATOR.owner, then, then, Spec(service.image), protected=True, observed=observed
    )


def create_existing(world: World, existing: Existing, owner: str = ALICE.owner) -> None:
    """A service, a stack or both, made long ago and without a record."""
    name, image = names.service_name(PREFIX, existing.environment), f"{IMAGE}:v1"
    tags = names.tags(existing.platform, owner, existing.environment, 1)
    service = SimService(f"arn:service/{name}/0", name, image, tags, _LONG_AGO, existing.foreign, "RUNNING")
    service.operations.append(("operation-0", "SUCCEEDED"))
    if existing.service:
        world.apprunner.add(service)
    if existing.stack:
        known = StackService(service.arn, image, tags) if existing.service else None
        stack = SimStack(known, tags=tags, changed_at=_LONG_AGO, foreign=existing.foreign)
        world.stacks[names.stack_name(existing.environment)] = stack


def act(world: World, action: ManualAction) -> str | None:
    """Do what a person does. Returns it as a word to count, or None when it could not be done."""
    return _lock(world, action) if action.kind == "lock" else _change_service(world, action)


def remove_manual_locks(world: World) -> None:
    for locks in world.locks.values():
        locks[:] = [lock for lock in locks if not lock.person]


def _lock(world: World, action: ManualAction) -> str | None:
    stack = names.stack_name(action.environment)
    if world.locks.get(stack):  # the CLI that a person runs gives up as any other
        return None
    lock = SimLock(f"{stack}/person", world.now(), "carol@laptop, process 1", "laptop", person=True)
    world.locks.setdefault(stack, []).append(lock)
    world.log("a person", f"locks {stack}")
    world.scheduler.call(world.now() + action.seconds, partial(_unlock, world, stack, lock))
    return "locks by a person"


def _unlock(world: World, stack: str, lock: SimLock) -> None:
    if lock in world.locks[stack]:
        world.locks[stack].remove(lock)
        world.log("a person", f"unlocks {stack}")


def _change_service(world: World, action: ManualAction) -> str | None:
    service = world.apprunner.named(names.service_name(PREFIX, action.environment))
    if service is None or service.foreign:
        return None
    try:
        _ACTIONS[action.kind](world.apprunner, service.arn)
    except ApiError:
        return None
    world.log("a person", f"{action.kind}s {service.name}")
    world.checks.changed_by_hand.add(action.environment)
    return f"services that a person {action.kind}d"
