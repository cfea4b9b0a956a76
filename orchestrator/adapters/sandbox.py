"""Processes and temporary files of workers in this sandbox: marked, and removed once their worker is dead.

Lambda restarts a crashed runtime in the same sandbox, beside the processes and files that the last one left there.

The rule: a mark names a worker by process id and start time, so that nothing of a live worker or another program is touched.
Process ids are unique within one container only, so other containers' processes are ignored.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil

MARK = "FIBFACTORY_WORKER"
"""The environment variable that marks a process as a worker's."""

_FOLDER = "fibfactory-worker-"
_WORKER = re.compile(r"(\d+)-(\d+)")
_TOLERANCE = 2.0
"""Seconds by which two processes may differ about the start time of a third."""

_runs = itertools.count(1)


def new_mark() -> str:
    """A mark for one child of this worker and all that the child starts."""
    return f"{_this_worker()}-{next(_runs)}"


def end_marked(mark: str) -> None:
    """End all processes with this mark: a plug-in has its own process group and outlives a killed parent."""
    for process, found in _marked():
        if found == mark:
            _end(process)


def own_folder() -> Path:
    """The folder for this worker's temporary files; `clean` removes it once the worker is dead."""
    folder = _root() / f"{_FOLDER}{_this_worker()}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def clean() -> None:
    """End the processes and remove the folders that dead workers left."""
    for process, mark in _marked():
        if _dead(mark):
            _end(process)
    for folder in _root().glob(f"{_FOLDER}*"):
        if _dead(folder.name.removeprefix(_FOLDER)):
            shutil.rmtree(folder, ignore_errors=True)


def _marked() -> Iterator[tuple[psutil.Process, str]]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            mark = process.environ().get(MARK)
            if mark and _container(process.pid) == _container(os.getpid()):
                yield process, mark


def _container(pid: int) -> str | None:
    """The PID namespace of the process; None on a system without namespaces."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except FileNotFoundError:
        return None


def _end(process: psutil.Process) -> None:
    with suppress(psutil.Error):
        process.kill()
        process.wait(5)


def _dead(mark: str) -> bool:
    """Whether the worker that the mark names is dead. A text that is no such mark counts as not dead."""
    named = _WORKER.match(mark)
    if named is None or named.group() == _this_worker():
        return False
    pid, started = int(named[1]), int(named[2]) / 1000
    if pid == os.getpid():
        return True
    try:
        return abs(psutil.Process(pid).create_time() - started) > _TOLERANCE
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


@cache
def _this_worker() -> str:
    return f"{os.getpid()}-{psutil.Process().create_time() * 1000:.0f}"


@cache
def _root() -> Path:
    """The machine's temporary folder. `tempfile` would write a file to find it, and the disk may be full."""
    return Path(os.environ.get("TMPDIR", "/tmp"))
