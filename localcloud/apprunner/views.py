"""The models of the emulator's control API that are not settings, for the server and its client.

They show only what AWS's API does not. Times are seconds since the epoch by the emulator's clock.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from localcloud.apprunner.model import Operation, ServiceStatus


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class ServiceView(_View):
    """A service and the process that runs for it; operations oldest first."""

    name: str
    id: str
    arn: str
    region: str
    url: str
    status: ServiceStatus
    tags: dict[str, str]
    operations: list[Operation]
    pid: int | None = Field(default=None, description="The live process's id, None when none runs")
    log: str | None = Field(default=None, description="The file with the output of its newest process")


class CallView(_View):
    """A request to AWS's API; `target` as in X-Amz-Target, `service` empty where the request names none."""

    at: float
    target: str
    access_key: str | None
    region: str | None
    service: str
    status: int
    error: str | None


class Advance(_View):
    """How far to move the clock on."""

    model_config = ConfigDict(extra="forbid")

    seconds: float = Field(gt=0)
