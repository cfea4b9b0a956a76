"""What the emulator holds: services, their operations, automatic scaling configurations, and who calls.

Rule: frozen values without behaviour. A configuration block has AWS's own shape and names, because botocore's model
already defines it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Block = Mapping[str, Any]
"""A structure of AWS's API, as a request carried it or an answer will."""


class ServiceStatus(StrEnum):
    """The states a service is seen in."""

    CREATE_FAILED = "CREATE_FAILED"
    RUNNING = "RUNNING"
    DELETED = "DELETED"
    DELETE_FAILED = "DELETE_FAILED"
    PAUSED = "PAUSED"
    OPERATION_IN_PROGRESS = "OPERATION_IN_PROGRESS"


class OperationType(StrEnum):
    """What takes time."""

    CREATE_SERVICE = "CREATE_SERVICE"
    UPDATE_SERVICE = "UPDATE_SERVICE"
    DELETE_SERVICE = "DELETE_SERVICE"
    PAUSE_SERVICE = "PAUSE_SERVICE"
    RESUME_SERVICE = "RESUME_SERVICE"
    START_DEPLOYMENT = "START_DEPLOYMENT"


class OperationStatus(StrEnum):
    """How far an operation is. AWS also has PENDING; here an operation starts at once."""

    IN_PROGRESS = "IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ROLLBACK_IN_PROGRESS = "ROLLBACK_IN_PROGRESS"
    ROLLBACK_SUCCEEDED = "ROLLBACK_SUCCEEDED"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"


@dataclass(frozen=True)
class Caller:
    """Whoever signed a request, as far as the signature's credential scope says it."""

    access_key: str
    region: str
    account: str


@dataclass(frozen=True)
class Configuration:
    """All that can be configured about a service, complete with defaults."""

    source: Block
    instance: Block
    health_check: Block
    network: Block
    autoscaling_arn: str
    observability: Block | None = None
    encryption: Block | None = None


@dataclass(frozen=True)
class Operation:
    """One operation on a service; times in seconds since the epoch. Only the emulator's own door tells `reason`."""

    id: str
    type: OperationType
    status: OperationStatus
    started_at: float
    updated_at: float
    ended_at: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Settled:
    """What a service was before the operation in progress: where a failed one goes back to."""

    status: ServiceStatus
    configuration: Configuration


@dataclass(frozen=True)
class Service:
    """A service. `number` grows with each resource made and orders lists; `operations` are oldest first."""

    number: int
    name: str
    id: str
    arn: str
    region: str
    url: str
    status: ServiceStatus
    configuration: Configuration
    created_at: float
    updated_at: float
    deleted_at: float | None = None
    before: Settled | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    operations: tuple[Operation, ...] = ()


@dataclass(frozen=True)
class AutoScaling:
    """One revision of an automatic scaling configuration."""

    number: int
    name: str
    revision: int
    arn: str
    region: str
    max_concurrency: int
    min_size: int
    max_size: int
    created_at: float
    deleted_at: float | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
