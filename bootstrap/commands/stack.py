"""The platform's stack: the real Pulumi engine, driven by the Automation API, with its state in the foundations' bucket.

The rule: an operation does it all or says what it did not do. What a failed one had made is recorded, and the next goes
on from there.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from pulumi import automation as auto
from rich.console import Console

from bootstrap.commands.progress import Progress
from bootstrap.commands.pulumi_cli import PulumiCli
from bootstrap.commands.recovery import Find, taken_on
from bootstrap.errors import (
    BootstrapError,
    EngineError,
    Interrupted,
    NoPlatform,
    StackLocked,
    explained,
    known_cause,
    refusal,
)
from bootstrap.foundations.foundations import Foundations
from bootstrap.names import PLATFORM_TAG, Names

Program = Callable[[], None]
PROJECT = "fibfactory-platform"
_QUIET = {
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    # Each saves a request or a warning on every command; the bucket is new, there is nothing of older versions in it.
    "PULUMI_DIY_BACKEND_NO_LEGACY_WARNING": "1",
}


@dataclass(frozen=True)
class Plan:
    """What a preview found: how many things would change, and those that would be lost with their data."""

    changes: int
    losses: tuple[str, ...]


class PlatformStack:
    """One platform's stack, opened by `opened`. Every method is one Pulumi operation, and raises EngineError or Interrupted."""

    def __init__(self, stack: auto.Stack, foundations: Foundations, cli: PulumiCli, console: Console) -> None:
        self._stack, self._foundations, self._cli, self._console = stack, foundations, cli, console

    def preview(self, *, quiet: bool = False) -> Plan:
        """What a deploy would change, printed unless `quiet`; change nothing."""
        progress = Progress(Console(quiet=True) if quiet else self._console)
        with self._operation("preview the platform", progress):
            self._stack.preview(on_event=progress)
        return Plan(progress.changes.total(), tuple(sorted(progress.losses)))

    def deploy(self) -> dict[str, Any]:
        """Make the platform as its program says; the stack's outputs. Nothing changes when it is so already."""
        progress = Progress(self._console)
        with self._operation("deploy the platform", progress):
            result = self._stack.up(on_event=progress, show_secrets=False)
        if not progress.changes:
            self._console.print("  nothing to change")
        return _values(result.outputs)

    def recover(self, session: boto3.Session, find: Find) -> None:
        """Take on what a run that was killed had asked AWS for without learning how that ended; see `recovery`.

        Raises StackLocked while another run may be at it, BootstrapError when what it finds is somebody else's.
        """
        progress = Progress(Console(quiet=True))
        with self._operation("take on what an earlier run left behind", progress):
            # An import overwrites whatever is there, and an export heeds no lock: a run under way has things pending, too.
            if self._is_locked(session):
                raise _locked(self._stack.name, self._foundations)
            exported = self._exported()
            if not exported["deployment"].get("pending_operations"):
                return
            self._console.print("an earlier run was killed: looking for what it may have made")
            with explained("look for what an earlier run left behind"):
                recovery = taken_on(exported["deployment"], find)
            state = Path(self._stack.workspace.work_dir, "recovered.json")
            state.write_text(json.dumps({**exported, "deployment": recovery.deployment}))
            # One that came and went meanwhile left no lock, but a newer state.
            if self._is_locked(session) or self._exported() != exported:
                raise _locked(self._stack.name, self._foundations)
            self._run("stack", "import", "--file", str(state))
            if recovery.urns:
                self._stack.refresh(target=list(recovery.urns), on_event=progress, show_secrets=False)
        if recovery.foreign:
            raise _not_ours(recovery.foreign, self._foundations.names(self._stack.name))

    def close_the_door(self, names: Names) -> None:
        """Remove what lets requests in and starts sweeps: afterwards nobody can ask for an environment. The rest stays."""
        progress = Progress(self._console)
        with self._operation("close the platform's front door", progress):
            self._stack.destroy(on_event=progress, show_secrets=False, target=_door(names), target_dependents=True)

    def destroy(self) -> None:
        """Remove all that the platform's program made, then the stack itself."""
        progress = Progress(self._console)
        with self._operation("destroy the platform", progress):
            self._stack.destroy(on_event=progress, show_secrets=False, remove=True)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs; empty after a deploy that never ended."""
        with self._operation("read the platform's outputs", Progress(self._console)):
            return _values(self._stack.outputs())

    def _is_locked(self, session: boto3.Session) -> bool:
        """Whether a run holds the stack, or died while it did. Pulumi itself only says so to one that wants the lock."""
        with explained("look whether another run changes the platform"):
            listed = session.client("s3").list_objects_v2(
                Bucket=self._foundations.bucket,
                Prefix=f".pulumi/locks/organization/{PROJECT}/{self._stack.name}/",
                ExpectedBucketOwner=self._foundations.account,
            )
        return bool(listed.get("Contents"))

    def _exported(self) -> dict[str, Any]:
        exported: dict[str, Any] = json.loads(self._run("stack", "export"))
        return exported

    def _run(self, *arguments: str) -> str:
        """A command of the CLI that the Automation API does not offer, or only with secrets in the clear."""
        workspace = self._stack.workspace
        done = self._cli.run([*arguments, "--stack", self._stack.name], workspace.work_dir, workspace.env_vars)
        return done.stdout

    @contextmanager
    def _operation(self, doing: str, progress: Progress) -> Iterator[None]:
        with _translated(doing, self._stack.name, self._foundations, self._cli, progress):
            yield


@contextmanager
def opened(
    platform: str, foundations: Foundations, console: Console, cli: PulumiCli, program: Program | None = None
) -> Iterator[PlatformStack]:
    """The platform's stack: made where missing when there is a `program` to deploy, else raising NoPlatform.

    Its work folder is removed at the end, however that comes about.
    """
    with tempfile.TemporaryDirectory(prefix="fibfactory-") as folder:
        options = auto.LocalWorkspaceOptions(
            work_dir=folder,
            env_vars={**_QUIET, "PULUMI_BACKEND_URL": foundations.backend_url},
            secrets_provider=foundations.secrets_provider,
            # A new work folder does not know an existing stack's secrets provider; told nothing, the CLI wants a passphrase.
            stack_settings={platform: auto.StackSettings(secrets_provider=foundations.secrets_provider)},
            pulumi_command=cli,
        )
        # An operation that runs no program still wants one: the project's settings are made from it.
        with _translated("open the platform's state", platform, foundations, cli, Progress(console)):
            open_stack = auto.create_or_select_stack if program else auto.select_stack
            stack = open_stack(platform, project_name=PROJECT, program=program or _nothing, opts=options)
        yield PlatformStack(stack, foundations, cli, console)


def _door(names: Names) -> list[str]:
    """The URNs of the front door, as patterns: what of it is gone already is no mistake then.

    The API's role is part of it: a request that is being answered in that moment can't write any more.
    """
    own = f"urn:pulumi:{names.platform}::{PROJECT}::aws:"
    return [
        f"{own}apigatewayv2/**",
        f"{own}scheduler/**",
        f"{own}iam/rolePolicy:*::{names.api_function}",
    ]


def _nothing() -> None:
    """A program that makes nothing."""


@contextmanager
def _translated(
    doing: str, platform: str, foundations: Foundations, cli: PulumiCli, progress: Progress
) -> Iterator[None]:
    try:
        yield
    except auto.StackNotFoundError as error:
        raise NoPlatform(
            f"There is no platform {platform} in account {foundations.account}, {foundations.region}.",
            "Check --platform and --region, or deploy it.",
        ) from error
    except auto.ConcurrentUpdateError as error:
        raise _locked(platform, foundations) from error
    except auto.CommandError as error:
        if cli.interrupted:
            raise Interrupted(
                "Stopped.", "What was finished is kept and recorded; run the same command again to go on."
            ) from error
        raise _failed(doing, progress, str(error)) from error


def _locked(platform: str, foundations: Foundations) -> StackLocked:
    return StackLocked(
        f"The platform {platform} is being changed by another run, or by one that died.",
        f"Wait for it. If it died: PULUMI_BACKEND_URL='{foundations.backend_url}' pulumi cancel --yes "
        f"--stack organization/{PROJECT}/{platform}; then run this again.",
    )


def _not_ours(foreign: tuple[str, ...], names: Names) -> BootstrapError:
    return BootstrapError(
        f"An earlier run was about to make what somebody else has under the same name: {', '.join(foreign)}. "
        f"Without this platform's tag ({PLATFORM_TAG}={names.platform}), or for a schedule its target, it was left alone.",
        "To deploy, remove or rename it, or choose another --platform. To take down the rest, destroy again: "
        "what is not the platform's stays.",
    )


def _failed(doing: str, progress: Progress, output: str) -> EngineError:
    errors = progress.errors or [
        line.strip().removeprefix("error: ") for line in output.splitlines() if line.lstrip().startswith("error:")
    ]
    first = errors[0] if errors else output.strip().splitlines()[-1]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    changed = progress.changes.total()
    left = f"{changed} changes were made and are recorded" if changed else "Nothing was changed"
    if (action := refusal(first)) is not None:
        return EngineError(
            f"AWS refused to {doing}: AccessDenied for {action}{more}.",
            f"{left}. Give your user or role that permission and run it again.",
        )
    if cause := known_cause(first):
        what, advice = cause
        return EngineError(f"Pulumi could not {doing}: {what}{more}.", f"{left}. {advice}; then run it again.")
    return EngineError(
        f"Pulumi could not {doing}: {first}{more}",
        f"{left}. Mend the cause and run the same command again: it goes on from there.",
    )


def _values(outputs: Mapping[str, auto.OutputValue]) -> dict[str, Any]:
    return {name: output.value for name, output in sorted(outputs.items())}
