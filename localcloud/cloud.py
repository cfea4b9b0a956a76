"""Starts ministack, the App Runner emulator and the stand-in Pulumi provider, and leaves nothing behind.

    with LocalCloud() as cloud:
        cloud.session("operator").client("dynamodb").list_tables()

Rule: however the block is left (its end, an exception, Ctrl-C, SIGKILL of the whole process), no process and no folder
of the cloud stays. The cleanup watchdog takes care of the last case.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import uuid
from functools import partial
from pathlib import Path
from types import TracebackType

import psutil

from localcloud import identities, ministack
from localcloud.apprunner.deployment import HealthCheck
from localcloud.apprunner.probe import is_healthy
from localcloud.apprunner.settings import DEFAULT_IMAGES
from localcloud.cleanup_watchdog import CleanupWatchdog
from localcloud.errors import CloudError, FolderInUse
from localcloud.processes import Part, end, start, tail
from localcloud.registry import Registry
from localcloud.running import RunningCloud
from localcloud.settings import HOST, ROOT, Ports, find_pulumi_bin
from localcloud.token_issuer import IssuerServer

_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
_LISTENS = HealthCheck(timeout=5)


class LocalCloud:
    """Supervises the processes of one local cloud. `start` and `stop`, or `with`.

    Without ports it takes free ones; without a folder it makes a temporary one. `images`: see `localcloud.apprunner.images`.
    """

    def __init__(
        self, *, ports: Ports | None = None, folder: Path | None = None, images: Path = DEFAULT_IMAGES
    ) -> None:
        self._ports = ports
        self._folder = folder
        self._images = images
        self._parts: list[Part] = []
        self._watchdog: CleanupWatchdog | None = None
        self._issuer: IssuerServer | None = None

    def __enter__(self) -> RunningCloud:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> RunningCloud:
        """Start everything and return once all of it answers. Raises PortTaken, FolderInUse or NotReady."""
        ports = self._ports or Ports.free()
        ports.refuse_taken()
        folder = _make_folder(self._folder)
        mark = uuid.uuid4().hex
        try:
            self._watchdog = CleanupWatchdog.start(mark, folder, ports)
            self._start_parts(ports, folder, mark)
            self._issuer = IssuerServer()
            # Built while the parts start: loading botocore's model of IAM takes about as long as they do.
            iam = identities.root_client(f"http://{HOST}:{ports.ministack}")
            self._wait(ports)
            cloud = RunningCloud(
                folder=folder,
                ports=ports,
                identities=identities.make_identities(iam),
                mark=mark,
                supervisor_pid=os.getpid(),
                supervisor_started=psutil.Process().create_time(),
                pulumi_bin=find_pulumi_bin(os.environ),
                tokens=self._issuer.issuer,
            )
            cloud.write()
        except BaseException:
            self.stop()
            raise
        return cloud

    def check(self) -> None:
        """Raise CloudError when a part has ended by itself since the start."""
        for part in self._parts:
            code = part.process.poll()
            if code is not None:
                raise CloudError(f"{part.name} ended by itself with code {code}. Its log ends:\n{tail(part.log)}")

    def stop(self) -> None:
        """End all processes, in the reverse order of their start, and remove the folder. Can be called again."""
        try:
            # Together, not one after the other: a part that waits for another's answer would use up its whole grace.
            end([process for part in reversed(self._parts) for process in part.tree()], _STOP_SECONDS)
            for part in self._parts:
                part.process.wait()
            self._parts = []
            if self._issuer:
                self._issuer.stop()
                self._issuer = None
        finally:
            if self._watchdog:
                self._watchdog.clean_up()
                self._watchdog = None

    def _start_parts(self, ports: Ports, folder: Path, mark: str) -> None:
        base = ministack.base_environment(folder, mark) | {"PYTHONUNBUFFERED": "1"}
        base |= {name: value for name, value in os.environ.items() if name.startswith("DOCKER_")}
        emulator = {
            "--port": ports.apprunner,
            "--images": self._images,
            "--folder": folder / "apprunner",
            "--iam": f"http://{HOST}:{ports.ministack}{ministack.IAM_ENDPOINT}",
            "--registry": Registry.of(ports).address,
        }
        provider = {"--port": ports.provider}
        for name, module, options in (
            ("The App Runner emulator", "apprunner", emulator),
            ("The stand-in Pulumi provider", "provider", provider),
        ):
            command = [sys.executable, "-m", f"localcloud.{module}"]
            command += [str(word) for option in options.items() for word in option]
            self._parts.append(start(name, command, environment=base, log=folder / f"{module}.log", cwd=ROOT))
        environment = ministack.environment(ports, folder, mark)
        log = folder / "ministack.log"
        self._parts.append(start("ministack", ministack.COMMAND, environment=environment, log=log, cwd=folder))

    def _wait(self, ports: Ports) -> None:
        deadline = time.monotonic() + _START_SECONDS
        checks = ((ports.apprunner, _LISTENS), (ports.provider, _LISTENS), (ports.ministack, ministack.READY))
        for part, (port, check) in zip(self._parts, checks, strict=True):
            part.wait_until(partial(is_healthy, HOST, port, check), port, deadline)


def _make_folder(wanted: Path | None) -> Path:
    if wanted is None:
        folder = Path(tempfile.mkdtemp(prefix="fibfactory-cloud-"))
    else:
        folder = wanted.resolve()
        if folder.exists() and any(folder.iterdir()):
            raise FolderInUse(
                f"{folder} is not empty. Stop the cloud that uses it (`make down`), or name another folder."
            )
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for inner in ("home", "tmp", "apprunner"):
        (folder / inner).mkdir()
    return folder
