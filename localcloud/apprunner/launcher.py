"""The port to how a service runs: as a process or as a container.

Rule: a started program listens at the port it was given, on loopback, and its output is in the log it was given.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from localcloud.apprunner.runtime import Deployment


class Running(Protocol):
    """A program that was started for a service."""

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
"""Starts the program. To be called on a thread that lives at least as long as the program may.

Raises OSError or ValueError when it cannot be started.
"""


class Launcher(Protocol):
    """Finds what runs for an image. Safe to use from any thread."""

    def prepare(self, deployment: Deployment, port: int, log: Path) -> Start:
        """Do all that takes time and return what starts the program. Raises DeploymentFailed, also for an unknown image."""
