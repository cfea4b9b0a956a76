"""What the emulator holds: services with their operations, and the caller of a request.

Frozen values without behaviour. A configuration block has AWS's own shape and names, because botocore's model already
defines it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from localcloud.settings import ACCOUNT

Block = Mapping[str, Any]
"""A structure of AWS's API, as in a request or an answer."""

Configuration = dict[str, Any]
"""All that can be configured about a service, complete with defaults: `SourceConfiguration` and its like to blocks."""


class ServiceStatus(StrEnum):
    """The states of a service."""

    CREATE_FAILED = "CREATE_FAILED"
    RUNNING = "RUNNING"
    DELETED = "DELETED"
    DELETE_FAILED = "DELETE_FAILED"
    PAUSED = "PAUSED"
    OPERATION_IN_PROGRESS = "OPERATION_IN_PROGRESS"


class OperationType(StrEnum):
    """The operations that take time."""

    CREATE_SERVICE = "CREATE_SERVICE"
    UPDATE_SERVICE = "UPDATE_SERVICE"
    DELETE_SERVICE = "DELETE_SERVICE"
    PAUSE_SERVICE = "PAUSE_SERVICE"
    RESUME_SERVICE = "RESUME_SERVICE"
    START_DEPLOYMENT = "START_DEPLOYMENT"

    @property
    def api_name(self) -> str:
        """The API's operation that starts it, for example `CreateService`."""
        return self.title().replace("_", "")


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
    """The signer of a request, as far as the signature's credential scope shows it."""

    access_key: str
    region: str
    account: str = ACCOUNT


@dataclass(frozen=True)
class Operation:
    """One operation on a service; times in seconds since the epoch. Only the control API shows `reason`, that of a failure."""

    id: str
    type: OperationType
    status: OperationStatus
    started_at: float
    updated_at: float
    ended_at: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Before:
    """A service's state before the operation in progress, to which a failed operation returns."""

    status: ServiceStatus
    configuration: Configuration


@dataclass(frozen=True)
class Service:
    """A service. `number` grows with each service created and orders lists; `operations` are oldest first."""

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
    before: Before | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    operations: tuple[Operation, ...] = ()
