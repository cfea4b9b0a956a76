"""Long commands of set-up and image builds: with lines of progress, and no process left, however they end.

Standard library only, because set-up runs before there is a virtual environment.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

Say = Callable[[str], None]
"""Shows one line to the user."""

_SECONDS_BETWEEN_LINES = 5
_SECONDS_TO_END = 5
_SHOWN_LINES = 15


class ToolFailure(Exception):
    """`sentence`: what is wrong. `advice`: what to do. `output`: the end of a failed command's output, or empty."""

    def __init__(self, sentence: str, advice: str, output: str = "") -> None:
        super().__init__(f"{sentence} {advice}")
        self.sentence = sentence
        self.advice = advice
        self.output = tail(output)


class CommandFailed(Exception):
    """A command ended with an error, or not within its time; `output` is all of its output."""

    def __init__(self, output: str) -> None:
        super().__init__(tail(output, 1))
        self.output = output


class Progress:
    """Says every few seconds how long a step has taken, and at its end how long it took."""

    def __init__(self, title: str, say: Say) -> None:
        self.title = title
        self._say = say
        self._shown = 1.0 - _SECONDS_BETWEEN_LINES  # the first line after a second

    def tick(self, seconds: float) -> None:
        """The step is still running, `seconds` after its start."""
        if seconds - self._shown >= _SECONDS_BETWEEN_LINES:
            self._shown = seconds
            self._say(f"{self.title} … {seconds:.0f} s")

    def done(self, seconds: float) -> None:
        """The step has ended well."""
        self._say(f"{self.title}: {seconds:.1f} s")


def run(
    command: Sequence[str | Path],
    progress: Progress,
    *,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    timeout: float | None = None,
    scratch: Path | None = None,
    inherited: Sequence[int] = (),
) -> str:
    """Run a command to its end; its output. Raises `CommandFailed`, also when it cannot be started.

    `timeout` in seconds; `scratch`: where its output is kept meanwhile; `inherited`: file descriptors for it.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile(dir=scratch) as log:
        try:
            process = subprocess.Popen(
                [str(word) for word in command], cwd=cwd, env=environ, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True, pass_fds=inherited,
            )  # fmt: skip
        except OSError as error:
            raise CommandFailed(str(error)) from error
        try:
            in_time = _wait(process, progress, started, timeout)
        finally:
            _end_group(process)
        log.seek(0)
        output = log.read().decode(errors="replace")
    if not in_time:
        raise CommandFailed(f"{output}\nnot done after {timeout:.0f} s")
    if process.returncode != 0:
        raise CommandFailed(output)
    progress.done(time.monotonic() - started)
    return output


def tail(output: str, lines: int = _SHOWN_LINES) -> str:
    """The end of a command's output, short enough to be read."""
    return "\n".join(output.strip().splitlines()[-lines:])


def _wait(process: subprocess.Popen[bytes], progress: Progress, started: float, timeout: float | None) -> bool:
    """Whether the process ends in time."""
    while True:
        try:
            process.wait(timeout=1)
            return True
        except subprocess.TimeoutExpired:
            seconds = time.monotonic() - started
            progress.tick(seconds)
            if timeout is not None and seconds > timeout:
                return False


def _end_group(process: subprocess.Popen[bytes]) -> None:
    # The group, not the process: compilers and installers have children of their own. It may have ended already.
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_SECONDS_TO_END)
