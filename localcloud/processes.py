"""Starting, watching and ending the local cloud's processes.

Rule: every process that a cloud starts carries the cloud's mark in its environment, and so do its children. Ending a
cloud means ending everything with that mark and all descendants, also those that a killed parent has left behind.
Only this clean-up looks for the mark: nothing reads it to behave differently.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from localcloud.errors import NotReady

MARK = "FIBFACTORY_CLOUD"
_POLL_SECONDS = 0.02
_TAIL_LINES = 25


@dataclass(frozen=True)
class Part:
    """A running part of the cloud: its process, and where its log is."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait_until(self, ready: Callable[[], bool], port: int, deadline: float) -> None:
        """Return once `ready()` and this part itself, not another program, listens on the port.

        Raises NotReady when the process has ended or time.monotonic() passes `deadline`.
        """
        while not (ready() and self._listens(port)):
            code = self.process.poll()
            if code is not None:
                raise NotReady(f"{self.name} ended with code {code} before it was ready. {self._what_to_do()}")
            if time.monotonic() > deadline:
                raise NotReady(f"{self.name} did not become ready in time. {self._what_to_do()}")
            time.sleep(_POLL_SECONDS)

    def tree(self) -> list[psutil.Process]:
        """The part's process and all its descendants."""
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _listens(self, port: int) -> bool:
        try:
            connections = psutil.Process(self.process.pid).net_connections(kind="tcp")
        except psutil.Error:
            return False
        return any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in connections)

    def _what_to_do(self) -> str:
        return f"Fix what the end of its log says, then start again:\n{tail(self.log) or '(the log is empty)'}"


def start(name: str, command: Sequence[str], *, environment: Mapping[str, str], log: Path, cwd: Path) -> Part:
    """Start one part in a session of its own, so that a Ctrl-C at the terminal reaches only the supervisor."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Part(name, process, log)


def marked(mark: str) -> list[psutil.Process]:
    """All live processes with this mark in their environment, and their descendants; never the calling process."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark:
                for each in (process, *process.children(recursive=True)):
                    found[each.pid] = each
    found.pop(os.getpid(), None)
    return [process for process in found.values() if not has_ended(process)]


def end(processes: Iterable[psutil.Process], grace_seconds: float) -> None:
    """Ask these processes to end, wait, and kill those that did not."""
    asked = list(processes)
    for process in asked:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _wait_ended(asked, grace_seconds)
    for process in asked:
        with contextlib.suppress(psutil.Error):
            process.kill()
    _wait_ended(asked, grace_seconds)


def end_marked(mark: str, grace_seconds: float) -> None:
    """End every process of a cloud, again until none is left: one that is being ended may have started another."""
    for _ in range(10):
        left = marked(mark)
        if not left:
            return
        end(left, grace_seconds)


def has_ended(process: psutil.Process) -> bool:
    """Whether the process has ended; a zombie has."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def tail(log: Path) -> str:
    """The last lines of a log file; empty when there is none."""
    if not log.is_file():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])


def _wait_ended(processes: Iterable[psutil.Process], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for process in processes:
        while not has_ended(process) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
