"""The Pulumi engine: an environment's stack made true or removed, with as few CLI processes as it takes.

The rule: two processes for a first deploy (`stack select --create`, `up`), one for an update (`up`), one for a destroy
(`destroy --remove`). The Automation API's own calls would take eight and five (`version`, `stack init`, `config set`, `stack
output`, `stack history`, `stack rm`): what those say is known here already, from the engine's events.
"""

from __future__ import annotations

import errno
import socket
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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
from orchestrator.adapters.pulumi.state import StateBucket
from orchestrator.domain import names
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import LockLeft, OperationFailed, Terminal, Transient
from orchestrator.ports import Deployed, Lock, PendingCreate, Progress, StopSignal
from template_stack import EnvironmentInputs, pulumi_program

_SETTINGS = {
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    "PULUMI_DIY_BACKEND_NO_LEGACY_WARNING": "1",
    "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
    "PULUMI_LOG_ROTATION_MAX_TOTAL_MB": "20",
    "NO_COLOR": "1",
}
"""Each saves time, space or a surprise: measured for the project, and documented by Pulumi."""

_SERVICE_TYPE = "aws:apprunner/service:Service"


@dataclass
class Report:
    """What one operation's events said."""

    outputs: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[auto.OpType, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    hidden: Collection[str] = ()
    """What no error may tell of."""
    found: bool = True
    """Whether there was such a stack."""


@dataclass(frozen=True)
class Target:
    """Where stacks are kept. Without a backend URL and secrets provider, what Pulumi itself is told counts."""

    backend_url: str | None = None
    secrets_provider: str | None = None
    pulumi_home: str | None = None
    """Where the CLI may write, where the machine's own HOME is not writable."""


class PulumiStacks:
    """Stacks of our project, by name."""

    def __init__(self, target: Target, command: Callable[[StopSignal], PulumiProcess] = PulumiProcess) -> None:
        self._target = target
        self._command = command

    def up(
        self, name: str, inputs: EnvironmentInputs, *, new: bool, refresh: bool, progress: Progress, stop: StopSignal
    ) -> Report:
        """Bring the stack up. Raises Interrupted, Transient or Terminal, with what the engine's diagnostics say."""
        report = Report(hidden=inputs.variables.values())
        with self._work_folder(report, stop) as folder:
            try:
                stack = self._stack(name, folder, stop, report, program=partial(pulumi_program, inputs), new=new)
                stack.up(refresh=refresh or None, color="never", on_event=_listener(report, progress))
            except auto.StackNotFoundError:
                if new:
                    raise
                return self.up(name, inputs, new=True, refresh=False, progress=progress, stop=stop)
        return report

    def destroy(
        self,
        name: str,
        *,
        hidden: Collection[str] = (),
        refresh: bool = False,
        progress: Progress,
        stop: StopSignal,
    ) -> Report:
        """Remove the stack's resources and the stack. A stack that is not there is removed already.

        Raises Interrupted, Transient or Terminal, which tell nothing of what is `hidden`.
        """
        report = Report(hidden=hidden)
        with self._work_folder(report, stop) as folder:
            try:
                stack = self._stack(name, folder, stop, report)
                stack.destroy(refresh=refresh or None, color="never", on_event=_listener(report, progress))
            except auto.StackNotFoundError:
                report.found = False
                progress("There is no such stack: nothing to destroy.")
        return report

    def clear_pending_creates(
        self, name: str, *, hidden: Collection[str] = (), progress: Progress, stop: StopSignal
    ) -> None:
        """Drop from the stack's state what was begun to be made, and look at the cloud for all the rest.

        Raises Interrupted, Transient or Terminal, which tell nothing of what is `hidden`.
        """
        report = Report(hidden=hidden)
        with self._work_folder(report, stop) as folder:
            stack = self._stack(name, folder, stop, report)
            stack.refresh(clear_pending_creates=True, color="never", on_event=_listener(report, progress))

    def names(self, stop: StopSignal) -> list[str]:
        """All stacks of the project. Reads every checkpoint: for people, never on a request's path.

        Raises Interrupted, Transient or Terminal.
        """
        with self._work_folder(Report(), stop) as folder:
            return [stack.name for stack in self._workspace(folder, stop).list_stacks()]

    @contextmanager
    def _work_folder(self, report: Report, stop: StopSignal) -> Iterator[str]:
        """A folder for one command, whose errors come out as ours."""
        try:
            with tempfile.TemporaryDirectory(prefix="fibfactory-") as folder:
                yield folder
        except auto.CommandError as error:
            # Without its cause, which has all that the CLI wrote: a log would show it.
            raise failure_of(error, report.errors, report.hidden, stopped=stop.is_set()) from None
        except OSError as error:
            code = "disk_full" if error.errno == errno.ENOSPC else "machine"
            raise Transient(f"The worker's own machine refused: {error}", code) from error

    def _stack(
        self,
        name: str,
        folder: str,
        stop: StopSignal,
        report: Report,
        *,
        program: auto.PulumiFn | None = None,
        new: bool = False,
    ) -> auto.Stack:
        workspace = self._workspace(folder, stop, program)
        mode = StackInitMode.CREATE if new else StackInitMode.SELECT
        return _Stack(name, workspace, mode, report)

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


@dataclass(frozen=True)
class PulumiEngine:
    """The Engine port: what an environment's record says, as the template stack's inputs."""

    stacks: PulumiStacks
    state: StateBucket
    platform: str
    prefix: str
    region: str
    access_role_arn: str | None = None
    instance_role_arn: str | None = None

    def deploy(
        self, environment: Environment, *, new: bool, refresh: bool, progress: Progress, stop: StopSignal
    ) -> Deployed:
        with self._stack_of(environment) as stack:
            report = self.stacks.up(
                stack, self._inputs(environment), new=new, refresh=refresh, progress=progress, stop=stop
            )
        return Deployed(service_url(report))

    def destroy(self, environment: Environment, *, refresh: bool, progress: Progress, stop: StopSignal) -> None:
        with self._stack_of(environment) as stack:
            self.stacks.destroy(stack, hidden=_hidden(environment), refresh=refresh, progress=progress, stop=stop)
        self.state.delete_stack_files(stack)

    def locks(self, environment: Environment) -> Sequence[Lock]:
        return self.state.locks(names.stack_name(environment.id))

    def break_lock(self, lock: Lock) -> None:
        self.state.break_lock(lock)

    def pending_creates(self, environment: Environment) -> Sequence[PendingCreate]:
        service = names.service_name(self.prefix, environment.id)
        return [
            PendingCreate(urn, kind, main=(kind, name) == (_SERVICE_TYPE, service))
            for urn, kind, name in self.state.pending_creates(names.stack_name(environment.id))
        ]

    def knows(self, environment: Environment, arn: str) -> bool:
        return arn in self.state.ids(names.stack_name(environment.id))

    def clear_pending_creates(self, environment: Environment, *, progress: Progress, stop: StopSignal) -> None:
        with self._stack_of(environment) as stack:
            self.stacks.clear_pending_creates(stack, hidden=_hidden(environment), progress=progress, stop=stop)

    @contextmanager
    def _stack_of(self, environment: Environment) -> Iterator[str]:
        """The stack's name, for one command: it finds nothing half made before it, and leaves no lock behind it.

        A CLI that did not end by itself leaves its lock; and one that could not delete it says so and ends well nevertheless.
        Ours was taken on this machine while we hold the environment's lease. Raises LockLeft when it can't be removed.
        """
        stack, since = names.stack_name(environment.id), environment.lease.since
        if environment.needs_refresh:
            self.state.delete_empty_checkpoint(stack)
        try:
            yield stack
        finally:
            try:
                for lock in self.state.locks(stack):
                    if lock.host == socket.gethostname() and since is not None and lock.at >= since:
                        self.break_lock(lock)
            except OperationFailed as error:
                raise LockLeft(f"The engine's lock could not be looked for or removed: {error.message}") from error

    def _inputs(self, environment: Environment) -> EnvironmentInputs:
        spec = environment.spec
        revision = {"FIBFACTORY_REVISION": spec.revision} if spec.revision else {}
        return EnvironmentInputs(
            app_name=names.app_name(self.prefix, environment.id),
            region=self.region,
            tags=names.tags(
                self.platform,
                environment.owner,
                environment.id,
                environment.generation,
                paused=environment.paused,
            ),
            image=spec.image,
            container_port=spec.port,
            cpu=spec.cpu,
            memory=spec.memory,
            health_path=spec.health_path,
            variables={**spec.variables, **revision},
            secrets=spec.secrets,
            access_role_arn=self.access_role_arn,
            instance_role_arn=self.instance_role_arn,
        )


def _hidden(environment: Environment) -> Collection[str]:
    return environment.spec.variables.values()


def _in_lambda(home: str) -> Mapping[str, str]:
    """Where the CLI may write and who it is, as the sandbox has neither a home nor a user."""
    return {"HOME": home, "USER": names.PROJECT, "TMPDIR": tempfile.gettempdir()}


def service_url(report: Report) -> str:
    """The URL that the template exported: `https://` is put before one without a scheme, as App Runner's come."""
    url = report.outputs.get("app_runner_service_url")
    if not isinstance(url, str) or not url:
        raise Terminal(
            "The template stack exported no `app_runner_service_url`. Keep that export in template_stack.py.", "no_url"
        )
    return url if "://" in url else f"https://{url}"


class _Workspace(auto.LocalWorkspace):
    """A workspace in which selecting costs nothing, as each command names its stack."""

    def create_stack(self, stack_name: str) -> None:
        secrets = ["--secrets-provider", self.secrets_provider] if self.secrets_provider else []
        environment = {**self.env_vars, **({"PULUMI_HOME": self.pulumi_home} if self.pulumi_home else {})}
        self.pulumi_command.run(["stack", "select", "--create", *secrets, stack_name], self.work_dir, environment)

    def select_stack(self, stack_name: str) -> None:
        pass


class _Stack(auto.Stack):
    """A stack whose outputs and summary come from the events of the operation that just ended."""

    def __init__(self, name: str, workspace: auto.Workspace, mode: StackInitMode, report: Report) -> None:
        super().__init__(name, workspace, mode)
        self._report = report

    def _run_pulumi_cmd_sync(
        self, args: list[str], on_output: OnLine | None = None, on_error: OnLine | None = None
    ) -> auto.CommandResult:
        # The SDK would use one more process for `stack rm`.
        remove = ["--remove"] if args[0] == "destroy" else []
        return super()._run_pulumi_cmd_sync([*args, *remove], on_output, on_error)

    def outputs(self) -> auto.OutputMap:
        return {name: auto.OutputValue(value=value, secret=False) for name, value in self._report.outputs.items()}

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
            resource_changes=dict(self._report.changes),
        )


def _listener(report: Report, progress: Progress) -> Callable[[auto.EngineEvent], None]:
    def listen(event: auto.EngineEvent) -> None:
        if event.res_outputs_event:
            _finished(event.res_outputs_event.metadata, report, progress)
        elif event.resource_pre_event:
            _started(event.resource_pre_event.metadata, progress)
        elif event.diagnostic_event and event.diagnostic_event.severity == "error":
            report.errors.append(event.diagnostic_event.message.strip())
        elif event.summary_event:
            report.changes = dict(event.summary_event.resource_changes or {})

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
