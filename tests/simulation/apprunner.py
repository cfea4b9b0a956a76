"""App Runner as far as environments use it: services, their operations in progress, and how those end.

The rule: it behaves as AWS's does, as far as that is known: a name is unique, a change is refused during an operation,
an update that was rolled back looks like a running service, and a service that never ran stays until it is deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from orchestrator.domain.names import TAG_ENVIRONMENT
from tests.simulation.faults import Faults

IN_PROGRESS = "OPERATION_IN_PROGRESS"
_BAD_IMAGE = "bad"
"""An image with this in its name never starts."""


class ApiError(Exception):
    """App Runner's refusal, by its code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Ending(NamedTuple):
    """How an operation will end: the service's status and image, and the operation's own status."""

    status: str
    image: str
    operation: str


@dataclass(eq=False)
class SimService:
    """One service. `status` is the one before the operation in progress, which is over at `ends_at`."""

    arn: str
    name: str
    image: str
    tags: Mapping[str, str]
    created_at: float
    foreign: bool = False
    status: str = "NEW"
    ends_at: float | None = None
    ending: Ending | None = None
    operations: list[tuple[str, str]] = field(default_factory=list)
    """Each operation's id and status, the newest last."""
    listed_at: float = 0.0
    deleted_at: float = 0.0

    @property
    def busy(self) -> bool:
        return self.ends_at is not None


class AppRunner:
    """All services of the account and region."""

    def __init__(self, now: Callable[[], float], faults: Faults) -> None:
        self._now = now
        self._faults = faults
        self._services: list[SimService] = []
        self.deleted: list[SimService] = []
        self.most: dict[str, int] = {}
        """The most services that each environment had at once, by its tag."""
        self._created = 0

    def services(self) -> list[SimService]:
        """The services that are not deleted, as they are now."""
        now = self._now()
        over = [service for service in self._services if service.ends_at is not None and service.ends_at <= now]
        for service in over:
            self._end(service)
        return self._services

    def named(self, name: str) -> SimService | None:
        return next((service for service in self.services() if service.name == name), None)

    def at(self, arn: str) -> SimService | None:
        return next((service for service in self.services() if service.arn == arn), None)

    def of(self, environment_id: str) -> list[SimService]:
        """The environment's own services, by their tags."""
        return [
            each for each in self.services() if not each.foreign and each.tags.get(TAG_ENVIRONMENT) == environment_id
        ]

    def create(self, name: str, image: str, tags: Mapping[str, str]) -> SimService:
        if self.named(name):
            raise ApiError("name exists")
        if self._faults.hit("the quota is full"):
            raise ApiError("quota")
        self._created += 1
        now, faults = self._now(), self._faults
        service = SimService(f"arn:service/{name}/{self._created}", name, image, tags, now)
        service.listed_at = now + (faults.between(0, 8) if faults.hit("a service is listed late") else 0)
        fails = _BAD_IMAGE in image or faults.hit("a create fails")
        ending = Ending("CREATE_FAILED", image, "FAILED") if fails else Ending("RUNNING", image, "SUCCEEDED")
        self._begin(service, 40, 240, ending)
        self._services.append(service)
        environment_id = tags.get(TAG_ENVIRONMENT, "")
        self.most[environment_id] = max(self.most.get(environment_id, 0), len(self.of(environment_id)))
        return service

    def update(self, arn: str, image: str) -> SimService:
        service = self._idle(arn, "RUNNING")
        rolled_back = _BAD_IMAGE in image or self._faults.hit("an update is rolled back")
        shown, ended = (service.image, "ROLLBACK_SUCCEEDED") if rolled_back else (image, "SUCCEEDED")
        return self._begin(service, 40, 240, Ending("RUNNING", shown, ended))

    def delete(self, arn: str) -> SimService:
        service = self._idle(arn)
        status, ended = ("DELETE_FAILED", "FAILED") if self._faults.hit("a delete fails") else ("DELETED", "SUCCEEDED")
        return self._begin(service, 10, 90, Ending(status, service.image, ended))

    def pause(self, arn: str) -> SimService:
        return self._turn(arn, "RUNNING", "PAUSED", "a pause does nothing", 10)

    def resume(self, arn: str) -> SimService:
        return self._turn(arn, "PAUSED", "RUNNING", "a resume does nothing", 20)

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        service = self._found(arn)
        service.tags = {**service.tags, **tags}

    def add(self, service: SimService) -> None:
        """A service that exists before the run."""
        self._services.append(service)

    def _turn(self, arn: str, before: str, after: str, fault: str, least_seconds: float) -> SimService:
        service = self._idle(arn, before)
        status, ended = (before, "FAILED") if self._faults.hit(fault) else (after, "SUCCEEDED")
        return self._begin(service, least_seconds, 60, Ending(status, service.image, ended))

    def _idle(self, arn: str, status: str | None = None) -> SimService:
        service = self._found(arn)
        if service.busy or status not in (None, service.status):
            raise ApiError("invalid state")
        return service

    def _found(self, arn: str) -> SimService:
        service = self.at(arn)
        if service is None:
            raise ApiError("not found")
        return service

    def _begin(self, service: SimService, least: float, most: float, ending: Ending) -> SimService:
        faults = self._faults
        seconds = faults.between(least, most)
        if faults.hit("a service is slow"):
            seconds += faults.between(60, 1000)
        if faults.hit("a service is busy for hours"):
            seconds += faults.between(3600, 4 * 3600)
        service.ends_at = self._now() + seconds
        service.ending = ending
        service.operations.append((f"operation-{service.arn}-{len(service.operations)}", "IN_PROGRESS"))
        return service

    def _end(self, service: SimService) -> None:
        assert service.ends_at is not None and service.ending is not None
        service.deleted_at = service.ends_at
        service.ends_at = None
        service.status, service.image, ended = service.ending
        service.operations[-1] = (service.operations[-1][0], ended)
        if service.status == "DELETED":
            self._services.remove(service)
            self.deleted.append(service)
