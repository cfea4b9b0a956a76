"""The invariants, checked whenever something is written or changed, and once more when nothing happens any more.

The rule: a check reads the world as it is, never what the product says of itself, and every kind of check is counted.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from orchestrator.domain import names
from orchestrator.domain.environment import Environment, Operation
from orchestrator.domain.errors import UNEXPECTED, ErrorCode
from orchestrator.domain.sweeps import SweepReport
from tests.simulation.apprunner import SimService
from tests.simulation.healing import Healings
from tests.simulation.scenario import PREFIX
from tests.simulation.scheduler import Actor, moment_of, seconds_of

if TYPE_CHECKING:
    from tests.simulation.world import SimLock, World

_LEAST_AGE = 3600.0
_CAP = 10
_NEVER_TRUE = (ErrorCode.NEEDS_OPERATOR, ErrorCode.STACK_MISSING, ErrorCode.INTERNAL, ErrorCode.AWS_REFUSED)
"""Reasons for a final failure for which there is no cause in a simulation."""


class Violation(BaseException):
    """An invariant does not hold. Nothing in the product catches it."""

    def __init__(self, invariant: str, message: str) -> None:
        super().__init__(f"{invariant}: {message}")
        self.invariant = invariant
        self.message = message


class Checks:
    """The invariants of one run. `counts` has the checks made, `without_lease` what workers without their lease tried."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.counts: Counter[str] = Counter()
        self.without_lease: Counter[str] = Counter()
        self.workers_die_in_time = True
        """False where workers outlive their hard limit on purpose: then only the table can refuse what they do."""
        self.accepted: dict[str, int] = {}
        """The newest generation of each environment that a caller got an answer for."""
        self.healings = Healings()
        self.changed_by_hand: set[str] = set()
        """The environments whose service a person changed."""
        self.due: dict[str, float] = {}
        """When the sweep has to look at each environment again, if ever."""
        self.last_write = 0.0
        self._written_at: dict[str, float] = {}
        self._processes: Counter[str] = Counter()
        self._inferred: Counter[str] = Counter()
        self._deep_sweeps: list[float] = []

    # While things happen.

    def request_accepted(self, environment: Environment) -> None:
        known = self.accepted.get(environment.id, 0)
        self.accepted[environment.id] = max(known, environment.generation)

    def refused_write(self, actor: Actor, stored: Environment | None) -> None:
        """A conditional write was refused."""
        if actor.kind == "worker" and stored is not None and actor.token and stored.lease.token > actor.token:
            self.without_lease["writes refused"] += 1

    def written(self, actor: Actor, stored: Environment | None, after: Environment) -> None:
        """The table accepted a write."""
        self.counts["writes"] += 1
        if stored is not None:
            self._check_change(actor, stored, after)
        self._check_inferred_removal(actor, stored, after)
        now = self.last_write = self._written_at[after.id] = self._world.now()
        due_at = after.due_at
        if due_at is not None:
            self.due[after.id] = seconds_of(due_at)
        else:
            self.due.pop(after.id, None)
        self.healings.written(actor, after, now)

    def died(self, actor: Actor) -> None:
        self.healings.died(actor, self._world.records.get(actor.environment))

    def changed(self, who: str, token: int, environment_id: str) -> None:
        """The cloud or the engine's state is changed for an environment, under a lease's token."""
        self.counts["changes"] += 1
        record = self._world.records.get(environment_id)
        newest = record.lease.token if record else 0
        if token < newest:
            self.without_lease["changes of the cloud"] += 1
            if self.workers_die_in_time:
                raise Violation("I2", f"{who} changes {environment_id} under token {token}, but {newest} was given out")

    def service_changed(self, who: str, service: SimService, environment_id: str) -> None:
        """The orchestrator changes a service."""
        self.counts["service changes"] += 1
        if service.foreign or service.tags.get(names.TAG_ENVIRONMENT) != environment_id:
            raise Violation(
                "I4", f"{who} changes {service.name}, which is not of {environment_id}: {dict(service.tags)}"
            )

    def lock_broken(self, who: str, lock: SimLock) -> None:
        self.counts["locks broken"] += 1
        if lock.person:
            raise Violation("I4", f"{who} breaks the lock that {lock.by} holds")

    def process_started(self, who: str, stack: str) -> None:
        """A CLI process has a stack's lock and begins to change the stack."""
        self.counts["processes"] += 1
        self._processes[stack] += 1
        if self._processes[stack] > 1 and self.workers_die_in_time:
            raise Violation("I2", f"{who} changes {stack} while another process does")

    def process_ended(self, stack: str) -> None:
        self._processes[stack] -= 1

    def deep_sweep_started(self) -> None:
        self._deep_sweeps.append(self._world.now())

    def unexpected_error(self, actor: Actor, error: BaseException) -> None:
        """The product raised an error that is not in its own error tree."""
        raise Violation("error", f"{actor.name} ended with {error!r}") from error

    def reported(self, report: SweepReport) -> None:
        """A sweep goes on after a finding whose action failed; an unexpected error in it is a bug all the same."""
        self.counts["reports"] += 1
        for finding in report.findings:
            if finding.error and finding.error.startswith(UNEXPECTED):
                raise Violation("error", f"a sweep reports of {finding.environment}: {finding.error}")

    def taken_up_in_time(self, slack: float) -> None:
        """When nothing goes wrong, the light sweep leaves nothing that is due for longer than its period."""
        self.counts["due"] += 1
        latest = self._world.now() - slack
        for environment_id, due in self.due.items():
            if due < latest and self._written_at[environment_id] < latest:
                at = moment_of(due)
                raise Violation("I1", f"{environment_id} was due at {at:%H:%M:%S}, and no sweep took it up")

    # When nothing happens any more.

    def consistent(self) -> None:
        """Every record agrees with the cloud, every request has ended, and nothing runs without a record."""
        self.counts["ends"] += 1
        for record in self._world.records.values():
            self._check_record(record)
        for environment_id, generation in self.accepted.items():
            latest = self._world.records.get(environment_id)
            if latest is None or latest.generation < generation:
                raise Violation("I1", f"generation {generation} of {environment_id} was accepted and is lost")
        for service in self._world.apprunner.services():
            self._check_service(service)
        for stack, found in self._world.stacks.items():
            known = self._world.records.get(names.id_of_stack(stack) or "")
            if not found.foreign and (known is None or known.destroyed):
                raise Violation("I3", f"the stack {stack} exists, and no active record accounts for it")
        for stack, locks in self._world.locks.items():
            known = self._world.records.get(names.id_of_stack(stack) or "")
            if known is not None and known.settled and any(not lock.person for lock in locks):
                raise Violation("I1", f"{known.id} is settled, and a dead worker's lock is left on its stack")

    def nothing_left(self) -> None:
        """After the removal of everything, nothing of the platform is left, and what belongs to others still exists."""
        self.counts["removals of all"] += 1
        for record in self._world.records.values():
            if not record.destroyed:
                code = record.failure.code if record.failure else "no reason is given"
                raise Violation("I1", f"{record.id} can't be removed: {code}")
        left = [service.name for service in self._world.apprunner.services() if not service.foreign]
        left += [stack for stack, found in self._world.stacks.items() if not found.foreign]
        if left:
            raise Violation("I3", f"everything was removed, and {', '.join(left)} is left")

    def _check_change(self, actor: Actor, stored: Environment, after: Environment) -> None:
        if actor.kind == "worker":
            self._check_write_of_worker(actor, stored, after)
        elif after.lease != stored.lease and stored.receipt is None:
            raise Violation("I2", f"{actor.name}, no worker, changed the lease of {after.id}")
        if after.generation < stored.generation or after.version != stored.version + 1:
            raise Violation("I1", f"{after.id} goes from version {stored.version} to {after.version}, or back")
        if stored.present and stored.protected and not after.present and not stored.destroyed and not actor.force:
            raise Violation(
                "I6", f"{actor.name} removes {after.id}, which is protected, and the request did not force it"
            )
        if after.receipt is not None and stored.receipt is None:
            self._check_absent(after.id)

    def _check_write_of_worker(self, actor: Actor, stored: Environment, after: Environment) -> None:
        claims = after.lease.token == stored.lease.token + 1
        if not claims and (stored.lease.token != actor.token or stored.lease.holder != actor.name):
            self.without_lease["writes accepted"] += 1
            raise Violation("I2", f"{actor.name} lost the lease of {after.id} and its write was accepted")
        if claims and not stored.lease_free(self._world.scheduler.clock()):
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
            raise Violation("I1", f"{actor.name}, a worker, changes the desired state of {after.id}")
        if after.failed_permanently and not stored.failed_permanently:
            self._check_final_failure(after)

    def _check_final_failure(self, after: Environment) -> None:
        """The reason of a final failure must be true: the name is taken by a foreign service, the lock is a person's."""
        self.counts["final failures"] += 1
        assert after.failure is not None
        code = after.failure.code
        if code is ErrorCode.NAME_TAKEN:
            service = self._world.apprunner.named(names.service_name(PREFIX, after.id))
            if service is not None and not service.foreign:
                raise Violation("I1", f"{after.id} has failed with {code}, but the service of that name is its own")
        if code is ErrorCode.STACK_LOCKED:
            locks = self._world.locks.get(names.stack_name(after.id), ())
            if locks and not any(lock.person for lock in locks):
                raise Violation("I1", f"{after.id} has failed with {code}, but its stack has only dead workers' locks")
        if code in _NEVER_TRUE:
            raise Violation("I1", f"{after.id} has failed with {code}: {after.failure.message}")

    def _check_absent(self, environment_id: str) -> None:
        self.counts["receipts"] += 1
        for service in self._world.apprunner.of(environment_id):
            raise Violation("I5", f"{environment_id} has its receipt, and {service.arn} is {service.status}")
        if names.stack_name(environment_id) in self._world.stacks:
            raise Violation("I5", f"{environment_id} has its receipt, and its stack exists")

    def _check_inferred_removal(self, actor: Actor, stored: Environment | None, after: Environment) -> None:
        if actor.kind != "deep sweep" or after.present or (stored is not None and not stored.destroyed):
            return
        self.counts["inferred removals"] += 1
        self._inferred[actor.name] += 1
        now = self._world.now()
        stack = self._world.stacks.get(names.stack_name(after.id))
        if stack is not None and stack.foreign:
            raise Violation("I4", f"{actor.name} removes the foreign stack of {after.id}")
        created = [service.created_at for service in self._world.apprunner.of(after.id)]
        youngest = max(created, default=now if stack is None else stack.changed_at)
        seen_before = [at for at in self._deep_sweeps if at >= youngest]
        if now - youngest < _LEAST_AGE or len(seen_before) < 2:
            raise Violation("I6", f"{actor.name} removes the orphan {after.id} too early or at first sight")
        if self._inferred[actor.name] > _CAP:
            raise Violation("I6", f"{actor.name} removes more than {_CAP} orphans")

    def _check_record(self, record: Environment) -> None:
        if record.outstanding or record.operation is not None:
            raise Violation("I1", f"{record.id} is {record.status}, and nothing happens any more")
        if record.failed_permanently:
            failure = record.failure
            if failure is None or not failure.code or not failure.message or failure.operation not in Operation:
                raise Violation("I1", f"{record.id} has failed without a reason")
            return
        if record.destroyed:
            self._check_absent(record.id)
            return
        services = self._world.apprunner.of(record.id)
        status = "PAUSED" if record.paused else "RUNNING"
        if len(services) != 1 or services[0].status != status or services[0].image != record.spec.image:
            if record.protected and record.id in self.changed_by_hand:
                return  # nothing is inferred of a protected one: its drift is reported, and left to a request
            found = ", ".join(f"{each.status} with {each.image}" for each in services) or "nothing"
            raise Violation("I1", f"{record.id} should be {status} with {record.spec.image}, and there is {found}")

    def _check_service(self, service: SimService) -> None:
        if service.foreign:
            if service.status != "RUNNING":
                raise Violation("I4", f"the foreign {service.name} is {service.status}")
            return
        record = self._world.records.get(service.tags.get(names.TAG_ENVIRONMENT, ""))
        if record is None or record.destroyed:
            raise Violation("I3", f"{service.arn} runs, and no active record accounts for it")
