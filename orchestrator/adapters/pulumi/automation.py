"""Pulumi's Automation API with one CLI process for each command, instead of up to six.

The rule: every command names its stack, so that none has to be selected; what an operation made and changed is taken from its
events, where the SDK would ask the CLI afterwards (`stack output` twice, `stack history`); a destroy removes the stack as well,
where the SDK would call `stack rm`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pulumi import automation as auto
from pulumi.automation._stack import StackInitMode  # not exported, but what Stack's own constructor takes

from orchestrator.adapters.pulumi.process import OnLine

OnEvent = Callable[[auto.EngineEvent], Any]

SETTINGS = {
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_DIY_BACKEND_NO_LEGACY_WARNING": "1",
    "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
}
"""Each saves a request or turns off a prompt (Pulumi's documentation of its environment variables)."""


class Workspace(auto.LocalWorkspace):
    """A workspace in which selecting a stack runs no process, and making one runs one, which finds an existing one, too."""

    def create_stack(self, stack_name: str) -> None:
        secrets = ["--secrets-provider", self.secrets_provider] if self.secrets_provider else []
        environment = {**self.env_vars, **({"PULUMI_HOME": self.pulumi_home} if self.pulumi_home else {})}
        self.pulumi_command.run(["stack", "select", "--create", *secrets, stack_name], self.work_dir, environment)

    def select_stack(self, stack_name: str) -> None:
        pass


class Stack(auto.Stack):
    """A stack whose outputs and summary come from the events of its last operation, which `listening` has to be given.

    With `new` it is made if it is missing; without it, the first command raises StackNotFoundError.
    """

    def __init__(self, name: str, workspace: Workspace, *, new: bool = False) -> None:
        super().__init__(name, workspace, StackInitMode.CREATE if new else StackInitMode.SELECT)
        self._outputs: Mapping[str, Any] = {}
        self._changes: Mapping[auto.OpType, int] = {}

    def listening(self, on_event: OnEvent) -> OnEvent:
        """An operation's `on_event`, which also keeps the stack's outputs and the number of changes."""

        def listen(event: auto.EngineEvent) -> None:
            done = event.res_outputs_event
            if done and done.metadata.type == "pulumi:pulumi:Stack":
                self._outputs = (done.metadata.new.outputs if done.metadata.new else None) or {}
            elif event.summary_event:
                self._changes = event.summary_event.resource_changes or {}
            on_event(event)

        return listen

    def up(self, *args: Any, **options: Any) -> auto.UpResult:
        done = super().up(*args, **options)
        # The SDK asks for both before it waits for the last events, which a CLI up to 3.205 writes to a file.
        done.outputs, done.summary = self.outputs(), self.info()
        return done

    def outputs(self) -> auto.OutputMap:
        return {name: auto.OutputValue(value=value, secret=False) for name, value in self._outputs.items()}

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
            resource_changes=dict(self._changes),
        )

    def _run_pulumi_cmd_sync(
        self, args: list[str], on_output: OnLine | None = None, on_error: OnLine | None = None
    ) -> auto.CommandResult:
        whole = args[0] == "destroy" and "--target" not in args
        return super()._run_pulumi_cmd_sync([*args, *(["--remove"] if whole else [])], on_output, on_error)
