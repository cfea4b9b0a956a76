"""The cloud adapter on the local cloud: it finds our own services and what a destroy left, and ignores all others (I4, I5)."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime

import boto3
import pytest

from localcloud.apprunner.admin import AppRunnerAdmin
from localcloud.running import RunningCloud
from orchestrator.adapters.aws.cloud import AwsCloud
from orchestrator.adapters.pulumi.state import StateBucket
from orchestrator.domain.environment import Environment, Spec
from orchestrator.domain.errors import Transient
from orchestrator.ports import Service
from tests.functional.orchestrator.conftest import Backend

IMAGE = "public.ecr.aws/fibfactory/fibservice:latest"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TEST1 = Environment("test1", "arn:alice", NOW, NOW, Spec(IMAGE))
PAUSED1 = replace(TEST1, id="paused1")


@pytest.fixture
def aws_cloud(operator_session: boto3.Session, backend: Backend) -> AwsCloud:
    return AwsCloud(
        operator_session.client("apprunner"),
        operator_session.client("resourcegroupstaggingapi"),
        operator_session.client("ecr"),
        StateBucket(operator_session.client("s3"), backend.url),
        platform="tests",
        prefix="fib-app",
    )


def create_service(session: boto3.Session, name: str, **tags: str) -> str:
    answer = session.client("apprunner").create_service(
        ServiceName=name,
        SourceConfiguration={
            "ImageRepository": {"ImageIdentifier": IMAGE, "ImageRepositoryType": "ECR_PUBLIC"},
            "AutoDeploymentsEnabled": False,
        },
        Tags=[{"Key": f"fibfactory:{key}", "Value": value} for key, value in tags.items()],
    )
    return str(answer["Service"]["ServiceArn"])


def test_our_service_is_found_by_its_name_and_tags(
    aws_cloud: AwsCloud, operator_session: boto3.Session, apprunner: AppRunnerAdmin
) -> None:
    assert aws_cloud.service(TEST1) is None
    arn = create_service(operator_session, "fib-app-test1-service", platform="tests", environment="test1")
    found = aws_cloud.service(TEST1)
    assert found is not None and found.arn == arn


@pytest.mark.parametrize(
    "tags",
    [{}, {"platform": "tests"}, {"environment": "test1"}, {"platform": "another", "environment": "test1"}],
)
def test_I4_a_service_without_all_of_our_tags_is_ignored(
    aws_cloud: AwsCloud, operator_session: boto3.Session, apprunner: AppRunnerAdmin, tags: dict[str, str]
) -> None:
    create_service(operator_session, "fib-app-test1-service", **tags)
    assert aws_cloud.service(TEST1) is None
    assert aws_cloud.verify_absent(TEST1).found == ()


def test_I5_verification_finds_a_tagged_service_under_any_name(
    aws_cloud: AwsCloud, operator_session: boto3.Session, apprunner: AppRunnerAdmin
) -> None:
    arn = create_service(operator_session, "renamed-by-hand", platform="tests", environment="test1")
    assert aws_cloud.verify_absent(TEST1).found == (arn,)


def test_I5_verification_finds_a_stack_left_in_the_bucket(
    aws_cloud: AwsCloud, operator_session: boto3.Session, backend: Backend, apprunner: AppRunnerAdmin
) -> None:
    key = ".pulumi/stacks/fibfactory/fibfactory-test1.json"
    operator_session.client("s3").put_object(Bucket=backend.bucket, Key=key, Body=b"{}")
    assert aws_cloud.verify_absent(TEST1).found == ("the Pulumi stack fibfactory-test1",)
    operator_session.client("s3").delete_object(Bucket=backend.bucket, Key=key)


def test_I5_verification_says_what_it_checked_if_it_finds_nothing(
    aws_cloud: AwsCloud, apprunner: AppRunnerAdmin
) -> None:
    verification = aws_cloud.verify_absent(TEST1)
    assert verification.found == ()
    assert len(verification.checked) == 3
    assert verification.cannot_see


def test_a_failing_aws_is_an_error_and_not_an_empty_result(aws_cloud: AwsCloud, apprunner: AppRunnerAdmin) -> None:
    apprunner.inject("internal_error", operation="ListServices", times=20)
    with pytest.raises(Transient):
        aws_cloud.verify_absent(TEST1)


def test_the_digest_of_a_tag_is_read_from_a_private_repository(
    aws_cloud: AwsCloud, cloud: RunningCloud, operator_session: boto3.Session
) -> None:
    ecr = operator_session.client("ecr")
    ecr.create_repository(repositoryName="team/app")
    manifest = json.dumps({"schemaVersion": 2, "config": {}, "layers": []})
    put = ecr.put_image(repositoryName="team/app", imageManifest=manifest, imageTag="pr-7")["image"]
    digest = put["imageId"]["imageDigest"]
    repository = f"{cloud.account}.dkr.ecr.{cloud.region}.amazonaws.com/team/app"
    assert aws_cloud.digest(f"{repository}:pr-7") == digest
    assert aws_cloud.digest(f"{repository}@{digest}") == digest
    elsewhere = repository.replace(cloud.region, "eu-west-1")
    assert aws_cloud.digest(f"{elsewhere}:pr-7") is None, (
        "another region's repository may have other images of that name"
    )
    assert aws_cloud.digest(f"{elsewhere}@{digest}") == digest


@pytest.mark.parametrize(
    "image",
    [
        "{account}.dkr.ecr.us-west-2.amazonaws.com/no-such/repository:latest",
        "{account}.dkr.ecr.us-west-2.amazonaws.com/team/app:no-such-tag",
        "public.ecr.aws/fibfactory/fibservice:latest",
    ],
)
def test_the_digest_of_an_unknown_or_public_image_is_none(aws_cloud: AwsCloud, cloud: RunningCloud, image: str) -> None:
    assert aws_cloud.digest(image.format(account=cloud.account)) is None


def test_a_service_is_paused_and_resumed(
    aws_cloud: AwsCloud, operator_session: boto3.Session, apprunner: AppRunnerAdmin
) -> None:
    arn = create_service(operator_session, "fib-app-paused1-service", platform="tests", environment="paused1")

    def idle() -> Service:
        while (found := aws_cloud.service(PAUSED1)) is None or found.busy:
            time.sleep(0.05)
        return found

    assert not idle().paused
    aws_cloud.pause(idle())
    assert idle().paused and idle().arn == arn
    aws_cloud.resume(idle())
    assert idle().status == "RUNNING"
