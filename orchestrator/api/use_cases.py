"""What callers can do: each use case checks who asks and for what, writes what is desired, and asks for a worker.

The rule: the desired state is stored before a worker is asked for, so that a lost invocation loses nothing. No Pulumi here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from orchestrator.domain import desired
from orchestrator.domain.access import Caller
from orchestrator.domain.desired import EnvironmentRequest, LifetimeLimits, Unset
from orchestrator.domain.environment import ACTIVE, Environment, Status
from orchestrator.domain.errors import Conflict, Forbidden, NotFound, PreconditionFailed, VersionConflict
from orchestrator.domain.names import check_id
from orchestrator.domain.policy import Policy
from orchestrator.ports import Dispatcher, Event, Page, Records, Reports

ANY: Final = "*"
Match = int | Literal["*"]
"""What a record has to be for a write to happen: at this version, or there at all."""


@dataclass(frozen=True)
class Accepted:
    """The record after a request, and whether a worker has something to do about it."""

    environment: Environment
    working: bool


@dataclass(frozen=True)
class EnvironmentService:
    """The use cases around environments."""

    records: Records
    dispatcher: Dispatcher
    limits: LifetimeLimits
    rules: Policy
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]

    def put(
        self, caller: Caller, environment_id: str, request: EnvironmentRequest, *, if_match: Match | None = None
    ) -> Accepted:
        """Create the environment or update it to this request. Raises Conflict `id_taken` when another owner's runs under it."""
        check_id(environment_id)
        self.rules.check(request.spec)
        while True:
            now = self.clock()
            before = self.records.get(environment_id)
            require_id_available(caller, before)
            _check_match(before, if_match)
            try:
                if before is None or before.destroyed:
                    return self._start(caller, environment_id, before, request, now)
                after = desired.apply(before, request, self.limits, now)
                return self._write(caller, before, after, "asked for")
            except VersionConflict:
                continue

    def create(
        self, caller: Caller, environment_id: str, request: EnvironmentRequest, *, idempotency: str | None = None
    ) -> Accepted:
        """Create the environment. Raises Conflict `exists` when there is one, unless it came from this very request before.

        `idempotency` is a digest of the caller's key and body.
        """
        check_id(environment_id)
        self.rules.check(request.spec)
        while True:
            before = self.records.get(environment_id)
            if before and idempotency and before.idempotency == idempotency and caller.may_see(before):
                return Accepted(before, before.outstanding)
            require_id_available(caller, before)
            if before and not before.destroyed:
                raise Conflict(
                    f"{environment_id} exists already. PUT /environments/{environment_id} updates it.", "exists"
                )
            try:
                return self._start(caller, environment_id, before, request, self.clock(), idempotency)
            except VersionConflict:
                continue

    def get(
        self, caller: Caller, environment_id: str, *, unless_version: int | None = None, wait: float = 0
    ) -> Environment:
        """One record. With `unless_version`, waits up to `wait` seconds for another version."""
        give_up = self.clock() + timedelta(seconds=wait)
        environment = self._visible(caller, environment_id)
        while environment.version == unless_version and self.clock() < give_up:
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
        return self.records.listing(owner, statuses or ACTIVE, labels, cursor, limit)

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
        """Another TTL, labels or protection, without a redeploy."""

        def change(before: Environment, now: datetime) -> Environment:
            if before.destroyed:
                raise Conflict(f"{environment_id} is destroyed; only a new one can be adjusted.", "destroyed")
            return desired.adjust(before, self.limits, now, ttl=ttl, labels=labels, protected=protected)

        return self._change(caller, environment_id, if_match, change, "adjusted").environment

    def remove(
        self, caller: Caller, environment_id: str, *, if_match: Match | None = None, force: bool = False
    ) -> Accepted:
        """Want the environment gone. On a tombstone nothing changes: it has its receipt."""

        def change(before: Environment, now: datetime) -> Environment:
            return (
                before
                if before.destroyed
                else desired.remove(before, f"removed by {caller.identity}", now, force=force)
            )

        return self._change(caller, environment_id, if_match, change, "removal asked for")

    def pause(self, caller: Caller, environment_id: str, *, if_match: Match | None = None) -> Accepted:
        """Want the environment's service paused."""
        return self._change(caller, environment_id, if_match, require_not_destroyed(desired.pause), "pause asked for")

    def resume(self, caller: Caller, environment_id: str, *, if_match: Match | None = None) -> Accepted:
        """Want the environment's service running again."""
        return self._change(caller, environment_id, if_match, require_not_destroyed(desired.resume), "resume asked for")

    def revive(self, caller: Caller, environment_id: str, *, ttl: timedelta | None | Unset = desired.UNSET) -> Accepted:
        """Bring a destroyed environment back as its tombstone has it. Raises Conflict `exists` when it is not destroyed."""
        while True:
            tombstone = self._visible(caller, environment_id)
            if not tombstone.destroyed:
                raise Conflict(
                    f"{environment_id} is not destroyed, so there is nothing to revive. "
                    f"PUT /environments/{environment_id} updates it.",
                    "exists",
                )
            revived = desired.revive(tombstone, self.limits, self.clock(), ttl=ttl)
            # What was let in once need not be today.
            self.rules.check(revived.spec)
            self.rules.check_ttl(revived.ttl)
            self._check_room(caller, revived.owner)
            event = Event(self.clock(), "revived", f"Asked for by {caller.identity}.")
            try:
                self.records.reuse(tombstone, revived, event)
            except VersionConflict:
                continue
            self.dispatcher.work(environment_id)
            return Accepted(revived, working=True)

    def events(self, caller: Caller, environment_id: str, cursor: str | None, limit: int) -> Page[Event]:
        return self.records.events(self._visible(caller, environment_id), cursor, limit)

    def _change(
        self,
        caller: Caller,
        environment_id: str,
        if_match: Match | None,
        change: Callable[[Environment, datetime], Environment],
        event: str,
    ) -> Accepted:
        while True:
            before = self._visible(caller, environment_id)
            _check_match(before, if_match)
            try:
                return self._write(caller, before, change(before, self.clock()), event)
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
        self._check_room(caller, caller.owner)
        event = Event(now, "asked for", f"Asked for by {caller.identity}.")
        if tombstone is None:
            environment = desired.create(
                environment_id, caller.owner, request, self.limits, now, idempotency=idempotency
            )
            self.records.add(environment, event)
        else:
            environment = desired.recreate(tombstone, caller.owner, request, self.limits, now, idempotency=idempotency)
            self.records.reuse(tombstone, environment, event)
        self.dispatcher.work(environment_id)
        return Accepted(environment, working=True)

    def _check_room(self, caller: Caller, owner: str) -> None:
        """Raises Forbidden `limit_reached` when the owner has as many as one may have; not for operators.

        The index that counts lags, and two requests at once don't see each other: a few more may slip in.
        """
        most = self.rules.environments_per_owner
        if not caller.operator and self.records.count_active(owner, most) >= most:
            raise Forbidden(
                f"{owner} has {most} environments, and this platform allows no more. Remove one and wait until it is "
                "destroyed, or ask an operator.",
                "limit_reached",
            )

    def _write(self, caller: Caller, before: Environment, after: Environment, kind: str) -> Accepted:
        if after != before:
            data = {"generation": after.generation, "version": after.version}
            self.records.replace(before, after, Event(self.clock(), kind, f"By {caller.identity}.", data))
        if after.generation != before.generation:
            self.dispatcher.work(after.id)
        return Accepted(after, working=after.outstanding)

    def _visible(self, caller: Caller, environment_id: str) -> Environment:
        environment = self.records.get(check_id(environment_id))
        if environment is None or not caller.may_see(environment):
            raise NotFound(f"There is no environment {environment_id}. GET /environments lists yours.")
        return environment


