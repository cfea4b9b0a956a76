"""Finding the state bucket and its key. Nothing here makes or changes anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError

from bootstrap.errors import FoundationsError, explained
from bootstrap.names import Names
from orchestrator.adapters.aws_errors import none_if

S3 = Any
"""boto3's S3 client, whose class is made at run time."""


@dataclass(frozen=True)
class Foundations:
    """A platform's state bucket and key, and the two URLs by which Pulumi knows them."""

    names: Names
    key_arn: str

    @property
    def bucket(self) -> str:
        return self.names.state_bucket

    @property
    def backend_url(self) -> str:
        return f"s3://{self.bucket}?region={self.names.region}"

    @property
    def secrets_provider(self) -> str:
        """By the key's ARN rather than its alias: IAM checks the key, and an alias can be pointed elsewhere."""
        return f"awskms:///{self.key_arn}?region={self.names.region}"


def find_foundations(session: boto3.Session, platform: str) -> Foundations | None:
    """The existing foundations; None when the bucket or the key is missing.

    Raises AccountError when AWS refuses, FoundationsError when one of them can't be used.
    """
    with explained("look up the state bucket and its key"):
        names = names_of(session, platform)
        key = find_key(session, names)
        if key is None or not bucket_exists(session.client("s3"), names):
            return None
        return Foundations(names, usable_key_arn(names, key))


def names_of(session: boto3.Session, platform: str) -> Names:
    """The names of a platform in the account of these credentials, whether it exists or not."""
    identity = session.client("sts").get_caller_identity()
    return Names(platform, identity["Arn"].split(":")[1], str(session.region_name), identity["Account"])


def find_key(session: boto3.Session, names: Names) -> dict[str, Any] | None:
    """KMS's description of the key behind the platform's alias, whatever its state; None when there is none."""
    kms = session.client("kms")
    return none_if({"NotFoundException"}, lambda: dict(kms.describe_key(KeyId=names.key_alias)["KeyMetadata"]))


def usable_key_arn(names: Names, key: Mapping[str, Any]) -> str:
    """The key's ARN. Raises FoundationsError when the key is disabled or about to be deleted."""
    if key["KeyState"] != "Enabled":
        raise FoundationsError(
            f"The key {names.key_alias} is {key['KeyState']}, and the state can't be read without it.",
            f"Bring it back (`aws kms cancel-key-deletion`, `aws kms enable-key`, both with --key-id {key['KeyId']}), "
            "then run this again.",
        )
    return str(key["Arn"])


def bucket_exists(s3: S3, names: Names) -> bool:
    """Whether the state bucket exists. Raises FoundationsError when it belongs to another account or region."""
    try:
        found = s3.head_bucket(Bucket=names.state_bucket, ExpectedBucketOwner=names.account)
    except ClientError as error:
        # The answer to a HEAD has no body, only a status. boto3 itself finds a bucket that is in another region.
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == 404:
            return False
        if status == 403:
            raise foreign_bucket(names) from error
        raise
    region = found.get("BucketRegion", names.region)
    if region != names.region:
        raise FoundationsError(
            f"The bucket {names.state_bucket} is in {region}, not in {names.region}.",
            "Delete that bucket if it is empty and not needed, or choose another --platform.",
        )
    return True


def foreign_bucket(names: Names) -> FoundationsError:
    return FoundationsError(
        f"The bucket {names.state_bucket} exists and account {names.account} may not use it: "
        "it belongs to another account, or your permissions lack s3:ListBucket.",
        "Ask for that permission, or choose another --platform.",
    )
