"""What was called, by whom and with which end: for tests that must know.

Rule: no parameters and no answers are kept, so no secret is; only the newest calls are.
"""

from __future__ import annotations

import threading
from collections import deque

from localcloud.apprunner.views import CallView

_KEPT = 10_000


class CallLog:
    """The newest calls, oldest first; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[CallView] = deque(maxlen=_KEPT)

    def add(self, call: CallView) -> None:
        """Remember a call that was answered."""
        with self._lock:
            self._calls.append(call)

    def all(self) -> list[CallView]:
        """The calls remembered."""
        with self._lock:
            return list(self._calls)

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._calls.clear()
