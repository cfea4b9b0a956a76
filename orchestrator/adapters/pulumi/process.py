"""The Pulumi CLI as a child process that can be stopped in order and never outlives its caller's interest.

The rule: the first signal asks the CLI to cancel (its checkpoint is saved), the second ends it. When it has exited, so has
everything that it started: its process group, and by their mark its plug-ins, which are in groups of their own. The SDK's own
command object hides its process and offers no cancel.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from pulumi.automation import CommandError, CommandResult, PulumiCommand
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from orchestrator.adapters import sandbox
from orchestrator.domain.errors import ErrorCode, Terminal
from orchestrator.ports import StopSignal

PULUMI_VERSION = VersionInfo.parse("3.250.0")
"""The version that the SDK's pin goes with; set-up and the image bring just this one, so no process is spent on asking."""

OnLine = Callable[[str], Any]


class CliKilled(CommandError):
    """The CLI did not end by itself: somebody, or the machine, ended it with a signal."""


class PulumiProcess(PulumiCommand):
    """Runs one CLI command at a time; `stop` ends it in order."""

    def __init__(self, stop: StopSignal) -> None:
        command = shutil.which("pulumi")
        if command is None:
            raise Terminal(
                "The Pulumi CLI is not on PATH. Install version 3.250.0, or use the image, which has it.",
                ErrorCode.NO_PULUMI,
            )
        self.command = command
        self.version = PULUMI_VERSION
        self._stop = stop

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnLine | None = None,
        on_error: OnLine | None = None,
    ) -> CommandResult:
        """Run `pulumi ARGS` to its end. Raises the SDK's CommandError when it fails."""
        if args[0] == "destroy":
            args = [*args, "--remove"]  # the SDK would spend one more process on `stack rm`
        output: list[str] = []
        errors: list[str] = []
        mark = sandbox.new_mark()
        with subprocess.Popen(
            [self.command, "--non-interactive", *args],
            cwd=cwd,
            env={**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true", sandbox.MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        ) as process:
            readers = [
                threading.Thread(target=_read, args=(process.stdout, output, on_output)),
                threading.Thread(target=_read, args=(process.stderr, errors, on_error)),
            ]
            for reader in readers:
                reader.start()
            try:
                self._wait(process)
            finally:
                _end_group(process)
                sandbox.end_marked(mark)
            for reader in readers:
                reader.join()
        result = CommandResult("\n".join(output), "\n".join(errors), process.returncode)
        if result.code < 0:
            raise CliKilled(result)
        if result.code != 0:
            raise create_command_error(result)
        return result

    def _wait(self, process: subprocess.Popen[str]) -> None:
        signals = itertools.chain((signal.SIGINT, signal.SIGTERM), itertools.repeat(signal.SIGKILL))
        try:
            while process.poll() is None:
                if self._stop.wait(0.0):
                    process.send_signal(next(signals))
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(self._stop.grace)
                else:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(0.1)
        except BaseException:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(self._stop.grace)
            raise


def _read(stream: Any, lines: list[str], on_line: OnLine | None) -> None:
    for line in stream:
        lines.append(line.rstrip())
        if on_line:
            on_line(lines[-1])


def _end_group(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
