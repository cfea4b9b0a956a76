"""This sandbox's processes and temporary files: marked as one worker's, and ended and removed once that worker is dead.

A runtime that crashed is started again in the same sandbox, beside the processes and files that the last one left there.

The rule: a mark names a worker by its process id and start time, so that nothing of a living neighbour's or a stranger's is
touched. An id means something in its own container only, so nothing of another container's is looked at.
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
"""The environment variable by which a process is known as a worker's."""

_FOLDER = "fibfactory-worker-"
_WORKER = re.compile(r"(\d+)-(\d+)")
_TOLERANCE = 2.0
"""Seconds: how differently two processes may tell when a third was started."""

_runs = itertools.count(1)


def new_mark() -> str:
    """A mark for one child of this worker and all that the child starts."""
    return f"{_this_worker()}-{next(_runs)}"


def end_marked(mark: str) -> None:
    """End what still runs with this mark: a plug-in lives in a process group of its own and outlives a killed parent."""
    for process, found in _marked():
        if found == mark:
            _end(process)


def own_folder() -> Path:
    """The folder for this worker's temporary files, which goes when it is found to belong to nobody."""
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
    """The PID namespace that the process is in; None where the system has no such thing."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except FileNotFoundError:
        return None


def _end(process: psutil.Process) -> None:
    with suppress(psutil.Error):
        process.kill()
        process.wait(5)


def _dead(mark: str) -> bool:
    """Whether the worker that the mark names is over; what is no mark of ours says nothing and is left alone."""
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
    """The machine's temporary folder. Not asked of `tempfile`, which writes a file to find it, and the disk may be full."""
    return Path(os.environ.get("TMPDIR", "/tmp"))
