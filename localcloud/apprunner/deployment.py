"""What a runtime gets to run, and what it says about what runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


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
