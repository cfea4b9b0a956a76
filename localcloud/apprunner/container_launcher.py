"""Services as containers, where the cloud's registry has the image and a Docker daemon answers; else started by another launcher.

Rules:
- An image is pulled and started by the digest that its tag has when the service is deployed.
- A container shares the machine's network, as bridges do not work everywhere. PORT is its port and HOST the loopback address: an
  image that listens elsewhere never becomes healthy, or, if it ignores HOST alone, can be reached from outside this machine.
- A container is removed when its service stops. If the emulator is killed, the cleanup watchdog finds containers by their mark.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import secrets
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from localcloud.apprunner.child import Child
from localcloud.apprunner.deployment import Deployment, DeploymentFailed, Launcher, Start
from localcloud.docker_cli import LABEL, DockerFailed, docker, no_docker
from localcloud.processes import MARK
from localcloud.registry import Registry
from localcloud.settings import HOST

_PULL_SECONDS = 300.0


class Container(Child):
    """A container, by the docker command attached to it: its output, its signals, its exit status."""

    def __init__(self, name: str, *, environment: Mapping[str, str], log: Path) -> None:
        self._name = name
        command = ("docker", "start", "--attach", name)
        super().__init__(command, folder=Path("/"), environment=environment, log=log)

    def stop(self, grace: float) -> None:
        """End it, and remove it."""
        # The command passes SIGTERM on, unless it comes too early: then the container was only created, or is killed here.
        super().stop(grace)
        with contextlib.suppress(DockerFailed):
            docker("rm", "--force", "--volumes", self._name)


class ContainerLauncher:
    """Runs images of the cloud's registry; `otherwise` launches all that cannot be a container here."""

    def __init__(self, registry: Registry, otherwise: Launcher) -> None:
        self._registry = registry
        self._otherwise = otherwise

    def prepare(self, deployment: Deployment, port: int, log: Path) -> Start:
        """Pull the image and create the container."""
        image = self._pullable(deployment.image)
        if image is None:
            return self._otherwise.prepare(deployment, port, log)
        reason = no_docker()
        if reason:
            with log.open("a") as out:
                out.write(f"not run as a container, because no Docker daemon answers: {reason}\n")
            return self._otherwise.prepare(deployment, port, log)
        try:
            docker("pull", "--quiet", image, seconds=_PULL_SECONDS)
            name = self._create(image, deployment, port)
        except DockerFailed as error:
            raise DeploymentFailed(f"the container could not be created: {error}") from error
        return partial(Container, name, environment=os.environ, log=log)

    def _pullable(self, image: str) -> str | None:
        try:
            return self._registry.pullable(image)
        except (OSError, http.client.HTTPException) as error:
            raise DeploymentFailed(f"the registry at {self._registry.address} does not answer: {error}") from error

    def _create(self, image: str, deployment: Deployment, port: int) -> str:
        # A service's next container is created while the last one still runs.
        name = f"{deployment.name}-{deployment.service_id[:8]}-{secrets.token_hex(4)}"
        variables = {**deployment.variables, "PORT": str(port), "HOST": HOST}
        given = [argument for key, value in variables.items() for argument in ("--env", f"{key}={value}")]
        marked = ("--label", f"{LABEL}={os.environ.get(MARK, '')}")
        docker("create", "--name", name, *marked, "--network", "host", *given, image)
        return name
