"""The record of one environment: its desired state, its observed state, and the status that follows from both.

The rule: a record is never changed, each change makes a new one: `desired` has those that callers make, `lease` and `observed`
those that workers make. Nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from orchestrator.domain.errors import ErrorCode

REDISPATCH_AFTER = timedelta(minutes=2)
"""How long a request may wait for a worker before the sweep asks for one again: longer than Lambda's first retry (1 min)."""


SCHEMA = 1
"""The version of the record's shape: one more with each field that older code, which does not know it, must not drop."""


class Status(StrEnum):
    PENDING = "pending"
    DEPLOYING = "deploying"
    READY = "ready"
    UPDATING = "updating"
    PAUSING = "pausing"
    PAUSED = "paused"
    RESUMING = "resuming"
    FAILED = "failed"
    DESTROYING = "destroying"
    DESTROYED = "destroyed"


ACTIVE = tuple(status for status in Status if status is not Status.DESTROYED)
"""The statuses of environments that are not destroyed."""


class Operation(StrEnum):
    """What a worker does to an environment."""

    DEPLOY = "deploy"
    UPDATE = "update"
    PAUSE = "pause"
    RESUME = "resume"
    DESTROY = "destroy"


@dataclass(frozen=True)
class Spec:
    """What an environment runs. `cpu` in App Runner's units (1024 is one vCPU), `memory` in MB."""

    image: str
    port: int = 8080
    cpu: int = 1024
    memory: int = 2048
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    health_path: str = "/health"
    revision: str | None = None


@dataclass(frozen=True)
class Lease:
    """The right to change the environment. The token is the fencing token: it only ever grows."""

    token: int = 0
    holder: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    host: str | None = None
    """The holder's host name, which Pulumi writes into its locks."""


@dataclass(frozen=True)
class LeaseSpan:
    """When and on which host a worker held a lease until it died: a lock taken in that time on that host was that worker's."""

    since: datetime
    until: datetime
    host: str | None = None

    def covers(self, moment: datetime, host: str) -> bool:
        return self.since <= moment <= self.until and self.host in (None, host)


@dataclass(frozen=True)
class Failure:
    """Why the last operation failed. A final failure is not tried again until a caller asks again."""

    operation: Operation
    code: ErrorCode
    message: str
    final: bool
    at: datetime


@dataclass(frozen=True)
class Receipt:
    """The proof that an environment is destroyed: what was checked after the removal, and what such a check cannot see."""

    at: datetime
    checked: tuple[str, ...]
    cannot_see: tuple[str, ...]
    reason: str
    image: str
    digest: str | None = None
    """The digest of the image that ran, where the registry could be asked."""


@dataclass(frozen=True)
class Observed:
    """What workers last achieved. Generation 0 means that nothing of this incarnation was made yet."""

    generation: int = 0
    url: str | None = None
    service_arn: str | None = None
    image: str | None = None
    at: datetime | None = None
    digest: str | None = None
    paused: bool = False


@dataclass(frozen=True)
class Environment:
    """The record. `version` grows with each write, `generation` with each change of what is desired."""

    id: str
    owner: str
    created_at: datetime
    updated_at: datetime
    spec: Spec
    incarnation: int = 1
    version: int = 1
    schema: int = SCHEMA
    present: bool = True
    paused: bool = False
    generation: int = 1
    reason: str = "requested"
    ttl: timedelta | None = None
    expires_at: datetime | None = None
    protected: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    idempotency: str | None = None
    observed: Observed = field(default_factory=Observed)
    operation: Operation | None = None
    needs_refresh: bool = False
    """An operation began and did not end well, so the engine's state may differ from the cloud."""
    failure: Failure | None = None
    attempts: int = 0
    retry_at: datetime | None = None
    continuations: int = 0
    dispatched_at: datetime | None = None
    lease: Lease = field(default_factory=Lease)
    expired_leases: tuple[LeaseSpan, ...] = ()
    """The leases of workers that died since the last operation that ended well."""
    removal_retries: int = 0
    """How often the sweep has asked for a failed removal to be tried again."""
    receipt: Receipt | None = None

    @property
    def settled(self) -> bool:
        """Whether the desired state has been achieved."""
        return self.observed.generation == self.generation if self.present else self.receipt is not None

    @property
    def failed_permanently(self) -> bool:
        """Whether the last operation failed for good: it is not tried again until a caller asks again."""
        return self.failure is not None and self.failure.final

    @property
    def outstanding(self) -> bool:
        """Whether a worker has something to do."""
        return not self.settled and not self.failed_permanently

    @property
    def destroyed(self) -> bool:
        """Whether this record is a tombstone."""
        return self.receipt is not None

    @property
    def status(self) -> Status:
        """One word for callers. No decision reads it."""
        if self.destroyed:
            return Status.DESTROYED
        if self.failed_permanently:
            return Status.FAILED
        if not self.present:
            return Status.DESTROYING
        if self.settled:
            return Status.PAUSED if self.paused else Status.READY
        if self.observed.generation:
            return Status.PAUSING if self.paused else Status.RESUMING if self.observed.paused else Status.UPDATING
        return Status.DEPLOYING if self.operation else Status.PENDING

    @property
    def due_at(self) -> datetime | None:
        """When the sweep has to look at this record again, or None.

        The earliest of: its expiry, the end of a lease that should have been released by then, the next retry, and the moment at
        which a worker is asked for again.
        """
        moments = []
        if self.present and not self.protected:
            moments.append(self.expires_at)
        if self.outstanding and self.lease.holder:
            moments.append(self.lease.until)
        elif self.outstanding:
            moments.append(self.retry_at or (self.dispatched_at or self.updated_at) + REDISPATCH_AFTER)
        return min((moment for moment in moments if moment), default=None)

    def expired(self, now: datetime) -> bool:
        """Whether its TTL is over. A protected environment never expires."""
        return self.present and not self.protected and self.expires_at is not None and self.expires_at <= now

    def lease_free(self, now: datetime) -> bool:
        """Whether a worker may claim the lease: it is free, or it has ended, which proves its holder dead."""
        return self.lease.holder is None or (self.lease.until is not None and self.lease.until <= now)
