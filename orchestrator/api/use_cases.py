"""What callers can do: each use case checks the caller's rights, writes the desired state, and asks for a worker.

The rule: the desired state is stored before a worker is asked for, so that a lost invocation loses nothing. No Pulumi here.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial, wraps
from typing import Final, Literal, ParamSpec, Protocol, TypeVar

from orchestrator.domain import desired
from orchestrator.domain.access import Caller
from orchestrator.domain.desired import Adjustment, EnvironmentRequest, LifetimeLimits, Unset
from orchestrator.domain.environment import ACTIVE, Environment, Status
from orchestrator.domain.errors import Conflict, ErrorCode, Forbidden, NotFound, PreconditionFailed, VersionConflict
from orchestrator.domain.events import Event, EventKind
from orchestrator.domain.names import check_id
from orchestrator.domain.policy import Policy
from orchestrator.domain.sweeps import SweepKind, SweepReport, SweepStatus
from orchestrator.ports import Page, Ports

ANY: Final = "*"
Match = int | Literal["*"]
"""What If-Match asks of a record: this version, or any."""


P = ParamSpec("P")
R = TypeVar("R")


class Change(Protocol):
    """Turns the record as it is into the record as it should be."""

    def __call__(self, environment: Environment, /, *, now: datetime) -> Environment: ...


def _repeated_on_conflict(use_case: Callable[P, R]) -> Callable[P, R]:
    """The use case, repeated from its beginning whenever the record changed between its reading and its writing."""

    @wraps(use_case)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        while True:
            with suppress(VersionConflict):
                return use_case(*args, **kwargs)

    return run


@dataclass(frozen=True)
class EnvironmentService:
    """The use cases around environments. Those that change one return its new record."""

    ports: Ports
    limits: LifetimeLimits
    policy: Policy
    sleep: Callable[[float], None] = time.sleep

    @_repeated_on_conflict
    def put(
        self, caller: Caller, environment_id: str, request: EnvironmentRequest, *, if_match: Match | None = None
    ) -> Environment:
        """Create the environment, or update it. Raises Conflict `id_taken` if another owner's environment has the id."""
        self.policy.check(request.spec)
        before = self.ports.records.get(check_id(environment_id))
        require_id_available(caller, before)
        _check_match(before, if_match)
        if before is None or before.destroyed:
            return self._create(caller, environment_id, before, request)
        after = desired.apply(before, request, self.limits, self.ports.clock())
        return self._write(caller, before, after, EventKind.REQUESTED)

    @_repeated_on_conflict
    def create(
        self, caller: Caller, environment_id: str, request: EnvironmentRequest, *, idempotency: str | None = None
    ) -> Environment:
        """Create the environment. Raises Conflict `exists` if there is one, unless the same request created it before.

        `idempotency` is a digest of the caller's key and body. It belongs to one incarnation: once that is destroyed, the same
        request creates the next.
        """
        self.policy.check(request.spec)
        before = self.ports.records.get(check_id(environment_id))
        exists = before is not None and not before.destroyed
        if before and exists and idempotency and before.idempotency == idempotency and caller.may_see(before):
            return before
        require_id_available(caller, before)
        if exists:
            raise Conflict(
                f"{environment_id} exists already. Update it with PUT /environments/{environment_id}.",
                ErrorCode.EXISTS,
            )
        return self._create(caller, environment_id, before, request, idempotency)

    def get(
        self, caller: Caller, environment_id: str, *, unless_version: int | None = None, wait: float = 0
    ) -> Environment:
        """One record. With `unless_version`, waits up to `wait` seconds for another version."""
        return self._poll(
            lambda: self._visible(caller, environment_id), lambda found: found.version != unless_version, wait
        )

    def list(
        self,
        caller: Caller,
        *,
        statuses: Sequence[Status] = (),
        owner: str | None = None,
        labels: Mapping[str, str],
        cursor: str | None,
        limit: int,
    ) -> Page[Environment]:
        """The caller's environments; an operator's listing shows all, or one owner's."""
        if not caller.operator:
            owner = owner or caller.owner
            if not caller.acts_for(owner):
                raise Forbidden("Only operators list other owners' environments. Leave `owner` out to list yours.")
        return self.ports.records.listing(owner, statuses or ACTIVE, labels, cursor, limit)

    def adjust(
        self, caller: Caller, environment_id: str, adjustment: Adjustment, *, if_match: Match | None = None
    ) -> Environment:
        """Change TTL, labels or protection, without a redeploy."""
        change = partial(desired.adjust, adjustment=adjustment, limits=self.limits)
        return self._change(caller, environment_id, if_match, change, EventKind.ADJUSTED)

    def remove(
        self, caller: Caller, environment_id: str, *, if_match: Match | None = None, force: bool = False
    ) -> Environment:
        """Ask for the environment's removal. A tombstone stays as it is: it has its receipt."""
        change = partial(desired.remove, reason=f"removed by {caller.identity}", force=force)
        return self._change(caller, environment_id, if_match, change, EventKind.REMOVAL_REQUESTED)

    def pause(self, caller: Caller, environment_id: str, *, if_match: Match | None = None) -> Environment:
        """Ask for the environment's service to be paused."""
        change = partial(desired.set_paused, paused=True)
        return self._change(caller, environment_id, if_match, change, EventKind.PAUSE_REQUESTED)

    def resume(self, caller: Caller, environment_id: str, *, if_match: Match | None = None) -> Environment:
        """Ask for the environment's service to run again."""
        change = partial(desired.set_paused, paused=False)
        return self._change(caller, environment_id, if_match, change, EventKind.RESUME_REQUESTED)

    @_repeated_on_conflict
    def revive(
        self, caller: Caller, environment_id: str, *, ttl: timedelta | None | Unset = desired.UNSET
    ) -> Environment:
        """Bring a destroyed environment back as its tombstone has it. Raises Conflict `exists` if it is not destroyed."""
        tombstone = self._visible(caller, environment_id)
        if not tombstone.destroyed:
            raise Conflict(
                f"{environment_id} is not destroyed, so it can't be revived. "
                f"Update it with PUT /environments/{environment_id}.",
                ErrorCode.EXISTS,
            )
        revived = desired.revive(tombstone, self.limits, self.ports.clock(), ttl=ttl)
        # The policy may have changed since it was created.
        self.policy.check(revived.spec)
        self.policy.check_ttl(revived.ttl)
        return self._start(caller, tombstone, revived, EventKind.REVIVED)

    def events(
        self, caller: Caller, environment_id: str, cursor: str | None, limit: int, *, wait: float = 0
    ) -> Page[Event]:
        """The events after the cursor; waits up to `wait` seconds for the first of them."""
        environment = self._visible(caller, environment_id)
        return self._poll(
            lambda: self.ports.records.events(environment, cursor, limit), lambda page: bool(page.items), wait
        )

    def _poll(self, look: Callable[[], R], satisfied: Callable[[R], bool], seconds: float) -> R:
        """Look until the result satisfies or the time is over; the last result."""
        give_up = self.ports.clock() + timedelta(seconds=seconds)
        while not satisfied(found := look()) and self.ports.clock() < give_up:
            self.sleep(0.5)
        return found

    @_repeated_on_conflict
    def _change(
        self, caller: Caller, environment_id: str, if_match: Match | None, change: Change, kind: EventKind
    ) -> Environment:
        before = self._visible(caller, environment_id)
        _check_match(before, if_match)
        return self._write(caller, before, change(before, now=self.ports.clock()), kind)

    def _create(
        self,
        caller: Caller,
        environment_id: str,
        tombstone: Environment | None,
        request: EnvironmentRequest,
        idempotency: str | None = None,
    ) -> Environment:
        now, owner = self.ports.clock(), caller.owner
        created = desired.create(
            environment_id, owner, request, self.limits, now, tombstone=tombstone, idempotency=idempotency
        )
        return self._start(caller, tombstone, created, EventKind.REQUESTED)

    def _start(
        self, caller: Caller, tombstone: Environment | None, environment: Environment, kind: EventKind
    ) -> Environment:
        """Store an environment's new incarnation, if its owner may have one more."""
        self._require_room(caller, environment.owner)
        event = Event(environment.created_at, kind, f"By {caller.identity}.")
        self.ports.records.write(tombstone, environment, event)
        self.ports.dispatcher.work(environment.id)
        return environment

    def _require_room(self, caller: Caller, owner: str) -> None:
        """Raises Forbidden `limit_reached` if the owner has as many environments as allowed. Operators have no limit.

        The index that counts lags, and two requests at once don't see each other, so a few more may slip in.
        """
        most = self.policy.environments_per_owner
        if not caller.operator and self.ports.records.count_active(owner, most) >= most:
            raise Forbidden(
                f"{owner} has {most} environments, and this platform allows no more. Remove one and wait until it is "
                "destroyed, or ask an operator.",
                ErrorCode.LIMIT_REACHED,
            )

    def _write(self, caller: Caller, before: Environment, after: Environment, kind: EventKind) -> Environment:
        if after != before:
            data = {"generation": after.generation, "version": after.version}
            event = Event(self.ports.clock(), kind, f"By {caller.identity}.", data)
            self.ports.records.write(before, after, event)
        if after.generation != before.generation:
            self.ports.dispatcher.work(after.id)
        return after

    def _visible(self, caller: Caller, environment_id: str) -> Environment:
        environment = self.ports.records.get(check_id(environment_id))
        if environment is None or not caller.may_see(environment):
            raise NotFound(f"There is no environment {environment_id}. List yours with GET /environments.")
        return environment


