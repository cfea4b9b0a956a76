"""The command `outputs`: the API's URL, the names, and where the state is kept."""

from __future__ import annotations

from typing import Any

from bootstrap.commands.context import Context
from bootstrap.commands.platform_stack import no_platform, open_stack
from bootstrap.foundations.lookup import find_foundations


def outputs(context: Context) -> dict[str, Any]:
    """The platform's outputs. Raises NoPlatform when there is no such platform."""
    foundations = find_foundations(context.session, context.platform)
    if foundations is None:
        raise no_platform(context.platform, context.region)
    with open_stack(foundations, context.console, context.pulumi) as stack:
        return stack.outputs()
