"""The platform's stack: the real Pulumi engine, driven by the Automation API, with its state in the foundations' bucket.

The rule: an operation does it all or says what it did not do. What a failed one had made is recorded, and the next goes
on from there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pulumi import automation as auto
from rich.console import Console

from bootstrap.errors import EngineError, Interrupted, NoPlatform, StackLocked, refusal
from bootstrap.foundations import Foundations
from bootstrap.progress import Progress
from bootstrap.pulumi_cli import PulumiCli

Program = Callable[[], None]
PROJECT = "fibfactory-platform"
_QUIET = {
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    # Each saves a request or a warning on every command; the bucket is new, there is nothing of older versions in it.
    "PULUMI_DIY_BACKEND_NO_LEGACY_WARNING": "1",
}


class PlatformStack:
    """One platform's stack, opened by `opened`. Every method is one Pulumi operation, and raises EngineError or Interrupted."""

    def __init__(self, stack: auto.Stack, foundations: Foundations, cli: PulumiCli, console: Console) -> None:
        self._stack, self._foundations, self._cli, self._console = stack, foundations, cli, console

    def preview(self) -> int:
        """Print what a deploy would change and answer how many things that is; change nothing."""
        progress = Progress(self._console)
        with self._operation("preview the platform", progress):
            self._stack.preview(on_event=progress)
        return progress.changes.total()

    def deploy(self) -> dict[str, Any]:
        """Make the platform as its program says; the stack's outputs. Nothing changes when it is so already."""
        progress = Progress(self._console)
        with self._operation("deploy the platform", progress):
            result = self._stack.up(on_event=progress, show_secrets=False)
        if not progress.changes:
            self._console.print("  nothing to change")
        return _values(result.outputs)

    def destroy(self) -> None:
        """Remove all that the platform's program made, then the stack itself."""
        progress = Progress(self._console)
        with self._operation("destroy the platform", progress):
            self._stack.destroy(on_event=progress, show_secrets=False, remove=True)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs; empty after a deploy that never ended."""
        with self._operation("read the platform's outputs", Progress(self._console)):
            return _values(self._stack.outputs())

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
        raise StackLocked(
            f"The platform {platform} is being changed by another run, or by one that died.",
            f"Wait for it. If it died: PULUMI_BACKEND_URL='{foundations.backend_url}' pulumi cancel --yes "
            f"--stack organization/{PROJECT}/{platform}; then run this again.",
        ) from error
    except auto.CommandError as error:
        if cli.interrupted:
            raise Interrupted(
                "Stopped.", "What was finished is kept and recorded; run the same command again to go on."
            ) from error
        raise _failed(doing, progress, str(error)) from error


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
    return EngineError(
        f"Pulumi could not {doing}: {first}{more}",
        f"{left}. Mend the cause and run the same command again: it goes on from there.",
    )


def _values(outputs: Mapping[str, auto.OutputValue]) -> dict[str, Any]:
    return {name: output.value for name, output in sorted(outputs.items())}
