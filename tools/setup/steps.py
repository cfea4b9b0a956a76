"""The steps of a set-up: each a command that runs with set-up's temporary folder and its lock, one set-up at a time.

Rule: no command outlives its step, and none outlives the lock (commands hold it too, so even after a kill of the
set-up alone no other one builds in a folder that an orphan still writes to). The kernel releases the lock when its last
holder ends, however it ends; there is no stale lock to clean.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.commands import CommandFailed, Progress, ToolFailure, run

Hint = tuple[str, str]
"""A pattern in a failed command's output, and the advice for it."""

NO_SPACE: Hint = ("No space left on device", "Free some disk space there, or set XDG_CACHE_HOME to a bigger disk.")


@dataclass(frozen=True)
class Workplace:
    """What a step runs with: the environment, the folder for temporary files, and the lock's file descriptor."""

    environ: Mapping[str, str]
    scratch: Path
    lock: int

    def run(self, title: str, command: Sequence[str | Path], *, cwd: Path, timeout: float | None = None) -> str:
        """Run a command to its end, showing `title` and the seconds; its output. Raises `CommandFailed`."""
        environ = {**self.environ, "TMPDIR": str(self.scratch)}
        return run(
            command, progress_of(title), cwd=cwd, environ=environ, timeout=timeout, scratch=self.scratch,
            inherited=[self.lock],
        )  # fmt: skip

    def require(
        self,
        title: str,
        command: Sequence[str | Path],
        *,
        cwd: Path,
        failure: str,
        advice: str,
        hints: Sequence[Hint] = (),
        timeout: float | None = None,
    ) -> str:
        """Run a command whose failure ends the set-up; its output.

        Raises `ToolFailure` with the sentence `failure`, and with the advice of the first matching hint, else `advice`.
        """
        try:
            return self.run(title, command, cwd=cwd, timeout=timeout)
        except CommandFailed as failed:
            raise ToolFailure(failure, advice_for(failed.output, hints, advice), failed.output) from failed


class _TerminalProgress(Progress):
    """One line, rewritten each second."""

    def tick(self, seconds: float) -> None:
        print(f"\rset-up: {self.title} … {seconds:.0f} s ", end="", flush=True)

    def done(self, seconds: float) -> None:
        print(f"\rset-up: {self.title}: {seconds:.1f} s ", flush=True)


def progress_of(title: str) -> Progress:
    """Progress for a terminal, or for a file of lines."""
    return (_TerminalProgress if sys.stdout.isatty() else Progress)(title, say)


def say(sentence: str) -> None:
    """Show one line to the user."""
    print(f"set-up: {sentence}", flush=True)


def advice_for(output: str, hints: Sequence[Hint], otherwise: str) -> str:
    """The advice of the first hint whose pattern is in a failed command's output."""
    return next((advice for pattern, advice in (NO_SPACE, *hints) if re.search(pattern, output)), otherwise)


def require_space(folder: Path, megabytes: int, what: str) -> None:
    """Raise `ToolFailure` unless the folder's disk has this much free: what `what` needs at its peak."""
    free = shutil.disk_usage(folder).free // 1_000_000
    if free < megabytes:
        raise ToolFailure(f"{what} needs {megabytes} MB in {folder}, {free} MB are free.", NO_SPACE[1])


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
