"""Why a set-up ends early, in words a person can act on.

The rule kept: every failure is one sentence that says what is wrong and one that says what to do.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

Hint = tuple[str, str]


class SetupFailure(Exception):
    """`sentence`: what is wrong. `advice`: what to do. `output`: the end of what the failed command said, or empty."""

    def __init__(self, sentence: str, advice: str, output: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.advice = advice
        self.output = output


class Stopped(BaseException):
    """A signal asked the set-up to end; like KeyboardInterrupt, no `except Exception` catches it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


NO_SPACE: Hint = ("No space left on device", "Free some disk space there, or set XDG_CACHE_HOME to a bigger disk.")


def advice_for(output: str, hints: Sequence[Hint], otherwise: str) -> str:
    """The advice of the first (pattern, advice) whose pattern is found in a failed command's output."""
    return next((advice for pattern, advice in (NO_SPACE, *hints) if re.search(pattern, output)), otherwise)


def tail(output: str, lines: int = 12) -> str:
    """The end of a command's output, short enough to be read."""
    return "\n".join(output.strip().splitlines()[-lines:])


def require_space(folder: Path, megabytes: int, what: str) -> None:
    """Refuse early what would fill the disk on the way. `megabytes`: what `what` needs in `folder`, at its peak."""
    free = shutil.disk_usage(folder).free // 1_000_000
    if free < megabytes:
        raise SetupFailure(f"{what} needs {megabytes} MB in {folder}, {free} MB are free.", NO_SPACE[1])
