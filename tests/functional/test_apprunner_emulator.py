"""The life of services on the App Runner emulator, seen with boto3; each runs as a real process."""

from __future__ import annotations

import re

import pytest

from tests.functional.apprunner_fixtures import (  # noqa: F401
    PRIVATE,
    Lab,
    answers,
    eventually,
    fixture_images_file,
    fixture_lab,
    fixture_short_timeout_lab,
    get,
    image,
    is_gone,
    private_image,
    refused,
)

BUSY = "Service cannot be updated in the current state: OPERATION_IN_PROGRESS"


def test_a_created_service_is_in_progress_then_running_and_its_operation_has_ended(lab: Lab) -> None:
    answer = lab.apprunner.create_service(ServiceName="hello", SourceConfiguration=image())
    arn = answer["Service"]["ServiceArn"]
    assert answer["Service"]["Status"] == "OPERATION_IN_PROGRESS"
    assert lab.settled(arn)["Status"] == "RUNNING"
    [operation] = lab.apprunner.list_operations(ServiceArn=arn)["OperationSummaryList"]
    assert operation["Id"] == answer["OperationId"]
    assert (operation["Type"], operation["Status"]) == ("CREATE_SERVICE", "SUCCEEDED")
    assert operation["TargetArn"] == arn
    assert operation["StartedAt"] <= operation["EndedAt"] == operation["UpdatedAt"]


def test_ids_arns_and_urls_have_aws_s_form(lab: Lab) -> None:
    answer = lab.apprunner.create_service(ServiceName="hello", SourceConfiguration=image())
    service = answer["Service"]
    assert re.fullmatch(r"[0-9a-f]{32}", service["ServiceId"])
    assert service["ServiceArn"] == f"arn:aws:apprunner:us-west-2:000000000000:service/hello/{service['ServiceId']}"
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", answer["OperationId"])
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", service["ServiceUrl"])


def test_a_running_service_answers_with_the_variables_it_was_given(lab: Lab) -> None:
    service = lab.created("hello", image(RuntimeEnvironmentVariables={"COLOUR": "blue", "PORT": "1"}))
    environment = get(service["ServiceUrl"])["environment"]
    assert environment["COLOUR"] == "blue"
    assert service["ServiceUrl"] == f"http://{environment['HOST']}:{environment['PORT']}"
    assert not [name for name in environment if name.startswith("AWS")]


def test_a_private_image_runs_with_an_access_role(lab: Lab) -> None:
    service = lab.created("hello", private_image())
    assert service["Status"] == "RUNNING"
    assert service["SourceConfiguration"]["ImageRepository"]["ImageIdentifier"] == f"{PRIVATE}:v1"
    assert service["SourceConfiguration"]["AutoDeploymentsEnabled"] is True


def test_a_create_takes_its_delay_by_the_emulator_s_clock(lab: Lab) -> None:
    lab.admin.behave(delays={"create": 120}, clock_speed=0)
    arn = lab.create("slow")["ServiceArn"]
    assert eventually(lambda: lab.pid(arn) is not None)
    lab.admin.advance(119.9)
    assert lab.describe(arn)["Status"] == "OPERATION_IN_PROGRESS"
    lab.admin.advance(0.1)
    assert lab.settled(arn)["Status"] == "RUNNING"
    [operation] = lab.apprunner.list_operations(ServiceArn=arn)["OperationSummaryList"]
    assert (operation["EndedAt"] - operation["StartedAt"]).total_seconds() >= 120


