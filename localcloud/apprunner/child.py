"""A child process with a group of its own: started, watched, ended, and reaped.

Rules: its whole group ends with it, however it ends; it never stays a zombie; it dies with this process
(`die_with_parent`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from localcloud.apprunner import die_with_parent


class Child:
    """A running child. To be created on a thread that lives at least as long as the child (see `die_with_parent`)."""

    def __init__(self, command: Sequence[str], *, folder: Path, environment: Mapping[str, str], log: Path) -> None:
        wrapper = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid())]
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [*wrapper, *command],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.ended = threading.Event()
        self._lock = threading.Lock()
        threading.Thread(target=self._reap, name=f"child {self.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """The child's process id, which is its group's too."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """None while it runs; then its exit status, negative for a signal."""
        return self._process.returncode if self.ended.is_set() else None

    def stop(self, grace: float) -> None:
        """End it and its group: SIGTERM, after `grace` seconds SIGKILL. Returns when it has ended and was reaped."""
        self._signal(signal.SIGTERM)
        if not self.ended.wait(grace):
            self._signal(signal.SIGKILL)
            self.ended.wait()

    def _signal(self, number: signal.Signals) -> None:
        with self._lock:
            # After it was reaped its id may be another process's.
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, number)

    def _reap(self) -> None:
        # Wait without reaping first: until then the id stays the child's, and the rest of its group can be signalled.
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        self._signal(signal.SIGKILL)
        with self._lock:
            self._process.wait()
        self.ended.set()
