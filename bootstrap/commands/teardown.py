"""Taking a platform down, and what is left of it.

The rule: look before touching. What can be refused is refused before anything is removed; what holds data goes last, and what
stays behind is named with the command that removes it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import boto3
from rich.console import Console

from bootstrap.commands.deploy import Confirm, aws_session, pulumi_cli, recorded
from bootstrap.commands.environments import alive, destroy_all, services
from bootstrap.commands.platform_api import PlatformApi
from bootstrap.commands.purge import left_log_groups, purge, refuse_while_stacks_live, shown, what_is_kept
from bootstrap.commands.recovery import finder
from bootstrap.commands.stack import PlatformStack, opened
from bootstrap.errors import BootstrapError, NoPlatform, SettingsError, explained
from bootstrap.foundations.foundations import Foundations, find_foundations, names_of
from bootstrap.names import PLATFORM_TAG, Names


@dataclass(frozen=True)
class Teardown:
    """What is to be taken down: the platform; its `environments` before it, and what is kept otherwise (`purge`) after it.

    `prefix` is what the environments' names begin with, where it can't be read from the platform's own settings.
    """

    platform: str
    region: str
    environments: bool = False
    purge: bool = False
    prefix: str | None = None


def destroy(wanted: Teardown, console: Console, confirm: Confirm | None) -> None:
    """Take the platform down, and what else is wanted. Refuses while it has environments, unless these shall go, too."""
    session, cli = aws_session(wanted.region), pulumi_cli(console)
    foundations = find_foundations(session, wanted.platform)
    prefix = None
    if foundations is None:
        console.print(f"There is no platform {wanted.platform} in {wanted.region}: nothing to destroy.")
        if not wanted.purge:
            return
    else:
        try:
            with opened(wanted.platform, foundations, console, cli) as stack:
                prefix = _take_down(wanted, session, foundations, stack, console, confirm)
        except NoPlatform as gone:
            console.print(f"{gone.message} Nothing to destroy.")
    with explained("look at what is left"):
        names = foundations.names(wanted.platform) if foundations else names_of(session, wanted.platform)
    prefix = prefix or wanted.prefix
    # Another platform's environments may begin with the usual prefix: without this one's own, nobody's logs are touched.
    log_groups = left_log_groups(session, prefix) if prefix else []
    if wanted.purge:
        _purge(session, names, log_groups, console, confirm)
        if prefix is None:
            console.print(
                "App Runner's logs of its environments are not looked for: --prefix says how their names began"
            )
    elif foundations:
        _name_what_stays(console, foundations, names, log_groups, prefix)


def _take_down(
    wanted: Teardown,
    session: boto3.Session,
    foundations: Foundations,
    stack: PlatformStack,
    console: Console,
    confirm: Confirm | None,
) -> str | None:
    """Destroy the platform, its environments before it if that is wanted; the prefix that its environments had, if known."""
    names, has = foundations.names(wanted.platform), stack.outputs()
    prefix = str(recorded(has, names.platform)["prefix"]) if "settings" in has else wanted.prefix
    if wanted.prefix not in (None, prefix):
        raise SettingsError(
            f"The platform's environments begin with {prefix}, not with {wanted.prefix}.",
            "Leave --prefix out; nothing was touched.",
        )
    live = alive(session, names)
    if live and not wanted.environments:
        raise BootstrapError(
            f"The platform {names.platform} still has {_counted(live)}: {shown(live)}.",
            "Give --environments to destroy them, too; nothing was touched.",
        )
    if confirm:
        with_what = f" its {_counted(live)} ({shown(live)})," if live else ""
        confirm(
            f"Destroy the platform {names.platform} in account {names.account}, {names.region},{with_what} "
            "with all its records?"
        )
    if live:
        console.print(f"destroying {_counted(live)}")
        destroy_all(
            PlatformApi(names.platform, has.get("api_url", ""), session), live, lambda line: console.print(f"  {line}")
        )
    _refuse_while_services_run(session, names)
    stack.recover(session, finder(session, names))
    console.print("closing the front door")
    stack.close_the_door(names)
    if late := alive(session, names):
        raise BootstrapError(
            f"While the front door closed, somebody still asked for {_counted(late)}: {shown(late)}.",
            f"`python -m bootstrap upgrade --platform {names.platform} --region {names.region}` opens the door again (under a "
            "new URL); then destroy again, with --environments.",
        )
    console.print("destroying the platform")
    with _protection_lifted(session, names):
        stack.destroy()
    return prefix


def _refuse_while_services_run(session: boto3.Session, names: Names) -> None:
    if running := services(session, names):
        raise BootstrapError(
            f"No record knows these services of App Runner, and they carry this platform's tag: {shown(running)}.",
            "Have a deep sweep remove them (POST /sweeps), or delete them yourself; then run this again.",
        )


def _purge(
    session: boto3.Session, names: Names, log_groups: list[str], console: Console, confirm: Confirm | None
) -> None:
    refuse_while_stacks_live(session, names)
    kept = what_is_kept(session, names)
    if not (kept or log_groups):
        console.print("nothing is left to purge")
        return
    if confirm:
        logs = [f"the log groups {shown(log_groups)}"] if log_groups else []
        confirm(f"Remove for ever, with all versions of all that is in it: {', '.join([*kept, *logs])}?")
    console.print("purging what was kept")
    purge(session, names, log_groups, lambda line: console.print(f"  {line}"))


def _counted(environment_ids: Collection[str]) -> str:
    return f"{len(environment_ids)} environment{'' if len(environment_ids) == 1 else 's'}"


@contextmanager
def _protection_lifted(session: boto3.Session, names: Names) -> Iterator[None]:
    """The protection is against everybody else's mistake; whoever came here was asked, and there are no environments.

    A table that outlives a failure gets it back: the stack's state says that it has it, so no deploy would.
    """
    was = _protected(session, names)
    try:
        if was:
            _protect(session, names, False)
        yield
    except BaseException:
        # What went wrong first is what to tell. A table that is on its way out can't be protected any more, nor need it be.
        with suppress(BootstrapError):
            if was:
                _protect(session, names, True)
        raise


def _protected(session: boto3.Session, names: Names) -> bool:
    """Whether the platform's table is protected. Somebody else's of that name is not the platform's to touch."""
    dynamodb = session.client("dynamodb")
    with explained("look at the table's deletion protection"):
        try:
            table = dynamodb.describe_table(TableName=names.table)["Table"]
            tags = dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
        except dynamodb.exceptions.ResourceNotFoundException:
            return False
    return bool(table.get("DeletionProtectionEnabled")) and {"Key": PLATFORM_TAG, "Value": names.platform} in tags


def _protect(session: boto3.Session, names: Names, wanted: bool) -> None:
    dynamodb = session.client("dynamodb")
    with explained("change the table's deletion protection"):
        dynamodb.update_table(TableName=names.table, DeletionProtectionEnabled=wanted)
        dynamodb.get_waiter("table_exists").wait(TableName=names.table)


def _name_what_stays(
    console: Console, foundations: Foundations, names: Names, log_groups: list[str], prefix: str | None
) -> None:
    console.print("kept, as they hold the state and its history:")
    console.print(f"  bucket {foundations.bucket}")
    console.print(f"  key {names.key_alias} ({foundations.key_arn})")
    if log_groups:
        console.print(f"  log groups that App Runner left: {shown(log_groups)}")
    its = f" --prefix {prefix}" if prefix else ""
    console.print(
        "to remove these, too: python -m bootstrap destroy "
        f"--platform {names.platform} --region {names.region}{its} --purge"
    )
