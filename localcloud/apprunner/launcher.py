"""The port to what a service runs as: a process, or a container.

Rule: whatever was started listens at the port it was given, on loopback, and writes what it says to the log it was given.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from localcloud.apprunner.runtime import Deployment


class Running(Protocol):
    """Something that was started for a service."""

    ended: threading.Event

    @property
    def pid(self) -> int:
        """The process that can be watched for it."""

    @property
    def status(self) -> int | None:
        """None while it runs; then its exit status, negative for a signal."""

    def stop(self, grace: float) -> None:
        """End it: SIGTERM, after `grace` seconds SIGKILL. Returns when nothing of it is left. Can be called again."""


Start = Callable[[], Running]
"""Starts it; to be called on a thread that lives as long as what it starts may.

OSError and ValueError: it could not be started.
"""


class Launcher(Protocol):
    """Knows images. Safe to use from any thread."""

    def prepare(self, deployment: Deployment, port: int, log: Path) -> Start:
        """Do all that takes time and return what starts it. Raises DeploymentFailed, also for an image that is not known."""
