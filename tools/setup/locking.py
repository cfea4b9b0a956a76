"""One set-up at a time on one cache.

Rule: the kernel releases the lock when its last holder ends, however it ends; there is no stale lock to clean.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.setup.steps import progress_of


@contextmanager
def only_one(lock: Path) -> Iterator[int]:
    """Hold the lock, waiting for another holder with a line of progress; yields its file descriptor."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        started = time.monotonic()
        progress = progress_of("waiting for another set-up to end")
        while not _taken(descriptor):
            time.sleep(0.2)
            if (waited := time.monotonic() - started) > 1:
                progress.tick(waited)
        yield descriptor
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
