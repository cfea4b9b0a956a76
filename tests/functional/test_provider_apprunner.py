"""App Runner services through the real engine: the original script's program, its changes and its failures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pulumi
import pulumi_aws as aws
import pytest
from pulumi import automation as auto

from localcloud.apprunner.admin import AppRunnerAdmin
from tests.functional.apprunner_fixtures import eventually
from tests.functional.provider_programs import IMAGE, WARNINGS_OF_THE_SDK, Workspace, changes, drift, provider

pytest_plugins = ("tests.functional.provider_fixtures",)
pytestmark = WARNINGS_OF_THE_SDK

URN_NAME = "app-runner-service"


def service_program(
    name: str,
    *,
    image: str = IMAGE,
    variables: dict[str, Any] | None = None,
    tags: dict[str, str] | None = None,
    kms_key: str | None = None,
    options: pulumi.ResourceOptions | None = None,
) -> None:
    """The original script's program."""
    service = aws.apprunner.Service(
        URN_NAME,
        service_name=name,
        source_configuration=aws.apprunner.ServiceSourceConfigurationArgs(
            auto_deployments_enabled=False,
            image_repository=aws.apprunner.ServiceSourceConfigurationImageRepositoryArgs(
                image_configuration=aws.apprunner.ServiceSourceConfigurationImageRepositoryImageConfigurationArgs(
                    port="8080", runtime_environment_variables=variables
                ),
                image_identifier=image,
                image_repository_type="ECR_PUBLIC",
            ),
        ),
        instance_configuration=aws.apprunner.ServiceInstanceConfigurationArgs(cpu="1024", memory="2048"),
        encryption_configuration={"kms_key": kms_key} if kms_key else None,
        tags=tags,
        opts=pulumi.ResourceOptions.merge(provider(default_tags={"tags": {"team": "platform"}}), options),
    )
    pulumi.export("app_runner_service_url", service.service_url)
    pulumi.export("arn", service.arn)
    pulumi.export("tags_all", service.tags_all)


@pytest.fixture
def apprunner(operator_session: boto3.Session) -> Iterator[Any]:
    yield operator_session.client("apprunner")


def operations(client: Any, arn: str) -> list[str]:
    """The types of a service's operations, oldest first."""
    listed = client.list_operations(ServiceArn=arn)["OperationSummaryList"]
    return [each["Type"] for each in reversed(listed)]


def test_the_original_program_creates_a_running_service_and_a_second_up_changes_nothing(
    workspace: Workspace, apprunner: Any
) -> None:
    first = workspace.up("post", lambda: service_program("post-service"))
    assert first.outputs["app_runner_service_url"].value.startswith("http://127.0.0.1:")
    assert apprunner.describe_service(ServiceArn=first.outputs["arn"].value)["Service"]["Status"] == "RUNNING"

    assert changes(workspace.up("post", lambda: service_program("post-service"))) == {}
    assert drift(workspace, "post") == {}

    workspace.stack("post").destroy()
    assert apprunner.describe_service(ServiceArn=first.outputs["arn"].value)["Service"]["Status"] == "DELETED"


def test_a_new_variable_updates_the_service_in_place(workspace: Workspace, apprunner: Any) -> None:
    first = workspace.up("vars", lambda: service_program("vars-service", variables={"A": "1"}))
    second = workspace.up("vars", lambda: service_program("vars-service", variables={"A": "2", "b.c": "3"}))
    arn = first.outputs["arn"].value
    assert changes(second) == {"update": 1}
    assert second.outputs["arn"].value == arn
    assert operations(apprunner, arn) == ["CREATE_SERVICE", "UPDATE_SERVICE"]
    source = apprunner.describe_service(ServiceArn=arn)["Service"]["SourceConfiguration"]
    config = source["ImageRepository"]["ImageConfiguration"]
    assert config["RuntimeEnvironmentVariables"] == {"A": "2", "b.c": "3"}


def test_changed_tags_do_not_update_the_service(workspace: Workspace, apprunner: Any) -> None:
    first = workspace.up("tags", lambda: service_program("tags-service", tags={"a": "1", "b": "1"}))
    second = workspace.up("tags", lambda: service_program("tags-service", tags={"a": "2", "c": "1"}))
    arn = first.outputs["arn"].value
    assert changes(second) == {"update": 1}
    assert second.outputs["tags_all"].value == {"team": "platform", "a": "2", "c": "1"}
    live = {each["Key"]: each["Value"] for each in apprunner.list_tags_for_resource(ResourceArn=arn)["Tags"]}
    assert live == {"team": "platform", "a": "2", "c": "1"}
    assert operations(apprunner, arn) == ["CREATE_SERVICE"]


