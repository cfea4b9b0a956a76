"""Stacks of our project, with as few CLI processes as possible.

The rule: two processes for a first deploy (`stack select --create`, `up`), one for an update (`up`), one for a destroy
(`destroy --remove`). The Automation API's own calls would take eight and five.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pulumi import automation as auto
from pulumi.automation import events

from orchestrator.adapters.pulumi.automation import SETTINGS, OnEvent, Stack, Workspace
from orchestrator.adapters.pulumi.errors import failure_of
from orchestrator.adapters.pulumi.process import PulumiProcess
from orchestrator.domain import names
from orchestrator.domain.errors import ErrorCode, Transient
from orchestrator.ports import Progress, StopSignal
from template_stack import EnvironmentInputs, pulumi_program

_SETTINGS = {
    **SETTINGS,
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    "PULUMI_LOG_ROTATION_MAX_TOTAL_MB": "20",
    "NO_COLOR": "1",
}
"""Each saves time or disk space, or turns off a prompt (Pulumi's documentation of its environment variables)."""


@dataclass
class Report:
    """What one operation's events contained."""

    outputs: Mapping[str, Any] = field(default_factory=dict)
    """What an `up` exported."""
    changes: Mapping[auto.OpType, int] = field(default_factory=dict)
    """How many resources a `destroy` removed."""
    errors: list[str] = field(default_factory=list)
    hidden: Collection[str] = ()
    """Values that no error may contain."""
    found: bool = True
    """Whether the stack existed."""


@dataclass(frozen=True)
class Target:
    """Where stacks are kept. Without a backend URL and secrets provider, Pulumi's own settings count."""

    backend_url: str | None = None
    secrets_provider: str | None = None
    pulumi_home: str | None = None
    """Where the CLI may write if HOME is not writable, as in Lambda."""


class PulumiStacks:
    """Stacks of our project, by name."""

    def __init__(self, target: Target, command: Callable[[StopSignal], PulumiProcess] = PulumiProcess) -> None:
        self._target = target
        self._command = command

    def up(
        self,
        name: str,
        inputs: EnvironmentInputs,
        *,
        hidden: Collection[str] = (),
        new: bool,
        refresh: bool,
        progress: Progress,
        stop: StopSignal,
    ) -> Report:
        """Bring the stack up.

        Raises Interrupted, Transient or Terminal, with the engine's diagnostics and without the `hidden` values.
        """
        program = partial(pulumi_program, inputs)
        with self._stack(name, stop, hidden, program, new=new) as stack:
            try:
                made = stack.up(refresh=refresh or None, color="never", on_event=stack.listener(progress))
            except auto.StackNotFoundError:
                if new:
                    raise
                return self.up(name, inputs, hidden=hidden, new=True, refresh=False, progress=progress, stop=stop)
        stack.report.outputs = {name: output.value for name, output in made.outputs.items()}
        return stack.report

    def destroy(
        self,
        name: str,
        *,
        hidden: Collection[str] = (),
        refresh: bool = False,
        progress: Progress,
        stop: StopSignal,
    ) -> Report:
        """Remove the stack's resources and the stack; a missing stack is no error.

        Raises Interrupted, Transient or Terminal, without the `hidden` values.
        """
        with self._stack(name, stop, hidden) as stack:
            try:
                done = stack.destroy(refresh=refresh or None, color="never", on_event=stack.listener(progress))
                stack.report.changes = done.summary.resource_changes or {}
            except auto.StackNotFoundError:
                stack.report.found = False
                progress("There is no such stack: nothing to destroy.")
        return stack.report

    def clear_pending_creates(
        self, name: str, *, hidden: Collection[str] = (), progress: Progress, stop: StopSignal
    ) -> None:
        """Drop all pending creates from the stack's state, and refresh everything else in it.

        Raises Interrupted, Transient or Terminal, without the `hidden` values.
        """
        with self._stack(name, stop, hidden) as stack:
            stack.refresh(clear_pending_creates=True, color="never", on_event=stack.listener(progress))

    def names(self, stop: StopSignal) -> list[str]:
        """All stacks of the project. Slow, as it reads every checkpoint: not for use in a request.

        Raises Interrupted, Transient or Terminal.
        """
        with self._work_folder(Report(), stop) as folder:
            return [stack.name for stack in self._workspace(folder, stop).list_stacks()]

    @contextmanager
    def _work_folder(self, report: Report, stop: StopSignal) -> Iterator[str]:
        """A folder for one command, whose errors are translated."""
        try:
            with tempfile.TemporaryDirectory(prefix="fibfactory-") as folder:
                yield folder
        except auto.CommandError as error:
            # Without its cause: that has everything the CLI wrote, and a log would show it.
            raise failure_of(error, report.errors, report.hidden, stopped=stop.is_set()) from None
        except OSError as error:
            code = ErrorCode.DISK_FULL if error.errno == errno.ENOSPC else ErrorCode.MACHINE
            raise Transient(f"The operating system refused a file or process: {error}", code) from error

    @contextmanager
    def _stack(
        self,
        name: str,
        stop: StopSignal,
        hidden: Collection[str],
        program: auto.PulumiFn | None = None,
        *,
        new: bool = False,
    ) -> Iterator[_Stack]:
        """The stack, for one command, whose errors are translated, without the `hidden` values."""
        report = Report(hidden=hidden)
        with self._work_folder(report, stop) as folder:
            yield _Stack(name, self._workspace(folder, stop, program), report, new=new)

    def _workspace(self, folder: str, stop: StopSignal, program: auto.PulumiFn | None = None) -> Workspace:
        home = self._target.pulumi_home
        backend = auto.ProjectBackend(url=self._target.backend_url) if self._target.backend_url else None
        return Workspace(
            work_dir=folder,
            pulumi_home=home,
            program=program,
            env_vars={**_SETTINGS, **(_in_lambda(home) if home else {})},
            secrets_provider=self._target.secrets_provider,
            project_settings=auto.ProjectSettings(
                name=names.PROJECT, runtime="python", main=str(Path.cwd()), backend=backend
            ),
            pulumi_command=self._command(stop),
        )


def _in_lambda(home: str) -> Mapping[str, str]:
    """Where the CLI may write, and its user: Lambda's sandbox has neither home nor user."""
    return {"HOME": home, "USER": names.PROJECT, "TMPDIR": tempfile.gettempdir()}


class _Stack(Stack):
    """A stack with the report of its one command."""

    def __init__(self, name: str, workspace: Workspace, report: Report, *, new: bool) -> None:
        super().__init__(name, workspace, new=new)
        self.report = report

    def listener(self, progress: Progress) -> OnEvent:
        """Takes the events of one operation, for the report and as lines of progress."""

        def listen(event: auto.EngineEvent) -> None:
            if event.res_outputs_event:
                _changed(event.res_outputs_event.metadata, "done", progress)
            elif event.resource_pre_event:
                _changed(event.resource_pre_event.metadata, "…", progress)
            elif event.diagnostic_event and event.diagnostic_event.severity == "error":
                self.report.errors.append(event.diagnostic_event.message.strip())

        return self.listening(listen)


def _changed(step: events.StepEventMetadata, how_far: str, progress: Progress) -> None:
    if step.op is not auto.OpType.SAME and step.type != "pulumi:pulumi:Stack":
        progress(f"{step.type} {step.urn.rsplit('::', 1)[-1]}: {step.op.value} {how_far}")
