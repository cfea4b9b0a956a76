"""The Pulumi CLI as a child process that is stopped in order.

The Automation API starts it in our own process group and does not wait for it when interrupted: Ctrl-C would then leave a CLI
running behind the prompt, or one that only we were told about. The rule here: the CLI gets its own process group and exactly one
signal for each that we get; we wait for it. The first has it finish what is under way, save its state and let go of the lock; a
second ends it at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import IO

from pulumi import automation as auto
from pulumi.automation.errors import create_command_error

from bootstrap.errors import EngineError

OnLine = Callable[[str], object]


class PulumiCli(auto.PulumiCommand):
    """The CLI found on PATH; `interrupted` says whether a signal came while it ran."""

    def __init__(self, on_interrupt: Callable[[], None]) -> None:
        """Raises EngineError when there is no fitting CLI. `on_interrupt` is called when it is asked to stop."""
        try:
            super().__init__()
        except FileNotFoundError as error:
            raise EngineError(
                "The Pulumi CLI is not on PATH.",
                "`make setup` puts one into .venv/bin: add that to PATH, or install it (https://www.pulumi.com/docs/install/).",
            ) from error
        except (auto.InvalidVersionError, subprocess.CalledProcessError) as error:
            raise EngineError(
                f"The Pulumi CLI on PATH can't be used: {error}", "Install a current one and run this again."
            ) from error
        self.interrupted = False
        self._on_interrupt = on_interrupt

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnLine | None = None,
        on_error: OnLine | None = None,
    ) -> auto.CommandResult:
        """As in the base class: one CLI process to its end. Raises a CommandError when it fails."""
        process = subprocess.Popen(
            [self.command, "--non-interactive", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"},
            encoding="utf-8",
            process_group=0,
        )
        with process, self._passing_signals_to(process):
            assert process.stdout is not None and process.stderr is not None
            stdout, stderr = _Lines(process.stdout, on_output), _Lines(process.stderr, on_error)
            stdout.join()
            stderr.join()
            code = process.wait()
        result = auto.CommandResult(stdout=stdout.text, stderr=stderr.text, code=code)
        if code != 0:
            raise create_command_error(result)
        return result

    @contextmanager
    def _passing_signals_to(self, process: subprocess.Popen[str]) -> Iterator[None]:
        def pass_on(_number: int, _frame: FrameType | None) -> None:
            if not self.interrupted:
                self.interrupted = True
                self._on_interrupt()
            process.send_signal(signal.SIGINT)

        # Only the main thread may set handlers; elsewhere whoever owns the main thread decides what a signal means.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Lines(threading.Thread):
    """Reads a pipe to its end, so that the CLI never waits for us."""

    def __init__(self, pipe: IO[str], on_line: OnLine | None) -> None:
        super().__init__(daemon=True)
        self._pipe, self._on_line, self._lines = pipe, on_line, list[str]()
        self.start()

    def run(self) -> None:
        for line in self._pipe:
            self._lines.append(line.rstrip())
            if self._on_line:
                self._on_line(line.rstrip())

    @property
    def text(self) -> str:
        return "\n".join(self._lines)
