"""What a sweep found, what it did about it, and the report of the whole run: one shape from the sweep to the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class SweepKind(StrEnum):
    """A light sweep looks for what is due; a deep one also compares the cloud with the records."""

    LIGHT = "light"
    DEEP = "deep"


class SweepStatus(StrEnum):
    """How far a sweep has come, or how it ended; `SweepReport.detail` says why."""

    REQUESTED = "requested"
    PLANNED = "planned"
    DONE = "done"
    SKIPPED = "skipped"
    ABORTED = "aborted"
    STOPPED = "stopped"
    FAILED = "failed"


class FindingKind(StrEnum):
    """What was found. The kind of the event that the sweep writes has the same name."""

    # Due, by the record alone.
    DUE = "due"
    """The index says so; the record was not read yet, or could not be."""
    EXPIRED = "expired"
    LEASE_EXPIRED = "lease_expired"
    RETRY_DUE = "retry_due"
    NOT_PICKED_UP = "not_picked_up"

    # Drift: the cloud and the records disagree.
    ORPHAN_SERVICE = "orphan_service"
    ORPHAN_STACK = "orphan_stack"
    ORPHAN_RESOURCE = "orphan_resource"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"
    MISSING_SERVICE = "missing_service"
    MISSING_STACK = "missing_stack"
    DRIFTED = "drifted"
    UNFINISHED_REMOVAL = "unfinished_removal"
    QUARANTINED = "quarantined"
    UNREADABLE_RECORD = "unreadable_record"


class Action(StrEnum):
    """What may be done about a finding."""

    KEEP = "keep"
    """Nothing: it is reported only."""
    SUSPECT = "suspect"
    """Nothing yet: a later deep sweep removes it if no record accounts for it by then."""
    REMOVE = "remove"
    RESTORE = "restore"
    RETRY_REMOVAL = "retry_removal"
    DISPATCH = "dispatch"
    """A worker is asked for, as the record already says what is desired."""


class Outcome(StrEnum):
    """What became of a finding in this run."""

    PLANNED = "planned"
    DISPATCHED = "dispatched"
    KEPT = "kept"
    SUSPECTED = "suspected"
    DEFERRED = "deferred"
    """Left for the next run."""
    CHANGED_MEANWHILE = "changed_meanwhile"
    """The record changed first, so it was left alone."""
    ABORTED = "aborted"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One thing that a sweep found. `environment` is None for something that has no environment's name."""

    kind: FindingKind
    action: Action
    environment: str | None
    because: str
    outcome: Outcome = Outcome.PLANNED
    error: str | None = None
    """Why the action failed."""
    overdue_seconds: int = 0
    """How long it has been due; 0 for drift."""


@dataclass(frozen=True)
class SweepReport:
    """A sweep's request, its plan (`dry_run`) or its report. `findings` may be cut; `finding_count` counts all."""

    id: str
    kind: SweepKind
    dry_run: bool
    status: SweepStatus
    requested_at: datetime
    detail: str = ""
    ended_at: datetime | None = None
    looked_for: str = ""
    backlog: int = 0
    """What was due and is left for the next run."""
    oldest_overdue_seconds: int = 0
    finding_count: int = 0
    failures: int = 0
    kept: int = 0
    findings: tuple[Finding, ...] = ()
    inventory: Mapping[str, int] | None = None
    """How much a deep sweep compared."""