def test_a_busy_service_refuses_every_change(lab: Lab) -> None:
    lab.admin.behave(delays={"create": 120}, clock_speed=0)
    arn = lab.create("busy")["ServiceArn"]
    calls = lab.apprunner
    for change in (
        calls.update_service,
        calls.delete_service,
        calls.pause_service,
        calls.resume_service,
        calls.start_deployment,
    ):
        assert refused(change, ServiceArn=arn) == ("InvalidStateException", BUSY)
    lab.admin.advance(120)
    assert lab.settled(arn)["Status"] == "RUNNING"


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("deaf", "health check did not succeed"),
        ("sick", "health check did not succeed"),
    ],
)
def test_a_service_that_never_gets_healthy_is_create_failed(short_timeout_lab: Lab, tag: str, reason: str) -> None:
    lab = short_timeout_lab
    service = lab.created("ill-fated", image(tag), HealthCheckConfiguration={"Protocol": "HTTP", "Path": "/health"})
    assert service["Status"] == "CREATE_FAILED"
    assert lab.operations(service["ServiceArn"]) == [("CREATE_SERVICE", "FAILED")]
    assert reason in str(lab.reason(service["ServiceArn"]))
    assert lab.pid(service["ServiceArn"]) is None


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("broken", "ended with status 3"),
        ("missing-command", "ended with status 1"),
        ("missing-folder", "could not be started"),
    ],
)
def test_a_service_whose_process_ends_is_create_failed(lab: Lab, tag: str, reason: str) -> None:
    service = lab.created("ill-fated", image(tag))
    assert service["Status"] == "CREATE_FAILED"
    assert reason in str(lab.reason(service["ServiceArn"]))


def test_an_unknown_image_is_create_failed(lab: Lab) -> None:
    source = image()
    source["ImageRepository"]["ImageIdentifier"] = "public.ecr.aws/somebody/else:latest"
    service = lab.created("unknown", source)
    assert service["Status"] == "CREATE_FAILED"
    assert "no such image" in str(lab.reason(service["ServiceArn"]))


def test_a_caller_s_start_command_is_not_run(lab: Lab) -> None:
    service = lab.created("commanded", image(StartCommand="touch /tmp/anything"))
    assert service["Status"] == "CREATE_FAILED"
    assert "StartCommand" in str(lab.reason(service["ServiceArn"]))


def test_a_health_check_over_http_asks_for_its_path(lab: Lab) -> None:
    over_tcp = lab.created("over-tcp", image("sick"))
    assert over_tcp["Status"] == "RUNNING"
    check = {"Protocol": "HTTP", "Path": "/health", "HealthyThreshold": 3}
    assert lab.created("over-http", HealthCheckConfiguration=check)["Status"] == "RUNNING"


def test_a_failed_create_is_listed_counted_and_deletable(lab: Lab) -> None:
    lab.admin.behave(quota=1)
    arn = lab.created("ill-fated", image("broken"))["ServiceArn"]
    assert lab.names() == ["ill-fated"]
    code, _ = refused(lab.create, name="another")
    assert code == "ServiceQuotaExceededException"
    assert lab.after("delete", arn)["Status"] == "DELETED"
    assert lab.created("another")["Status"] == "RUNNING"


def test_a_failed_create_can_be_repaired_by_an_update(lab: Lab) -> None:
    arn = lab.created("ill-fated", image("broken"))["ServiceArn"]
    assert lab.after("update", arn, SourceConfiguration=image("missing-command"))["Status"] == "CREATE_FAILED"
    assert lab.operations(arn)[0] == ("UPDATE_SERVICE", "FAILED")
    repaired = lab.after("update", arn, SourceConfiguration=image())
    assert repaired["Status"] == "RUNNING"
    assert answers(repaired["ServiceUrl"])


def test_an_update_keeps_the_url_and_replaces_the_process(lab: Lab) -> None:
    service = lab.created("hello", image(RuntimeEnvironmentVariables={"COLOUR": "blue"}))
    arn, url = service["ServiceArn"], service["ServiceUrl"]
    old = get(url)["pid"]
    answer = lab.apprunner.update_service(
        ServiceArn=arn, SourceConfiguration=image("v2", RuntimeEnvironmentVariables={"COLOUR": "red"})
    )
    assert answer["Service"]["Status"] == "OPERATION_IN_PROGRESS"
    updated = lab.settled(arn)
    assert (updated["Status"], updated["ServiceUrl"]) == ("RUNNING", url)
    assert updated["SourceConfiguration"]["ImageRepository"]["ImageIdentifier"] == "public.ecr.aws/test/app:v2"
    assert get(url)["environment"]["COLOUR"] == "red"
    assert is_gone(old)
    assert lab.operations(arn) == [("UPDATE_SERVICE", "SUCCEEDED"), ("CREATE_SERVICE", "SUCCEEDED")]


