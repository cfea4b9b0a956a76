"""The state bucket and its key are made and completed, and those of others are refused."""

from __future__ import annotations

import json
import re
from typing import Any

import boto3
import pytest

from bootstrap.errors import AccountError, FoundationsError
from bootstrap.foundations.ensure import ensure_foundations
from bootstrap.foundations.lookup import Foundations, find_foundations
from localcloud.running import RunningCloud

REGION, ACCOUNT = RunningCloud.region, RunningCloud.account
ANOTHER_ACCOUNT = "111111111111"


class Lines(list[str]):
    """The reported lines, without the one of every run over plain HTTP."""

    def __call__(self, line: str) -> None:
        if not line.startswith("left out:"):
            self.append(line)


def bucket_of(platform: str) -> str:
    return f"{platform}-state-{ACCOUNT}-{REGION}"


def make(session: boto3.Session, platform: str) -> tuple[Foundations, Lines]:
    lines = Lines()
    return ensure_foundations(session, platform, lines), lines


def elsewhere(cloud: RunningCloud, access_key: str, region: str, **more: Any) -> Any:
    """An S3 client of another account (its number is its key) or region."""
    session = boto3.Session(access_key, more.pop("secret_key", "x"), region_name=region)
    return session.client("s3", endpoint_url=cloud.endpoint_url)


def test_the_first_run_makes_a_versioned_encrypted_private_bucket_with_expiry(
    operator_session: boto3.Session,
) -> None:
    foundations, lines = make(operator_session, "first-run")
    s3, bucket = operator_session.client("s3"), foundations.bucket

    assert bucket == bucket_of("first-run")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": foundations.key_arn,
    }
    assert set(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    (ownership,) = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert ownership["ObjectOwnership"] == "BucketOwnerEnforced"
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == [{"Key": "fibfactory:platform", "Value": "first-run"}]
    rules = {rule["ID"]: rule for rule in s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]}
    assert rules["fibfactory-backups"]["Filter"]["Prefix"] == ".pulumi/backups/"
    assert rules["fibfactory-history"]["Filter"]["Prefix"] == ".pulumi/history/"
    assert rules["fibfactory-old-versions"]["NoncurrentVersionExpiration"]["NoncurrentDays"] > 0
    # No rule lets the current objects of the stacks expire.
    expiring = [rule["Filter"].get("Prefix", "") for rule in rules.values() if "Days" in rule.get("Expiration", {})]
    assert sorted(expiring) == [".pulumi/backups/", ".pulumi/history/"]
    assert lines[0] == "made the key alias/first-run-state"


def test_the_first_run_makes_a_key_that_rotates_and_is_found_by_its_alias(operator_session: boto3.Session) -> None:
    foundations, _ = make(operator_session, "rotating")
    kms = operator_session.client("kms")
    assert kms.describe_key(KeyId="alias/rotating-state")["KeyMetadata"]["Arn"] == foundations.key_arn
    assert kms.get_key_rotation_status(KeyId=foundations.key_arn)["KeyRotationEnabled"]
    tags = kms.list_resource_tags(KeyId=foundations.key_arn)["Tags"]
    assert tags == [{"TagKey": "fibfactory:platform", "TagValue": "rotating"}]


def test_pulumis_urls_name_the_region_and_the_keys_arn(operator_session: boto3.Session) -> None:
    foundations, _ = make(operator_session, "told")
    assert (foundations.names.region, foundations.names.account) == (REGION, ACCOUNT)
    assert foundations.backend_url == f"s3://{bucket_of('told')}?region={REGION}"
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/[0-9a-f-]{{36}}"
    assert re.fullmatch(rf"awskms:///{key}\?region={REGION}", foundations.secrets_provider)


def test_a_second_run_changes_nothing(operator_session: boto3.Session) -> None:
    first, _ = make(operator_session, "twice")
    assert make(operator_session, "twice") == (first, [])


