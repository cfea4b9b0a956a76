"""What the state bucket must be: versioned, encrypted, private, reachable over TLS only, and not growing without end.

The rule: each property says how it is read, what is wanted, and how it is written without removing what others added.
"""

from __future__ import annotations

import json
from typing import Any

from bootstrap.foundations.lookup import S3
from bootstrap.foundations.properties import Property
from bootstrap.names import Names

BACKUP_DAYS = 30
HISTORY_DAYS = 90
NONCURRENT_DAYS = 30
Entry = dict[str, Any]


def speaks_tls(s3: S3) -> bool:
    """Whether this client itself reaches S3 over TLS. On AWS it does; an operator's own endpoint may be plain HTTP."""
    return str(s3.meta.endpoint_url).startswith("https://")


def properties(s3: S3, names: Names, key_arn: str) -> list[Property]:
    """All properties of the bucket, in the order in which they are set."""
    bucket = names.owned_bucket
    wanted = [
        _private(s3, bucket),
        Property(
            name="the bucket's versioning",
            read=lambda: s3.get_bucket_versioning(**bucket).get("Status"),
            wanted="Enabled",
            write=lambda status, _: s3.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": status}),
        ),
        _encrypted(s3, bucket, key_arn),
        _expiring(s3, bucket),
        _tagged(s3, bucket, names.tags),
    ]
    # A client that uses plain HTTP would lock its user out with a rule that refuses plain HTTP.
    return [*wanted, _tls_only(s3, bucket, names.state_bucket_arn)] if speaks_tls(s3) else wanted


def _private(s3: S3, bucket: Entry) -> Property:
    return Property(
        name="the bucket's block of public access",
        read=lambda: s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"],
        unset=("NoSuchPublicAccessBlockConfiguration",),
        wanted=dict.fromkeys(
            ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
        ),
        write=lambda wanted, _: s3.put_public_access_block(**bucket, PublicAccessBlockConfiguration=wanted),
    )


def _encrypted(s3: S3, bucket: Entry, key_arn: str) -> Property:
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_arn},
        # One data key for many objects, or a state that is written often would cost a KMS call each time.
        "BucketKeyEnabled": True,
    }
    return Property(
        name="the bucket's encryption",
        read=lambda: s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"],
        wanted={"Rules": [rule]},
        write=lambda wanted, _: s3.put_bucket_encryption(**bucket, ServerSideEncryptionConfiguration=wanted),
    )


def _expiring(s3: S3, bucket: Entry) -> Property:
    """Pulumi never deletes a backup or a history entry; buckets have grown to tens of gigabytes."""

    def rule(identity: str, prefix: str, **actions: Entry) -> Entry:
        return {"ID": identity, "Status": "Enabled", "Filter": {"Prefix": prefix}, **actions}

    return Property(
        name="the bucket's lifecycle rules",
        read=lambda: s3.get_bucket_lifecycle_configuration(**bucket)["Rules"],
        unset=("NoSuchLifecycleConfiguration",),
        wanted=[
            rule("fibfactory-backups", ".pulumi/backups/", Expiration={"Days": BACKUP_DAYS}),
            rule("fibfactory-history", ".pulumi/history/", Expiration={"Days": HISTORY_DAYS}),
            rule(
                "fibfactory-old-versions",
                "",
                NoncurrentVersionExpiration={"NoncurrentDays": NONCURRENT_DAYS},
                Expiration={"ExpiredObjectDeleteMarker": True},
                AbortIncompleteMultipartUpload={"DaysAfterInitiation": 7},
            ),
        ],
        write=lambda wanted, found: s3.put_bucket_lifecycle_configuration(
            **bucket, LifecycleConfiguration={"Rules": _merged(found, wanted, "ID")}
        ),
    )


def _tagged(s3: S3, bucket: Entry, tags: dict[str, str]) -> Property:
    return Property(
        name="the bucket's tags",
        read=lambda: s3.get_bucket_tagging(**bucket)["TagSet"],
        unset=("NoSuchTagSet",),
        wanted=[{"Key": name, "Value": value} for name, value in tags.items()],
        write=lambda wanted, found: s3.put_bucket_tagging(**bucket, Tagging={"TagSet": _merged(found, wanted, "Key")}),
    )


def _tls_only(s3: S3, bucket: Entry, arn: str) -> Property:
    def write(wanted: Entry, found: Entry | None) -> None:
        policy = found or {"Version": "2012-10-17", "Statement": []}
        statements = _merged(policy["Statement"], wanted["Statement"], "Sid")
        s3.put_bucket_policy(**bucket, Policy=json.dumps({**policy, "Statement": statements}))

    statement = {
        "Sid": "FibfactoryTlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return Property(
        name="the bucket's TLS-only rule",
        read=lambda: json.loads(s3.get_bucket_policy(**bucket)["Policy"]),
        unset=("NoSuchBucketPolicy",),
        wanted={"Statement": [statement]},
        write=write,
    )


def _merged(existing: list[Entry] | None, wanted: list[Entry], key: str) -> list[Entry]:
    """What others added, then what is wanted; entries are the same when their `key` is."""
    ours = {entry[key] for entry in wanted}
    return [*(entry for entry in existing or [] if entry.get(key) not in ours), *wanted]
