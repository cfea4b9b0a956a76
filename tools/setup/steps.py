"""One long step at a time: a child process with a line of progress, ended whatever happens to us.

The rule kept: no child outlives its step, and none outlives the lock (children hold it too, so that even
after a kill of the set-up alone nobody builds in a folder an orphan still writes to).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tools.setup.failures import SetupFailure, tail

SECONDS_BETWEEN_LINES = 5
SECONDS_TO_END = 5


class CommandFailed(Exception):
    """A child ended with an error, or not within its time; `output` is what it said."""

    def __init__(self, output: str) -> None:
        super().__init__(tail(output, 1))
        self.output = output


@dataclass(frozen=True)
class Workplace:
    """What a step runs with: the environment, the folder for temporary files, and the lock's file descriptor."""

    environ: Mapping[str, str]
    scratch: Path
    lock: int

    def run(self, title: str, command: Sequence[str | Path], *, cwd: Path, timeout: float | None = None) -> str:
        """Run a command to its end, showing `title` and the seconds; its output. `timeout` in seconds.

        Raises `CommandFailed`, also when the command can't be started.
        """
        log = self.scratch / "output.log"
        started = time.monotonic()
        progress = Progress(title)
        with log.open("wb") as sink:
            try:
                child = subprocess.Popen(
                    [str(part) for part in command], cwd=cwd, env={**self.environ, "TMPDIR": str(self.scratch)},
                    stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
                    start_new_session=True, pass_fds=[self.lock],
                )  # fmt: skip
            except OSError as error:
                raise CommandFailed(str(error)) from error
            try:
                late = not _finished(child, progress, started, timeout)
            finally:
                _end(child)
        output = log.read_text(encoding="utf-8", errors="replace")
        if late:
            raise CommandFailed(f"{output}\nnot done after {timeout:.0f} s")
        if child.returncode != 0:
            raise CommandFailed(output)
        progress.done(time.monotonic() - started)
        return output


class Progress:
    """One line on a terminal, rewritten each second; elsewhere a line every few seconds."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._shown = float(-SECONDS_BETWEEN_LINES)
        self._terminal = sys.stdout.isatty()

    def tick(self, seconds: float) -> None:
        """The step goes on, `seconds` after its start."""
        if self._terminal:
            print(f"\rset-up: {self._title} … {seconds:.0f} s ", end="", flush=True)
        elif seconds - self._shown >= SECONDS_BETWEEN_LINES:
            self._shown = seconds
            say(f"{self._title} … {seconds:.0f} s")

    def done(self, seconds: float) -> None:
        """The step has ended well."""
        print(f"{chr(13) if self._terminal else ''}set-up: {self._title}: {seconds:.1f} s ", flush=True)


def say(sentence: str) -> None:
    """One line for whoever watches."""
    print(f"set-up: {sentence}", flush=True)


def fail(sentence: str, failed: CommandFailed, advice: str) -> SetupFailure:
    """A failure that shows the end of what the command said."""
    return SetupFailure(sentence, advice, tail(failed.output))


def _finished(child: subprocess.Popen[bytes], progress: Progress, started: float, timeout: float | None) -> bool:
    while True:
        try:
            child.wait(timeout=1)
            return True
        except subprocess.TimeoutExpired:
            seconds = time.monotonic() - started
            progress.tick(seconds)
            if timeout is not None and seconds > timeout:
                return False


def _end(child: subprocess.Popen[bytes]) -> None:
    # The group, not the child: compilers and installers have children of their own. It may be gone already.
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=SECONDS_TO_END)
