"""The inventory on the local cloud: it lists everything, and shows what it can't read as unknown (I3, I4)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from localcloud.apprunner.admin import AppRunnerAdmin
from localcloud.running import RunningCloud
from orchestrator.adapters.aws.inventory import AwsInventory, tags_of
from orchestrator.adapters.pulumi.engine import PulumiEngine
from orchestrator.adapters.pulumi.stacks import PulumiStacks, Target
from orchestrator.adapters.pulumi.state import StateBucket
from orchestrator.domain import names
from orchestrator.domain.environment import Environment, Spec
from orchestrator.domain.errors import Terminal, Transient
from tests.functional.orchestrator.conftest import Backend, create_bucket
from tests.functional.orchestrator.test_cloud import IMAGE, create_service
from tests.waiting import eventually

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FOLDER = f".pulumi/stacks/{names.PROJECT}"


@pytest.fixture
def bucket(operator_session: boto3.Session, cloud: RunningCloud) -> str:
    return create_bucket(operator_session, cloud)


@pytest.fixture
def state(operator_session: boto3.Session, bucket: str) -> StateBucket:
    return StateBucket(operator_session.client("s3"), f"s3://{bucket}?region=x")


@pytest.fixture
def inventory(operator_session: boto3.Session, state: StateBucket) -> AwsInventory:
    return AwsInventory(
        operator_session.client("apprunner"),
        operator_session.client("resourcegroupstaggingapi"),
        state,
        platform="tests",
        prefix="fib-app",
    )


def checkpoint(*resources: Mapping[str, Any]) -> bytes:
    return json.dumps({"version": 3, "checkpoint": {"latest": {"resources": list(resources)}}}).encode()


def provider(tags: Mapping[str, str] | None, kind: str = "aws") -> Mapping[str, Any]:
    inputs = {} if tags is None else {"defaultTags": json.dumps({"tags": tags})}
    return {"type": f"pulumi:providers:{kind}", "inputs": inputs}


def our_tags(environment_id: str) -> Mapping[str, str]:
    return {names.TAG_PLATFORM: "tests", names.TAG_ENVIRONMENT: environment_id}


def put_stack(session: boto3.Session, bucket: str, name: str, body: bytes) -> None:
    session.client("s3").put_object(Bucket=bucket, Key=f"{FOLDER}/{name}.json", Body=body)


def test_services_are_found_by_name_or_tag_with_all_of_their_tags(
    inventory: AwsInventory, operator_session: boto3.Session, apprunner: AppRunnerAdmin
) -> None:
    own = create_service(operator_session, "fib-app-test1-service", platform="tests", environment="test1")
    foreign = create_service(operator_session, "fib-app-test2-service", platform="another")
    renamed = create_service(operator_session, "renamed-by-hand", platform="tests", environment="test3")
    create_service(operator_session, "foreign-service", platform="another")
    found = {each.arn: each for each in inventory.services()}
    assert {arn: each.tags for arn, each in found.items()} == {
        own: our_tags("test1"),
        foreign: {names.TAG_PLATFORM: "another"},
        renamed: our_tags("test3"),
    }
    assert found[own].name == "fib-app-test1-service"
    described = operator_session.client("apprunner").describe_service(ServiceArn=own)["Service"]
    assert found[own].created_at == described["CreatedAt"]


def test_a_deleted_service_is_not_listed_and_not_alive(
    inventory: AwsInventory, operator_session: boto3.Session, apprunner: AppRunnerAdmin
) -> None:
    apprunner.behave(delays={"create": 0.0, "delete": 0.0})
    client = operator_session.client("apprunner")
    arn = create_service(operator_session, "fib-app-test1-service", platform="tests", environment="test1")
    eventually(lambda: client.describe_service(ServiceArn=arn)["Service"]["Status"] == "RUNNING")
    assert inventory.is_alive(arn)
    client.delete_service(ServiceArn=arn)
    eventually(lambda: inventory.services() == [])
    assert not inventory.is_alive(arn)


def test_a_service_of_another_region_counts_as_alive(inventory: AwsInventory, cloud: RunningCloud) -> None:
    """A worker that was moved to another region must not take all environments for deleted."""
    arn = f"arn:aws:apprunner:{{}}:{cloud.account}:service/fib-app-test1-service/0123456789abcdef0123456789abcdef"
    assert not inventory.is_alive(arn.format(cloud.region))
    assert inventory.is_alive(arn.format("eu-west-1"))


def test_all_pages_of_services_are_read(
    inventory: AwsInventory, operator_session: boto3.Session, apprunner: AppRunnerAdmin
) -> None:
    apprunner.behave(quota=60)
    for number in range(45):
        create_service(
            operator_session, f"fib-app-env-{number:02}-service", platform="tests", environment=f"env-{number:02}"
        )
    found = inventory.services()
    assert len({each.arn for each in found}) == 45
    assert all(each.tags and each.tags[names.TAG_PLATFORM] == "tests" for each in found)


def test_tags_that_aws_refuses_to_list_are_unknown(
    operator_session: boto3.Session, state: StateBucket, apprunner: AppRunnerAdmin
) -> None:
    client = operator_session.client("apprunner", config=Config())
    create_service(operator_session, "fib-app-test1-service", platform="tests", environment="test1")
    client.meta.events.register("before-call.apprunner.ListTagsForResource", _name_an_unknown_operation)
    tagging = operator_session.client("resourcegroupstaggingapi")
    (found,) = AwsInventory(client, tagging, state, "tests", "fib-app").services()
    assert found.tags is None


def test_a_failing_app_runner_is_an_error_and_not_an_empty_list(
    operator_session: boto3.Session, state: StateBucket, apprunner: AppRunnerAdmin
) -> None:
    no_retries = Config(retries={"total_max_attempts": 1})
    services, tagging = (
        operator_session.client(name, config=no_retries) for name in ("apprunner", "resourcegroupstaggingapi")
    )
    inventory = AwsInventory(services, tagging, state, "tests", "fib-app")
    create_service(operator_session, "fib-app-test1-service", platform="tests", environment="test1")
    for operation in ("ListServices", "ListTagsForResource"):
        apprunner.inject("internal_error", operation=operation)
        with pytest.raises(Transient):
            inventory.services()
        apprunner.clear_faults()


def test_resources_are_everything_with_the_platforms_tag_except_services(
    operator_session: boto3.Session, state: StateBucket, cloud: RunningCloud, apprunner: AppRunnerAdmin
) -> None:
    create_service(operator_session, "fib-app-test1-service", platform="tests", environment="test1")
    sqs = operator_session.client("sqs")
    urls = [
        sqs.create_queue(QueueName="fib-app-test1-jobs", tags=dict(our_tags("test1")))["QueueUrl"],
        sqs.create_queue(QueueName="another-platforms-jobs", tags={names.TAG_PLATFORM: "another"})["QueueUrl"],
    ]
    tagging = tagging_client_for_all_services(operator_session, cloud)
    own_tag = [{"Key": names.TAG_PLATFORM, "Values": ["tests"]}]
    listed = tagging.get_resources(TagFilters=own_tag)["ResourceTagMappingList"]
    kinds = {each["ResourceARN"].split(":")[2] for each in listed}
    assert kinds == {"apprunner", "sqs"}, "the tag's list has the service, too"

    (found,) = AwsInventory(operator_session.client("apprunner"), tagging, state, "tests", "fib-app").resources()
    attributes = sqs.get_queue_attributes(QueueUrl=urls[0], AttributeNames=["QueueArn"])["Attributes"]
    assert (found.arn, found.tags) == (attributes["QueueArn"], our_tags("test1"))
    for url in urls:
        sqs.delete_queue(QueueUrl=url)


def tagging_client_for_all_services(session: boto3.Session, cloud: RunningCloud) -> Any:
    """A client of the tagging API that lists, as on AWS, App Runner's resources together with all others."""
    apprunner = session.client("resourcegroupstaggingapi", config=Config())
    others = session.client("resourcegroupstaggingapi", endpoint_url=cloud.endpoint_url)
    parameters: dict[str, Any] = {}
    apprunner.meta.events.register(
        "provide-client-params.resource-groups-tagging-api.GetResources", lambda params, **_: parameters.update(params)
    )
    apprunner.meta.events.register(
        "after-call.resource-groups-tagging-api.GetResources",
        lambda parsed, **_: parsed["ResourceTagMappingList"].extend(
            others.get_resources(**parameters)["ResourceTagMappingList"]
        ),
    )
    return apprunner


