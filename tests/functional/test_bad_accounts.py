"""Accounts and machines with which a deploy fails: the cause is named in one sentence, and nothing is left half-made.

Once the cause is removed, the same command succeeds.
"""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest

from localcloud.faults import faults
from localcloud.faults.faults import Fault, Match
from localcloud.faults.proxy import Proxy, serve
from localcloud.running import RunningCloud
from tests.functional.bootstrap_operator import (
    EVERYTHING,
    Operator,
    allow,
    bucket_of,
    but,
    one_sentence,
    user_with,
)


@pytest.fixture
def proxy(cloud: RunningCloud) -> Iterator[Proxy]:
    """A proxy between the operator and the cloud, which can answer in its place."""
    with serve(cloud.endpoint_url, cloud.apprunner_url) as proxy:
        yield proxy


def through(proxy: Proxy) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": proxy.url,
        "AWS_ENDPOINT_URL_APPRUNNER": proxy.url,
        "AWS_ENDPOINT_URL_RESOURCE_GROUPS_TAGGING_API": proxy.url,
    }


def refusing(status: int, code: str, message: str) -> faults.Action:
    return lambda call: faults.Refusal(status, code, message)


def nothing_made(session: boto3.Session, platform: str) -> bool:
    buckets = {bucket["Name"] for bucket in session.client("s3").list_buckets()["Buckets"]}
    aliases = {alias["AliasName"] for alias in session.client("kms").list_aliases()["Aliases"]}
    return bucket_of(platform) not in buckets and f"alias/{platform}-state" not in aliases


@pytest.mark.parametrize(
    ("region", "words"),
    [
        ("us-west-9", "There is no region us-west-9"),
        ("eu-north-1", "not offered in eu-north-1"),
        ("cn-north-1", "not offered in cn-north-1"),
    ],
)
def test_a_region_without_app_runner_is_refused_with_a_list_of_others(
    operator: Operator, operator_session: boto3.Session, region: str, words: str
) -> None:
    ran = operator.deploys("elsewhere", "--region", region)
    assert ran.code == 2
    assert words in one_sentence(ran) and "us-west-2" in ran.said
    assert nothing_made(operator_session, "elsewhere")


@pytest.mark.parametrize("code", ["SubscriptionRequiredException", "OptInRequired", "AccessDeniedException"])
def test_an_account_that_app_runner_refuses_is_told_awss_reason(
    operator: Operator, operator_session: boto3.Session, proxy: Proxy, code: str
) -> None:
    words = "App Runner is closed to this account."
    proxy.arm(Fault(Match("apprunner", "ListServices"), refusing(400, code, words)))
    ran = operator.deploys("refused", environment=through(proxy))
    assert f"App Runner can't be used in this account: {code}: {words}" in one_sentence(ran)
    assert "docs/aws.md" in ran.said
    assert nothing_made(operator_session, "refused")


def test_a_user_without_permission_for_app_runner_is_told_the_permission(operator: Operator, proxy: Proxy) -> None:
    words = "User: arn:aws:iam::000000000000:user/x is not authorized to perform: apprunner:ListServices on resource: *"
    proxy.arm(Fault(Match("apprunner", "ListServices"), refusing(400, "AccessDeniedException", words)))
    ran = operator.deploys("refused", environment=through(proxy))
    assert "AccessDeniedException for apprunner:ListServices" in one_sentence(ran)


def test_a_deploy_without_docker_makes_nothing(operator: Operator, operator_session: boto3.Session) -> None:
    ran = operator.runs(
        *("deploy", "--platform", "undocked", "--yes"), environment={"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    )
    assert ran.code == 2
    assert "to be built here" in one_sentence(ran) and "--image-uri" in ran.said
    assert nothing_made(operator_session, "undocked")


def test_a_missing_image_is_named_before_anything_is_made(operator: Operator, operator_session: boto3.Session) -> None:
    image = "000000000000.dkr.ecr.us-west-2.amazonaws.com/fibfactory/nowhere:1"
    ran = operator.runs("deploy", "--platform", "imageless", "--image-uri", image, "--yes")
    assert ran.code == 2
    assert f"There is no image {image}" in one_sentence(ran)
    assert nothing_made(operator_session, "imageless")


def test_expired_credentials_ask_to_sign_in(operator: Operator, proxy: Proxy) -> None:
    proxy.arm(
        Fault(Match("sts", about="Action=GetCallerIdentity"), refusing(403, "ExpiredToken", "The token has expired"))
    )
    assert "does not accept these credentials (ExpiredToken)" in one_sentence(
        operator.deploys("expired", environment=through(proxy))
    )


def test_unknown_credentials_ask_to_sign_in(operator: Operator) -> None:
    wrong = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "wrong"}
    assert "does not accept these credentials" in one_sentence(operator.deploys("expired", environment=wrong))


def test_the_cause_of_a_failed_deploy_is_named_and_the_next_run_continues(
    operator: Operator, operator_session: boto3.Session, proxy: Proxy
) -> None:
    """Each run gets further than the one before, because the cause of its failure is removed."""
    faulty = through(proxy)
    for match, status, code, message, words in (
        (
            Match("iam", about="Action=CreateRole"),
            409,
            "LimitExceeded",
            "Cannot exceed quota for RolesPerAccount: 1000",
            "a quota of the account is reached",
        ),
        (
            Match("lambda", "Post", "/2015-03-31/functions"),
            403,
            "ExpiredTokenException",
            "The security token included in the request is expired",
            "does not accept these credentials (ExpiredTokenException)",
        ),
    ):
        proxy.arm(Fault(match, refusing(status, code, message), times=50))
        ran = operator.deploys("unlucky", environment=faulty)
        assert words in one_sentence(ran), ran.said
        assert "run it again" in ran.said
        proxy.disarm()
    assert operator.deploys("unlucky", environment=faulty).code == 0


def test_each_missing_permission_is_named_and_the_next_run_continues(
    operator: Operator, operator_session: boto3.Session
) -> None:
    """The user gets each permission after it was named as missing, and runs the same command again."""
    needed = [
        *("kms:DescribeKey", "kms:CreateAlias", "s3:CreateBucket", "s3:PutEncryptionConfiguration"),
        *("iam:CreateRole", "lambda:CreateFunction", "cloudwatch:PutMetricAlarm"),
    ]
    user = user_with(operator_session, "beginner", EVERYTHING, but(*needed))
    named = []
    while needed:
        ran = operator.deploys("beginners", environment=user)
        words = one_sentence(ran)
        assert "run it again" in words
        named.append(next(action for action in needed if action in words or action.partition(":")[2] in words))
        needed.remove(named[-1])
        allow(operator_session, "beginner", EVERYTHING, *([but(*needed)] if needed else []))
    assert operator.deploys("beginners", environment=user).code == 0
    assert operator_session.client("lambda").get_function(FunctionName="beginners-worker")
    kms = operator_session.client("kms")
    keys = [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in kms.list_keys()["Keys"]]
    states = sorted(key["KeyState"] for key in keys if key["Description"].endswith("platform beginners"))
    assert states == ["Enabled", "PendingDeletion"], "the key that got no alias is being deleted"
