"""The process that cleans up after a local cloud, however that ends: `python -m localcloud.cleanup_watchdog`.

It reads its standard input, a pipe whose other end only the cloud's supervisor holds. When that end closes, because
the supervisor closed it or has ended (also by SIGKILL, also out of memory), it ends every process with the cloud's
mark, removes its containers, and removes its folder.

Rule: this is the only code that removes a cloud's folder, so a crash and an orderly stop take the same path.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click

from localcloud import docker_cli
from localcloud.processes import end_marked
from localcloud.registry import Registry
from localcloud.settings import ROOT, Ports

_GRACE_SECONDS = 2.0
_REMOVE_SECONDS = 10.0


@dataclass(frozen=True)
class CleanupWatchdog:
    """The supervisor's side: the running watchdog."""

    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, mark: str, folder: Path, ports: Ports) -> CleanupWatchdog:
        """Start watching. To be called before anything else of the cloud is started."""
        arguments = ["--mark", mark, "--folder", str(folder), "--registry", Registry.of(ports).address]
        process = subprocess.Popen(
            [sys.executable, "-m", "localcloud.cleanup_watchdog", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        return cls(process)

    def clean_up(self) -> None:
        """Have it clean up, and return once no process and no folder of the cloud is left."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.wait()


@click.command()
@click.option("--mark", required=True, help="The cloud's mark.")
@click.option("--folder", required=True, type=click.Path(path_type=Path), help="The cloud's folder.")
@click.option("--registry", required=True, help="The address of the cloud's registry of images.")
def main(mark: str, folder: Path, registry: str) -> None:
    """Wait until the supervisor has ended, then leave nothing of its cloud."""
    # A closed terminal or a shutdown, which signal every process, must not end this one before it has cleaned up.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end_marked(mark, _GRACE_SECONDS)
    docker_cli.remove_all_of(mark, Registry(registry))
    remove(folder)


def remove(folder: Path) -> None:
    """Remove the folder; try again while files are still being written to it, for a limited time."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            time.sleep(0.05)


if __name__ == "__main__":
    main()
