"""`python -m tools.setup`: make this checkout ready, or say in two sentences why not.

Rule: when all is there already it takes a moment and no lock; Ctrl-C, SIGTERM and SIGHUP leave no process and nothing
half made.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType

from tools.commands import ToolFailure
from tools.setup import pulumi_cli, venv
from tools.setup.layout import Layout, layout_of
from tools.setup.steps import NO_SPACE, Workplace, only_one, say

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A signal asked the set-up to end; like KeyboardInterrupt, no `except Exception` catches it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


def main() -> int:
    """Set up the checkout this file is in; the exit code: 0, 1 when it failed, 128 + signal when it was stopped."""
    for number in STOPPING:
        signal.signal(number, _stop)
    try:
        prepare(layout_of(Path(__file__).resolve().parents[2], os.environ))
    except ToolFailure as failure:
        return _explain(failure)
    except OSError as error:
        return _explain(_from_system(error))
    except Stopped as stopped:
        say("stopped; nothing half made is left. Run it again to continue")
        return 128 + stopped.signal_number
    return 0


def prepare(layout: Layout) -> None:
    """Find or make the environment and the CLI, and link them into the checkout. Raises `ToolFailure`, `OSError`."""
    layout.cache.mkdir(parents=True, exist_ok=True)
    command = pulumi_cli.found(layout, os.environ) if venv.is_whole(layout) else None
    if command is None:
        with only_one(layout.lock) as lock:
            command = _make_missing(layout, lock)
    venv.replace_link(layout.pulumi_link, command)
    venv.link(layout)
    say(f"ready: .venv → {layout.venv}, pulumi → {command}")


def _make_missing(layout: Layout, lock: int) -> Path:
    """Make what is missing; the CLI's path."""
    shutil.rmtree(layout.scratch, ignore_errors=True)
    layout.scratch.mkdir()
    try:
        workplace = Workplace(os.environ, layout.scratch, lock)
        if not venv.is_whole(layout):
            venv.make(layout, workplace)
        return pulumi_cli.found(layout, os.environ) or pulumi_cli.make(layout, workplace)
    finally:
        shutil.rmtree(layout.scratch, ignore_errors=True)


def _stop(number: int, _frame: FrameType | None) -> None:
    # A second Ctrl-C must not interrupt the clean-up.
    for each in STOPPING:
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)


def _from_system(error: OSError) -> ToolFailure:
    if error.errno == errno.ENOSPC:
        return ToolFailure("The disk is full.", NO_SPACE[1])
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ToolFailure(
            f"No permission to write {error.filename}.", "Set XDG_CACHE_HOME to a folder you may write to."
        )
    return ToolFailure(f"{error}.", "Fix this, then run it again.")


def _explain(failure: ToolFailure) -> int:
    if failure.output:
        print(failure.output, file=sys.stderr)
    print(f"set-up: {failure.sentence}\n        {failure.advice}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
