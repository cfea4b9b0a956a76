"""The states of an App Runner service as pure functions."""

from __future__ import annotations

import pytest

from localcloud.apprunner import configuration
from localcloud.apprunner.errors import InvalidState
from localcloud.apprunner.lifecycle import RULES, Outcome, begin, begin_create, roll_back, settle
from localcloud.apprunner.model import Configuration, OperationStatus, OperationType, Service, ServiceStatus


def wanted(tag: str) -> Configuration:
    image = {"ImageIdentifier": f"public.ecr.aws/a/b:{tag}", "ImageRepositoryType": "ECR_PUBLIC"}
    return configuration.create({"SourceConfiguration": {"ImageRepository": image}})


OLD, NEW = wanted("old"), wanted("new")


def new_service() -> Service:
    service = Service(
        number=1,
        name="hello",
        id="0" * 32,
        arn="arn",
        region="us-west-2",
        url="http://127.0.0.1:1",
        status=ServiceStatus.OPERATION_IN_PROGRESS,
        configuration=OLD,
        created_at=100.0,
        updated_at=100.0,
    )
    return begin_create(service, "first")


def service_in(status: ServiceStatus) -> Service:
    """A service that reached this state by the operations that really lead there."""
    created = settle(new_service(), Outcome.DONE, 110.0)
    match status:
        case ServiceStatus.OPERATION_IN_PROGRESS:
            return new_service()
        case ServiceStatus.CREATE_FAILED:
            return settle(new_service(), Outcome.FAILED, 110.0, "why")
        case ServiceStatus.PAUSED:
            return settle(begin(created, OperationType.PAUSE_SERVICE, "pause", 120.0), Outcome.DONE, 130.0)
        case ServiceStatus.DELETED | ServiceStatus.DELETE_FAILED:
            outcome = Outcome.DONE if status is ServiceStatus.DELETED else Outcome.FAILED
            return settle(begin(created, OperationType.DELETE_SERVICE, "delete", 120.0), outcome, 130.0)
        case _:
            return created


@pytest.mark.parametrize("status", list(ServiceStatus))
def test_every_state_can_be_reached(status: ServiceStatus) -> None:
    assert service_in(status).status is status


@pytest.mark.parametrize("status", list(ServiceStatus))
@pytest.mark.parametrize("kind", [each for each in OperationType if each is not OperationType.CREATE_SERVICE])
def test_an_operation_begins_in_the_states_of_its_rule_and_in_no_other(
    status: ServiceStatus, kind: OperationType
) -> None:
    service = service_in(status)
    if status in RULES[kind].allowed:
        begun = begin(service, kind, "next", 200.0)
        assert begun.status is ServiceStatus.OPERATION_IN_PROGRESS
        operation = begun.operations[-1]
        assert operation.status is OperationStatus.IN_PROGRESS
        assert (operation.id, operation.type, operation.started_at) == ("next", kind, 200.0)
    else:
        with pytest.raises(InvalidState, match=f"current state: {status}$"):
            begin(service, kind, "next", 200.0)


def test_no_operation_is_allowed_on_a_busy_or_deleted_service() -> None:
    for rule in RULES.values():
        assert not {ServiceStatus.OPERATION_IN_PROGRESS, ServiceStatus.DELETED} & rule.allowed


def test_a_settled_operation_has_ended_and_the_service_is_idle() -> None:
    service = settle(new_service(), Outcome.DONE, 110.0)
    [operation] = service.operations
    assert (operation.status, operation.ended_at, operation.updated_at) == (OperationStatus.SUCCEEDED, 110.0, 110.0)
    assert (service.status, service.before, service.updated_at) == (ServiceStatus.RUNNING, None, 110.0)


def test_an_update_shows_the_new_configuration_at_once_and_keeps_it_when_done() -> None:
    begun = begin(service_in(ServiceStatus.RUNNING), OperationType.UPDATE_SERVICE, "update", 200.0, NEW)
    assert begun.configuration == NEW
    assert settle(begun, Outcome.DONE, 210.0).configuration == NEW


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.ROLLED_BACK, OperationStatus.ROLLBACK_SUCCEEDED),
        (Outcome.ROLLBACK_FAILED, OperationStatus.ROLLBACK_FAILED),
    ],
)
def test_a_failed_update_is_running_with_the_old_configuration(outcome: Outcome, status: OperationStatus) -> None:
    begun = begin(service_in(ServiceStatus.RUNNING), OperationType.UPDATE_SERVICE, "update", 200.0, NEW)
    rolling = roll_back(begun, 205.0)
    assert rolling.operations[-1].status is OperationStatus.ROLLBACK_IN_PROGRESS
    settled = settle(rolling, outcome, 210.0, "why")
    assert (settled.status, settled.configuration) == (ServiceStatus.RUNNING, OLD)
    assert (settled.operations[-1].status, settled.operations[-1].reason) == (status, "why")


def test_an_update_of_a_service_that_never_ran_has_nothing_to_roll_back_to() -> None:
    failed = service_in(ServiceStatus.CREATE_FAILED)
    begun = begin(failed, OperationType.UPDATE_SERVICE, "update", 200.0, NEW)
    settled = settle(begun, Outcome.FAILED, 210.0)
    assert (settled.status, settled.operations[-1].status) == (ServiceStatus.CREATE_FAILED, OperationStatus.FAILED)
    assert settle(begun, Outcome.DONE, 210.0).status is ServiceStatus.RUNNING


def test_a_paused_service_stays_paused_through_an_update() -> None:
    begun = begin(service_in(ServiceStatus.PAUSED), OperationType.UPDATE_SERVICE, "update", 200.0, NEW)
    settled = settle(begun, Outcome.DONE, 210.0)
    assert (settled.status, settled.configuration) == (ServiceStatus.PAUSED, NEW)


def test_only_a_done_delete_has_a_time_of_deletion() -> None:
    assert service_in(ServiceStatus.DELETED).deleted_at == 130.0
    assert service_in(ServiceStatus.DELETE_FAILED).deleted_at is None
