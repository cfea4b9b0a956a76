"""What an operation that did not end well left behind, recovered before the next one begins.

The rule: a dead worker's lease proves what that worker did, and nothing else is assumed. A lock of the engine is broken only if
it was taken during such a lease and on its host. A pending create is looked up in the cloud by name and tags, and removed there
before the engine's state forgets it. A resource that can't be looked up is left to an operator.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import ErrorCode, Interrupted, Terminal, Transient
from orchestrator.ports import Progress, Service, StopSignal, WorkerPorts

_ENGINE_ONLY = "pulumi:"
"""Types that exist in the engine's state only: stacks, providers."""


@dataclass(frozen=True)
class Recovery:
    """The recovery of one environment. The methods raise Interrupted, Transient or Terminal."""

    ports: WorkerPorts
    target: Environment
    note: Progress
    stop: StopSignal

    def recover(self) -> None:
        """Prepare the stack for the next operation. Raises Terminal `stack_locked` or `needs_operator` if it can't."""
        if self.target.needs_refresh:
            self.break_expired_locks()
            self.remove_pending_creates()

    def break_expired_locks(self) -> None:
        """Break, one by one, the locks of workers that died. Raises Terminal `stack_locked` for any other lock."""
        for lock in self.ports.engine.locks(self.target):
            since = lock.at.isoformat(timespec="seconds")
            if not any(lease.covers(lock.at, lock.host) for lease in self.target.expired_leases):
                raise Terminal(
                    f"{lock.by}, has held the lock of this stack since {since}. It is no dead worker's lock, so it was kept. "
                    "Find out who runs Pulumi on it; if nobody does, run `pulumi cancel` in that stack, then request it again.",
                    ErrorCode.STACK_LOCKED,
                )
            self.ports.engine.break_lock(lock)
            self.note(f"The lock that a dead worker held since {since} is broken.")

    def remove_pending_creates(self) -> None:
        """Remove what was being created when its worker died, then drop it from the state.

        Raises Terminal `needs_operator` for anything but the environment's own service: only that can be looked up by name.
        """
        pending = self.ports.engine.pending_creates(self.target)
        in_cloud = [each for each in pending if not each.type.startswith(_ENGINE_ONLY)]
        unknown = [each for each in in_cloud if not each.main]
        if unknown:
            raise Terminal(
                f"A worker died while it created {unknown[0].urn}, and fibfactory can't tell whether it exists. "
                "Remove it if it does, run `pulumi refresh --clear-pending-creates` in that stack, then request it again.",
                ErrorCode.NEEDS_OPERATOR,
            )
        if in_cloud:
            service = self.wait_until_idle()
            if service and not self.ports.engine.knows(self.target, service.arn):
                self.note(f"{service.arn} was left half made when the engine was killed; it is being removed.")
                self.remove_service(service)
        if pending:
            self.ports.engine.clear_pending_creates(self.target, progress=self.note, stop=self.stop)

    def remove_service(self, service: Service) -> None:
        """Delete a service that the engine does not know, and wait until it is gone. Raises Transient `delete_failed` if not."""
        self.ports.cloud.remove_leftover(self.target, service)
        left = self.wait_until_idle()
        if left:
            raise Transient(f"App Runner did not delete {left.arn}: it is {left.status}.", ErrorCode.DELETE_FAILED)

    def wait_until_idle(self) -> Service | None:
        """The service once no operation is in progress: App Runner refuses to change or delete a busy one."""
        pause = 0.2
        while (service := self.ports.cloud.service(self.target)) and service.busy:
            if self.stop.wait(pause):
                raise Interrupted("Stopped while App Runner was busy with the service.")
            pause = min(pause * 2, 5.0)
        return service
