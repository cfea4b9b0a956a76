"""The states of a service, as pure functions: an operation begins, perhaps rolls back, and settles.

Rules: a service does one thing at a time; what an operation needs to have before it and leaves behind it is the table
below; a failed change leaves what was there before it, so a rolled-back update is RUNNING and only its operation
tells.

    operation          from                              done      failed (its operation)
    CREATE_SERVICE     (new)                             RUNNING   CREATE_FAILED (FAILED)
    UPDATE_SERVICE     RUNNING, PAUSED, CREATE_FAILED    RUNNING*  as before     (ROLLBACK_… or FAILED)
    START_DEPLOYMENT   RUNNING, CREATE_FAILED            RUNNING   as before     (the same)
    PAUSE_SERVICE      RUNNING                           PAUSED    as before     (FAILED)
    RESUME_SERVICE     PAUSED                            RUNNING   as before     (FAILED)
    DELETE_SERVICE     all but DELETED and in progress   DELETED   DELETE_FAILED (FAILED)

* A paused service stays PAUSED and starts with the new configuration when it is resumed. That an update is allowed in
RUNNING and PAUSED is App Runner's own message ("Service status must be RUNNING or PAUSED to be updated"); since June
2023 also in CREATE_FAILED.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from localcloud.apprunner.errors import InvalidState
from localcloud.apprunner.model import (
    Configuration,
    Operation,
    OperationStatus,
    OperationType,
    Service,
    ServiceStatus,
    Settled,
)


@dataclass(frozen=True)
class Rule:
    """Where an operation may begin and what it leaves behind. `failed` None: what was before."""

    allowed: frozenset[ServiceStatus]
    done: ServiceStatus
    failed: ServiceStatus | None = None
    rolls_back: bool = False


RULES = {
    OperationType.CREATE_SERVICE: Rule(frozenset(), ServiceStatus.RUNNING, failed=ServiceStatus.CREATE_FAILED),
    OperationType.UPDATE_SERVICE: Rule(
        frozenset({ServiceStatus.RUNNING, ServiceStatus.PAUSED, ServiceStatus.CREATE_FAILED}),
        ServiceStatus.RUNNING,
        rolls_back=True,
    ),
    OperationType.START_DEPLOYMENT: Rule(
        frozenset({ServiceStatus.RUNNING, ServiceStatus.CREATE_FAILED}), ServiceStatus.RUNNING, rolls_back=True
    ),
    OperationType.PAUSE_SERVICE: Rule(frozenset({ServiceStatus.RUNNING}), ServiceStatus.PAUSED),
    OperationType.RESUME_SERVICE: Rule(frozenset({ServiceStatus.PAUSED}), ServiceStatus.RUNNING),
    OperationType.DELETE_SERVICE: Rule(
        frozenset(
            {ServiceStatus.RUNNING, ServiceStatus.PAUSED, ServiceStatus.CREATE_FAILED, ServiceStatus.DELETE_FAILED}
        ),
        ServiceStatus.DELETED,
        failed=ServiceStatus.DELETE_FAILED,
    ),
}


class Outcome(Enum):
    """How an operation's work ended."""

    DONE = auto()
    FAILED = auto()
    ROLLED_BACK = auto()
    ROLLBACK_FAILED = auto()


def begin_create(service: Service, operation_id: str) -> Service:
    """A new service with its first operation in progress, begun when it was created."""
    return _with_operation(service, OperationType.CREATE_SERVICE, operation_id, service.created_at)


def begin(
    service: Service, kind: OperationType, operation_id: str, now: float, configuration: Configuration | None = None
) -> Service:
    """The service with an operation in progress and, for an update, the new configuration. Raises InvalidState."""
    if service.status not in RULES[kind].allowed:
        raise InvalidState(f"Service cannot be updated in the current state: {service.status}")
    changed = replace(
        service,
        before=Settled(service.status, service.configuration),
        configuration=configuration or service.configuration,
    )
    return _with_operation(changed, kind, operation_id, now)


def roll_back(service: Service, now: float) -> Service:
    """The service whose change did not work out and is being undone."""
    return _with_last(
        service, replace(service.operations[-1], status=OperationStatus.ROLLBACK_IN_PROGRESS, updated_at=now), now
    )


def settle(service: Service, outcome: Outcome, now: float, reason: str | None = None) -> Service:
    """The service after its operation, with the configuration that it now has."""
    operation = service.operations[-1]
    rule = RULES[operation.type]
    ended = replace(operation, status=_operation_status(service, outcome), updated_at=now, ended_at=now, reason=reason)
    settled = replace(_with_last(service, ended, now), before=None)
    if outcome is Outcome.DONE:
        deleted_at = now if rule.done is ServiceStatus.DELETED else None
        return replace(settled, status=_done_status(service, rule), deleted_at=deleted_at)
    before = service.before
    status = rule.failed or (before.status if before else ServiceStatus.CREATE_FAILED)
    return replace(settled, status=status, configuration=before.configuration if before else service.configuration)


def in_progress(service: Service) -> Operation | None:
    """The operation in progress, if any."""
    return service.operations[-1] if service.status is ServiceStatus.OPERATION_IN_PROGRESS else None


def _done_status(service: Service, rule: Rule) -> ServiceStatus:
    was_paused = service.before is not None and service.before.status is ServiceStatus.PAUSED
    return ServiceStatus.PAUSED if was_paused and rule.rolls_back else rule.done


def _operation_status(service: Service, outcome: Outcome) -> OperationStatus:
    if outcome is Outcome.DONE:
        return OperationStatus.SUCCEEDED
    # A service that never ran has nothing to go back to.
    never_ran = service.before is None or service.before.status is ServiceStatus.CREATE_FAILED
    if never_ran or not RULES[service.operations[-1].type].rolls_back:
        return OperationStatus.FAILED
    return OperationStatus.ROLLBACK_FAILED if outcome is Outcome.ROLLBACK_FAILED else OperationStatus.ROLLBACK_SUCCEEDED


def _with_operation(service: Service, kind: OperationType, operation_id: str, now: float) -> Service:
    operation = Operation(operation_id, kind, OperationStatus.IN_PROGRESS, started_at=now, updated_at=now)
    return replace(
        service,
        status=ServiceStatus.OPERATION_IN_PROGRESS,
        operations=(*service.operations, operation),
        updated_at=now,
    )


def _with_last(service: Service, operation: Operation, now: float) -> Service:
    return replace(service, operations=(*service.operations[:-1], operation), updated_at=now)
