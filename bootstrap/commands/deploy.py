"""The command `deploy`: make the platform, or change it.

The rule: check before changing. Everything that can be refused is refused before anything is made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bootstrap.commands import preconditions
from bootstrap.commands.context import Context, shorten
from bootstrap.commands.environments import active_environments
from bootstrap.commands.platform_stack import PlatformStack, open_stack
from bootstrap.commands.recovery import finder
from bootstrap.errors import BootstrapError, SettingsError
from bootstrap.foundations.ensure import ensure_foundations
from bootstrap.foundations.lookup import find_foundations
from bootstrap.names import Names
from bootstrap.program.platform import program
from bootstrap.settings import Settings


def deploy(context: Context, settings: Settings) -> dict[str, Any]:
    """Make the platform, or change it to these settings; returns its outputs.

    Run again after a failure, it continues from there; run again after a success, it changes nothing.
    """
    session = context.session
    preconditions.check_machine(session, settings)
    cli = context.pulumi
    existing = find_foundations(session, settings.platform)
    preconditions.check_app_runner(session)
    if existing is None:
        context.ask(
            f"Make the state bucket and the key of platform {settings.platform} in {settings.region}? "
            "A later `destroy` keeps them."
        )
    context.say(f"state bucket and key of platform {settings.platform} in {settings.region}")
    foundations = ensure_foundations(session, settings.platform, context.detail)

    with open_stack(foundations, context.console, cli, program(settings, foundations)) as stack:
        if existing:
            stack.recover(session, finder(session, foundations.names))
            _check_changes(context, foundations.names, stack.outputs(), settings)
        if existing or context.confirm:
            _preview(context, stack, foundations.names)
        context.say("deploying the platform")
        return stack.deploy()


def recorded_settings(outputs: Mapping[str, Any], platform: str) -> dict[str, Any]:
    """The settings that the platform was deployed with. Raises SettingsError when its outputs do not contain them."""
    try:
        return dict(json.loads(outputs["settings"]))
    except (KeyError, ValueError, TypeError) as error:
        raise SettingsError(
            f"The settings with which the platform {platform} was deployed are not recorded: "
            "it was made by an older version, or its first deploy did not end.",
            "Give them once more: `python -m bootstrap deploy` with your options or settings file. Nothing was changed.",
        ) from error


def _preview(context: Context, stack: PlatformStack, names: Names) -> None:
    """Show what the deploy would change, refuse it if data would be lost, and ask."""
    context.say(f"what would change in account {names.account}:")
    plan = stack.preview(quiet=context.confirm is None)
    if plan.losses:
        raise BootstrapError(
            f"This would remove or replace resources that hold data: {', '.join(plan.losses)}.",
            "Nothing was changed. Find the setting or the change of code that causes it; to start again without the data, "
            "destroy the platform and deploy it.",
        )
    if context.confirm is None or not plan.changes:
        context.detail(f"{plan.changes} resources" if plan.changes else "nothing")
    else:
        context.ask("Do this?")


def _check_changes(context: Context, names: Names, outputs: Mapping[str, Any], settings: Settings) -> None:
    """Show which settings change. Raises SettingsError for another prefix while there are environments: they would be lost."""
    if "settings" not in outputs:
        return
    before, after = recorded_settings(outputs, names.platform), settings.model_dump(mode="json")
    changed = [name for name, value in after.items() if name in before and before[name] != value]
    if changed:
        context.say("settings that change (an upgrade keeps the others):")
    for name in changed:
        context.detail(f"{name}: {json.dumps(before[name])} → {json.dumps(after[name])}")
    prefix = before.get("prefix")
    if prefix != settings.prefix and (active := active_environments(context.session, names)):
        raise SettingsError(
            f"The prefix can't change from {prefix} to {settings.prefix} while there are environments: {shorten(active)}.",
            "Destroy them first, or keep the prefix. Nothing was changed.",
        )
