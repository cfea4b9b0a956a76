"""What the state bucket must be like: versioned, encrypted, private, TLS only, and not growing for ever.

The rule: each property knows how it is read, what is wanted, and how it is written without taking away what others added.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from bootstrap.names import Names

S3 = Any
"""boto3's S3 client, whose class is made at run time."""

BACKUP_DAYS = 30
HISTORY_DAYS = 90
NONCURRENT_DAYS = 30


@dataclass(frozen=True)
class Property:
    """One thing that must be so. `wanted` may say less than what `read` answers: AWS adds fields, and operators add rules."""

    name: str
    read: Callable[[], Any]
    wanted: Any
    write: Callable[[Any], object]


def covers(actual: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there: mappings by key, lists in any order; what is empty may be missing."""
    if isinstance(wanted, dict) and isinstance(actual, dict):
        return all(covers(actual.get(name), value) for name, value in wanted.items())
    if isinstance(wanted, list) and isinstance(actual, list):
        return all(any(covers(one, value) for one in actual) for value in wanted)
    return bool(actual == wanted or not (actual or wanted))


def speaks_tls(s3: S3) -> bool:
    """Whether this client itself reaches S3 over TLS. On AWS it does; an operator's own endpoint may be plain HTTP."""
    return str(s3.meta.endpoint_url).startswith("https://")


def properties(s3: S3, names: Names, key_arn: str) -> list[Property]:
    """All that the bucket must be, in the order in which it is set."""
    wanted = [
        _private(s3, names),
        _versioned(s3, names),
        _encrypted(s3, names, key_arn),
        _expiring(s3, names),
        _tagged(s3, names),
    ]
    # A rule that refuses plain HTTP, set by a client that was told to use it, would lock its maker out.
    return [*wanted, _tls_only(s3, names)] if speaks_tls(s3) else wanted


def _private(s3: S3, names: Names) -> Property:
    block = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    return Property(
        name="the bucket's block of public access",
        read=_unless(
            "NoSuchPublicAccessBlockConfiguration",
            lambda: s3.get_public_access_block(**_of(names))["PublicAccessBlockConfiguration"],
        ),
        wanted=block,
        write=lambda wanted: s3.put_public_access_block(**_of(names), PublicAccessBlockConfiguration=wanted),
    )


def _versioned(s3: S3, names: Names) -> Property:
    return Property(
        name="the bucket's versioning",
        read=lambda: s3.get_bucket_versioning(**_of(names)).get("Status"),
        wanted="Enabled",
        write=lambda wanted: s3.put_bucket_versioning(**_of(names), VersioningConfiguration={"Status": wanted}),
    )


def _encrypted(s3: S3, names: Names, key_arn: str) -> Property:
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_arn},
        # One data key for many objects: a state that is written often would otherwise cost a KMS call each time.
        "BucketKeyEnabled": True,
    }
    return Property(
        name="the bucket's encryption",
        read=lambda: s3.get_bucket_encryption(**_of(names))["ServerSideEncryptionConfiguration"],
        wanted={"Rules": [rule]},
        write=lambda wanted: s3.put_bucket_encryption(**_of(names), ServerSideEncryptionConfiguration=wanted),
    )


def _expiring(s3: S3, names: Names) -> Property:
    """Pulumi never deletes a backup or a history entry: buckets of tens of gigabytes are known."""
    rules = [
        _rule("fibfactory-backups", ".pulumi/backups/", Expiration={"Days": BACKUP_DAYS}),
        _rule("fibfactory-history", ".pulumi/history/", Expiration={"Days": HISTORY_DAYS}),
        _rule(
            "fibfactory-old-versions",
            "",
            NoncurrentVersionExpiration={"NoncurrentDays": NONCURRENT_DAYS},
            Expiration={"ExpiredObjectDeleteMarker": True},
            AbortIncompleteMultipartUpload={"DaysAfterInitiation": 7},
        ),
    ]
    ours = {rule["ID"] for rule in rules}
    read = _unless("NoSuchLifecycleConfiguration", lambda: s3.get_bucket_lifecycle_configuration(**_of(names))["Rules"])

    def write(wanted: list[dict[str, Any]]) -> None:
        kept = [rule for rule in read() or [] if rule.get("ID") not in ours]
        s3.put_bucket_lifecycle_configuration(**_of(names), LifecycleConfiguration={"Rules": [*kept, *wanted]})

    return Property("the bucket's lifecycle rules", read, rules, write)


def _tagged(s3: S3, names: Names) -> Property:
    read = _unless("NoSuchTagSet", lambda: s3.get_bucket_tagging(**_of(names))["TagSet"])

    def write(wanted: list[dict[str, str]]) -> None:
        kept = [tag for tag in read() or [] if tag["Key"] not in names.tags]
        s3.put_bucket_tagging(**_of(names), Tagging={"TagSet": [*kept, *wanted]})

    return Property(
        "the bucket's tags", read, [{"Key": name, "Value": value} for name, value in names.tags.items()], write
    )


def _tls_only(s3: S3, names: Names) -> Property:
    statement = {
        "Sid": "FibfactoryTlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [names.state_bucket_arn, f"{names.state_bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }

    def read() -> dict[str, Any]:
        found = _unless("NoSuchBucketPolicy", lambda: s3.get_bucket_policy(**_of(names))["Policy"])()
        return dict(json.loads(found)) if found else {"Version": "2012-10-17", "Statement": []}

    def write(wanted: dict[str, Any]) -> None:
        policy = read()
        kept = [other for other in policy["Statement"] if other.get("Sid") != statement["Sid"]]
        s3.put_bucket_policy(**_of(names), Policy=json.dumps({**policy, "Statement": [*kept, *wanted["Statement"]]}))

    return Property("the bucket's TLS-only rule", read, {"Statement": [statement]}, write)


def _rule(identity: str, prefix: str, **does: dict[str, Any]) -> dict[str, Any]:
    return {"ID": identity, "Status": "Enabled", "Filter": {"Prefix": prefix}, **does}


def _of(names: Names) -> dict[str, str]:
    # The expected owner makes S3 refuse, should the name ever belong to somebody else.
    return {"Bucket": names.state_bucket, "ExpectedBucketOwner": names.account}


def _unless(code: str, read: Callable[[], Any]) -> Callable[[], Any]:
    """The same read, answering None where S3 says with this error code that nothing was ever set."""

    def reading() -> Any:
        try:
            return read()
        except ClientError as error:
            if error.response["Error"]["Code"] == code:
                return None
            raise

    return reading
