"""What exists: services and automatic scaling configurations, in memory, by ARN.

Rule: whoever reads to change holds `lock` from the read to the write.
"""

from __future__ import annotations

import threading

from localcloud.apprunner.errors import NotFound
from localcloud.apprunner.model import AutoScaling, Service, ServiceStatus


class Store:
    """All regions of one account."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._services: dict[str, Service] = {}
        self._autoscaling: dict[str, AutoScaling] = {}
        self._last_number = 0

    def next_number(self) -> int:
        """A number greater than any before it, also across a reset."""
        with self.lock:
            self._last_number += 1
            return self._last_number

    def put(self, resource: Service | AutoScaling) -> None:
        """Write a resource, new or changed."""
        with self.lock:
            if isinstance(resource, Service):
                self._services[resource.arn] = resource
            else:
                self._autoscaling[resource.arn] = resource

    def find_service(self, arn: str) -> Service | None:
        """A service in any state and region."""
        with self.lock:
            return self._services.get(arn)

    def find(self, arn: str) -> Service | AutoScaling | None:
        """A service or an automatic scaling configuration by its full ARN."""
        with self.lock:
            return self._services.get(arn) or self._autoscaling.get(arn)

    def service(self, arn: str, region: str) -> Service:
        """A service in any state. Raises NotFound, also for one of another region."""
        found = self.find_service(arn)
        if found is None or found.region != region:
            raise NotFound(f"Service with the provided ARN was not found: {arn}")
        return found

    def services(self, region: str | None = None) -> list[Service]:
        """The services that are not deleted, of one region or of all."""
        with self.lock:
            alive = (each for each in self._services.values() if each.status is not ServiceStatus.DELETED)
            return [each for each in alive if region in (None, each.region)]

    def all_services(self) -> list[Service]:
        """Every service there ever was since the start or the last reset."""
        with self.lock:
            return list(self._services.values())

    def autoscaling(self, region: str) -> list[AutoScaling]:
        """A region's automatic scaling configurations, active or not."""
        with self.lock:
            return [each for each in self._autoscaling.values() if each.region == region]

    def clear(self) -> None:
        """Forget everything."""
        with self.lock:
            self._services.clear()
            self._autoscaling.clear()
