"""What callers can do: each use case checks the caller's rights, writes the desired state, and asks for a worker.

The rule: the desired state is stored before a worker is asked for, so that a lost invocation loses nothing. No Pulumi here.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from orchestrator.domain import desired
from orchestrator.domain.access import Caller
from orchestrator.domain.desired import EnvironmentRequest, LifetimeLimits, Unset
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


@dataclass(frozen=True)
class Accepted:
    """The record after a request, and whether a worker has something to do about it."""

    environment: Environment
    working: bool


@dataclass(frozen=True)
class EnvironmentService:
    """The use cases around environments."""

    ports: Ports
    limits: LifetimeLimits
    policy: Policy
    sleep: Callable[[float], None] = time.sleep

    def put(
        self, caller: Caller, environment_id: str, request: EnvironmentRequest, *, if_match: Match | None = None
    ) -> Accepted:
        """Create the environment, or update it. Raises Conflict `id_taken` if another owner's environment has the id."""
        check_id(environment_id)
        self.policy.check(request.spec)
        while True:
            now = self.ports.clock()
            before = self.ports.records.get(environment_id)
            require_id_available(caller, before)
            _check_match(before, if_match)
            try:
                if before is None or before.destroyed:
                    return self._start(caller, environment_id, before, request, now)
                after = desired.apply(before, request, self.limits, now)
                return self._write(caller, before, after, EventKind.REQUESTED)
            except VersionConflict:
                continue

    def create(
        self, caller: Caller, environment_id: str, request: EnvironmentRequest, *, idempotency: str | None = None
    ) -> Accepted:
        """Create the environment. Raises Conflict `exists` if there is one, unless this very request created it before.

        `idempotency` is a digest of the caller's key and body.
        """
        check_id(environment_id)
        self.policy.check(request.spec)
        while True:
            before = self.ports.records.get(environment_id)
            if before and idempotency and before.idempotency == idempotency and caller.may_see(before):
                return Accepted(before, before.outstanding)
            require_id_available(caller, before)
            if before and not before.destroyed:
                raise Conflict(
                    f"{environment_id} exists already. Update it with PUT /environments/{environment_id}.",
                    ErrorCode.EXISTS,
                )
            try:
                return self._start(caller, environment_id, before, request, self.ports.clock(), idempotency)
            except VersionConflict:
                continue

    def get(
        self, caller: Caller, environment_id: str, *, unless_version: int | None = None, wait: float = 0
    ) -> Environment:
        """One record. With `unless_version`, waits up to `wait` seconds for another version."""
        give_up = self.ports.clock() + timedelta(seconds=wait)
        environment = self._visible(caller, environment_id)
        while environment.version == unless_version and self.ports.clock() < give_up:
            self.sleep(0.5)
            environment = self._visible(caller, environment_id)
        return environment

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
        """The caller's environments; an operator's listing shows everybody's, or one owner's."""
        if not caller.operator:
            owner = owner or caller.owner
            if not caller.acts_for(owner):
                raise Forbidden("Only operators list other owners' environments. Leave `owner` out to list yours.")
        return self.ports.records.listing(owner, statuses or ACTIVE, labels, cursor, limit)

    def adjust(
        self,
        caller: Caller,
        environment_id: str,
        *,
        if_match: Match | None = None,
        ttl: timedelta | None | Unset = desired.UNSET,
        labels: Mapping[str, str] | Unset = desired.UNSET,
        protected: bool | Unset = desired.UNSET,
    ) -> Environment:
        """Change TTL, labels or protection, without a redeploy."""

        def change(before: Environment, now: datetime) -> Environment:
            if before.destroyed:
                raise Conflict(f"{environment_id} is destroyed. Create it again, then adjust it.", ErrorCode.DESTROYED)
            return desired.adjust(before, self.limits, now, ttl=ttl, labels=labels, protected=protected)

        return self._change(caller, environment_id, if_match, change, EventKind.ADJUSTED).environment

    def remove(
        self, caller: Caller, environment_id: str, *, if_match: Match | None = None, force: bool = False
    ) -> Accepted:
        """Ask for the environment's removal. A tombstone stays as it is: it has its receipt."""

        def change(before: Environment, now: datetime) -> Environment:
            reason = f"removed by {caller.identity}"
            return before if before.destroyed else desired.remove(before, reason, now, force=force)

        return self._change(caller, environment_id, if_match, change, EventKind.REMOVAL_REQUESTED)

    def pause(self, caller: Caller, environment_id: str, *, if_match: Match | None = None) -> Accepted:
        """Ask for the environment's service to be paused."""
        change = require_not_destroyed(desired.pause)
        return self._change(caller, environment_id, if_match, change, EventKind.PAUSE_REQUESTED)

    def resume(self, caller: Caller, environment_id: str, *, if_match: Match | None = None) -> Accepted:
        """Ask for the environment's service to run again."""
        change = require_not_destroyed(desired.resume)
        return self._change(caller, environment_id, if_match, change, EventKind.RESUME_REQUESTED)

    def revive(self, caller: Caller, environment_id: str, *, ttl: timedelta | None | Unset = desired.UNSET) -> Accepted:
        """Bring a destroyed environment back as its tombstone has it. Raises Conflict `exists` if it is not destroyed."""
        while True:
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
            self._require_room(caller, revived.owner)
            event = Event(self.ports.clock(), EventKind.REVIVED, f"By {caller.identity}.")
            try:
                self.ports.records.reuse(tombstone, revived, event)
            except VersionConflict:
                continue
            self.ports.dispatcher.work(environment_id)
            return Accepted(revived, working=True)

    def events(self, caller: Caller, environment_id: str, cursor: str | None, limit: int) -> Page[Event]:
        return self.ports.records.events(self._visible(caller, environment_id), cursor, limit)

    def _change(
        self,
        caller: Caller,
        environment_id: str,
        if_match: Match | None,
        change: Callable[[Environment, datetime], Environment],
        kind: EventKind,
    ) -> Accepted:
        while True:
            before = self._visible(caller, environment_id)
            _check_match(before, if_match)
            try:
                return self._write(caller, before, change(before, self.ports.clock()), kind)
            except VersionConflict:
                continue

    def _start(
        self,
        caller: Caller,
        environment_id: str,
        tombstone: Environment | None,
        request: EnvironmentRequest,
        now: datetime,
        idempotency: str | None = None,
    ) -> Accepted:
        self._require_room(caller, caller.owner)
        event = Event(now, EventKind.REQUESTED, f"By {caller.identity}.")
        if tombstone is None:
            environment = desired.create(
                environment_id, caller.owner, request, self.limits, now, idempotency=idempotency
            )
            self.ports.records.add(environment, event)
        else:
            environment = desired.recreate(tombstone, caller.owner, request, self.limits, now, idempotency=idempotency)
            self.ports.records.reuse(tombstone, environment, event)
        self.ports.dispatcher.work(environment_id)
        return Accepted(environment, working=True)

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

    def _write(self, caller: Caller, before: Environment, after: Environment, kind: EventKind) -> Accepted:
        if after != before:
            data = {"generation": after.generation, "version": after.version}
            event = Event(self.ports.clock(), kind, f"By {caller.identity}.", data)
            self.ports.records.replace(before, after, event)
        if after.generation != before.generation:
            self.ports.dispatcher.work(after.id)
        return Accepted(after, working=after.outstanding)

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


def require_not_destroyed(
    change: Callable[[Environment, datetime], Environment],
) -> Callable[[Environment, datetime], Environment]:
    """The same change, which raises Conflict `destroyed` for a tombstone."""

    def checked(before: Environment, now: datetime) -> Environment:
        if before.destroyed:
            raise Conflict(
                f"{before.id} is destroyed. Bring it back with POST /environments/{before.id}/revive.",
                ErrorCode.DESTROYED,
            )
        return change(before, now)

    return checked


def require_id_available(caller: Caller, environment: Environment | None) -> None:
    """Raises Conflict `id_taken`, and says nothing more, if somebody else's environment has the id."""
    if environment and not environment.destroyed and not caller.may_see(environment):
        raise Conflict(f"The id {environment.id} is taken. Choose another.", ErrorCode.ID_TAKEN)


def _require_operator(caller: Caller) -> None:
    if not caller.operator:
        raise Forbidden("Sweeps are for operators. The platform's setting `operators` names them.")


def _check_match(environment: Environment | None, if_match: Match | None) -> None:
    if if_match is not None and (environment is None or if_match not in (ANY, environment.version)):
        raise PreconditionFailed("The environment has another version by now. Read it again and decide again.")
