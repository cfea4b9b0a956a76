"""What the command line does: deploy, destroy, outputs.

The rule: look before touching. What can be refused is refused before anything is made or removed, and what stays behind is named.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError
from rich.console import Console

from bootstrap.archive import ROOT, archive_files
from bootstrap.errors import BootstrapError, NoPlatform, SettingsError, explained
from bootstrap.foundations import Foundations, ensure_foundations, find_foundations
from bootstrap.names import Names
from bootstrap.platform import program
from bootstrap.pulumi_cli import PulumiCli
from bootstrap.settings import Settings
from bootstrap.stack import opened

Confirm = Callable[[str], None]
"""Asks a yes-or-no question and raises unless it is answered with yes."""


def deploy(settings: Settings, console: Console, confirm: Confirm | None) -> dict[str, Any]:
    """Make the platform, or change it to these settings; its outputs. Without `confirm` there is no preview and no question.

    Run again after a failure it goes on from where that one stopped; run again after a success it changes nothing.
    """
    session = _session(settings.region)
    if settings.code == "archive":
        _refuse_archive_on_aws(session)
        archive_files(ROOT)
    cli = _cli(console)
    if confirm and find_foundations(session, settings.platform) is None:
        confirm(
            f"Make the state bucket and the key of platform {settings.platform} in {settings.region}? "
            "They stay when the platform goes."
        )
    console.print(f"state bucket and key of platform {settings.platform} in {settings.region}")
    foundations = ensure_foundations(session, settings.platform, lambda line: console.print(f"  {line}"))

    with opened(settings.platform, foundations, console, cli, program(settings, foundations)) as stack:
        if confirm:
            console.print(f"the platform would change in account {foundations.account}:")
            if stack.preview() == 0:
                console.print("  nothing")
                return stack.outputs()
            confirm("Do this?")
        console.print("deploying the platform")
        return stack.deploy()


def destroy(platform: str, region: str, console: Console, confirm: Confirm | None) -> None:
    """Take the platform down and keep its state bucket and key. Refuses while the platform has environments."""
    session = _session(region)
    cli = _cli(console)
    foundations = find_foundations(session, platform)
    if foundations is None:
        console.print(f"There is no platform {platform} in {region}: nothing to destroy.")
        return
    try:
        with opened(platform, foundations, console, cli) as stack:
            names = foundations.names(platform)
            _refuse_while_environments_live(session, names)
            if confirm:
                confirm(
                    f"Destroy the platform {platform} in account {foundations.account}, {region}, with all its records?"
                )
            _lift_protection(session, names)
            console.print("destroying the platform")
            stack.destroy()
    except NoPlatform as gone:
        console.print(f"{gone.message} Nothing to destroy.")
    _name_what_stays(console, foundations, platform)


def outputs(platform: str, region: str, console: Console) -> dict[str, Any]:
    """The platform's outputs. Raises NoPlatform when there is none."""
    foundations = find_foundations(_session(region), platform)
    if foundations is None:
        raise NoPlatform(
            f"There is no platform {platform} in {region}.", "Check --platform and --region, or deploy it."
        )
    with opened(platform, foundations, console, _cli(console)) as stack:
        return stack.outputs()


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


def _refuse_while_environments_live(session: boto3.Session, names: Names) -> None:
    # A consistent scan rather than the indexes: they lag, and this is the last look before the records are gone.
    pages = (
        session.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=names.table,
            ConsistentRead=True,
            ProjectionExpression="pk",
            FilterExpression="begins_with(pk, :environment) AND sk = :record AND #status <> :gone",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={
                ":environment": {"S": "ENV#"},
                ":record": {"S": "RECORD"},
                ":gone": {"S": "destroyed"},
            },
        )
    )
    with explained("look for environments"):
        try:
            live = sorted({item["pk"]["S"].removeprefix("ENV#") for page in pages for item in page["Items"]})
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return
    if live:
        shown = ", ".join(live[:5]) + (" …" if len(live) > 5 else "")
        raise BootstrapError(
            f"The platform {names.platform} still has {len(live)} environment{'s' if len(live) > 1 else ''}: {shown}.",
            "Destroy them first (DELETE /environments/{id}); nothing was touched.",
        )


def _lift_protection(session: boto3.Session, names: Names) -> None:
    """The protection is against everybody else's mistake; whoever came here was asked, and there are no environments."""
    dynamodb = session.client("dynamodb")
    with explained("lift the table's deletion protection"):
        try:
            if not dynamodb.describe_table(TableName=names.table)["Table"].get("DeletionProtectionEnabled"):
                return
        except dynamodb.exceptions.ResourceNotFoundException:
            return
        dynamodb.update_table(TableName=names.table, DeletionProtectionEnabled=False)
        dynamodb.get_waiter("table_exists").wait(TableName=names.table)


def _name_what_stays(console: Console, foundations: Foundations, platform: str) -> None:
    names = foundations.names(platform)
    console.print("kept, as they hold the state and its history:")
    console.print(f"  bucket {foundations.bucket}")
    console.print(f"  key {names.key_alias} ({foundations.key_arn})")
