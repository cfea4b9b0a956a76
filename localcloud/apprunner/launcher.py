"""The port to how a service runs: as a process or as a container.

Rule: a started program listens at the port it was given, on loopback, and its output is in the log it was given.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from localcloud.apprunner.child import Child
from localcloud.apprunner.deployment import Deployment

Start = Callable[[], Child]
"""Starts the program. To be called on a thread that lives at least as long as the program may.

Raises OSError or ValueError when it cannot be started.
"""


class Launcher(Protocol):
    """Finds what runs for an image. Safe to use from any thread."""

    def prepare(self, deployment: Deployment, port: int, log: Path) -> Start:
        """Do all that takes time and return what starts the program. Raises DeploymentFailed, also for an unknown image."""