@dataclass(frozen=True)
class SweepService:
    """The use cases around sweeps; operators only."""

    ports: Ports
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex

    def start(self, caller: Caller, kind: SweepKind, *, dry_run: bool) -> SweepReport:
        """Ask for a sweep; its plan or report will be under the id of the report returned."""
        _require_operator(caller)
        report = SweepReport(self.new_id(), kind, dry_run, SweepStatus.REQUESTED, requested_at=self.ports.clock())
        self.ports.reports.write(report)
        self.ports.dispatcher.sweep(report.id)
        return report

    def get(self, caller: Caller, sweep_id: str) -> SweepReport:
        """A sweep's request, plan or report."""
        _require_operator(caller)
        report = self.ports.reports.read(sweep_id)
        if report is None:
            raise NotFound(f"There is no sweep {sweep_id}. Start one with POST /sweeps.")
        return report


def require_id_available(caller: Caller, environment: Environment | None) -> None:
    """Raises Conflict `id_taken`, and says nothing more, if another owner's environment has the id."""
    if environment and not environment.destroyed and not caller.may_see(environment):
        raise Conflict(f"The id {environment.id} is taken. Choose another.", ErrorCode.ID_TAKEN)


def _require_operator(caller: Caller) -> None:
    if not caller.operator:
        raise Forbidden("Sweeps are for operators. The platform's setting `operators` names them.")


def _check_match(environment: Environment | None, if_match: Match | None) -> None:
    if if_match is not None and (environment is None or if_match not in (ANY, environment.version)):
        raise PreconditionFailed(
            "The environment's version is not the one in If-Match. Read the environment again, then decide."
        )
