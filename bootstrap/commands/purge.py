"""What a teardown keeps, and its removal when that is asked for: state bucket, key, and the logs that App Runner left.

The rule: nothing is removed while somebody's infrastructure is described by it; and the key goes last, so that a purge that
was cut short is ended by the next one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import boto3
from botocore.exceptions import ClientError

from bootstrap.commands.environments import listed_services
from bootstrap.errors import BootstrapError, explained
from bootstrap.foundations.foundations import bucket_exists, find_key
from bootstrap.names import Names

Report = Callable[[str], None]
_KEY_DAYS = 7
"""How long KMS keeps a key that is to be deleted; no shorter time is possible."""
_STACKS = ".pulumi/stacks/"
_SHOWN = 5


def left_log_groups(session: boto3.Session, prefix: str) -> list[str]:
    """The log groups of environments' services that are gone: App Runner makes them and never removes them.

    They carry no tag, so all that tells them is the prefix, which two platforms may share.
    """
    with explained("look for App Runner's log groups"):
        living = {service["ServiceId"] for service in listed_services(session.client("apprunner"))}
        pages = (
            session.client("logs")
            .get_paginator("describe_log_groups")
            .paginate(logGroupNamePrefix=f"/aws/apprunner/{prefix}-")
        )
        names = sorted(group["logGroupName"] for page in pages for group in page["logGroups"])
    ours = re.compile(rf"/aws/apprunner/{re.escape(prefix)}-[a-z][a-z0-9-]*-service/(?P<service>[0-9a-f]+)/\w+")
    return [name for name in names if (found := ours.fullmatch(name)) and found["service"] not in living]


def refuse_while_stacks_live(session: boto3.Session, names: Names) -> None:
    """Raises BootstrapError while the bucket describes anything that may exist: the platform, or environments."""
    s3 = session.client("s3")
    with explained("look for stacks in the state bucket"):
        if not bucket_exists(s3, names):
            return
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=names.state_bucket, Prefix=_STACKS, ExpectedBucketOwner=names.account
        )
        keys = [entry["Key"].removeprefix(_STACKS) for page in pages for entry in page.get("Contents", [])]
    stacks = sorted(key.partition(".json")[0] for key in keys if key.endswith((".json", ".json.gz")))
    if stacks:
        raise BootstrapError(
            f"The bucket {names.state_bucket} still has the state of {shown(stacks)}.",
            f"Destroy them first: PULUMI_BACKEND_URL='s3://{names.state_bucket}?region={names.region}' "
            "pulumi destroy --remove --stack NAME. Nothing was purged.",
        )


def what_is_kept(session: boto3.Session, names: Names) -> list[str]:
    """Bucket and key, those that there are, for people."""
    with explained("look at what is kept"):
        bucket = [f"the bucket {names.state_bucket}"] if bucket_exists(session.client("s3"), names) else []
        return bucket + ([f"the key {names.key_alias}"] if find_key(session, names) else [])


def purge(session: boto3.Session, names: Names, log_groups: list[str], report: Report) -> None:
    """Remove the log groups, the bucket with all versions, and the key with its alias, whichever of them there are."""
    with explained("purge what is left of the platform"):
        _remove_log_groups(session, log_groups, report)
        _remove_bucket(session.client("s3"), names, report)
        _remove_key(session, names, report)


def shown(names: list[str]) -> str:
    """`a, b, c`, or the first five of more and how many there are."""
    more = f" … ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _remove_log_groups(session: boto3.Session, log_groups: list[str], report: Report) -> None:
    logs = session.client("logs")
    for name in log_groups:
        try:
            logs.delete_log_group(logGroupName=name)
        except logs.exceptions.ResourceNotFoundException:
            continue
        report(f"- removed the log group {name}")


def _remove_bucket(s3: Any, names: Names, report: Report) -> None:
    if not bucket_exists(s3, names):
        return
    bucket = {"Bucket": names.state_bucket, "ExpectedBucketOwner": names.account}
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
                "Mend that and run the same command again.",
            )
        removed += len(versions)
        report(f"- removed {removed} versions of objects")
    try:
        s3.delete_bucket(**bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] != "BucketNotEmpty":
            raise
        raise BootstrapError(
            f"Something wrote to the bucket {names.state_bucket} while it was emptied.",
            "See who that is, and run the same command again.",
        ) from error
    report(f"- removed the bucket {names.state_bucket}")


def _versions(s3: Any, bucket: dict[str, str]) -> Iterator[list[dict[str, str]]]:
    """All versions and delete markers, as many at a time as one request may remove (1,000)."""
    for page in s3.get_paginator("list_object_versions").paginate(**bucket):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if found:
            yield [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]


def _remove_key(session: boto3.Session, names: Names, report: Report) -> None:
    key = find_key(session, names)
    if key is None:
        return
    kms = session.client("kms")
    if key["KeyState"] != "PendingDeletion":
        kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=_KEY_DAYS)
    # The alias last: it is how the next purge finds the key. Without it, a platform of this name can be made again at once.
    kms.delete_alias(AliasName=names.key_alias)
    report(
        f"- the key {key['KeyId']} goes in {_KEY_DAYS} days; until then `aws kms cancel-key-deletion --region {names.region} "
        f"--key-id {key['KeyId']}` keeps it"
    )
