"""A table, a state bucket and a key for the orchestrator's adapters, on the local cloud."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from localcloud.apprunner.admin import AppRunnerAdmin
from localcloud.running import RunningCloud
from orchestrator.adapters.dynamodb.records import DynamoRecords
from orchestrator.adapters.dynamodb.reports import DynamoReports
from tests.functional.counted_cli import CountedCli


@pytest.fixture
def table(operator_session: boto3.Session) -> Iterator[str]:
    """An empty table with the platform's keys and indexes."""
    client = operator_session.client("dynamodb")
    name = f"records-{secrets.token_hex(4)}"
    indexes = {
        "by_owner": ("owner", "status_created"),
        "by_status": ("status", "created_at"),
        "by_due": ("due_shard", "due_at"),
    }
    attributes = sorted({"pk", "sk", *(name for keys in indexes.values() for name in keys)})
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": attribute, "AttributeType": "S"} for attribute in attributes],
        KeySchema=_keys("pk", "sk"),
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": _keys(*keys),
                "Projection": {"ProjectionType": "KEYS_ONLY" if index == "by_due" else "ALL"},
            }
            for index, keys in indexes.items()
        ],
    )
    yield name
    client.delete_table(TableName=name)


@pytest.fixture
def records(operator_session: boto3.Session, table: str) -> DynamoRecords:
    return DynamoRecords(operator_session.resource("dynamodb").meta.client, table)


@pytest.fixture
def another(operator_session: boto3.Session, table: str) -> DynamoRecords:
    """The same table, as another function sees it."""
    return DynamoRecords(operator_session.resource("dynamodb").meta.client, table)


@pytest.fixture
def reports(operator_session: boto3.Session, table: str) -> DynamoReports:
    return DynamoReports(operator_session.resource("dynamodb").meta.client, table)


@pytest.fixture
def apprunner(cloud: RunningCloud) -> Iterator[AppRunnerAdmin]:
    """The control API of App Runner's emulator, which is reset after the test."""
    yield cloud.apprunner_admin
    cloud.apprunner_admin.reset()


def create_bucket(session: boto3.Session, cloud: RunningCloud) -> str:
    """A new bucket; returns its name."""
    name = f"state-{secrets.token_hex(4)}"
    location = {"LocationConstraint": cloud.region}
    session.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=location)
    return name


@dataclass(frozen=True)
class Backend:
    """Where Pulumi keeps its state and how it encrypts secrets."""

    url: str
    secrets_provider: str
    bucket: str


@pytest.fixture(scope="session")
def backend(operator_session: boto3.Session, cloud: RunningCloud) -> Backend:
    """A bucket and a key like those of the platform's foundations."""
    bucket = create_bucket(operator_session, cloud)
    key = operator_session.client("kms").create_key()["KeyMetadata"]["Arn"]
    return Backend(f"s3://{bucket}?region={cloud.region}", f"awskms:///{key}?region={cloud.region}", bucket)


@pytest.fixture
def as_operator(cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point this process's environment at the local cloud, as a worker's is."""
    for name, value in cloud.environment(cloud.identity("operator")).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def counted_cli(as_operator: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CountedCli:
    """The CLI on PATH, which notes its calls."""
    cli = CountedCli(tmp_path / "bin")
    monkeypatch.setenv("PATH", cli.path)
    return cli


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]