@pytest.mark.parametrize("wanted", ["public.ecr.aws/test/app:broken", "public.ecr.aws/somebody/else:latest"])
def test_a_failing_update_is_rolled_back_and_only_its_operation_shows_it(lab: Lab, wanted: str) -> None:
    before = lab.created("hello", image(RuntimeEnvironmentVariables={"COLOUR": "blue"}))
    arn = before["ServiceArn"]
    source = image()
    source["ImageRepository"]["ImageIdentifier"] = wanted
    after = lab.after("update", arn, SourceConfiguration=source)
    assert after["Status"] == "RUNNING"
    assert after["SourceConfiguration"] == before["SourceConfiguration"]
    assert get(after["ServiceUrl"])["environment"]["COLOUR"] == "blue"
    assert lab.operations(arn)[0] == ("UPDATE_SERVICE", "ROLLBACK_SUCCEEDED")


def test_an_update_can_be_made_to_fail(lab: Lab) -> None:
    service = lab.created("hello")
    arn, pid = service["ServiceArn"], lab.pid(service["ServiceArn"])
    lab.admin.inject("fail", operation="UpdateService", service="hel*")
    after = lab.after("update", arn, SourceConfiguration=image("v2"))
    assert after["SourceConfiguration"] == service["SourceConfiguration"]
    assert lab.operations(arn)[0] == ("UPDATE_SERVICE", "ROLLBACK_SUCCEEDED")
    assert lab.pid(arn) == pid


def test_a_rollback_is_visible_while_in_progress_and_can_be_made_to_fail(lab: Lab) -> None:
    arn = lab.created("hello")["ServiceArn"]
    lab.admin.behave(delays={"update": 60}, clock_speed=0)
    lab.admin.inject("fail_rollback")
    lab.apprunner.update_service(ServiceArn=arn, SourceConfiguration=image("v2"))
    assert eventually(lambda: lab.operations(arn)[0] == ("UPDATE_SERVICE", "ROLLBACK_IN_PROGRESS"))
    lab.admin.advance(60)
    assert lab.settled(arn)["Status"] == "RUNNING"
    assert lab.operations(arn)[0] == ("UPDATE_SERVICE", "ROLLBACK_FAILED")
    assert lab.pid(arn) is None


def test_a_deployment_starts_the_same_configuration_again(lab: Lab) -> None:
    service = lab.created("hello")
    arn, old = service["ServiceArn"], lab.pid(service["ServiceArn"])
    operation = lab.apprunner.start_deployment(ServiceArn=arn)["OperationId"]
    after = lab.settled(arn)
    assert (after["Status"], after["SourceConfiguration"]) == ("RUNNING", service["SourceConfiguration"])
    assert lab.pid(arn) not in (None, old)
    newest = lab.apprunner.list_operations(ServiceArn=arn)["OperationSummaryList"][0]
    assert (newest["Id"], newest["Type"]) == (operation, "START_DEPLOYMENT")


def test_a_paused_service_does_not_answer_and_resumes_at_the_same_url(lab: Lab) -> None:
    service = lab.created("hello")
    arn, url = service["ServiceArn"], service["ServiceUrl"]
    assert lab.after("pause", arn)["Status"] == "PAUSED"
    assert not answers(url)
    assert refused(lab.apprunner.pause_service, ServiceArn=arn)[0] == "InvalidStateException"
    resumed = lab.after("resume", arn)
    assert (resumed["Status"], resumed["ServiceUrl"]) == ("RUNNING", url)
    assert answers(url)
    assert [kind for kind, _ in lab.operations(arn)] == ["RESUME_SERVICE", "PAUSE_SERVICE", "CREATE_SERVICE"]