@pytest.mark.parametrize(
    ("name", "kms_key", "root"),
    [
        ("renamed-service", None, "serviceName"),
        ("replaced-service", "arn:aws:kms:us-west-2:000000000000:key/one", "encryptionConfiguration"),
    ],
)
def test_only_the_name_and_the_encryption_replace_a_service(
    workspace: Workspace, name: str, kms_key: str | None, root: str
) -> None:
    workspace.up("replace", lambda: service_program("replaced-service"))
    announced = workspace.preview("replace", lambda: service_program(name, kms_key=kms_key))
    assert announced["replace"].keys == [root]


def test_a_service_that_fails_to_start_is_kept_in_the_state_with_its_id(workspace: Workspace, apprunner: Any) -> None:
    program = lambda: service_program("broken-service", image="public.ecr.aws/no/image:here")  # noqa: E731
    with pytest.raises(auto.CommandError, match="unexpected state 'CREATE_FAILED', wanted target 'RUNNING'"):
        workspace.up("broken", program)
    kept = workspace.resources("broken")[URN_NAME]
    assert kept["id"].startswith("arn:aws:apprunner:us-west-2:")
    assert kept["outputs"]["status"] == "CREATE_FAILED"
    assert "CREATE_FAILED" in kept["initErrors"][0]
    assert "pending_operations" not in workspace.checkpoint("broken")

    workspace.stack("broken").destroy()
    assert apprunner.describe_service(ServiceArn=kept["id"])["Service"]["Status"] == "DELETED"


def test_a_refused_create_leaves_nothing_in_the_state_and_has_the_official_plug_ins_error(workspace: Workspace) -> None:
    with pytest.raises(auto.CommandError, match=r"operation error AppRunner: CreateService, .*InvalidRequestException"):
        workspace.up("refused", lambda: service_program("no_spaces here"))
    assert URN_NAME not in workspace.resources("refused")


def test_a_create_is_repeated_while_its_role_is_not_known_yet(
    workspace: Workspace, apprunner_admin: AppRunnerAdmin
) -> None:
    def program() -> None:
        aws.apprunner.Service(
            URN_NAME,
            service_name="early-service",
            source_configuration={
                "auto_deployments_enabled": False,
                "image_repository": {"image_identifier": IMAGE, "image_repository_type": "ECR_PUBLIC"},
            },
            instance_configuration={"instance_role_arn": "arn:aws:iam::000000000000:role/new"},
            opts=provider(),
        )

    apprunner_admin.inject("instance_role", operation="CreateService", service="early-service", times=2)
    workspace.up("early", program)
    assert apprunner_admin.faults() == []


def test_after_a_refused_update_the_outputs_have_the_wanted_values_until_a_refresh(
    workspace: Workspace, apprunner_admin: AppRunnerAdmin
) -> None:
    """As with the wrapped plug-in; the reconciler has to know that a retry without refresh does nothing at first."""
    workspace.up("lost", lambda: service_program("lost-service", variables={"A": "1"}))
    apprunner_admin.inject("internal_error", operation="UpdateService", service="lost-service", times=20)
    wanted = lambda: service_program("lost-service", variables={"A": "2"})  # noqa: E731
    with pytest.raises(auto.CommandError):
        workspace.up("lost", wanted)
    apprunner_admin.clear_faults()
    kept = workspace.resources("lost")[URN_NAME]
    assert variables_of(kept["inputs"]) == {"A": "1"}
    assert variables_of(kept["outputs"]) == {"A": "2"}
    assert kept["initErrors"]

    workspace.up("lost", wanted, refresh=True)
    assert variables_of(workspace.resources("lost")[URN_NAME]["outputs"]) == {"A": "2"}
    assert [call.status for call in apprunner_admin.calls() if call.target == "AppRunner.UpdateService"][-1:]
    assert drift(workspace, "lost") == {}


def variables_of(properties: dict[str, Any]) -> Any:
    config = properties["sourceConfiguration"]["imageRepository"]["imageConfiguration"]
    return config["runtimeEnvironmentVariables"]


