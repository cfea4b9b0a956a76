"""Finding and stopping a local cloud that another process owns, knowing only its folder.

Rule: a process is the owner only if its start time says so too; a number alone may belong to somebody else since.
"""

from __future__ import annotations

import time
from pathlib import Path

import psutil
from pydantic import ValidationError

from localcloud import running
from localcloud.cleanup_watchdog import remove
from localcloud.errors import CloudError
from localcloud.processes import end, is_gone
from localcloud.running import RunningCloud

_STOP_SECONDS = 20.0


def find(folder: Path) -> RunningCloud | None:
    """The cloud that runs with this folder, or None: also for a `cloud.json` that a machine's crash left behind."""
    try:
        cloud = running.read(folder)
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise CloudError(
            f"{folder / running.FILE} is not a local cloud's file. Remove it if nothing needs it."
        ) from error
    return cloud if owner_of(cloud) else None


def owner_of(cloud: RunningCloud) -> psutil.Process | None:
    """The process that owns the cloud, or None when it has ended."""
    try:
        process = psutil.Process(cloud.owner_pid)
        same = abs(process.create_time() - cloud.owner_started) < 1
    except psutil.NoSuchProcess:
        return None
    return process if same and not is_gone(process) else None


def stop(cloud: RunningCloud) -> None:
    """Ask the owner to end, kill it if it does not, and return once the folder, which goes last, is gone."""
    owner = owner_of(cloud)
    if owner:
        end([owner], _STOP_SECONDS)
    deadline = time.monotonic() + _STOP_SECONDS
    while cloud.folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    if cloud.folder.exists():
        raise CloudError(f"{cloud.folder} is still there. See which processes use it, then remove it by hand.")


def forget_dead(folder: Path) -> None:
    """Remove what is left of a cloud whose guardian went down with it, as in a power cut.

    Does nothing to one that runs.
    """
    if (folder / running.FILE).exists() and find(folder) is None:
        remove(folder)
