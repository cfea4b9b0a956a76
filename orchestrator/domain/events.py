"""What can happen to an environment: the kinds of its events, stable identifiers that the API's contract lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    """The kind of one event. Clients may compare it; messages are for people and may change."""

    # A caller asked for something.
    REQUESTED = "requested"
    ADJUSTED = "adjusted"
    REMOVAL_REQUESTED = "removal_requested"
    PAUSE_REQUESTED = "pause_requested"
    RESUME_REQUESTED = "resume_requested"
    REVIVED = "revived"

    # A worker began an operation, or one ended.
    DEPLOYING = "deploying"
    UPDATING = "updating"
    PAUSING = "pausing"
    RESUMING = "resuming"
    DESTROYING = "destroying"
    PROGRESS = "progress"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    READY = "ready"
    PAUSED = "paused"
    DESTROYED = "destroyed"

    # A light sweep found something due.
    EXPIRED = "expired"
    LEASE_EXPIRED = "lease_expired"
    RETRY_DUE = "retry_due"
    NOT_PICKED_UP = "not_picked_up"

    # A deep sweep found drift and acted on it.
    ORPHAN_SERVICE = "orphan_service"
    ORPHAN_STACK = "orphan_stack"
    MISSING_SERVICE = "missing_service"
    DRIFTED = "drifted"
    UNFINISHED_REMOVAL = "unfinished_removal"


@dataclass(frozen=True)
class Event:
    """Something that happened to an environment; `data` is small and holds no secrets."""

    at: datetime
    kind: EventKind
    message: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