def test_an_interrupted_first_run_is_completed(operator_session: boto3.Session) -> None:
    operator_session.client("s3").create_bucket(
        Bucket=bucket_of("cut-short"), CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    _, lines = make(operator_session, "cut-short")
    assert "set the bucket's versioning" in lines and "made the key alias/cut-short-state" in lines
    assert make(operator_session, "cut-short")[1] == []


def test_properties_that_were_switched_off_are_set_again(operator_session: boto3.Session) -> None:
    foundations, _ = make(operator_session, "drifted")
    s3, kms = operator_session.client("s3"), operator_session.client("kms")
    s3.put_bucket_versioning(Bucket=foundations.bucket, VersioningConfiguration={"Status": "Suspended"})
    s3.delete_public_access_block(Bucket=foundations.bucket)
    s3.delete_bucket_encryption(Bucket=foundations.bucket)
    kms.disable_key_rotation(KeyId=foundations.key_arn)
    assert make(operator_session, "drifted")[1] == [
        "set the key's yearly rotation",
        "set the bucket's block of public access",
        "set the bucket's versioning",
        "set the bucket's encryption",
    ]


def test_additions_of_others_to_the_bucket_are_kept(operator_session: boto3.Session) -> None:
    foundations, _ = make(operator_session, "shared")
    s3, bucket = operator_session.client("s3"), foundations.bucket
    theirs = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}}
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [theirs]})
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "cost-center", "Value": "7"}]})

    assert make(operator_session, "shared")[1] == ["set the bucket's lifecycle rules", "set the bucket's tags"]
    assert len(s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]) == 4
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}
    assert tags == {"cost-center": "7", "fibfactory:platform": "shared"}
    assert make(operator_session, "shared")[1] == []


def test_a_bucket_of_another_account_is_refused(cloud: RunningCloud, operator_session: boto3.Session) -> None:
    theirs = elsewhere(cloud, ANOTHER_ACCOUNT, REGION)
    theirs.create_bucket(Bucket=bucket_of("squatted"), CreateBucketConfiguration={"LocationConstraint": REGION})
    with pytest.raises(FoundationsError, match="belongs to another account") as caught:
        make(operator_session, "squatted")
    assert "--platform" in caught.value.advice


def test_a_bucket_in_another_region_is_refused(cloud: RunningCloud, operator_session: boto3.Session) -> None:
    operator = cloud.identity("operator")
    away = elsewhere(cloud, operator.access_key, "eu-west-1", secret_key=operator.secret_key)
    away.create_bucket(Bucket=bucket_of("abroad"), CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    with pytest.raises(FoundationsError, match="is in eu-west-1, not in us-west-2"):
        make(operator_session, "abroad")


def test_a_key_pending_deletion_is_named_with_the_way_back(operator_session: boto3.Session) -> None:
    foundations, _ = make(operator_session, "doomed")
    operator_session.client("kms").schedule_key_deletion(KeyId=foundations.key_arn, PendingWindowInDays=7)
    with pytest.raises(FoundationsError, match="alias/doomed-state is PendingDeletion") as caught:
        make(operator_session, "doomed")
    assert "cancel-key-deletion" in caught.value.advice


def test_a_missing_permission_is_named(cloud: RunningCloud) -> None:
    with pytest.raises(AccountError, match=r"AccessDenied\w* for kms:DescribeKey") as caught:
        make(cloud.session("nobody"), "forbidden")
    assert "permission" in caught.value.advice


def test_the_lookup_makes_nothing(operator_session: boto3.Session) -> None:
    assert find_foundations(operator_session, "never-made") is None
    buckets = {bucket["Name"] for bucket in operator_session.client("s3").list_buckets()["Buckets"]}
    assert bucket_of("never-made") not in buckets
    aliases = {alias["AliasName"] for alias in operator_session.client("kms").list_aliases()["Aliases"]}
    assert "alias/never-made-state" not in aliases


def test_the_lookup_finds_what_was_made(operator_session: boto3.Session) -> None:
    made, _ = make(operator_session, "found")
    assert find_foundations(operator_session, "found") == made


def test_the_tls_only_rule_is_not_set_over_plain_http(operator_session: boto3.Session) -> None:
    lines: list[str] = []
    foundations = ensure_foundations(operator_session, "plain", lines.append)
    assert any(line.startswith("left out:") and "TLS" in line for line in lines)
    s3 = operator_session.client("s3")
    with pytest.raises(s3.exceptions.ClientError, match="NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket=foundations.bucket)
    s3.put_object(Bucket=foundations.bucket, Key=".pulumi/meta.yaml", Body=json.dumps({}).encode())
