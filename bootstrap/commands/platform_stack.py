"""The platform's stack: the Pulumi engine, driven by the Automation API, with its state in the foundations' bucket.

The rule: an operation does everything or says what it did not do. What a failed operation made is recorded, and the next one
continues from there.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from pulumi import automation as auto
from rich.console import Console

from bootstrap.commands.progress import Progress
from bootstrap.commands.recovery import Find, recover_state
from bootstrap.errors import BootstrapError, EngineError, Interrupted, NoPlatform, StackLocked, explained, known_cause
from bootstrap.foundations.lookup import Foundations
from bootstrap.names import Names
from orchestrator.adapters.pulumi.automation import SETTINGS, Stack, Workspace
from orchestrator.adapters.pulumi.process import PulumiProcess
from orchestrator.domain.names import TAG_PLATFORM

Program = Callable[[], None]
PROJECT = "fibfactory-platform"


@dataclass(frozen=True)
class Plan:
    """The result of a preview: how many resources would change, and which ones would be lost with their data."""

    changes: int
    losses: tuple[str, ...]


class PlatformStack:
    """One platform's stack, from `open_stack`. Every method is one operation, and raises EngineError or Interrupted."""

    def __init__(self, stack: Stack, foundations: Foundations, cli: PulumiProcess, console: Console) -> None:
        self._stack, self._foundations, self._cli, self._console = stack, foundations, cli, console

    def preview(self, *, quiet: bool = False) -> Plan:
        """What a deploy would change, printed unless `quiet`; nothing is changed."""
        with self._operation("preview the platform", quiet=quiet) as progress:
            self._stack.preview(on_event=self._stack.listening(progress))
        return Plan(progress.changes.total(), tuple(sorted(progress.losses)))

    def deploy(self) -> dict[str, Any]:
        """Make the platform as its program says; returns the outputs. If it is as it should be, nothing changes."""
        with self._operation("deploy the platform") as progress:
            result = self._stack.up(on_event=self._stack.listening(progress))
        if not progress.changes:
            self._console.print("  nothing to change")
        return {name: output.value for name, output in sorted(result.outputs.items())}

    def recover(self, session: boto3.Session, find: Find) -> None:
        """Record what a killed run asked AWS for without learning the result; see `recovery`.

        Raises StackLocked while another run may be changing the platform, BootstrapError when something belongs to others.
        """
        with self._operation("record what an earlier run left", quiet=True) as progress:
            # An import overwrites the state and an export ignores locks, and a run under way has pending operations, too.
            if self._is_locked(session):
                raise _locked(self._foundations)
            exported = self._export()
            if not exported["deployment"].get("pending_operations"):
                return
            self._console.print("an earlier run was killed: looking for what it may have made")
            with explained("look for what an earlier run left"):
                recovery = recover_state(exported["deployment"], find)
            state = Path(self._stack.workspace.work_dir, "recovered.json")
            state.write_text(json.dumps({**exported, "deployment": recovery.deployment}))
            # A run that ended in the meantime left no lock, but it changed the state.
            if self._is_locked(session) or self._export() != exported:
                raise _locked(self._foundations)
            self._run("stack", "import", "--file", str(state))
            if recovery.urns:
                self._stack.refresh(target=list(recovery.urns), on_event=self._stack.listening(progress))
        if recovery.foreign:
            raise _foreign(recovery.foreign, self._foundations.names)

    def close_api(self) -> None:
        """Remove what lets requests in and starts sweeps, so that no environment can be requested. The rest stays."""
        with self._operation("close the platform's API") as progress:
            targets = _api_resources(self._foundations.names)
            listening = self._stack.listening(progress)
            self._stack.destroy(on_event=listening, target=targets, target_dependents=True)

    def destroy(self) -> None:
        """Remove everything that the platform's program made, then the stack itself."""
        with self._operation("destroy the platform") as progress:
            self._stack.destroy(on_event=self._stack.listening(progress))

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs; empty after a deploy that did not end. Raises NoPlatform if there is no stack."""
        with self._operation("read the platform's outputs"):
            outputs: dict[str, Any] = json.loads(self._run("stack", "output", "--json"))
        return outputs

    def _is_locked(self, session: boto3.Session) -> bool:
        """Whether a run holds the stack's lock, or was killed with it. Pulumi reports a lock only to those who try to take it."""
        with explained("check whether another run changes the platform"):
            listed = session.client("s3").list_objects_v2(
                **self._foundations.names.owned_bucket,
                Prefix=f".pulumi/locks/organization/{PROJECT}/{self._stack.name}/",
            )
        return bool(listed.get("Contents"))

    def _export(self) -> dict[str, Any]:
        exported: dict[str, Any] = json.loads(self._run("stack", "export"))
        return exported

    def _run(self, *arguments: str) -> str:
        """Run a command that the Automation API does not offer, or only with secrets in plain text."""
        workspace = self._stack.workspace
        done = self._cli.run([*arguments, "--stack", self._stack.name], workspace.work_dir, workspace.env_vars)
        return done.stdout

    @contextmanager
    def _operation(self, doing: str, *, quiet: bool = False) -> Iterator[Progress]:
        progress = Progress(Console(quiet=True) if quiet else self._console)
        with _translated(doing, self._foundations, self._cli, progress):
            yield progress


