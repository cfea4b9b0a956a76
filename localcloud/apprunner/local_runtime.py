"""The runtime that runs services on this machine, each at a loopback port of its own.

Rules:
- A service keeps its port from `reserve` to `release`. A new deployment ends what ran and starts the new one
  on the same port, so for that moment nothing answers, where App Runner would switch over without a gap.
- Secrets are references into other services, which this runtime does not read: they are left out, and the log says so.
- A start command of the caller's is not run: on a laptop it would be any command of anybody who can send a request.
- Health checks use the configured protocol, path, timeout and healthy threshold. They follow each other quickly
  instead of at the configured interval, and a service has `start_timeout` seconds instead of the unhealthy threshold,
  because a laptop is slower to start twenty at once and its user is less patient.
- A healthy service is not watched on; one that dies later is collected and seen in `instances`, not started again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from localcloud.apprunner.held_port import HOST, HeldPort, Ports
from localcloud.apprunner.launcher import Launcher, Running
from localcloud.apprunner.probe import is_healthy
from localcloud.apprunner.runtime import Deployment, DeploymentFailed, Instance

_PROBE_SECONDS = 0.05
_REMOVED = "the service has been removed"


@dataclass
class _Place:
    """Where a service runs. `lock` is held for a whole deployment; `closed` ends one that is under way."""

    port: HeldPort
    lock: threading.Lock = field(default_factory=threading.Lock)
    closed: threading.Event = field(default_factory=threading.Event)
    running: Running | None = None
    log: Path | None = None


class LocalRuntime:
    """Runs services as `launcher` knows how. Logs go below `folder`, named like App Runner's log groups, and stay there."""

    def __init__(self, launcher: Launcher, folder: Path, *, start_timeout: float, stop_timeout: float) -> None:
        self._launcher = launcher
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
        if deployment.start_command:
            raise DeploymentFailed("this runtime does not run a StartCommand")
        with place.lock:
            if place.closed.is_set():
                raise DeploymentFailed(_REMOVED)
            self._replace(place, deployment)

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
        found = [(service_id, place.running, place.log) for service_id, place in places]
        return [
            Instance(service_id, running.pid, running.status is None, log)
            for service_id, running, log in found
            if running and log
        ]

    def close(self) -> None:
        """Release everything; all of it ends at the same time."""
        with self._lock:
            open_places = list(self._places)
        with ThreadPoolExecutor(max_workers=max(1, len(open_places))) as pool:
            list(pool.map(self.release, open_places))
        self._starter.shutdown()

    def _find(self, service_id: str) -> _Place | None:
        with self._lock:
            return self._places.get(service_id)

    def _replace(self, place: _Place, deployment: Deployment) -> None:
        log = self._log_file(deployment)
        start = self._launcher.prepare(deployment, place.port.number, log)
        self._end(place)
        place.log = log
        try:
            place.running = running = self._starter.submit(start).result()
        except (OSError, ValueError, RuntimeError) as error:
            # A folder that is not there; a variable with a NUL in it; a runtime that is closing.
            raise DeploymentFailed(f"the process could not be started: {error}") from error
        try:
            self._wait_healthy(running, deployment, place)
        except DeploymentFailed as error:
            self._end(place)
            raise DeploymentFailed(f"{error}; see {log}") from error

    def _wait_healthy(self, running: Running, deployment: Deployment, place: _Place) -> None:
        deadline = time.monotonic() + self._start_timeout
        healthy = 0
        while healthy < deployment.health.healthy_threshold:
            if running.ended.wait(_PROBE_SECONDS):
                raise DeploymentFailed(f"the process ended with status {running.status} before it was healthy")
            if place.closed.is_set():
                raise DeploymentFailed(_REMOVED)
            if time.monotonic() > deadline:
                raise DeploymentFailed(f"the health check did not succeed within {self._start_timeout:g} s")
            healthy = healthy + 1 if is_healthy(HOST, place.port.number, deployment.health) else 0

    def _end(self, place: _Place) -> None:
        if place.running:
            place.running.stop(self._stop_timeout)

    def _log_file(self, deployment: Deployment) -> Path:
        log = self._folder / "aws" / "apprunner" / deployment.name / deployment.service_id / "application.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        if deployment.secret_names:
            with log.open("a") as out:
                out.write(f"not resolved on this machine and left out: {', '.join(deployment.secret_names)}\n")
        return log
