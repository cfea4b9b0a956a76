"""What the emulator's own door shows, as JSON outside and as these models on both of its sides.

Rule: only what AWS's API does not tell. Times are seconds since the epoch by the emulator's clock.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from localcloud.apprunner.model import OperationStatus, OperationType, ServiceStatus


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class OperationView(_View):
    """An operation, with the reason of its failure."""

    id: str
    type: OperationType
    status: OperationStatus
    started_at: float
    ended_at: float | None
    reason: str | None


class ServiceView(_View):
    """A service and the process that runs for it; operations oldest first."""

    name: str
    id: str
    arn: str
    region: str
    url: str
    status: ServiceStatus
    tags: dict[str, str]
    operations: list[OperationView]
    pid: int | None = Field(description="The live process's id, None when none runs")
    log: str | None = Field(description="The file with what its newest process printed")


class CallView(_View):
    """A request to AWS's side; `target` as in X-Amz-Target, `service` empty where the request names none."""

    at: float
    target: str
    access_key: str | None
    region: str | None
    service: str
    status: int
    error: str | None


class ClockView(_View):
    """The time by the emulator's clock."""

    now: float


class Advance(_View):
    """How far to move the clock on."""

    model_config = ConfigDict(extra="forbid")

    seconds: float = Field(gt=0)
