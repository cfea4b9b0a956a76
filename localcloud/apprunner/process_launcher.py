"""Services as processes: the command that the images file names for an image.

Rule: a process gets a short, listed environment and never the emulator's credentials.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from localcloud.apprunner.child import Child
from localcloud.apprunner.deployment import Deployment, DeploymentFailed, Start
from localcloud.apprunner.images import ImagesFileError, Program, load_images
from localcloud.settings import HOST

# The last one marks all processes of a cloud, so that the clean-up after a crash finds them.
_INHERITED = ("PATH", "HOME", "TMPDIR", "LANG", "FIBFACTORY_CLOUD")


class ProcessLauncher:
    """Runs what the images file names; the file is read anew for each deployment."""

    def __init__(self, images: Path) -> None:
        self._images = images

    def prepare(self, deployment: Deployment, port: int, log: Path) -> Start:
        """Find the image's command."""
        program = self._program(deployment.image)
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        environment |= {**program.environment, **deployment.variables, "PORT": str(port), "HOST": HOST}
        return partial(Child, program.command, folder=program.folder, environment=environment, log=log)

    def _program(self, image: str) -> Program:
        try:
            program = load_images(self._images).program(image)
        except ImagesFileError as error:
            raise DeploymentFailed(str(error)) from error
        if program is None:
            raise DeploymentFailed(f"no such image: {image} (none of {self._images})")
        return program
