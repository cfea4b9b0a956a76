"""The command `upgrade`: bring a platform to this version of the code, with the settings that it has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from bootstrap.commands.context import Context
from bootstrap.commands.deploy import deploy, recorded_settings
from bootstrap.commands.outputs import outputs
from bootstrap.errors import SettingsError
from bootstrap.settings import Settings, load

_FIXED = {"platform", "region"}


def upgrade(context: Context, chosen: Mapping[str, Any], unset: Collection[str]) -> dict[str, Any]:
    """Deploy with the recorded settings, except for those that are `chosen`, and those that are `unset` to their defaults.

    Returns the outputs. Raises NoPlatform when there is none. Environments keep running, and an operation that is under way ends
    with the code with which it began.
    """
    recorded = recorded_settings(outputs(context), context.platform)
    # A recorded setting that this version does not have any more has to be unset.
    known = (Settings.model_fields.keys() | recorded.keys()) - _FIXED
    if unknown := [name for name in unset if name not in known]:
        raise SettingsError(
            f"There is no setting {unknown[0]} to unset.",
            f"Settings are {', '.join(sorted(known))}. Nothing was changed.",
        )
    settings = load({name: value for name, value in recorded.items() if name not in unset}, chosen)
    if settings.image_uri and "image_uri" not in chosen:
        context.detail(
            f"the functions keep the image {settings.image_uri}, not this checkout's code (--unset image_uri builds that)"
        )
    return deploy(context, settings)
