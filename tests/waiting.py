"""Waiting for what other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(
    find: Callable[[], T | None], what: str = "it to become true", seconds: float = 120, every: float = 0.2
) -> T:
    """The first truthy result of `find`, called every so many seconds. Raises TimeoutError, in which `what` names it."""
    give_up = time.monotonic() + seconds
    while not (found := find()):
        if time.monotonic() > give_up:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(every)
    return found
