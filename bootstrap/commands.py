"""What the command line does: deploy, upgrade, destroy, outputs.

The rule: look before touching. What can be refused is refused before anything is made or removed, and what stays behind is named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3
from rich.console import Console

from bootstrap.archive import ROOT, archive_files
from bootstrap.environments import alive, destroy_all, services
from bootstrap.errors import BootstrapError, NoPlatform, SettingsError, explained
from bootstrap.foundations import Foundations, ensure_foundations, find_foundations, names_of
from bootstrap.images import check_sources
from bootstrap.names import PLATFORM_TAG, Names
from bootstrap.platform import program
from bootstrap.platform_api import PlatformApi
from bootstrap.preconditions import check_app_runner, check_docker, check_image, check_pins, check_region
from bootstrap.pulumi_cli import PulumiCli
from bootstrap.purge import left_log_groups, purge, refuse_while_stacks_live, shown, what_is_kept
from bootstrap.recovery import finder
from bootstrap.settings import Settings, load
from bootstrap.stack import PlatformStack, opened

Confirm = Callable[[str], None]
"""Asks a yes-or-no question and raises unless it is answered with yes."""
_FIXED = ("platform", "region")


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


def deploy(settings: Settings, console: Console, confirm: Confirm | None) -> dict[str, Any]:
    """Make the platform, or change it to these settings; its outputs. Without `confirm` there is no question.

    Run again after a failure it goes on from where that one stopped; run again after a success it changes nothing.
    """
    session = _session(settings.region)
    check_region(session)
    if settings.code == "archive":
        _refuse_archive_on_aws(session)
        archive_files(ROOT)
    check_docker(settings)
    check_sources(settings)
    check_pins(settings, ROOT)
    check_image(session, settings)
    cli = _cli(console)
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
    foundations = _found(_session(region), platform)
    with opened(platform, foundations, console, _cli(console)) as stack:
        has = _recorded(stack.outputs(), platform)
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


def destroy(wanted: Teardown, console: Console, confirm: Confirm | None) -> None:
    """Take the platform down, and what else is wanted. Refuses while it has environments, unless these shall go, too."""
    session, cli = _session(wanted.region), _cli(console)
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


def outputs(platform: str, region: str, console: Console) -> dict[str, Any]:
    """The platform's outputs. Raises NoPlatform when there is none."""
    with opened(platform, _found(_session(region), platform), console, _cli(console)) as stack:
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


def _recorded(outputs: Mapping[str, Any], platform: str) -> dict[str, Any]:
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
    before = _recorded(outputs, names.platform)
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
    prefix = str(_recorded(has, names.platform)["prefix"]) if "settings" in has else wanted.prefix
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


def _session(region: str) -> boto3.Session:
    with explained("read your AWS configuration"):
        return boto3.Session(region_name=region)


def _cli(console: Console) -> PulumiCli:
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
