"""The command `destroy`: take the platform down; with options its environments before it, and what is kept after it.

The rule: check before changing. Everything that can be refused is refused before anything is removed, what holds data is removed
last, and what is kept is named together with the command that removes it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

import boto3

from bootstrap.commands.context import Context, shorten
from bootstrap.commands.deploy import recorded_settings
from bootstrap.commands.environments import active_environments, destroy_all, services
from bootstrap.commands.platform_api import PlatformApi
from bootstrap.commands.platform_stack import PlatformStack, no_platform, open_stack
from bootstrap.commands.purge import leftover_log_groups, purge
from bootstrap.commands.recovery import finder
from bootstrap.errors import BootstrapError, NoPlatform, SettingsError, explained
from bootstrap.foundations.lookup import Foundations, find_foundations, names_of
from bootstrap.names import Names


def destroy(
    context: Context, *, with_environments: bool = False, and_purge: bool = False, prefix: str | None = None
) -> None:
    """Take the platform down. Raises BootstrapError while it has environments, unless they are to be destroyed, too.

    `and_purge` also removes what is kept otherwise. `prefix` is what the environments' names begin with, for a platform whose
    settings can't be read any more.
    """
    foundations = find_foundations(context.session, context.platform)
    try:
        if foundations is None:
            raise no_platform(context.platform, context.region)
        with open_stack(foundations, context.console, context.pulumi) as stack:
            prefix = _take_down(context, foundations.names, stack, with_environments, prefix) or prefix
    except NoPlatform as missing:
        context.say(f"{missing.message} Nothing to destroy.")
        if foundations is None and not and_purge:
            return
    with explained("look for what is kept"):
        names = foundations.names if foundations else names_of(context.session, context.platform)
    # Another platform may use the default prefix: log groups are only touched when this platform's own prefix is known.
    log_groups = leftover_log_groups(context.session, prefix) if prefix else []
    if and_purge:
        purge(context, names, log_groups)
        if prefix is None:
            context.say(
                "App Runner's logs of the environments are kept; to remove them, give --prefix as at the deploy"
            )
    elif foundations:
        _name_what_is_kept(context, foundations, log_groups, prefix)


def _take_down(
    context: Context, names: Names, stack: PlatformStack, with_environments: bool, given_prefix: str | None
) -> str | None:
    """Destroy the platform, and its environments if that is wanted; returns the environments' prefix, if it is known."""
    session, outputs = context.session, stack.outputs()
    prefix = str(recorded_settings(outputs, names.platform)["prefix"]) if "settings" in outputs else given_prefix
    if given_prefix not in (None, prefix):
        raise SettingsError(
            f"The platform's environments begin with {prefix}, not with {given_prefix}.",
            "Leave --prefix out. Nothing was changed.",
        )
    active = active_environments(session, names)
    if active and not with_environments:
        raise BootstrapError(
            f"The platform {names.platform} still has {_counted(active)}: {shorten(active)}.",
            "Give --environments to destroy them, too. Nothing was changed.",
        )
    with_them = f" its {_counted(active)} ({shorten(active)})," if active else ""
    context.ask(
        f"Destroy the platform {names.platform} in account {names.account}, {names.region},{with_them} with all its records?"
    )
    if active:
        context.say(f"destroying {_counted(active)}")
        destroy_all(PlatformApi(names.platform, outputs.get("api_url", ""), session), active, context.detail)
    if running := services(session, names):
        raise BootstrapError(
            f"These App Runner services have this platform's tag and no record: {shorten(running)}.",
            "Start a deep sweep, which removes them (POST /sweeps), or delete them yourself; then run this again.",
        )
    stack.recover(session, finder(session, names))
    context.say("closing the API")
    stack.close_api()
    if late := active_environments(session, names):
        raise BootstrapError(
            f"While the API was being closed, somebody requested {_counted(late)}: {shorten(late)}.",
            f"`python -m bootstrap upgrade {context.options}` opens the API again (with a new URL); then destroy again, with "
            "--environments.",
        )
    context.say("destroying the platform")
    with _protection_lifted(session, names):
        stack.destroy()
    return prefix


def _counted(environment_ids: Collection[str]) -> str:
    return f"{len(environment_ids)} environment{'' if len(environment_ids) == 1 else 's'}"


@contextmanager
def _protection_lifted(session: boto3.Session, names: Names) -> Iterator[None]:
    """Without the table's deletion protection, which is against mistakes: here the operator has confirmed.

    A table that is still there after a failure gets it back. No deploy would do that, because it is on in the stack's state.
    """
    was = _protected(session, names)
    try:
        if was:
            _protect(session, names, False)
        yield
    except BaseException:
        # The first error is the one to report. A table that is being deleted can't be protected and does not need it.
        with suppress(BootstrapError):
            if was:
                _protect(session, names, True)
        raise


def _protected(session: boto3.Session, names: Names) -> bool:
    """Whether the platform's table is protected; False for a table of that name that is not the platform's."""
    dynamodb = session.client("dynamodb")
    with explained("look at the table's deletion protection"):
        try:
            table = dynamodb.describe_table(TableName=names.table)["Table"]
            tags = dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
        except dynamodb.exceptions.ResourceNotFoundException:
            return False
    return bool(table.get("DeletionProtectionEnabled")) and names.owns(tags)


def _protect(session: boto3.Session, names: Names, wanted: bool) -> None:
    dynamodb = session.client("dynamodb")
    with explained("change the table's deletion protection"):
        dynamodb.update_table(TableName=names.table, DeletionProtectionEnabled=wanted)
        dynamodb.get_waiter("table_exists").wait(TableName=names.table)


def _name_what_is_kept(context: Context, foundations: Foundations, log_groups: list[str], prefix: str | None) -> None:
    context.say("kept, because they hold the state and its history:")
    context.detail(f"bucket {foundations.bucket}")
    context.detail(f"key {foundations.names.key_alias} ({foundations.key_arn})")
    if log_groups:
        context.detail(f"log groups that App Runner left: {shorten(log_groups)}")
    with_prefix = f" --prefix {prefix}" if prefix else ""
    context.say(f"to remove these, too: python -m bootstrap destroy {context.options}{with_prefix} --purge")
