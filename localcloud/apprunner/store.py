"""The services that exist, in memory, by ARN.

Rule: code that reads a service in order to change it holds `lock` from the read to the write.
"""

from __future__ import annotations

import itertools
import threading

from localcloud.apprunner.errors import NotFound
from localcloud.apprunner.model import Service, ServiceStatus


class Store:
    """All regions of one account."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._services: dict[str, Service] = {}
        self.numbers = itertools.count(1)
        """Numbers for new services; they go on after a reset."""

    def put(self, service: Service) -> None:
        """Write a service, new or changed."""
        with self.lock:
            self._services[service.arn] = service

    def find(self, arn: str) -> Service | None:
        """A service in any state and region."""
        with self.lock:
            return self._services.get(arn)

    def service(self, arn: str, region: str, kind: str = "Service") -> Service:
        """A service in any state. Raises NotFound, which calls it a `kind`, also for one of another region."""
        found = self.find(arn)
        if found is None or found.region != region:
            raise NotFound(f"{kind} with the provided ARN was not found: {arn}")
        return found

    def services(self, region: str) -> list[Service]:
        """The services of a region that are not deleted, oldest first."""
        return [
            each for each in self.all_services() if each.region == region and each.status is not ServiceStatus.DELETED
        ]

    def all_services(self) -> list[Service]:
        """Every service since the start or the last reset, of all regions, deleted ones included."""
        with self.lock:
            return list(self._services.values())

    def clear(self) -> None:
        """Forget everything."""
        with self.lock:
            self._services.clear()
