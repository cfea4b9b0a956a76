"""What must be there before Pulumi starts: the bucket that keeps its state and the key that encrypts it.

They are made with boto3, because the platform's own stack lives in them. The rule: every property is looked at on every run and
set only where it differs, so a second run changes nothing and a first run that was cut short is completed; what others added to
the bucket (tags, policy statements, lifecycle rules) is kept. Nothing here ever deletes: state outlives the platform.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError

from bootstrap.errors import FoundationsError, explained
from bootstrap.foundations import state_bucket
from bootstrap.foundations.state_bucket import Property, covers
from bootstrap.names import Names

Report = Callable[[str], None]
_PROPAGATION_SECONDS = 30.0
"""How long S3 may take to show a bucket's new configuration; it promises no time, and shows it at once nearly always."""


@dataclass(frozen=True)
class Foundations:
    """The bucket and the key, and the two URLs by which Pulumi knows them."""

    bucket: str
    region: str
    account: str
    backend_url: str
    secrets_provider: str
    key_arn: str

    def names(self, platform: str) -> Names:
        """The names of the platform that stands on these foundations."""
        return Names(platform, self.key_arn.split(":")[1], self.region, self.account)


def ensure_foundations(session: boto3.Session, platform: str, report: Report) -> Foundations:
    """Make the bucket and the key where they are missing, and set each of their properties that is not as it must be.

    `report` gets one line for each thing that was changed. Raises AccountError when AWS refuses, FoundationsError when the bucket
    or the key exists and can't be used.
    """
    with explained("make the state bucket and its key"):
        names = names_of(session, platform)
        key = find_key(session, names)
        key_arn = _usable(names, key) if key else _make_key(session, names, report)
        _settle_key(session, names, key_arn, report)
        s3 = session.client("s3")
        if not bucket_exists(s3, names):
            _make_bucket(s3, names, report)
        for wanted in state_bucket.properties(s3, names, key_arn):
            _settle(wanted, report)
        if not state_bucket.speaks_tls(s3):
            report(
                "left out: the bucket's TLS-only rule, as this endpoint itself is plain HTTP and the rule would lock you out"
            )
        return _foundations(names, key_arn)


def find_foundations(session: boto3.Session, platform: str) -> Foundations | None:
    """The foundations that are there already, None when the bucket or the key isn't; makes nothing."""
    with explained("look at the state bucket and its key"):
        names = names_of(session, platform)
        key = find_key(session, names)
        if key is None or not bucket_exists(session.client("s3"), names):
            return None
        return _foundations(names, _usable(names, key))


def names_of(session: boto3.Session, platform: str) -> Names:
    """The names of a platform in the account that these credentials belong to, whether it is there or not."""
    identity = session.client("sts").get_caller_identity()
    return Names(platform, identity["Arn"].split(":")[1], str(session.region_name), identity["Account"])


def _foundations(names: Names, key_arn: str) -> Foundations:
    return Foundations(
        bucket=names.state_bucket,
        region=names.region,
        account=names.account,
        backend_url=f"s3://{names.state_bucket}?region={names.region}",
        # The key's ARN rather than its alias: IAM checks the key, and an alias can be pointed elsewhere.
        secrets_provider=f"awskms:///{key_arn}?region={names.region}",
        key_arn=key_arn,
    )


def find_key(session: boto3.Session, names: Names) -> dict[str, Any] | None:
    """What KMS says about the key behind the platform's alias, whatever its state; None when there is none."""
    kms = session.client("kms")
    try:
        return dict(kms.describe_key(KeyId=names.key_alias)["KeyMetadata"])
    except kms.exceptions.NotFoundException:
        return None


def _usable(names: Names, key: Mapping[str, Any]) -> str:
    """The key's ARN. Raises FoundationsError when it is disabled or to be deleted."""
    if key["KeyState"] != "Enabled":
        raise FoundationsError(
            f"The key {names.key_alias} is {key['KeyState']}, and the state can't be read without it.",
            f"Bring it back (`aws kms cancel-key-deletion`, `aws kms enable-key`, both with --key-id {key['KeyId']}), "
            "then run this again.",
        )
    return str(key["Arn"])