def test_stacks_made_by_the_engine_show_their_tags(
    as_operator: None,
    backend: Backend,
    operator_session: boto3.Session,
    cloud: RunningCloud,
    tmp_path: Path,
    apprunner: AppRunnerAdmin,
) -> None:
    state = StateBucket(operator_session.client("s3"), backend.url)
    engine = PulumiEngine(
        stacks=PulumiStacks(Target(backend.url, backend.secrets_provider, str(tmp_path / "home"))),
        state=state,
        platform="tests",
        prefix="fib-app",
        region=cloud.region,
    )
    environment = Environment("tagged1", "arn:alice", NOW, NOW, Spec(IMAGE))
    engine.deploy(environment, new=True, refresh=False, progress=print, stop=threading.Event())
    inventory = AwsInventory(
        operator_session.client("apprunner"),
        operator_session.client("resourcegroupstaggingapi"),
        state,
        "tests",
        "fib-app",
    )
    (found,) = [each for each in inventory.stacks() if each.name == "fibfactory-tagged1"]
    assert found.tags is not None and our_tags("tagged1").items() <= found.tags.items()
    assert found.tags[names.TAG_OWNER] == "arn:alice"
    assert datetime.now(UTC) - found.changed_at < timedelta(minutes=5)
    engine.destroy(environment, refresh=False, progress=print, stop=threading.Event())
    assert [each for each in inventory.stacks() if each.name == "fibfactory-tagged1"] == []


