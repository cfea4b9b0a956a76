"""The Pulumi CLI as a child process that is stopped gracefully and never left running.

The rule: the first signal tells the CLI to cancel: it finishes what is under way, saves its state and releases its lock. The next
ones end it sooner. It is waited for, and then everything that it started is ended: its process group, and by their mark its
plug-ins, which are in groups of their own. The SDK's own command hides its process, shares its caller's process group and is not
waited for when the caller is interrupted.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from pulumi.automation import CommandError, CommandResult, PulumiCommand
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from orchestrator.adapters import sandbox
from orchestrator.domain.errors import ErrorCode, Terminal
from orchestrator.ports import StopSignal

PULUMI_VERSION = VersionInfo.parse("3.250.0")
"""The version that belongs to the SDK's pin. Set-up and the image install exactly this one, so the CLI is not asked."""

OnLine = Callable[[str], Any]
_POLL_SECONDS = 0.1


class CliKilled(CommandError):
    """The CLI was ended by a signal, for instance because the machine ran out of memory."""


class PulumiProcess(PulumiCommand):
    """Runs one CLI command at a time.

    `stop` ends it gracefully: with SIGINT, and each time its grace is over with SIGTERM, then SIGKILL.

    `on_signal`, where given, is for commands that a person runs: while the CLI runs, each SIGINT or SIGTERM of this process is
    passed on as one SIGINT, and the CLI has as much time as it needs; the first sets `stop` and calls `on_signal`. This works in
    the main thread only; in other threads, signals are left to the handlers of the main thread.
    """

    def __init__(
        self,
        stop: StopSignal,
        on_signal: Callable[[], None] | None = None,
        version: VersionInfo | None = PULUMI_VERSION,
    ) -> None:
        """Raises Terminal `no_pulumi` when there is no CLI on PATH."""
        command = shutil.which("pulumi")
        if command is None:
            raise Terminal(
                "The Pulumi CLI is not on PATH. Install version 3.250.0, or use the image, which has it.",
                ErrorCode.NO_PULUMI,
            )
        self.command = command
        self.version = version
        self._stop = stop
        self._on_signal = on_signal

    @property
    def stopped(self) -> bool:
        """Whether the CLI was told to stop, by the stop signal or by a signal to this process."""
        return self._stop.is_set()

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnLine | None = None,
        on_error: OnLine | None = None,
    ) -> CommandResult:
        """Run `pulumi ARGS` to its end. Raises the SDK's CommandError when it fails, CliKilled when a signal ended it."""
        output: list[str] = []
        errors: list[str] = []
        mark = sandbox.new_mark()
        with (
            self._received_signals() as received,
            subprocess.Popen(
                [self.command, "--non-interactive", *args],
                cwd=cwd,
                env={**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true", sandbox.MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            ) as process,
        ):
            readers = [
                threading.Thread(target=_read, args=(process.stdout, output, on_output)),
                threading.Thread(target=_read, args=(process.stderr, errors, on_error)),
            ]
            for reader in readers:
                reader.start()
            try:
                self._wait(process, received)
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

    @contextmanager
    def _received_signals(self) -> Iterator[Sequence[int]]:
        """The signals that this process gets meanwhile; empty if they are not ours to handle."""
        received: list[int] = []
        if self._on_signal is None or threading.current_thread() is not threading.main_thread():
            yield received
            return
        on_signal = self._on_signal

        def receive(number: int, _frame: object) -> None:
            received.append(number)
            if not self._stop.is_set():
                self._stop.set()
                on_signal()

        before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield received
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _wait(self, process: subprocess.Popen[str], received: Sequence[int]) -> None:
        firmer = itertools.chain((signal.SIGINT, signal.SIGTERM), itertools.repeat(signal.SIGKILL))
        passed_on, grace_over = 0, 0.0
        try:
            while process.poll() is None:
                if passed_on < len(received):
                    process.send_signal(signal.SIGINT)
                    passed_on += 1
                elif self._stop.is_set() and not received and time.monotonic() >= grace_over:
                    process.send_signal(next(firmer))
                    grace_over = time.monotonic() + self._stop.grace
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL_SECONDS)
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
