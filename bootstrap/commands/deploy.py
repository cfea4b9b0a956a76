"""What the command line does: deploy, upgrade, outputs; `teardown` has the rest.

The rule: look before touching. What can be refused is refused before anything is made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

import boto3
from rich.console import Console

from bootstrap.commands.environments import alive
from bootstrap.commands.preconditions import check_app_runner, check_docker, check_image, check_pins, check_region
from bootstrap.commands.pulumi_cli import PulumiCli
from bootstrap.commands.purge import shown
from bootstrap.commands.recovery import finder
from bootstrap.commands.stack import PlatformStack, opened
from bootstrap.errors import BootstrapError, NoPlatform, SettingsError, explained
from bootstrap.foundations.foundations import Foundations, ensure_foundations, find_foundations
from bootstrap.names import Names
from bootstrap.program.archive import ROOT, archive_files
from bootstrap.program.images import check_sources
from bootstrap.program.platform import program
from bootstrap.settings import Settings, load

Confirm = Callable[[str], None]
"""Asks a yes-or-no question and raises unless it is answered with yes."""
_FIXED = ("platform", "region")


def deploy(settings: Settings, console: Console, confirm: Confirm | None) -> dict[str, Any]:
    """Make the platform, or change it to these settings; its outputs. Without `confirm` there is no question.

    Run again after a failure it goes on from where that one stopped; run again after a success it changes nothing.
    """
    session = aws_session(settings.region)
    check_region(session)
    if settings.code == "archive":
        _refuse_archive_on_aws(session)
        archive_files(ROOT)
    check_docker(settings)
    check_sources(settings)
    check_pins(settings, ROOT)
    check_image(session, settings)
    cli = pulumi_cli(console)
    existing = find_foundations(session, settings.platform)
    check_app_runner(session)
    if confirm and existing is None:
        confirm(
            f"Make the state bucket and the key of platform {settings.platform} in {settings.region}? "
            "They stay when the platform goes."
        )
    console.print(f"state bucket and key of platform {settings.platform} in {settings.region}")
    foundations = ensure_foundations(session, settings.platform, lambda line: console.print(f"  {line}"))

    with opened(settings.platform, foundations, console, cli, program(settings, foundations)) as stack:
        if existing:
            stack.recover(session, finder(session, foundations.names(settings.platform)))
            _look_at_settings(session, foundations.names(settings.platform), stack.outputs(), settings, console)
        if existing or confirm:
            _look_before(stack, foundations, console, confirm)
        console.print("deploying the platform")
        return stack.deploy()


def upgrade(
    platform: str,
    region: str,
    chosen: Mapping[str, Any],
    unset: Collection[str],
    console: Console,
    confirm: Confirm | None,
) -> dict[str, Any]:
    """Bring a platform to this code, with the settings that it has, `chosen` over them and `unset` back to their defaults.

    Raises NoPlatform when there is none. Environments live on, and what is under way ends with the code it began with.
    """
    foundations = _found(aws_session(region), platform)
    with opened(platform, foundations, console, pulumi_cli(console)) as stack:
        has = recorded(stack.outputs(), platform)
    # One that this version does not have any more must be unset to go on.
    known = (Settings.model_fields.keys() | has.keys()) - set(_FIXED)
    if unknown := [name for name in unset if name not in known]:
        raise SettingsError(f"There is no setting {unknown[0]} to unset.", "Nothing was touched.")
    settings = load(None, chosen, {name: value for name, value in has.items() if name not in unset})
    if settings.image_uri and "image_uri" not in chosen:
        console.print(
            f"  it keeps the image {settings.image_uri}, not this checkout's code (--unset image_uri builds that)"
        )
    return deploy(settings, console, confirm)


def outputs(platform: str, region: str, console: Console) -> dict[str, Any]:
    """The platform's outputs. Raises NoPlatform when there is none."""
    with opened(platform, _found(aws_session(region), platform), console, pulumi_cli(console)) as stack:
        return stack.outputs()


def _found(session: boto3.Session, platform: str) -> Foundations:
    foundations = find_foundations(session, platform)
    if foundations is None:
        raise NoPlatform(
            f"There is no platform {platform} in {session.region_name}.",
            "Check --platform and --region, or deploy it.",
        )
    return foundations


def _look_before(stack: PlatformStack, foundations: Foundations, console: Console, confirm: Confirm | None) -> None:
    """Preview the deploy, refuse it if it would lose data, and ask."""
    console.print(f"what would change in account {foundations.account}:")
    plan = stack.preview(quiet=confirm is None)
    if plan.losses:
        raise BootstrapError(
            f"This would remove or replace what holds data: {', '.join(plan.losses)}.",
            "Nothing was touched. See which setting or change of code asks for that; to really begin anew, "
            "destroy the platform and deploy it.",
        )
    if confirm is None or not plan.changes:
        console.print(f"  {plan.changes} things" if plan.changes else "  nothing")
    else:
        confirm("Do this?")


def recorded(outputs: Mapping[str, Any], platform: str) -> dict[str, Any]:
    """The settings that the platform was deployed with. Raises SettingsError when it does not say them."""
    try:
        return dict(json.loads(outputs["settings"]))
    except (KeyError, ValueError, TypeError) as error:
        raise SettingsError(
            f"The platform {platform} does not say with which settings it was deployed: "
            "it was made by an older version, or its first deploy never ended.",
            "Give them once more: `python -m bootstrap deploy` with your options or settings file; nothing was touched.",
        ) from error


def _differences(before: Mapping[str, Any], settings: Settings) -> list[str]:
    """A line for each setting that is not as it was."""
    after = settings.model_dump(mode="json")
    return [
        f"{name}: {json.dumps(before.get(name))} → {json.dumps(value)}"
        for name, value in after.items()
        if name in before and before[name] != value
    ]


def _look_at_settings(
    session: boto3.Session, names: Names, outputs: Mapping[str, Any], settings: Settings, console: Console
) -> None:
    """Say which settings change. Raises SettingsError for another prefix while environments live: they would be lost sight of."""
    if "settings" not in outputs:
        return
    before = recorded(outputs, names.platform)
    if lines := _differences(before, settings):
        console.print("settings that change (an upgrade keeps what it is not given):")
        for line in lines:
            console.print(f"  {line}")
    prefix = before.get("prefix")
    if prefix != settings.prefix and (live := alive(session, names)):
        raise SettingsError(
            f"The prefix can't change from {prefix} to {settings.prefix} while there are environments: {shown(live)}.",
            "Destroy them first, or keep the prefix; nothing was touched.",
        )


def aws_session(region: str) -> boto3.Session:
    """A session for this region. Raises AccountError when the AWS configuration can't be read."""
    with explained("read your AWS configuration"):
        return boto3.Session(region_name=region)


def pulumi_cli(console: Console) -> PulumiCli:
    """The CLI on PATH, which says on the console when it is asked to stop. Raises EngineError when there is none."""
    return PulumiCli(
        lambda: console.print("stopping in order: what is under way is finished first; once more to stop at once")
    )


def _refuse_archive_on_aws(session: boto3.Session) -> None:
    with explained("find Lambda's endpoint"):
        host = urlsplit(session.client("lambda").meta.endpoint_url).hostname or ""
    if host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws")):
        raise SettingsError(
            "On AWS the functions can't run from an archive: it holds fibfactory's code alone, "
            "and Lambda's runtime has neither its dependencies nor Pulumi.",
            "Build the orchestrator's image, push it to ECR and deploy with --code image --image-uri.",
        )