def _make_key(session: boto3.Session, names: Names, report: Report) -> str:
    kms = session.client("kms")
    tags = [{"TagKey": name, "TagValue": value} for name, value in names.tags.items()]
    key = kms.create_key(Description=f"Pulumi state and its secrets, platform {names.platform}", Tags=tags)[
        "KeyMetadata"
    ]
    try:
        kms.create_alias(AliasName=names.key_alias, TargetKeyId=key["KeyId"])
    except BaseException:
        # A key without its alias would be found by no later run, and billed.
        try:
            kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
        except ClientError:
            report(
                f"left behind: the key {key['KeyId']}, which could be given neither its name nor up; delete it yourself"
            )
        raise
    report(f"made the key {names.key_alias}")
    return str(key["Arn"])


def _settle_key(session: boto3.Session, names: Names, key_arn: str, report: Report) -> None:
    kms = session.client("kms")
    tags = [{"TagKey": name, "TagValue": value} for name, value in names.tags.items()]
    rotation = Property(
        name="the key's yearly rotation",
        read=lambda: kms.get_key_rotation_status(KeyId=key_arn)["KeyRotationEnabled"],
        wanted=True,
        write=lambda _: kms.enable_key_rotation(KeyId=key_arn),
    )
    tagged = Property(
        name="the key's tags",
        read=lambda: kms.list_resource_tags(KeyId=key_arn)["Tags"],
        wanted=tags,
        write=lambda _: kms.tag_resource(KeyId=key_arn, Tags=tags),
    )
    for wanted in (rotation, tagged):
        _settle(wanted, report)


def bucket_exists(s3: state_bucket.S3, names: Names) -> bool:
    """Whether the bucket is there and ours. Raises FoundationsError when it is there and somebody else's, or somewhere else."""
    try:
        found = s3.head_bucket(Bucket=names.state_bucket, ExpectedBucketOwner=names.account)
    except ClientError as error:
        # A HEAD has no body: its status is all that S3 says. A bucket in another region is found there by boto3 itself.
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == 404:
            return False
        if status == 403:
            raise _not_ours(names) from error
        raise
    region = found.get("BucketRegion", names.region)
    if region != names.region:
        raise FoundationsError(
            f"The bucket {names.state_bucket} is in {region}, not in {names.region}.",
            "Delete that bucket if it is empty and not needed, or choose another --platform.",
        )
    return True


def _make_bucket(s3: state_bucket.S3, names: Names, report: Report) -> None:
    # us-east-1 is the one region that must not be named.
    where = {} if names.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": names.region}}
    try:
        s3.create_bucket(Bucket=names.state_bucket, ObjectOwnership="BucketOwnerEnforced", **where)
    except ClientError as error:
        if error.response["Error"]["Code"] == "BucketAlreadyExists":
            raise _not_ours(names) from error
        if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
            raise
    report(f"made the bucket {names.state_bucket}")


def _not_ours(names: Names) -> FoundationsError:
    return FoundationsError(
        f"The bucket {names.state_bucket} exists and account {names.account} may not use it: "
        "it is another account's, or your permissions lack s3:ListBucket.",
        "Ask for that permission, or choose another --platform.",
    )


def _settle(wanted: Property, report: Report) -> None:
    """Set a property if it is not as it must be, and look again until it is."""
    if covers(wanted.read(), wanted.wanted):
        return
    wanted.write(wanted.wanted)
    deadline = time.monotonic() + _PROPAGATION_SECONDS
    while not covers(wanted.read(), wanted.wanted):
        if time.monotonic() > deadline:
            raise FoundationsError(
                f"AWS accepted {wanted.name}, but does not show it.",
                "Run it again; if it stays so, look at the bucket in the console.",
            )
        time.sleep(0.5)
    report(f"set {wanted.name}")
