"""Commands that take long: one line of progress for each, and nothing of them left after Ctrl-C.

Rule: a command's own words are shown only when it fails, and then their end.
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

Progress = Callable[[str], None]
_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_TO_END = 5.0
_SHOWN_LINES = 15


class ImageFailure(Exception):
    """A sentence that says what is wrong, one that says what to do, and the end of what a failed command said."""

    def __init__(self, sentence: str, advice: str, output: str = "") -> None:
        super().__init__(f"{sentence} {advice}")
        self.output = "\n".join(output.strip().splitlines()[-_SHOWN_LINES:])


def run(
    title: str,
    command: Sequence[str | Path],
    progress: Progress,
    *,
    advice: str,
    environ: Mapping[str, str] | None = None,
) -> str:
    """Run a command to its end, saying `title` and the seconds; its output. Raises `ImageFailure` with this advice."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as output:
        with subprocess.Popen(
            command, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        ) as process:
            try:
                _wait(process, title, progress)
            finally:
                _end_group(process)
        output.seek(0)
        said = output.read().decode(errors="replace")
    if process.returncode:
        raise ImageFailure(f"{title} failed.", advice, said)
    progress(f"{title}: {time.monotonic() - started:.1f} s")
    return said


def _wait(process: subprocess.Popen[bytes], title: str, progress: Progress) -> None:
    started = time.monotonic()
    while True:
        try:
            process.wait(_SECONDS_BETWEEN_LINES)
            return
        except subprocess.TimeoutExpired:
            progress(f"{title} … {time.monotonic() - started:.0f} s")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_SECONDS_TO_END)