def test_empty_and_broken_stacks_have_unknown_tags(
    inventory: AwsInventory, operator_session: boto3.Session, bucket: str
) -> None:
    put_stack(operator_session, bucket, "fibfactory-empty1", b'{"version": 3, "checkpoint": {"latest": null}}')
    put_stack(operator_session, bucket, "fibfactory-broken1", b"{")
    put_stack(operator_session, bucket, "fibfactory-ours1", checkpoint(provider(our_tags("ours1"))))
    operator_session.client("s3").put_object(Bucket=bucket, Key=f"{FOLDER}/fibfactory-ours1.json.bak", Body=b"{}")
    found = {each.name: each.tags for each in inventory.stacks()}
    assert found == {"fibfactory-empty1": None, "fibfactory-broken1": None, "fibfactory-ours1": our_tags("ours1")}


def test_a_bucket_that_cannot_be_read_is_an_error(operator_session: boto3.Session) -> None:
    missing = StateBucket(operator_session.client("s3"), "s3://no-such-bucket?region=x")
    with pytest.raises(Terminal):
        AwsInventory(None, None, missing, "tests", "fib-app").stacks()


def test_a_stack_deleted_during_the_listing_is_left_out(operator_session: boto3.Session, bucket: str) -> None:
    class StateWithADeletedStack(StateBucket):
        def names(self) -> Iterator[tuple[str, datetime]]:
            yield "fibfactory-deleted1", NOW
            yield from super().names()

    put_stack(operator_session, bucket, "fibfactory-ours1", checkpoint(provider(our_tags("ours1"))))
    state = StateWithADeletedStack(operator_session.client("s3"), f"s3://{bucket}?region=x")
    assert [each.name for each in AwsInventory(None, None, state, "tests", "fib-app").stacks()] == ["fibfactory-ours1"]


def test_three_hundred_stacks_are_read_in_seconds(
    inventory: AwsInventory, operator_session: boto3.Session, bucket: str
) -> None:
    for number in range(300):
        put_stack(operator_session, bucket, f"fibfactory-env-{number}", checkpoint(provider(our_tags(f"env-{number}"))))
    began = time.monotonic()
    found = inventory.stacks()
    seconds = time.monotonic() - began
    assert {each.name for each in found if each.tags} == {f"fibfactory-env-{number}" for number in range(300)}
    assert seconds < 20, f"{seconds:.1f} s"


@pytest.mark.parametrize(
    ("resources", "tags"),
    [
        ([], None),
        ([{"type": "pulumi:pulumi:Stack"}], None),
        ([provider(None)], None),
        ([provider({"a": "b"})], {"a": "b"}),
        ([provider({"a": "b"}, kind="other")], None),
        ([provider({"a": "b", "c": "d"}), provider({"a": "b", "c": "e"})], {"a": "b"}),
        ([provider({"a": "b"}), provider(None)], {"a": "b"}),
        ([provider({"a": "b"}), {"type": "aws:x", "outputs": {"tagsAll": {"a": "c"}}}], {"a": "b"}),
        ([{"type": "aws:x", "outputs": {"tagsAll": {"a": "c"}}}], {"a": "c"}),
        ([{"type": "aws:x", "inputs": {"tags": {"a": "c"}}}, {"type": "aws:y"}], {"a": "c"}),
        ([{"type": "aws:x", "inputs": {"tags": {"a": {"secret": "…"}}}}], None),
        ([{"type": "pulumi:providers:aws", "inputs": {"defaultTags": "{"}}], None),
        ([{"type": "pulumi:providers:aws", "inputs": {"defaultTags": {"secret": "…"}}}], None),
    ],
)
def test_a_stacks_tags_come_from_its_providers_or_else_from_its_resources(
    resources: list[Mapping[str, Any]], tags: Mapping[str, str] | None
) -> None:
    assert tags_of({"resources": resources}) == tags


def _name_an_unknown_operation(params: dict[str, Any], **_: object) -> None:
    params["headers"]["X-Amz-Target"] = "AppRunner.NoSuchOperation"
