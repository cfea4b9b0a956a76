"""App Runner as far as environments use it: services, what is in progress on them, and how that ends.

The rule: it does what AWS's does, as far as the project's facts go: one name once, changes refused while something is in
progress, a rolled-back update that looks like a running service, what never ran still there to be deleted. It knows nothing of
who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.simulation.faults import Faults

IN_PROGRESS = "OPERATION_IN_PROGRESS"
BAD_IMAGE = "bad"
"""What an image is called that never starts."""


class ApiError(Exception):
    """App Runner's refusal, by its code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(eq=False)
class SimService:
    """One service. `status` is what it was before the operation in progress; `ends_at` is when that is over."""

    arn: str
    name: str
    image: str
    tags: Mapping[str, str]
    created_at: float
    foreign: bool = False
    status: str = "NEW"
    ends_at: float | None = None
    after: tuple[str, str, str] = ("", "", "")
    """Status, image and the operation's status once it is over."""
    operations: list[tuple[str, str]] = field(default_factory=list)
    """Id and status, the newest last."""
    listed_at: float = 0.0
    gone_at: float = 0.0

    @property
    def busy(self) -> bool:
        return self.ends_at is not None


class AppRunner:
    """All services of the account and region."""

    def __init__(self, now: Callable[[], float], faults: Faults) -> None:
        self._now = now
        self._faults = faults
        self.services: list[SimService] = []
        """All that are not deleted. Read `current` first."""
        self.deleted: list[SimService] = []
        self.most: dict[str, int] = {}
        """The most services that any one environment had at once, by its tag."""
        self._made = 0

    def current(self) -> list[SimService]:
        """The services as they are now: what is over by now has ended."""
        now = self._now()
        ended = [service for service in self.services if service.ends_at is not None and service.ends_at <= now]
        for service in ended:
            self._end(service)
        return self.services

    def named(self, name: str) -> SimService | None:
        return next((service for service in self.current() if service.name == name), None)

    def at(self, arn: str) -> SimService | None:
        return next((service for service in self.current() if service.arn == arn), None)

    def create(self, name: str, image: str, tags: Mapping[str, str]) -> SimService:
        if self.named(name):
            raise ApiError("name exists")
        if self._faults.hit("the quota is full"):
            raise ApiError("quota")
        self._made += 1
        now, faults = self._now(), self._faults
        service = SimService(f"arn:service/{name}/{self._made}", name, image, tags, now)
        service.listed_at = now + (faults.between(0, 8) if faults.hit("a service is listed late") else 0)
        fails = BAD_IMAGE in image or faults.hit("a create fails")
        end = ("CREATE_FAILED", image, "FAILED") if fails else ("RUNNING", image, "SUCCEEDED")
        self._begin(service, faults.between(40, 240), end)
        self.services.append(service)
        owner = tags.get("fibfactory:environment", "")
        count = sum(each.tags.get("fibfactory:environment") == owner for each in self.services)
        self.most[owner] = max(self.most.get(owner, 0), count)
        return service

    def update(self, arn: str, image: str) -> SimService:
        service = self._idle(arn)
        if service.status != "RUNNING":
            raise ApiError("invalid state")
        back = BAD_IMAGE in image or self._faults.hit("an update is rolled back")
        end = ("RUNNING", service.image, "ROLLBACK_SUCCEEDED") if back else ("RUNNING", image, "SUCCEEDED")
        self._begin(service, self._faults.between(40, 240), end)
        return service

    def delete(self, arn: str) -> SimService:
        service = self._idle(arn)
        stays = self._faults.hit("a delete fails")
        end = ("DELETE_FAILED", service.image, "FAILED") if stays else ("DELETED", service.image, "SUCCEEDED")
        self._begin(service, self._faults.between(10, 90), end)
        return service

    def pause(self, arn: str) -> SimService:
        service = self._idle(arn)
        if service.status != "RUNNING":
            raise ApiError("invalid state")
        stays = self._faults.hit("a pause does nothing")
        end = ("RUNNING", service.image, "FAILED") if stays else ("PAUSED", service.image, "SUCCEEDED")
        self._begin(service, self._faults.between(10, 60), end)
        return service

    def resume(self, arn: str) -> SimService:
        service = self._idle(arn)
        if service.status != "PAUSED":
            raise ApiError("invalid state")
        stays = self._faults.hit("a resume does nothing")
        end = ("PAUSED", service.image, "FAILED") if stays else ("RUNNING", service.image, "SUCCEEDED")
        self._begin(service, self._faults.between(20, 60), end)
        return service

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        service = self.at(arn)
        if service is None:
            raise ApiError("not found")
        service.tags = {**service.tags, **tags}

    def put_there(self, service: SimService) -> None:
        """A service that somebody else made."""
        self.services.append(service)

    def _idle(self, arn: str) -> SimService:
        service = self.at(arn)
        if service is None:
            raise ApiError("not found")
        if service.busy:
            raise ApiError("invalid state")
        return service

    def _begin(self, service: SimService, seconds: float, end: tuple[str, str, str]) -> None:
        faults = self._faults
        if faults.hit("a service is slow"):
            seconds += faults.between(60, 1000)
        if faults.hit("a service is wedged"):
            seconds += faults.between(3600, 4 * 3600)
        service.ends_at = self._now() + seconds
        service.after = end
        service.operations.append((f"operation-{service.arn}-{len(service.operations)}", "IN_PROGRESS"))

    def _end(self, service: SimService) -> None:
        status, image, ended = service.after
        assert service.ends_at is not None
        service.gone_at = service.ends_at
        service.ends_at = None
        service.status, service.image = status, image
        service.operations[-1] = (service.operations[-1][0], ended)
        if status == "DELETED":
            self.services.remove(service)
            self.deleted.append(service)
