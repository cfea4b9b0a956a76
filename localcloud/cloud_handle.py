"""Finding and stopping a local cloud that another process supervises, knowing only its folder.

Rule: a process counts as the supervisor only if its start time matches too; its id alone may belong to another process
by now.
"""

from __future__ import annotations

import time
from pathlib import Path

import psutil
from pydantic import ValidationError

from localcloud import running
from localcloud.cleanup_watchdog import remove
from localcloud.errors import CloudError
from localcloud.processes import end, has_ended
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
    return cloud if _supervisor_of(cloud) else None


def stop(cloud: RunningCloud) -> None:
    """Ask the supervisor to end, kill it if it does not, and return once the folder, which is removed last, is gone."""
    supervisor = _supervisor_of(cloud)
    if supervisor:
        end([supervisor], _STOP_SECONDS)
    deadline = time.monotonic() + _STOP_SECONDS
    while cloud.folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    if cloud.folder.exists():
        raise CloudError(f"{cloud.folder} is still there. See which processes use it, then remove it by hand.")


def remove_dead(folder: Path) -> None:
    """Remove what is left of a cloud whose watchdog ended with it, as in a power cut; a running cloud is not touched."""
    if (folder / running.FILE).exists() and find(folder) is None:
        remove(folder)


def _supervisor_of(cloud: RunningCloud) -> psutil.Process | None:
    """The process that supervises the cloud, or None when it has ended."""
    try:
        process = psutil.Process(cloud.supervisor_pid)
        same = abs(process.create_time() - cloud.supervisor_started) < 1
    except psutil.NoSuchProcess:
        return None
    return process if same and not has_ended(process) else None
