"""Runs a command that the kernel kills when the process that started it ends: `python die_with_parent.py PARENT_PID
COMMAND …`.

This program becomes the command, so nothing stays between the parent and the command. It is a program of its own
rather than a function run between fork and exec, because in a process with threads only exec is safe there.

The signal (PR_SET_PDEATHSIG of Linux) comes when the *thread* that started this ends, so the parent starts its children
from a thread that lives as long as it does. See prctl(2).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Ask for the signal, check that the parent has not ended already, and become the command."""
    parent, command = int(arguments[0]), arguments[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("the parent process has ended")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
