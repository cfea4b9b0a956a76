"""The emulator as a server on loopback: its parts wired together, started on a thread, and ended gracefully.

Rule: `serve` returns with no thread, no connection and no process left.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import Flask
from waitress import create_server, wasyncore

from localcloud.apprunner.admin import AppRunnerAdmin
from localcloud.apprunner.cloud import Cloud
from localcloud.apprunner.container_launcher import ContainerLauncher
from localcloud.apprunner.control_api import control_api
from localcloud.apprunner.deployment import Launcher
from localcloud.apprunner.iam import Iam
from localcloud.apprunner.process_launcher import ProcessLauncher
from localcloud.apprunner.runtime import Runtime
from localcloud.apprunner.settings import EmulatorSettings
from localcloud.apprunner.wire import Wire
from localcloud.registry import Registry
from localcloud.settings import HOST

_THREADS = 48
_CONNECTIONS = 1000
_LARGEST_BODY = 1 << 20


@dataclass(frozen=True)
class RunningEmulator:
    """An emulator that answers at `url`."""

    url: str
    port: int

    def admin(self) -> AppRunnerAdmin:
        """A client of its control API."""
        return AppRunnerAdmin(self.url)


@contextmanager
def serve(settings: EmulatorSettings) -> Iterator[RunningEmulator]:
    """Run an emulator until the block is left. OSError when the port is taken."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    runtime = Runtime(_launcher(settings), settings.folder, start_timeout=settings.start_timeout)
    cloud = Cloud(runtime, settings.behaviour)
    iam = Iam(settings.iam_url) if settings.iam_url else None
    try:
        server = _Server(_application(cloud, iam), settings.port)
        try:
            yield RunningEmulator(f"http://{HOST}:{server.port}", server.port)
        finally:
            server.stop()
    finally:
        cloud.close()


def _launcher(settings: EmulatorSettings) -> Launcher:
    processes = ProcessLauncher(settings.images)
    return ContainerLauncher(Registry(settings.registry), processes) if settings.registry else processes


def _application(cloud: Cloud, iam: Iam | None) -> Flask:
    app = Flask("localcloud.apprunner")
    app.config["MAX_CONTENT_LENGTH"] = _LARGEST_BODY
    app.register_blueprint(Wire(cloud, iam).blueprint())
    app.register_blueprint(control_api(cloud))
    return app


class _Server:
    """Waitress with a loop that ends on `stop`: that of its own `run` ends only with the process."""

    def __init__(self, app: Flask, port: int) -> None:
        self._sockets: dict[int, object] = {}
        self._stopping = threading.Event()
        self._server = create_server(
            app, map=self._sockets, host=HOST, port=port, threads=_THREADS, connection_limit=_CONNECTIONS, ident=None
        )
        self.port = int(self._server.effective_port)
        self._thread = threading.Thread(target=self._loop, name="apprunner server", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Answer the requests in progress, then close everything."""
        self._stopping.set()
        self._server.pull_trigger()
        self._thread.join()
        self._server.task_dispatcher.shutdown()
        wasyncore.close_all(self._sockets)

    def _loop(self) -> None:
        while not self._stopping.is_set():
            wasyncore.loop(timeout=1, map=self._sockets, use_poll=True, count=1)
