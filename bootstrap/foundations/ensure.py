"""Making the state bucket and its key, and completing them.

They are made with boto3, because the platform's own stack is kept in them. The rule: every property is read on every run and set
only where it differs, so a second run changes nothing and an interrupted first run is completed. What others added to the bucket
(tags, policy statements, lifecycle rules) is kept. Nothing is ever deleted here: the state outlives the platform.
"""

from __future__ import annotations

import boto3
from botocore.exceptions import ClientError

from bootstrap.errors import explained
from bootstrap.foundations import state_bucket
from bootstrap.foundations.lookup import (
    S3,
    Foundations,
    bucket_exists,
    find_key,
    foreign_bucket,
    names_of,
    usable_key_arn,
)
from bootstrap.foundations.properties import Property, Report
from bootstrap.names import Names
from orchestrator.adapters.aws_errors import error_code


def ensure_foundations(session: boto3.Session, platform: str, report: Report) -> Foundations:
    """Make the bucket and the key if they are missing, and set each of their properties that is not as it must be.

    `report` gets one line for each change. Raises AccountError when AWS refuses, FoundationsError when the bucket or the key
    exists and can't be used.
    """
    with explained("make the state bucket and its key"):
        names = names_of(session, platform)
        key = find_key(session, names)
        key_arn = usable_key_arn(names, key) if key else _make_key(session, names, report)
        s3 = session.client("s3")
        for wanted in _key_properties(session, names, key_arn):
            wanted.ensure(report)
        if not bucket_exists(s3, names):
            _make_bucket(s3, names, report)
        for wanted in state_bucket.properties(s3, names, key_arn):
            wanted.ensure(report)
        if not state_bucket.speaks_tls(s3):
            report(
                "left out: the bucket's TLS-only rule, because this endpoint itself is plain HTTP and the rule would lock you out"
            )
        return Foundations(names, key_arn)


def _make_key(session: boto3.Session, names: Names, report: Report) -> str:
    kms = session.client("kms")
    description = f"Pulumi state and its secrets, platform {names.platform}"
    key = kms.create_key(Description=description, Tags=_key_tags(names))["KeyMetadata"]
    try:
        kms.create_alias(AliasName=names.key_alias, TargetKeyId=key["KeyId"])
    except BaseException:
        # Without an alias no later run would find the key, and it would be billed.
        try:
            kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
        except ClientError:
            report(
                f"left behind: the key {key['KeyId']}, which could neither be given its alias nor be deleted; delete it yourself"
            )
        raise
    report(f"made the key {names.key_alias}")
    return str(key["Arn"])


def _key_properties(session: boto3.Session, names: Names, key_arn: str) -> list[Property]:
    kms = session.client("kms")
    return [
        Property(
            name="the key's yearly rotation",
            read=lambda: kms.get_key_rotation_status(KeyId=key_arn)["KeyRotationEnabled"],
            wanted=True,
            write=lambda *_: kms.enable_key_rotation(KeyId=key_arn),
        ),
        Property(
            name="the key's tags",
            read=lambda: kms.list_resource_tags(KeyId=key_arn)["Tags"],
            wanted=_key_tags(names),
            write=lambda wanted, _: kms.tag_resource(KeyId=key_arn, Tags=wanted),
        ),
    ]


def _key_tags(names: Names) -> list[dict[str, str]]:
    return [{"TagKey": name, "TagValue": value} for name, value in names.tags.items()]


def _make_bucket(s3: S3, names: Names, report: Report) -> None:
    # us-east-1 is the one region that must not be named.
    where = {} if names.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": names.region}}
    try:
        s3.create_bucket(Bucket=names.state_bucket, ObjectOwnership="BucketOwnerEnforced", **where)
    except ClientError as error:
        if error_code(error) == "BucketAlreadyExists":
            raise foreign_bucket(names) from error
        if error_code(error) != "BucketAlreadyOwnedByYou":
            raise
    report(f"made the bucket {names.state_bucket}")
