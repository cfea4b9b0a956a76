"""What an operation that did not end well left behind, mended before the next one begins.

The rule: nothing is assumed of a dead worker but what its dead lease proves. A lock of the engine's is broken only when it was
taken inside such a lease and on its machine; a resource that was being made when its maker died is looked up in the cloud by name
and tags and removed before the engine's state forgets it. What can't be looked up is left as it is, for a person.
"""

from __future__ import annotations

from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import Interrupted, Terminal, Transient
from orchestrator.ports import Cloud, Engine, Progress, Service, StopSignal

_ENGINES_OWN = "pulumi:"
"""Types that exist in the engine's state only: stacks, providers."""


def recover(engine: Engine, cloud: Cloud, environment: Environment, note: Progress, stop: StopSignal) -> None:
    """Make the stack fit for the next operation. Raises Interrupted, Transient, or Terminal `stack_locked`, `needs_operator`."""
    break_dead_locks(engine, environment, note)
    remove_pending_creates(engine, cloud, environment, note, stop)


def break_dead_locks(engine: Engine, environment: Environment, note: Progress) -> None:
    """Break, one by one, the locks that workers held when they died. Raises Terminal `stack_locked` for any other."""
    for lock in engine.locks(environment):
        if not any(span.covers(lock.at, lock.host) for span in environment.expired_leases):
            raise Terminal(
                f"{lock.by}, has held the lock of this stack since {lock.at.isoformat(timespec='seconds')}, and no worker "
                "of ours that died did. Find out who runs Pulumi on it; when nobody does, `pulumi cancel` in that stack "
                "removes the lock. Then ask again.",
                "stack_locked",
            )
        engine.break_lock(lock)
        note(f"The lock that a dead worker held since {lock.at.isoformat(timespec='seconds')} is broken.")


def remove_pending_creates(
    engine: Engine, cloud: Cloud, environment: Environment, note: Progress, stop: StopSignal
) -> None:
    """Remove what was being made when its maker died, then let the state forget it.

    Raises Terminal `needs_operator` for all but the environment's own service, as nothing else can be looked up by its name.
    """
    pending = engine.pending_creates(environment)
    made = [each for each in pending if not each.type.startswith(_ENGINES_OWN)]
    unknown = [each for each in made if not each.main]
    if unknown:
        raise Terminal(
            f"A worker died while it made {unknown[0].urn}, and nobody but you can tell whether it is there. Remove it if it "
            "is, run `pulumi refresh --clear-pending-creates` in that stack, then ask again.",
            "needs_operator",
        )
    if made:
        service = wait_until_idle(cloud, environment, stop)
        if service and not engine.knows(environment, service.arn):
            note(f"{service.arn} was left half made when the engine was killed; it is removed.")
            remove_service(cloud, environment, service, stop)
    if pending:
        engine.clear_pending_creates(environment, progress=note, stop=stop)


def remove_service(cloud: Cloud, environment: Environment, service: Service, stop: StopSignal) -> None:
    """Delete a service that the engine does not know, and see it gone. Raises Transient `delete_failed` when it stays."""
    cloud.remove_leftover(environment, service)
    left = wait_until_idle(cloud, environment, stop)
    if left:
        raise Transient(f"App Runner did not delete {left.arn}: it is {left.status}.", "delete_failed")


def wait_until_idle(cloud: Cloud, environment: Environment, stop: StopSignal) -> Service | None:
    """The service once nothing is in progress on it: App Runner refuses changes and deletes of a busy one."""
    waited = 0.2
    while (service := cloud.service(environment)) and service.busy:
        if stop.wait(waited):
            raise Interrupted("Stopped while App Runner was busy with the service.")
        waited = min(waited * 2, 5.0)
    return service
