"""The emulator's clock: runs with real time, faster, slower or not at all, and can be moved on.

It measures only the operations for which App Runner takes minutes; the started processes run in real time.
"""

from __future__ import annotations

import threading
import time


class EmulatorClock:
    """Seconds since the epoch, from the real time at its start. Speed 1 is real time, 0 stands still until `advance`."""

    def __init__(self, speed: float = 1.0) -> None:
        self._changed = threading.Condition()
        self._speed = speed
        self._anchor = time.time()
        self._anchor_real = time.monotonic()
        self._era = 0
        self._closed = False

    def now(self) -> float:
        """The time by this clock."""
        with self._changed:
            return self._now()

    def advance(self, seconds: float) -> None:
        """Move on by so many seconds."""
        with self._changed:
            self._set(self._now() + seconds, self._speed)

    def set_speed(self, speed: float) -> None:
        """Run at another speed from now on."""
        with self._changed:
            self._set(self._now(), speed)

    def wait_until(self, due: float) -> bool:
        """Return True once it is `due` by this clock, False when the clock was reset or closed before that."""
        with self._changed:
            era = self._era
            while not self._closed and era == self._era:
                missing = due - self._now()
                if missing <= 0:
                    return True
                self._changed.wait(missing / self._speed if self._speed else None)
            return False

    def reset(self, speed: float) -> None:
        """Return to real time, at this speed; all waiting calls return False."""
        with self._changed:
            self._era += 1
            self._set(time.time(), speed)

    def close(self) -> None:
        """Let all waiting calls, now or later, return False."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _now(self) -> float:
        return self._anchor + (time.monotonic() - self._anchor_real) * self._speed

    def _set(self, now: float, speed: float) -> None:
        self._anchor, self._anchor_real, self._speed = now, time.monotonic(), speed
        self._changed.notify_all()