@contextmanager
def open_stack(
    foundations: Foundations, console: Console, cli: PulumiProcess, program: Program | None = None
) -> Iterator[PlatformStack]:
    """The platform's stack. With a `program` to deploy it is made if it is missing; without one, its methods raise NoPlatform.

    Its work folder is removed at the end in any case.
    """
    platform = foundations.names.platform
    with tempfile.TemporaryDirectory(prefix="fibfactory-") as folder:
        workspace = Workspace(
            work_dir=folder,
            program=program,
            env_vars={**SETTINGS, "PULUMI_BACKEND_URL": foundations.backend_url},
            secrets_provider=foundations.secrets_provider,
            # A stack whose first deploy was killed may not know its secrets provider yet; the CLI would ask for a passphrase.
            stack_settings={platform: auto.StackSettings(secrets_provider=foundations.secrets_provider)},
            project_settings=auto.ProjectSettings(name=PROJECT, runtime="python", main=str(Path.cwd())),
            pulumi_command=cli,
        )
        with _translated("open the platform's state", foundations, cli, Progress(console)):
            stack = Stack(platform, workspace, new=program is not None)
        yield PlatformStack(stack, foundations, cli, console)


def no_platform(platform: str, place: str) -> NoPlatform:
    return NoPlatform(f"There is no platform {platform} in {place}.", "Check --platform and --region, or deploy it.")


def _api_resources(names: Names) -> list[str]:
    """The URNs of what lets requests in, as patterns, which may match nothing.

    The API's role is included: a request that is being answered at that moment can't write any more.
    """
    prefix = f"urn:pulumi:{names.platform}::{PROJECT}::aws:"
    return [
        f"{prefix}apigatewayv2/**",
        f"{prefix}scheduler/**",
        f"{prefix}iam/rolePolicy:*::{names.api_function}",
    ]


@contextmanager
def _translated(doing: str, foundations: Foundations, cli: PulumiProcess, progress: Progress) -> Iterator[None]:
    names = foundations.names
    try:
        yield
    except auto.StackNotFoundError as error:
        raise no_platform(names.platform, f"account {names.account}, {names.region}") from error
    except auto.ConcurrentUpdateError as error:
        raise _locked(foundations) from error
    except auto.CommandError as error:
        if cli.stopped:
            raise Interrupted(
                "Stopped.", "What was finished is recorded; run the same command again to continue."
            ) from error
        raise _failed(doing, progress, str(error)) from error


def _locked(foundations: Foundations) -> StackLocked:
    platform = foundations.names.platform
    return StackLocked(
        f"The platform {platform} is being changed by another run, or by one that was killed.",
        f"Wait for it. If it was killed: PULUMI_BACKEND_URL='{foundations.backend_url}' pulumi cancel --yes "
        f"--stack organization/{PROJECT}/{platform}; then run this again.",
    )


def _foreign(foreign: tuple[str, ...], names: Names) -> BootstrapError:
    return BootstrapError(
        f"An earlier run was about to make resources of names that others use already: {', '.join(foreign)}. They do not have "
        f"this platform's tag ({TAG_PLATFORM}={names.platform}; a schedule, its target) and were not changed.",
        "To deploy, remove or rename them, or choose another --platform. To take down the rest, destroy again: "
        "resources of others stay.",
    )


def _failed(doing: str, progress: Progress, output: str) -> EngineError:
    errors = progress.errors or [
        line.strip().removeprefix("error: ") for line in output.splitlines() if line.lstrip().startswith("error:")
    ]
    first = errors[0] if errors else output.strip().splitlines()[-1]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    changed = progress.changes.total()
    done = f"{changed} changes were made and are recorded" if changed else "Nothing was changed"
    if cause := known_cause(first):
        what, advice = cause
        return EngineError(f"Pulumi could not {doing}: {what}{more}.", f"{done}. {advice}; then run it again.")
    return EngineError(
        f"Pulumi could not {doing}: {first}{more}",
        f"{done}. Remove the cause and run the same command again: it continues from there.",
    )
