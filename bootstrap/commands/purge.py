"""The option `destroy --purge`: remove what a teardown keeps, the state bucket, the key, and the logs that App Runner left.

The rule: nothing is removed while the state describes anything that may exist, and the key is removed last, so that a purge that
was interrupted is completed by the next one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.exceptions import ClientError

from bootstrap.commands.context import Context, shorten
from bootstrap.errors import BootstrapError, explained
from bootstrap.foundations.lookup import S3, bucket_exists, find_key
from bootstrap.names import Names
from orchestrator.adapters.aws.apprunner import listed
from orchestrator.adapters.aws_errors import error_code
from orchestrator.domain.names import id_of_service

_KEY_DAYS = 7
"""How long KMS keeps a key that is to be deleted; it is the shortest possible time."""
_STACKS = ".pulumi/stacks/"
_LOG_GROUP = re.compile(r"/aws/apprunner/(?P<name>[^/]+)/(?P<service>[0-9a-f]+)/\w+")


def leftover_log_groups(session: boto3.Session, prefix: str) -> list[str]:
    """The log groups of environments whose services are gone: App Runner makes them and never removes them.

    They have no tag, so they are recognized by the prefix, which two platforms may share.
    """
    with explained("look for App Runner's log groups"):
        running = {service["ServiceId"] for service in listed(session.client("apprunner"))}
        pages = (
            session.client("logs")
            .get_paginator("describe_log_groups")
            .paginate(logGroupNamePrefix=f"/aws/apprunner/{prefix}-")
        )
        groups = sorted(pages.search("logGroups[].logGroupName"))
    return [
        group
        for group in groups
        if (found := _LOG_GROUP.fullmatch(group))
        and id_of_service(prefix, found["name"])
        and found["service"] not in running
    ]


def purge(context: Context, names: Names, log_groups: list[str]) -> None:
    """Ask, then remove the log groups, the bucket with all versions, and the key with its alias, as far as they exist.

    Raises BootstrapError while the bucket holds the state of anything that may exist.
    """
    session = context.session
    _check_no_stacks(session, names)
    with explained("look for what is kept"):
        bucket = bucket_exists(session.client("s3"), names)
        key = find_key(session, names)
    kept = [
        *([f"the bucket {names.state_bucket}"] if bucket else []),
        *([f"the key {names.key_alias}"] if key else []),
        *([f"the log groups {shorten(log_groups)}"] if log_groups else []),
    ]
    if not kept:
        context.say("nothing is left to purge")
        return
    context.ask(f"Remove for ever, with all objects and their versions: {', '.join(kept)}?")
    context.say("purging what was kept")
    with explained("purge what is left of the platform"):
        _remove_log_groups(context, log_groups)
        if bucket:
            _remove_bucket(context, names)
        if key:
            _remove_key(context, names, key)


def _check_no_stacks(session: boto3.Session, names: Names) -> None:
    s3 = session.client("s3")
    with explained("look for stacks in the state bucket"):
        if not bucket_exists(s3, names):
            return
        pages = s3.get_paginator("list_objects_v2").paginate(**names.owned_bucket, Prefix=_STACKS)
        keys = [key.removeprefix(_STACKS) for key in pages.search("Contents[].Key") if key]
    stacks = sorted(key.partition(".json")[0] for key in keys if key.endswith((".json", ".json.gz")))
    if stacks:
        raise BootstrapError(
            f"The bucket {names.state_bucket} still has the state of {shorten(stacks)}.",
            f"Destroy them first: PULUMI_BACKEND_URL='s3://{names.state_bucket}?region={names.region}' "
            "pulumi destroy --remove --stack NAME. Nothing was purged.",
        )


def _remove_log_groups(context: Context, log_groups: list[str]) -> None:
    logs = context.session.client("logs")
    for name in log_groups:
        try:
            logs.delete_log_group(logGroupName=name)
        except logs.exceptions.ResourceNotFoundException:
            continue
        context.detail(f"- removed the log group {name}")


def _remove_bucket(context: Context, names: Names) -> None:
    s3, bucket = context.session.client("s3"), names.owned_bucket
    for upload in s3.get_paginator("list_multipart_uploads").paginate(**bucket).search("Uploads[]"):
        if upload:
            s3.abort_multipart_upload(**bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    removed = 0
    for versions in _versions(s3, bucket):
        answer = s3.delete_objects(**bucket, Delete={"Objects": versions, "Quiet": True})
        if failed := answer.get("Errors"):
            raise BootstrapError(
                f"{failed[0]['Key']} in bucket {names.state_bucket} can't be removed: "
                f"{failed[0]['Code']}: {failed[0]['Message']}.",
                "Correct that and run the same command again.",
            )
        removed += len(versions)
        context.detail(f"- removed {removed} versions of objects")
    try:
        s3.delete_bucket(**bucket)
    except ClientError as error:
        if error_code(error) != "BucketNotEmpty":
            raise
        raise BootstrapError(
            f"Something was written to the bucket {names.state_bucket} while it was being emptied.",
            "Stop what writes to it, then run the same command again.",
        ) from error
    context.detail(f"- removed the bucket {names.state_bucket}")


def _versions(s3: S3, bucket: dict[str, str]) -> Iterator[list[dict[str, str]]]:
    """All versions and delete markers, as many at a time as one request may remove (1,000)."""
    for page in s3.get_paginator("list_object_versions").paginate(**bucket):
        if found := [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            yield [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]


def _remove_key(context: Context, names: Names, key: dict[str, Any]) -> None:
    kms, key_id = context.session.client("kms"), key["KeyId"]
    if key["KeyState"] != "PendingDeletion":
        kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=_KEY_DAYS)
    # The alias last: by it the next purge finds the key. Without it, a platform of this name can be made again at once.
    kms.delete_alias(AliasName=names.key_alias)
    context.detail(
        f"- the key {key_id} is deleted in {_KEY_DAYS} days; until then it can be kept: "
        f"`aws kms cancel-key-deletion --region {names.region} --key-id {key_id}`"
    )
