"""The invariants, looked at whenever something is written or changed, and once more when all is quiet.

The rule: a check reads the world as it is, never what the product says of itself, and each of them counts how often it looked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from orchestrator.domain import names
from orchestrator.domain.environment import Environment, Operation
from tests.simulation.apprunner import SimService
from tests.simulation.scenario import PREFIX
from tests.simulation.scheduler import START, Actor

if TYPE_CHECKING:
    from tests.simulation.world import SimLock, World

_LEAST_AGE = 3600.0
_CAP = 10


class Violation(BaseException):
    """An invariant does not hold. Nothing of the product's catches it."""

    def __init__(self, invariant: str, message: str) -> None:
        super().__init__(f"{invariant}: {message}")
        self.invariant = invariant
        self.message = message


@dataclass
class Healing:
    """What became of an environment whose worker died under its lease; seconds of virtual time."""

    environment: str
    died_at: float
    lease_until: float
    taken_up_at: float | None = None
    healed_at: float | None = None


class Checks:
    """The invariants of one run. `looked` counts the looks, `stale` what workers without their lease tried."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.looked: Counter[str] = Counter()
        self.stale: Counter[str] = Counter()
        self.strict_changes = True
        """Off where workers outlive their hard limit on purpose: then nothing but the table can stop them."""
        self.accepted: dict[str, int] = {}
        """The newest generation of each environment that a caller was told of."""
        self.healing: list[Healing] = []
        self.unhealed: dict[str, Healing] = {}
        self.processes: dict[str, int] = Counter()
        """CLI processes that run on each stack now."""
        self.changed_by_hand: set[str] = set()
        """The environments whose service a person changed."""
        self.last_write = 0.0
        self._inferred: Counter[str] = Counter()
        self._written_at: dict[str, float] = {}
        self.due: dict[str, float] = {}
        """When the sweep has to look at each environment again, of those for which there is such a moment."""
        self._deep_sweeps: list[float] = []

    def request_accepted(self, environment: Environment) -> None:
        known = self.accepted.get(environment.id, 0)
        self.accepted[environment.id] = max(known, environment.generation)

    def refused_write(self, actor: Actor, stored: Environment | None) -> None:
        """A conditional write failed."""
        if actor.kind == "worker" and stored is not None and actor.token and stored.lease.token > actor.token:
            self.stale["writes refused"] += 1

    def before_write(self, actor: Actor, stored: Environment | None, after: Environment) -> None:
        """The table accepts a write: what must hold of it, whoever decided on it."""
        self.looked["writes"] += 1
        if stored is None:
            self._inferred_removal(actor, stored, after)
            return
        claims = after.lease.token == stored.lease.token + 1
        if actor.kind == "worker":
            self._workers_write(actor, stored, after, claims)
        elif after.lease != stored.lease and stored.receipt is None:
            raise Violation("I2", f"{actor.name}, no worker, changed the lease of {after.id}")
        if after.generation < stored.generation or after.version != stored.version + 1:
            raise Violation("I1", f"{after.id} goes from version {stored.version} to {after.version}, or back")
        if stored.present and stored.protected and not after.present and not stored.destroyed and not actor.operator:
            raise Violation("I6", f"{actor.name} removes {after.id}, which is protected, and nobody forced it")
        if after.receipt is not None and stored.receipt is None:
            self._nothing_left(after.id)
        self._inferred_removal(actor, stored, after)

    def after_write(self, actor: Actor, after: Environment) -> None:
        """What a write means for who is being healed."""
        self.last_write = self._written_at[after.id] = self._world.clockwork.now
        due_at = after.due_at
        if due_at is not None:
            self.due[after.id] = (due_at - START).total_seconds()
        else:
            self.due.pop(after.id, None)
        healing = self.unhealed.get(after.id)
        if healing is None:
            return
        if healing.taken_up_at is None and after.lease.holder and after.lease.holder == actor.name:
            healing.taken_up_at = self._world.clockwork.now
        if not after.outstanding:
            healing.healed_at = self._world.clockwork.now
            del self.unhealed[after.id]

    def died(self, actor: Actor, how: str) -> None:
        """A worker died; if it held a lease, somebody has to heal what it left."""
        row = self._world.rows.get(actor.environment)
        if actor.kind == "worker" and row is not None and row.lease.holder == actor.name and row.lease.until:
            until = (row.lease.until - START).total_seconds()
            if row.id not in self.unhealed:
                healing = Healing(row.id, self._world.clockwork.now, until)
                self.healing.append(healing)
                self.unhealed[row.id] = healing
            else:  # it dies again before it was healed: what counts is from this death on
                healing = self.unhealed[row.id]
                healing.died_at, healing.lease_until, healing.taken_up_at = self._world.clockwork.now, until, None

    def changes(self, who: str, token: int, environment_id: str) -> None:
        """Somebody changes the cloud or the engine's state for an environment, under a token."""
        self.looked["changes"] += 1
        row = self._world.rows.get(environment_id)
        newest = row.lease.token if row else 0
        if token < newest:
            self.stale["changes of the cloud"] += 1
            if self.strict_changes:
                raise Violation("I2", f"{who} changes {environment_id} under token {token}, but {newest} was given out")

    def touches(self, who: str, service: SimService, environment_id: str) -> None:
        """Somebody of ours changes a service."""
        self.looked["touches"] += 1
        if service.foreign or service.tags.get(names.TAG_ENVIRONMENT) != environment_id:
            raise Violation(
                "I4", f"{who} changes {service.name}, which is not of {environment_id}: {dict(service.tags)}"
            )

    def breaks(self, who: str, lock: SimLock) -> None:
        self.looked["locks broken"] += 1
        if lock.person:
            raise Violation("I4", f"{who} breaks the lock that {lock.by} holds")

    def process_begins(self, who: str, stack: str) -> None:
        """A CLI process has the lock of a stack and begins to change it."""
        self.looked["processes"] += 1
        self.processes[stack] += 1
        if self.processes[stack] > 1 and self.strict_changes:
            raise Violation("I2", f"{who} changes {stack} while another process does")

    def process_ends(self, stack: str) -> None:
        self.processes[stack] -= 1

    def deep_sweep_begins(self) -> None:
        self._deep_sweeps.append(self._world.clockwork.now)

    def unforeseen(self, actor: Actor, error: BaseException) -> None:
        """An error that is none of ours came out of the product."""
        raise Violation("error", f"{actor.name} ended with {error!r}") from error

    def reported(self, report: Mapping[str, Any]) -> None:
        """A sweep goes on after a step that failed; one that failed for no reason of ours is a bug all the same."""
        self.looked["reports"] += 1
        for step in report["steps"]:
            if step["outcome"].startswith("failed: ") and "Error(" in step["outcome"]:
                raise Violation("error", f"a sweep reports of {step['environment']}: {step['outcome']}")

    def is_taken_up(self, slack: float) -> None:
        """With nothing going wrong, the light sweep leaves nothing that is due lying for longer than its period."""
        self.looked["due"] += 1
        latest = self._world.clockwork.now - slack
        for environment_id, due in self.due.items():
            if due < latest and self._written_at[environment_id] < latest:
                at = START + timedelta(seconds=due)
                raise Violation("I1", f"{environment_id} was due at {at:%H:%M:%S}, and no sweep took it up")

    def all_is_well(self) -> None:
        """All is quiet: every record tells the truth, every request ended, nothing runs that nobody knows of."""
        self.looked["ends"] += 1
        for row in self._world.rows.values():
            self._ended(row)
        for environment_id, generation in self.accepted.items():
            latest = self._world.rows.get(environment_id)
            if latest is None or latest.generation < generation:
                raise Violation("I1", f"generation {generation} of {environment_id} was accepted and is lost")
        for service in self._world.apprunner.current():
            self._accounted_for(service)
        for stack, found in self._world.stacks.items():
            known = self._world.rows.get(names.id_of_stack(stack) or "")
            if not found.foreign and (known is None or known.destroyed):
                raise Violation("I3", f"the stack {stack} is there, and no live record knows it")
        for stack, locks in self._world.locks.items():
            known = self._world.rows.get(names.id_of_stack(stack) or "")
            if known is not None and known.settled and any(not lock.person for lock in locks):
                raise Violation("I1", f"{known.id} is settled, and a dead worker's lock stays on its stack")

    def nothing_of_ours(self) -> None:
        """Everything was removed on request: nothing of ours may be left anywhere, and all of the others' is."""
        self.looked["removals of all"] += 1
        for row in self._world.rows.values():
            if not row.destroyed:
                failure = row.failure
                raise Violation("I1", f"{row.id} can't be removed: {failure.code if failure else 'no reason is given'}")
        ours = [service.name for service in self._world.apprunner.current() if not service.foreign]
        ours += [stack for stack, found in self._world.stacks.items() if not found.foreign]
        if ours:
            raise Violation("I3", f"all was removed, and there still is {', '.join(ours)}")

    def _workers_write(self, actor: Actor, stored: Environment, after: Environment, claims: bool) -> None:
        if not claims and (stored.lease.token != actor.token or stored.lease.holder != actor.name):
            self.stale["writes accepted"] += 1
            raise Violation("I2", f"{actor.name} lost the lease of {after.id} and its write was accepted")
        if claims and not stored.lease_free(self._world.clockwork.clock()):
            raise Violation("I2", f"{actor.name} claims the lease of {after.id}, which {stored.lease.holder} holds")
        before_after = (
            (stored.present, after.present),
            (stored.spec, after.spec),
            (stored.paused, after.paused),
            (stored.generation, after.generation),
            (stored.protected, after.protected),
            (stored.expires_at, after.expires_at),
        )
        if any(before is not later and before != later for before, later in before_after):
            raise Violation("I1", f"{actor.name}, a worker, changes what is wanted of {after.id}")
        if after.failed_permanently and not stored.failed_permanently:
            self._reason_is_true(after)

    def _reason_is_true(self, after: Environment) -> None:
        """What is said for good must be so: a name is taken by somebody else, a lock is somebody else's."""
        self.looked["final failures"] += 1
        assert after.failure is not None
        code = after.failure.code
        if code == "name_taken":
            service = self._world.apprunner.named(names.service_name(PREFIX, after.id))
            if service is not None and not service.foreign:
                raise Violation("I1", f"{after.id} has failed with {code}, but the service of that name is its own")
        if code == "stack_locked":
            locks = self._world.locks.get(names.stack_name(after.id), ())
            if locks and not any(lock.person for lock in locks):
                raise Violation("I1", f"{after.id} has failed with {code}, but only dead workers' locks are there")
        if code in ("needs_operator", "stack_missing", "internal", "aws_refused"):
            raise Violation("I1", f"{after.id} has failed with {code}: {after.failure.message}")

    def _nothing_left(self, environment_id: str) -> None:
        self.looked["receipts"] += 1
        for service in self._world.apprunner.current():
            if not service.foreign and service.tags.get(names.TAG_ENVIRONMENT) == environment_id:
                raise Violation("I5", f"{environment_id} has its receipt, and {service.arn} is {service.status}")
        if names.stack_name(environment_id) in self._world.stacks:
            raise Violation("I5", f"{environment_id} has its receipt, and its stack is there")

    def _inferred_removal(self, actor: Actor, stored: Environment | None, after: Environment) -> None:
        if actor.kind != "deep sweep" or after.present or (stored is not None and not stored.destroyed):
            return
        self.looked["inferred removals"] += 1
        self._inferred[actor.name] += 1
        now = self._world.clockwork.now
        things = [
            service.created_at
            for service in self._world.apprunner.current()
            if service.tags.get(names.TAG_ENVIRONMENT) == after.id and not service.foreign
        ]
        stack = self._world.stacks.get(names.stack_name(after.id))
        if stack is not None and stack.foreign:
            raise Violation("I4", f"{actor.name} wants the foreign stack of {after.id} removed")
        youngest = max(things, default=now if stack is None else stack.changed_at)
        seen_before = [at for at in self._deep_sweeps if at >= youngest]
        if now - youngest < _LEAST_AGE or len(seen_before) < 2:
            raise Violation("I6", f"{actor.name} removes the orphan {after.id} too early or at first sight")
        if self._inferred[actor.name] > _CAP:
            raise Violation("I6", f"{actor.name} removes more than {_CAP} orphans")

    def _ended(self, row: Environment) -> None:
        if row.outstanding or row.operation is not None:
            raise Violation("I1", f"{row.id} is {row.status}, and nothing happens any more")
        if row.failed_permanently:
            failure = row.failure
            if failure is None or not failure.code or not failure.message or failure.operation not in Operation:
                raise Violation("I1", f"{row.id} has failed without a reason")
            return
        if row.destroyed:
            self._nothing_left(row.id)
            return
        services = [
            service
            for service in self._world.apprunner.current()
            if service.tags.get(names.TAG_ENVIRONMENT) == row.id and not service.foreign
        ]
        wanted = "PAUSED" if row.paused else "RUNNING"
        if len(services) != 1 or services[0].status != wanted or services[0].image != row.spec.image:
            if row.protected and row.id in self.changed_by_hand:
                return  # nothing is inferred of a protected one: its drift is reported, and left to a request
            found = ", ".join(f"{each.status} with {each.image}" for each in services) or "nothing"
            raise Violation("I1", f"{row.id} should be {wanted} with {row.spec.image}, and there is {found}")

    def _accounted_for(self, service: SimService) -> None:
        if service.foreign:
            if service.status != "RUNNING":
                raise Violation("I4", f"the foreign {service.name} is {service.status}")
            return
        row = self._world.rows.get(service.tags.get(names.TAG_ENVIRONMENT, ""))
        if row is None or row.destroyed:
            raise Violation("I3", f"{service.arn} runs, and no live record accounts for it")