def test_a_paused_service_takes_an_update_and_runs_it_once_resumed(lab: Lab) -> None:
    service = lab.created("hello")
    arn, url = service["ServiceArn"], service["ServiceUrl"]
    lab.after("pause", arn)
    red = image(RuntimeEnvironmentVariables={"COLOUR": "red"})
    assert lab.after("update", arn, SourceConfiguration=red)["Status"] == "PAUSED"
    assert not answers(url)
    lab.after("resume", arn)
    assert get(url)["environment"]["COLOUR"] == "red"


def test_a_deleted_service_can_be_described_is_not_listed_and_its_process_is_gone(lab: Lab) -> None:
    service = lab.created("hello")
    arn, pid = service["ServiceArn"], get(service["ServiceUrl"])["pid"]
    assert lab.apprunner.delete_service(ServiceArn=arn)["Service"]["Status"] == "OPERATION_IN_PROGRESS"
    deleted = lab.settled(arn)
    assert deleted["Status"] == "DELETED"
    assert deleted["DeletedAt"] >= deleted["CreatedAt"]
    assert lab.names() == []
    assert is_gone(pid)
    assert not answers(service["ServiceUrl"])
    assert lab.operations(arn)[0] == ("DELETE_SERVICE", "SUCCEEDED")
    assert refused(lab.apprunner.delete_service, ServiceArn=arn)[0] == "InvalidStateException"


def test_a_name_can_be_used_again_after_a_delete_with_another_id_and_url(lab: Lab) -> None:
    first = lab.created("hello")
    lab.after("delete", first["ServiceArn"])
    second = lab.created("hello")
    assert second["Status"] == "RUNNING"
    assert second["ServiceId"] != first["ServiceId"]
    assert second["ServiceUrl"] != first["ServiceUrl"]


def test_a_delete_can_be_made_to_fail_and_works_the_next_time(lab: Lab) -> None:
    arn = lab.created("hello")["ServiceArn"]
    lab.admin.inject("fail", operation="DeleteService")
    assert lab.after("delete", arn)["Status"] == "DELETE_FAILED"
    assert lab.operations(arn)[0] == ("DELETE_SERVICE", "FAILED")
    assert lab.names() == ["hello"]
    assert lab.after("delete", arn)["Status"] == "DELETED"


def test_a_create_can_be_made_to_fail_as_often_as_asked(lab: Lab) -> None:
    lab.admin.inject("fail", operation="CreateService", times=2)
    statuses = [lab.created(name)["Status"] for name in ("first", "second", "third")]
    assert statuses == ["CREATE_FAILED", "CREATE_FAILED", "RUNNING"]
    assert lab.admin.faults() == []


@pytest.mark.parametrize(("kind", "status"), [("pause", "RUNNING"), ("resume", "PAUSED")])
def test_a_failed_pause_or_resume_leaves_the_service_as_before(lab: Lab, kind: str, status: str) -> None:
    arn = lab.created("hello")["ServiceArn"]
    if kind == "resume":
        lab.after("pause", arn)
    lab.admin.inject("fail")
    assert lab.after(kind, arn)["Status"] == status
    assert lab.operations(arn)[0] == (f"{kind.upper()}_SERVICE", "FAILED")


def test_a_wedged_service_stays_in_progress_and_cannot_be_deleted(lab: Lab) -> None:
    lab.admin.inject("wedge", service="stuck")
    arn = lab.create("stuck")["ServiceArn"]
    lab.admin.advance(7 * 24 * 3600)
    assert lab.created("sound")["Status"] == "RUNNING"
    assert lab.describe(arn)["Status"] == "OPERATION_IN_PROGRESS"
    assert refused(lab.apprunner.delete_service, ServiceArn=arn) == ("InvalidStateException", BUSY)
    lab.admin.reset()
    assert lab.names() == []