@dataclass(frozen=True)
class SweepService:
    """The use cases around sweeps; operators only."""

    reports: Reports
    dispatcher: Dispatcher
    clock: Callable[[], datetime]
    new_id: Callable[[], str]

    def start(self, caller: Caller, *, kind: Literal["light", "deep"], dry_run: bool) -> Mapping[str, object]:
        """Ask for a sweep; its plan or report is under the id that comes back."""
        _operators_only(caller)
        sweep_id = self.new_id()
        report = {
            "id": sweep_id,
            "kind": kind,
            "status": "requested",
            "dry_run": dry_run,
            "requested_at": self.clock().isoformat(),
        }
        self.reports.write(sweep_id, report)
        self.dispatcher.sweep(sweep_id)
        return report

    def get(self, caller: Caller, sweep_id: str) -> Mapping[str, object]:
        _operators_only(caller)
        report = self.reports.read(sweep_id)
        if report is None:
            raise NotFound(f"There is no sweep {sweep_id}. POST /sweeps starts one.")
        return report


def require_not_destroyed(
    change: Callable[[Environment, datetime], Environment],
) -> Callable[[Environment, datetime], Environment]:
    def checked(before: Environment, now: datetime) -> Environment:
        if before.destroyed:
            raise Conflict(
                f"{before.id} is destroyed. POST /environments/{before.id}/revive brings it back.", "destroyed"
            )
        return change(before, now)

    return checked


def _operators_only(caller: Caller) -> None:
    if not caller.operator:
        raise Forbidden("SweepService are for operators. The platform's `operators` setting says who they are.")


def require_id_available(caller: Caller, environment: Environment | None) -> None:
    """Raises Conflict `id_taken`, and says nothing more, when somebody else's environment lives under the id."""
    if environment and not environment.destroyed and not caller.may_see(environment):
        raise Conflict(f"The id {environment.id} is taken. Choose another.", "id_taken")


def _check_match(environment: Environment | None, if_match: Match | None) -> None:
    if if_match is not None and (environment is None or if_match not in (ANY, environment.version)):
        raise PreconditionFailed("The environment is not at that version any more. Read it again and decide again.")