def test_a_change_made_outside_the_program_is_drift_and_is_reverted(workspace: Workspace, apprunner: Any) -> None:
    program = lambda: service_program("drift-service", tags={"a": "1"})  # noqa: E731
    arn = workspace.up("drift", program).outputs["arn"].value
    apprunner.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "other"}, {"Key": "foreign", "Value": "1"}])

    assert drift(workspace, "drift") == {"update": 1}
    assert changes(workspace.up("drift", program)) == {"update": 1}
    live = {each["Key"]: each["Value"] for each in apprunner.list_tags_for_resource(ResourceArn=arn)["Tags"]}
    assert live == {"team": "platform", "a": "1"}


def test_a_service_that_is_gone_is_dropped_from_the_state_and_created_again(
    workspace: Workspace, apprunner: Any
) -> None:
    program = lambda: service_program("gone-service")  # noqa: E731
    arn = workspace.up("gone", program).outputs["arn"].value
    apprunner.delete_service(ServiceArn=arn)
    assert drift_until_gone(workspace) == {"delete": 1}
    assert changes(workspace.up("gone", program))["create"] == 1


def drift_until_gone(workspace: Workspace) -> dict[str, int]:
    """Refresh until the service that is being deleted is gone; each refresh reads the live status."""
    for _ in range(50):
        found = drift(workspace, "gone")
        if "delete" in found:
            return found
    return {}


def test_an_existing_service_is_imported_by_its_arn(workspace: Workspace, apprunner: Any) -> None:
    made = apprunner.create_service(
        ServiceName="found-service",
        SourceConfiguration={
            "AutoDeploymentsEnabled": False,
            "ImageRepository": {
                "ImageIdentifier": IMAGE,
                "ImageRepositoryType": "ECR_PUBLIC",
                "ImageConfiguration": {"Port": "8080"},
            },
        },
    )
    arn = made["Service"]["ServiceArn"]
    options = pulumi.ResourceOptions(import_=arn)
    imported = workspace.up("import", lambda: service_program("found-service", options=options))
    assert imported.outputs["arn"].value == arn
    assert changes(imported)["import"] == 1
    assert operations(apprunner, arn)[0] == "CREATE_SERVICE"


def test_a_secret_variable_stays_encrypted_in_the_state(workspace: Workspace, apprunner: Any) -> None:
    def program() -> None:
        service_program("secret-service", variables={"TOKEN": pulumi.Output.secret("correct-horse")})

    made = workspace.up("secret", program)
    source = apprunner.describe_service(ServiceArn=made.outputs["arn"].value)["Service"]["SourceConfiguration"]
    config = source["ImageRepository"]["ImageConfiguration"]
    assert config["RuntimeEnvironmentVariables"] == {"TOKEN": "correct-horse"}
    assert "correct-horse" not in workspace.checkpoint("secret")
    assert changes(workspace.up("secret", program)) == {}
    assert "correct-horse" not in workspace.checkpoint("secret")


def test_a_custom_timeout_ends_the_wait_and_keeps_the_service_in_the_state(
    workspace: Workspace, apprunner_admin: AppRunnerAdmin
) -> None:
    options = pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="1s"))
    apprunner_admin.behave(delays={"create": 3})
    with pytest.raises(auto.CommandError, match="timeout while waiting for state to become 'RUNNING'"):
        workspace.up("slow", lambda: service_program("slow-service", options=options))
    assert workspace.resources("slow")[URN_NAME]["outputs"]["status"] == "OPERATION_IN_PROGRESS"
    # The clean-up has to find it idle: App Runner refuses to delete a busy service.
    apprunner_admin.advance(10)
    assert eventually(lambda: all(each.status != "OPERATION_IN_PROGRESS" for each in apprunner_admin.services()))


def test_a_renamed_service_is_replaced_and_its_outputs_follow(workspace: Workspace, apprunner: Any) -> None:
    first = workspace.up("renamed", lambda: service_program("first-service"))
    assert changes(workspace.up("renamed", lambda: service_program("first-service"))) == {}
    second = workspace.up("renamed", lambda: service_program("second-service"))
    assert changes(second) == {"replace": 1}
    old, new = (each.outputs["arn"].value for each in (first, second))
    assert apprunner.describe_service(ServiceArn=old)["Service"]["Status"] == "DELETED"
    assert apprunner.describe_service(ServiceArn=new)["Service"]["Status"] == "RUNNING"
    assert second.outputs["app_runner_service_url"].value != first.outputs["app_runner_service_url"].value
