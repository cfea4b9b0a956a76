"""What a runtime has to run, the interface to what starts it (a process or a container), and what it reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from localcloud.apprunner.child import Child

Start = Callable[[], Child]
"""Starts the program. To be called on a thread that lives at least as long as the program may.

Raises OSError or ValueError when it cannot be started.
"""


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


class Launcher(Protocol):
    """Finds what runs for an image. Safe to use from any thread.

    A started program listens at the port it was given, on loopback, and its output is in the log it was given.
    """

    def prepare(self, deployment: Deployment, port: int, log: Path) -> Start:
        """Do all that takes time and return what starts the program. Raises DeploymentFailed, also for an unknown image."""
