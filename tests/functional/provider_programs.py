"""Real Automation API programs like the original script, run by the real CLI against the local cloud, each in its own folder."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
from pulumi import automation as auto

from localcloud.running import RunningCloud

REGION = "us-west-2"
PROJECT = "stand-in"
IMAGE = "public.ecr.aws/fibfactory/fibservice:latest"

Program = Callable[[], None]

# The SDK loads its modules when they are first used, which two programs in two threads must not do at the same time.
assert aws.apprunner.Service

WARNINGS_OF_THE_SDK = [
    # Parts of pulumi_aws warn of their own resources when they are imported.
    pytest.mark.filterwarnings("ignore:.* has been deprecated in favor of:DeprecationWarning"),
    # The Automation API's server does not close the program's loop when an update fails while resources are registered.
    pytest.mark.filterwarnings("ignore:unclosed event loop:ResourceWarning"),
]


@dataclass
class Workspace:
    """A folder with a `file://` backend, and the environment in which the CLI runs there."""

    folder: Path
    environment: dict[str, str]
    secrets_provider: str
    stacks: dict[str, auto.Stack] = field(default_factory=dict)

    def stack(self, name: str) -> auto.Stack:
        """A stack, created at its first use."""
        if name not in self.stacks:
            self.stacks[name] = auto.create_or_select_stack(
                stack_name=name,
                project_name=PROJECT,
                program=lambda: None,
                opts=auto.LocalWorkspaceOptions(
                    env_vars=self.environment,
                    pulumi_home=str(self.folder / "home"),
                    pulumi_command=pulumi_command(),
                    secrets_provider=self.secrets_provider,
                ),
            )
        return self.stacks[name]

    def up(self, name: str, program: Program, **options: Any) -> auto.UpResult:
        """Run `up` for a program; its output is in the exception when it fails."""
        return self.stack(name).up(program=program, color="never", **options)

    def preview(self, name: str, program: Program) -> dict[str, auto.StepEventMetadata]:
        """The steps that a preview announces by their kind, unchanged resources left out."""
        seen: list[auto.EngineEvent] = []
        self.stack(name).preview(program=program, on_event=seen.append)
        steps = [event.resource_pre_event.metadata for event in seen if event.resource_pre_event]
        return {step.op.value: step for step in steps if step.op != auto.OpType.SAME}

    def resources(self, name: str) -> dict[str, dict[str, Any]]:
        """The resources in a stack's checkpoint, as they are written on disk, by logical name."""
        file = self.folder / "state" / ".pulumi" / "stacks" / PROJECT / f"{name}.json"
        checkpoint = json.loads(file.read_text())["checkpoint"]["latest"]
        return {each["urn"].rsplit("::", 1)[-1]: each for each in checkpoint.get("resources") or []}

    def checkpoint(self, name: str) -> str:
        """The text of a stack's checkpoint."""
        return (self.folder / "state" / ".pulumi" / "stacks" / PROJECT / f"{name}.json").read_text()

    def cli(self, work: Path, *arguments: str) -> subprocess.Popen[str]:
        """The CLI as a process of its own, to send it signals."""
        return subprocess.Popen(
            ["pulumi", *arguments, "--non-interactive", "--color", "never"],
            cwd=work,
            env=self.environment | {"PULUMI_HOME": str(self.folder / "home")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@cache
def pulumi_command() -> auto.PulumiCommand:
    """The CLI on PATH, asked for its version once."""
    return auto.PulumiCommand()


def changes(result: auto.UpResult) -> dict[str, int]:
    """How many resources an update changed, by kind of change."""
    return counted(result.summary)


def provider(**options: Any) -> pulumi.ResourceOptions:
    """Options with an explicit provider, as in the original script."""
    return pulumi.ResourceOptions(provider=aws.Provider("aws-provider", region=REGION, **options))


def workspace_of(cloud: RunningCloud, folder: Path, identity: str, secrets_provider: str = "passphrase") -> Workspace:
    """A workspace whose CLI runs with one identity's keys."""
    (folder / "state").mkdir(parents=True)
    (folder / "home").mkdir()
    environment = dict(cloud.environment(cloud.identity(identity)))
    environment |= {
        "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "local",
        # The secrets provider is then found in the state, as every command of the Automation API has settings of its own.
        "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
    }
    return Workspace(folder, environment, secrets_provider)


def drift(workspace: Workspace, name: str) -> dict[str, int]:
    """How many differences a refresh finds; it updates the stack's state."""
    return counted(workspace.stack(name).refresh(color="never").summary)


def counted(summary: auto.UpdateSummary) -> dict[str, int]:
    """How many resources went through each kind of change."""
    found = {auto.OpType(kind).value: count for kind, count in (summary.resource_changes or {}).items()}
    return {kind: count for kind, count in found.items() if kind != "same"}
