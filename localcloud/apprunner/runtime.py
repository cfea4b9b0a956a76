"""The port to what really runs the services.

Rules: a service's address is reserved once and stays until it is released, through pauses and updates; `deploy`
returns only when the service is healthy; at any time at most one instance of a service runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class DeploymentFailed(Exception):
    """The service did not become healthy; the message says why, without anything the application printed."""


@dataclass(frozen=True)
class HealthCheck:
    """A service is healthy after so many successful checks in a row. `timeout` in seconds; a path only for HTTP."""

    path: str | None = None
    timeout: float = 2.0
    healthy_threshold: int = 1


@dataclass(frozen=True)
class Deployment:
    """What to run for a service. Names of secrets are given so that a runtime can log that it leaves them out."""

    service_id: str
    name: str
    image: str
    variables: Mapping[str, str] = field(default_factory=dict)
    secret_names: tuple[str, ...] = ()
    start_command: str | None = None
    health: HealthCheck = HealthCheck()


@dataclass(frozen=True)
class Instance:
    """Something that runs, or ran last, for a service."""

    service_id: str
    pid: int
    alive: bool
    log: Path


class Runtime(Protocol):
    """Runs services. Safe to use from any thread; calls for one service wait for one another."""

    def reserve(self, service_id: str) -> str:
        """Give a service its address, a URL on loopback."""

    def deploy(self, deployment: Deployment) -> None:
        """Run this in place of what runs for the service. Raises DeploymentFailed, and then nothing runs for it."""

    def stop(self, service_id: str) -> None:
        """End what runs for the service; the address stays reserved."""

    def release(self, service_id: str) -> None:
        """End what runs, also in the middle of a deployment, and give the address back. An unknown service is no error."""

    def instances(self) -> Sequence[Instance]:
        """What runs or ran last for each service that has an address."""

    def close(self) -> None:
        """Release everything."""
