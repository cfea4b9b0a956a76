"""Stacks of our project through Pulumi's Automation API, with as few CLI processes as possible.

The rule: two processes for a first deploy (`stack select --create`, `up`), one for an update (`up`), one for a destroy
(`destroy --remove`). The Automation API's own calls would take eight and five (`version`, `stack init`, `config set`, `stack
output`, `stack history`, `stack rm`); what those return is taken from the engine's events instead.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pulumi import automation as auto
from pulumi.automation import events
from pulumi.automation._stack import StackInitMode  # not exported, but what Stack's own constructor takes

from orchestrator.adapters.pulumi.errors import failure_of
from orchestrator.adapters.pulumi.process import OnLine, PulumiProcess
from orchestrator.domain import names
from orchestrator.domain.errors import ErrorCode, Transient
from orchestrator.ports import Progress, StopSignal
from template_stack import EnvironmentInputs, pulumi_program

_SETTINGS = {
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    "PULUMI_DIY_BACKEND_NO_LEGACY_WARNING": "1",
    "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
    "PULUMI_LOG_ROTATION_MAX_TOTAL_MB": "20",
    "NO_COLOR": "1",
}
"""Each saves time or disk space, or turns off a prompt (Pulumi's documentation of its environment variables)."""


@dataclass
class Report:
    """What one operation's events contained."""

    outputs: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[auto.OpType, int] = field(default_factory=dict)
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
        self, name: str, inputs: EnvironmentInputs, *, new: bool, refresh: bool, progress: Progress, stop: StopSignal
    ) -> Report:
        """Bring the stack up. Raises Interrupted, Transient or Terminal, with the engine's diagnostics."""
        program = partial(pulumi_program, inputs)
        with self._stack(name, stop, inputs.spec.variables.values(), program, new=new) as stack:
            try:
                stack.up(refresh=refresh or None, color="never", on_event=stack.listener(progress))
            except auto.StackNotFoundError:
                if new:
                    raise
                return self.up(name, inputs, new=True, refresh=False, progress=progress, stop=stop)
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
                stack.destroy(refresh=refresh or None, color="never", on_event=stack.listener(progress))
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
        """A folder for one command; its errors become ours."""
        try:
            with tempfile.TemporaryDirectory(prefix="fibfactory-") as folder:
                yield folder
        except auto.CommandError as error:
            # Without its cause: that has everything the CLI wrote, and a log would show it.
            raise failure_of(error, report.errors, report.hidden, stopped=stop.is_set()) from None
        except OSError as error:
            code = ErrorCode.DISK_FULL if error.errno == errno.ENOSPC else ErrorCode.MACHINE
            raise Transient(f"The machine refused: {error}", code) from error

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
        """The stack, for one command; its errors become ours, without the `hidden` values."""
        report = Report(hidden=hidden)
        with self._work_folder(report, stop) as folder:
            mode = StackInitMode.CREATE if new else StackInitMode.SELECT
            yield _Stack(name, self._workspace(folder, stop, program), mode, report)

    def _workspace(self, folder: str, stop: StopSignal, program: auto.PulumiFn | None = None) -> _Workspace:
        home = self._target.pulumi_home
        backend = auto.ProjectBackend(url=self._target.backend_url) if self._target.backend_url else None
        return _Workspace(
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


class _Workspace(auto.LocalWorkspace):
    """A workspace in which selecting a stack runs no process, as each command names its stack."""

    def create_stack(self, stack_name: str) -> None:
        secrets = ["--secrets-provider", self.secrets_provider] if self.secrets_provider else []
        environment = {**self.env_vars, **({"PULUMI_HOME": self.pulumi_home} if self.pulumi_home else {})}
        self.pulumi_command.run(["stack", "select", "--create", *secrets, stack_name], self.work_dir, environment)

    def select_stack(self, stack_name: str) -> None:
        pass


class _Stack(auto.Stack):
    """A stack whose outputs and summary come from the events of the last operation."""

    def __init__(self, name: str, workspace: auto.Workspace, mode: StackInitMode, report: Report) -> None:
        super().__init__(name, workspace, mode)
        self.report = report

    def _run_pulumi_cmd_sync(
        self, args: list[str], on_output: OnLine | None = None, on_error: OnLine | None = None
    ) -> auto.CommandResult:
        # The SDK would use one more process for `stack rm`.
        remove = ["--remove"] if args[0] == "destroy" else []
        return super()._run_pulumi_cmd_sync([*args, *remove], on_output, on_error)

    def outputs(self) -> auto.OutputMap:
        return {name: auto.OutputValue(value=value, secret=False) for name, value in self.report.outputs.items()}

    def info(self, show_secrets: bool = True) -> auto.UpdateSummary:
        now = datetime.now(UTC)
        return auto.UpdateSummary(
            kind="update",
            start_time=now,
            message="",
            environment={},
            config={},
            result="succeeded",
            end_time=now,
            resource_changes=dict(self.report.changes),
        )

    def listener(self, progress: Progress) -> Callable[[auto.EngineEvent], None]:
        """Takes the events of one operation, for the report and as lines of progress."""

        def listen(event: auto.EngineEvent) -> None:
            if event.res_outputs_event:
                _finished(event.res_outputs_event.metadata, self.report, progress)
            elif event.resource_pre_event:
                _started(event.resource_pre_event.metadata, progress)
            elif event.diagnostic_event and event.diagnostic_event.severity == "error":
                self.report.errors.append(event.diagnostic_event.message.strip())
            elif event.summary_event:
                self.report.changes = dict(event.summary_event.resource_changes or {})

        return listen


def _started(step: events.StepEventMetadata, progress: Progress) -> None:
    if step.op is not auto.OpType.SAME and step.type != "pulumi:pulumi:Stack":
        progress(f"{step.type} {_resource(step.urn)}: {step.op.value} …")


def _finished(step: events.StepEventMetadata, report: Report, progress: Progress) -> None:
    if step.type == "pulumi:pulumi:Stack":
        report.outputs = (step.new.outputs if step.new else None) or {}
    elif step.op is not auto.OpType.SAME:
        progress(f"{step.type} {_resource(step.urn)}: {step.op.value} done")


def _resource(urn: str) -> str:
    return urn.rsplit("::", 1)[-1]
