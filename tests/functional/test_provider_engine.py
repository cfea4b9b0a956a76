"""Behaviour that is the same for every type: refusals, names, replacements, previews, tags, and each engine's own."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pulumi
import pulumi_aws as aws
import pytest
from pulumi import automation as auto

from localcloud.running import RunningCloud
from tests.functional.provider_programs import (
    PROJECT,
    REGION,
    WARNINGS_OF_THE_SDK,
    Workspace,
    changes,
    drift,
    provider,
    workspace_of,
)

pytest_plugins = ("tests.functional.provider_fixtures",)
pytestmark = WARNINGS_OF_THE_SDK


class Raw(pulumi.CustomResource):
    """A resource whose inputs no class has checked, as from another language or an old package."""

    def __init__(self, token: str, name: str, inputs: dict[str, Any], opts: pulumi.ResourceOptions) -> None:
        super().__init__(token, name, inputs, opts)


def test_an_input_that_pulumi_aws_does_not_know_is_refused_with_the_nearest_name(workspace: Workspace) -> None:
    def program() -> None:
        source = {"imageRepository": {"imageIdentifer": "public.ecr.aws/a/b:c", "imageRepositoryType": "ECR_PUBLIC"}}
        inputs = {"serviceName": "typo", "sourceConfiguration": source, "instanceConfig": {}}
        Raw("aws:apprunner/service:Service", "typo", inputs, provider())

    with pytest.raises(auto.CommandError) as failed:
        workspace.up("typo", program)
    message = str(failed.value)
    assert "Unknown property 'imageIdentifer'; did you mean 'imageIdentifier'?" in message
    assert "sourceConfiguration.imageRepository.imageIdentifier" in message, "the missing one is named by its path"
    assert "Unknown property 'instanceConfig'; did you mean 'instanceConfiguration'?" in message
    assert "typo" not in workspace.resources("typo")


def test_a_type_or_an_input_that_is_not_carried_out_is_refused_and_not_ignored(workspace: Workspace) -> None:
    with pytest.raises(auto.CommandError, match="does not serve aws:sfn/stateMachine:StateMachine"):
        workspace.up(
            "type", lambda: void(aws.sfn.StateMachine("machine", definition="{}", role_arn="arn", opts=provider()))
        )

    def with_replica() -> None:
        aws.dynamodb.Table(
            "table",
            hash_key="pk",
            attributes=[{"name": "pk", "type": "S"}],
            replicas=[{"region_name": "us-east-1"}],
            opts=provider(),
        )

    with pytest.raises(auto.CommandError, match="'replicas' is not carried out by the stand-in"):
        workspace.up("type", with_replica)


def void(_: object) -> None:
    """Drop a value: a program returns nothing."""


def test_a_resource_without_a_name_is_named_once_after_its_logical_name(
    workspace: Workspace, operator_session: boto3.Session
) -> None:
    def program(retention: int) -> None:
        logs = aws.cloudwatch.LogGroup("unnamed", retention_in_days=retention, opts=provider())
        pulumi.export("name", logs.name)

    name = workspace.up("naming", lambda: program(7)).outputs["name"].value
    assert re.fullmatch(r"unnamed-[0-9a-f]{7}", name)
    assert workspace.up("naming", lambda: program(14)).outputs["name"].value == name
    groups = operator_session.client("logs").describe_log_groups(logGroupNamePrefix="unnamed")["logGroups"]
    assert [(group["logGroupName"], group["retentionInDays"]) for group in groups] == [(name, 14)]


def table(hash_key: str, name: str | None) -> None:
    """A table, which another key replaces."""
    made = aws.dynamodb.Table(
        "table",
        name=name,
        billing_mode="PAY_PER_REQUEST",
        hash_key=hash_key,
        attributes=[{"name": hash_key, "type": "S"}],
        opts=provider(),
    )
    pulumi.export("name", made.name)


def test_a_replacement_with_a_fixed_name_deletes_first_and_one_without_creates_first(workspace: Workspace) -> None:
    workspace.up("fixed", lambda: table("pk", "fixed-table"))
    ordered = list(workspace.preview("fixed", lambda: table("id", "fixed-table")))
    assert ordered.index("delete-replaced") < ordered.index("create-replacement")
    assert changes(workspace.up("fixed", lambda: table("id", "fixed-table"))) == {"replace": 1}

    first = workspace.up("free", lambda: table("pk", None)).outputs["name"].value
    ordered = list(workspace.preview("free", lambda: table("id", None)))
    assert ordered.index("create-replacement") < ordered.index("delete-replaced")
    assert workspace.up("free", lambda: table("id", None)).outputs["name"].value != first


def test_a_preview_with_unknown_values_creates_nothing(workspace: Workspace, operator_session: boto3.Session) -> None:
    def program() -> None:
        queue = aws.sqs.Queue("first", name="preview-first", opts=provider())
        policy = queue.arn.apply(lambda arn: '{"deadLetterTargetArn":"' + arn + '","maxReceiveCount":3}')
        options = pulumi.ResourceOptions(provider=aws.Provider("second", region=REGION))
        aws.sqs.Queue("second", name="preview-second", redrive_policy=policy, opts=options)

    workspace.preview("preview", program)
    assert not operator_session.client("sqs").list_queues(QueueNamePrefix="preview-").get("QueueUrls")
    assert changes(workspace.up("preview", program)) == {"create": 5}
    assert drift(workspace, "preview") == {}


def test_a_changed_default_tag_changes_resources_that_have_it(
    workspace: Workspace, operator_session: boto3.Session
) -> None:
    def program(team: str) -> None:
        opts = provider(default_tags={"tags": {"team": team, "kept": "yes"}})
        queue = aws.sqs.Queue("queue", name="default-tags", tags={"kept": "own"}, opts=opts)
        pulumi.export("url", queue.url)

    url = workspace.up("defaults", lambda: program("one")).outputs["url"].value
    assert "update" in changes(workspace.up("defaults", lambda: program("two")))
    sqs = operator_session.client("sqs")
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "two", "kept": "own"}
    assert drift(workspace, "defaults") == {}


def test_default_tags_of_engines_that_run_at_once_do_not_mix(
    cloud: RunningCloud, tmp_path: Path, secrets_provider: str, operator_session: boto3.Session
) -> None:
    def program(owner: str) -> None:
        opts = provider(default_tags={"tags": {"owner": owner}})
        for number in range(4):
            aws.sqs.Queue(f"queue-{number}", name=f"mixed-{owner}-{number}", opts=opts)

    spaces = {owner: workspace_of(cloud, tmp_path / owner, "operator", secrets_provider) for owner in ("ann", "ben")}
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda owner: spaces[owner].up(owner, lambda: program(owner)), spaces))
    sqs = operator_session.client("sqs")
    for owner, space in spaces.items():
        urls = sqs.list_queues(QueueNamePrefix=f"mixed-{owner}-")["QueueUrls"]
        assert [sqs.list_queue_tags(QueueUrl=url)["Tags"] for url in urls] == [{"owner": owner}] * 4
        space.stack(owner).destroy()


def test_the_callers_own_policies_decide_what_its_engine_may_do(
    cloud: RunningCloud, tmp_path: Path, secrets_provider: str
) -> None:
    space = workspace_of(cloud, tmp_path, "nobody", "passphrase")
    with pytest.raises(auto.CommandError, match="AccessDenied"):
        space.up("denied", lambda: void(aws.sqs.Queue("queue", name="denied", opts=provider())))


def test_explicit_keys_and_endpoints_win_over_the_callers_environment(cloud: RunningCloud, tmp_path: Path) -> None:
    space = workspace_of(cloud, tmp_path, "nobody", "passphrase")
    operator = cloud.identity("operator")
    space.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"

    def program() -> None:
        given = provider(
            access_key=operator.access_key,
            secret_key=pulumi.Output.secret(operator.secret_key),
            skip_credentials_validation=True,
            skip_metadata_api_check=True,
            endpoints=[{"sqs": cloud.endpoint_url, "sts": cloud.endpoint_url}],
        )
        aws.sqs.Queue("queue", name="explicit", opts=given)
        invoked = pulumi.InvokeOptions(provider=given.provider)
        pulumi.export("who", aws.get_caller_identity_output(opts=invoked).arn)

    made = space.up("explicit", program)
    assert made.outputs["who"].value == operator.user_arn
    assert operator.secret_key not in space.checkpoint("explicit")
    space.stack("explicit").destroy()


def test_a_caller_without_an_endpoint_is_refused_rather_than_sent_to_aws(cloud: RunningCloud, tmp_path: Path) -> None:
    space = workspace_of(cloud, tmp_path, "operator")
    del space.environment["AWS_ENDPOINT_URL"]
    with pytest.raises(auto.CommandError, match="never talks to AWS itself"):
        space.up("nowhere", lambda: void(aws.sqs.Queue("queue", opts=provider())))


def test_a_project_runs_with_the_calls_and_defaults_of_the_original_script(cloud: RunningCloud, tmp_path: Path) -> None:
    """The passphrase provider and the calls of the original script, in its order: init, config, up, outputs, destroy, remove."""
    space = workspace_of(cloud, tmp_path, "operator")
    del space.environment["PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER"]

    def program() -> None:
        config = pulumi.Config()
        name = config.require("appName")
        aws.sqs.Queue("queue", name=f"{name}-queue", opts=provider())
        pulumi.export("port", config.require_int("containerPort"))

    stack = auto.create_or_select_stack(
        stack_name=f"{PROJECT}-test1",
        project_name=PROJECT,
        program=program,
        opts=auto.LocalWorkspaceOptions(env_vars=space.environment),
    )
    stack.set_config("appName", auto.ConfigValue(value="fib-app-test1"))
    stack.set_config("containerPort", auto.ConfigValue(value="8080"))
    assert stack.up().outputs["port"].value == 8080
    assert [each.name for each in stack.workspace.list_stacks()] == [f"{PROJECT}-test1"]
    assert stack.destroy().summary.resource_changes == {"delete": 3}
    stack.workspace.remove_stack(stack.name)
