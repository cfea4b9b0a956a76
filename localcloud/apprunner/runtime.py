"""Runs services on this machine, each at a loopback port of its own.

Rules:
- A service keeps its port from `reserve` to `release`, through pauses and updates, and at any time at most one
  instance of it runs. A new deployment ends the old program and starts the new one on the same port, so for that
  moment nothing answers, where App Runner would switch over without a gap.
- Secrets are references into other services, which this runtime does not read: they are left out, and the log says so.
- A caller's start command is not run: anyone who can send a request could run any command on this machine.
- Health checks use the configured protocol, path, timeout and healthy threshold. They follow each other quickly
  instead of at the configured interval, so that nothing waits longer than it must. A service has `start_timeout` seconds
  instead of the unhealthy threshold, because a laptop is slow to start twenty at once.
- A healthy service is not watched any more; one that dies later is reaped and seen in `instances`, not started again.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from localcloud.apprunner.child import Child
from localcloud.apprunner.deployment import Deployment, DeploymentFailed, Instance, Launcher
from localcloud.apprunner.held_port import Ports
from localcloud.apprunner.probe import is_healthy
from localcloud.settings import HOST

_PROBE_SECONDS = 0.05
_STOP_SECONDS = 5.0
"""Between SIGTERM and SIGKILL."""
_REMOVED = "the service has been removed"


@dataclass
class _Slot:
    """What a service runs in. `lock` is held for a whole deployment; `closed` ends one that is in progress."""

    holder: socket.socket
    port: int
    lock: threading.Lock = field(default_factory=threading.Lock)
    closed: threading.Event = field(default_factory=threading.Event)
    running: Child | None = None
    log: Path | None = None


class Runtime:
    """Runs services with `launcher`. Safe to use from any thread; calls for one service wait for one another.

    Logs are below `folder`, named like App Runner's log groups, and stay there.
    """

    def __init__(self, launcher: Launcher, folder: Path, *, start_timeout: float) -> None:
        self._launcher = launcher
        self._folder = folder
        self._start_timeout = start_timeout
        self._ports = Ports()
        self._lock = threading.Lock()
        self._slots: dict[str, _Slot] = {}
        # One thread that lives as long as this: the kernel ends a child with the thread that started it.
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")

    def reserve(self, service_id: str) -> str:
        """Give a service its port; returns its URL, on loopback."""
        holder = self._ports.hold()
        slot = _Slot(holder, holder.getsockname()[1])
        with self._lock:
            self._slots[service_id] = slot
        return f"http://{HOST}:{slot.port}"

    def deploy(self, deployment: Deployment) -> None:
        """Run this in place of what runs, and return once it is healthy. Raises DeploymentFailed, and then nothing runs."""
        slot = self._find(deployment.service_id)
        if slot is None:
            raise DeploymentFailed(_REMOVED)
        if deployment.start_command:
            raise DeploymentFailed("this runtime does not run a StartCommand")
        with slot.lock:
            if slot.closed.is_set():
                raise DeploymentFailed(_REMOVED)
            self._replace(slot, deployment)

    def stop(self, service_id: str) -> None:
        """End what runs; the port stays."""
        slot = self._find(service_id)
        if slot:
            with slot.lock:
                self._end(slot)

    def release(self, service_id: str) -> None:
        """End what runs, also in the middle of a deployment, and give the port back. An unknown service is no error."""
        with self._lock:
            slot = self._slots.pop(service_id, None)
        if slot:
            slot.closed.set()
            # Before the lock: a deployment that waits for a health check gives up once the program has ended.
            self._end(slot)
            with slot.lock:
                self._end(slot)
            slot.holder.close()

    def instances(self) -> Sequence[Instance]:
        """What runs or ran last for each service that has a port."""
        with self._lock:
            slots = list(self._slots.items())
        found = [(service_id, slot.running, slot.log) for service_id, slot in slots]
        return [
            Instance(service_id, running.pid, running.status is None, log)
            for service_id, running, log in found
            if running and log
        ]

    def close(self) -> None:
        """Release everything, all at the same time."""
        with self._lock:
            open_slots = list(self._slots)
        with ThreadPoolExecutor(max_workers=max(1, len(open_slots))) as pool:
            list(pool.map(self.release, open_slots))
        self._starter.shutdown()

    def _find(self, service_id: str) -> _Slot | None:
        with self._lock:
            return self._slots.get(service_id)

    def _replace(self, slot: _Slot, deployment: Deployment) -> None:
        log = self._log_file(deployment)
        start = self._launcher.prepare(deployment, slot.port, log)
        self._end(slot)
        slot.log = log
        try:
            slot.running = running = self._starter.submit(start).result()
        except (OSError, ValueError, RuntimeError) as error:
            # A missing folder; a variable with a NUL in it; a runtime that is closing.
            raise DeploymentFailed(f"the process could not be started: {error}") from error
        try:
            self._wait_healthy(running, deployment, slot)
        except DeploymentFailed as error:
            self._end(slot)
            raise DeploymentFailed(f"{error}; see {log}") from error

    def _wait_healthy(self, running: Child, deployment: Deployment, slot: _Slot) -> None:
        deadline = time.monotonic() + self._start_timeout
        healthy = 0
        while healthy < deployment.health.healthy_threshold:
            if running.ended.wait(_PROBE_SECONDS):
                raise DeploymentFailed(f"the process ended with status {running.status} before it was healthy")
            if slot.closed.is_set():
                raise DeploymentFailed(_REMOVED)
            if time.monotonic() > deadline:
                raise DeploymentFailed(f"the health check did not succeed within {self._start_timeout:g} s")
            healthy = healthy + 1 if is_healthy(HOST, slot.port, deployment.health) else 0

    def _end(self, slot: _Slot) -> None:
        if slot.running:
            slot.running.stop(_STOP_SECONDS)

    def _log_file(self, deployment: Deployment) -> Path:
        log = self._folder / "aws" / "apprunner" / deployment.name / deployment.service_id / "application.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        if deployment.secret_names:
            with log.open("a") as out:
                out.write(f"not resolved on this machine and left out: {', '.join(deployment.secret_names)}\n")
        return log
