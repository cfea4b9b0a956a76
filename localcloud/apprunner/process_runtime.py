"""The runtime that runs each service as a process on loopback: the command that the images file names for its image.

Rules:
- A service keeps its port from `reserve` to `release`. A new deployment ends the old process and starts the new one
  on the same port, so for that moment nothing answers, where App Runner would switch over without a gap.
- A process gets a short, listed environment and never the emulator's credentials. Secrets are references into other
  services, which this runtime does not read: they are left out, and the log says so.
- A start command of the caller's is not run: on a laptop it would be any command of anybody who can send a request.
- Health checks use the configured protocol, path, timeout and healthy threshold. They follow each other quickly
  instead of at the configured interval, and a process has `start_timeout` seconds instead of the unhealthy threshold,
  because a laptop is slower to start twenty at once and its user is less patient.
- A healthy service is not watched on; one that dies later is collected and seen in `instances`, not started again.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from localcloud.apprunner.child import Child
from localcloud.apprunner.held_port import HOST, HeldPort, Ports
from localcloud.apprunner.images import ImagesFileError, Program, load_images
from localcloud.apprunner.probe import is_healthy
from localcloud.apprunner.runtime import Deployment, DeploymentFailed, Instance

_PROBE_SECONDS = 0.05
_REMOVED = "the service has been removed"
# The last one marks all processes of a cloud, so that whoever cleans up after a crash finds them.
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LANG", "FIBFACTORY_CLOUD")


@dataclass
class _Place:
    """Where a service runs. `lock` is held for a whole deployment; `closed` ends one that is under way."""

    port: HeldPort
    lock: threading.Lock = field(default_factory=threading.Lock)
    closed: threading.Event = field(default_factory=threading.Event)
    child: Child | None = None
    log: Path | None = None


class ProcessRuntime:
    """Runs services as processes. Logs go below `folder`, named like App Runner's log groups, and stay there."""

    def __init__(self, images: Path, folder: Path, *, start_timeout: float, stop_timeout: float) -> None:
        self._images = images
        self._folder = folder
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        self._ports = Ports()
        self._lock = threading.Lock()
        self._places: dict[str, _Place] = {}
        # One thread that stays: the kernel ends a child with the thread that started it.
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")

    def reserve(self, service_id: str) -> str:
        """Give a service its port; returns its URL."""
        place = _Place(self._ports.hold())
        with self._lock:
            self._places[service_id] = place
        return f"http://{HOST}:{place.port.number}"

    def deploy(self, deployment: Deployment) -> None:
        """Run this in place of what runs. Raises DeploymentFailed."""
        place = self._find(deployment.service_id)
        if place is None:
            raise DeploymentFailed(_REMOVED)
        program = self._program(deployment)
        with place.lock:
            if place.closed.is_set():
                raise DeploymentFailed(_REMOVED)
            self._end(place)
            place.log = log = self._log_file(deployment)
            place.child = child = self._start(program, deployment, place.port.number, log)
            try:
                self._wait_healthy(child, deployment, place)
            except DeploymentFailed as error:
                self._end(place)
                raise DeploymentFailed(f"{error}; see {log}") from error

    def stop(self, service_id: str) -> None:
        """End what runs; the port stays."""
        place = self._find(service_id)
        if place:
            with place.lock:
                self._end(place)

    def release(self, service_id: str) -> None:
        """End what runs and give the port back."""
        with self._lock:
            place = self._places.pop(service_id, None)
        if place:
            place.closed.set()
            # Before the lock: a deployment that waits for an answer gives up once nobody is there to give one.
            self._end(place)
            with place.lock:
                self._end(place)
            place.port.release()

    def instances(self) -> Sequence[Instance]:
        """What runs or ran last."""
        with self._lock:
            places = list(self._places.items())
        found = [(service_id, place.child, place.log) for service_id, place in places]
        return [
            Instance(service_id, child.pid, child.status is None, log)
            for service_id, child, log in found
            if child and log
        ]

    def close(self) -> None:
        """Release everything; all processes end at the same time."""
        with self._lock:
            open_places = list(self._places)
        with ThreadPoolExecutor(max_workers=max(1, len(open_places))) as pool:
            list(pool.map(self.release, open_places))
        self._starter.shutdown()

    def _find(self, service_id: str) -> _Place | None:
        with self._lock:
            return self._places.get(service_id)

    def _program(self, deployment: Deployment) -> Program:
        if deployment.start_command:
            raise DeploymentFailed("this runtime does not run a StartCommand")
        try:
            program = load_images(self._images).program(deployment.image)
        except ImagesFileError as error:
            raise DeploymentFailed(str(error)) from error
        if program is None:
            raise DeploymentFailed(f"no such image: {deployment.image} (none of {self._images})")
        return program

    def _start(self, program: Program, deployment: Deployment, port: int, log: Path) -> Child:
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment |= {**program.environment, **deployment.variables, "PORT": str(port), "HOST": HOST}
        if deployment.secret_names:
            with log.open("a") as out:
                out.write(f"not resolved on this machine and left out: {', '.join(deployment.secret_names)}\n")
        try:
            return self._starter.submit(
                Child, program.command, folder=program.folder, environment=environment, log=log
            ).result()
        except (OSError, ValueError, RuntimeError) as error:
            # A folder that is not there; a variable with a NUL in it; a runtime that is closing.
            raise DeploymentFailed(f"the process could not be started: {error}") from error

    def _wait_healthy(self, child: Child, deployment: Deployment, place: _Place) -> None:
        deadline = time.monotonic() + self._start_timeout
        healthy = 0
        while healthy < deployment.health.healthy_threshold:
            if child.ended.wait(_PROBE_SECONDS):
                raise DeploymentFailed(f"the process ended with status {child.status} before it was healthy")
            if place.closed.is_set():
                raise DeploymentFailed(_REMOVED)
            if time.monotonic() > deadline:
                raise DeploymentFailed(f"the health check did not succeed within {self._start_timeout:g} s")
            healthy = healthy + 1 if is_healthy(HOST, place.port.number, deployment.health) else 0

    def _end(self, place: _Place) -> None:
        if place.child:
            place.child.stop(self._stop_timeout)

    def _log_file(self, deployment: Deployment) -> Path:
        log = self._folder / "aws" / "apprunner" / deployment.name / deployment.service_id / "application.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        return log
