"""The states of a service, as pure functions: an operation begins, perhaps rolls back, and settles.

Rules: a service does one thing at a time; RULES says in which states an operation may begin and which state it leaves;
after a failed change the service is as before, so a rolled-back update is RUNNING and only its operation shows the
failure.

A paused service stays PAUSED through an update and starts with the new configuration when it is resumed. That an
update is allowed in RUNNING and PAUSED is App Runner's own message ("Service status must be RUNNING or PAUSED to be
updated"); since June 2023 also in CREATE_FAILED.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from localcloud.apprunner.errors import InvalidState
from localcloud.apprunner.model import (
    Before,
    Configuration,
    Operation,
    OperationStatus,
    OperationType,
    Service,
    ServiceStatus,
)


@dataclass(frozen=True)
class Rule:
    """The states in which an operation may begin, and those that it leaves. `failed` None: the state before it."""

    allowed: frozenset[ServiceStatus]
    done: ServiceStatus
    failed: ServiceStatus | None = None
    rolls_back: bool = False


_RUNNING, _PAUSED = ServiceStatus.RUNNING, ServiceStatus.PAUSED
_CREATE_FAILED, _DELETE_FAILED = ServiceStatus.CREATE_FAILED, ServiceStatus.DELETE_FAILED

RULES = {
    OperationType.CREATE_SERVICE: Rule(frozenset(), _RUNNING, failed=_CREATE_FAILED),
    OperationType.UPDATE_SERVICE: Rule(frozenset({_RUNNING, _PAUSED, _CREATE_FAILED}), _RUNNING, rolls_back=True),
    OperationType.START_DEPLOYMENT: Rule(frozenset({_RUNNING, _CREATE_FAILED}), _RUNNING, rolls_back=True),
    OperationType.PAUSE_SERVICE: Rule(frozenset({_RUNNING}), _PAUSED),
    OperationType.RESUME_SERVICE: Rule(frozenset({_PAUSED}), _RUNNING),
    OperationType.DELETE_SERVICE: Rule(
        frozenset({_RUNNING, _PAUSED, _CREATE_FAILED, _DELETE_FAILED}), ServiceStatus.DELETED, failed=_DELETE_FAILED
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
    return _with_new(service, OperationType.CREATE_SERVICE, operation_id, service.created_at)


def begin(
    service: Service, kind: OperationType, operation_id: str, now: float, configuration: Configuration | None = None
) -> Service:
    """The service with an operation in progress and, for an update, the new configuration. Raises InvalidState."""
    if service.status not in RULES[kind].allowed:
        raise InvalidState(f"Service cannot be updated in the current state: {service.status}")
    before = Before(service.status, service.configuration)
    changed = replace(service, before=before, configuration=configuration or service.configuration)
    return _with_new(changed, kind, operation_id, now)


def roll_back(service: Service, now: float) -> Service:
    """The service while its failed change is being undone."""
    return _with_last(service, now, status=OperationStatus.ROLLBACK_IN_PROGRESS)


def settle(service: Service, outcome: Outcome, now: float, reason: str | None = None) -> Service:
    """The service after its operation, with the configuration that it now has."""
    rule, before = RULES[service.operations[-1].type], service.before
    status = _operation_status(service, outcome)
    settled = replace(_with_last(service, now, status=status, ended_at=now, reason=reason), before=None)
    if outcome is Outcome.DONE:
        stays_paused = rule.rolls_back and before is not None and before.status is _PAUSED
        deleted_at = now if rule.done is ServiceStatus.DELETED else None
        return replace(settled, status=_PAUSED if stays_paused else rule.done, deleted_at=deleted_at)
    if before is None:
        return replace(settled, status=_CREATE_FAILED)
    return replace(settled, status=rule.failed or before.status, configuration=before.configuration)


def _operation_status(service: Service, outcome: Outcome) -> OperationStatus:
    if outcome is Outcome.DONE:
        return OperationStatus.SUCCEEDED
    # A service that never ran has nothing to return to.
    never_ran = service.before is None or service.before.status is _CREATE_FAILED
    if never_ran or not RULES[service.operations[-1].type].rolls_back:
        return OperationStatus.FAILED
    return OperationStatus.ROLLBACK_FAILED if outcome is Outcome.ROLLBACK_FAILED else OperationStatus.ROLLBACK_SUCCEEDED


def _with_new(service: Service, kind: OperationType, operation_id: str, now: float) -> Service:
    operation = Operation(operation_id, kind, OperationStatus.IN_PROGRESS, started_at=now, updated_at=now)
    operations = (*service.operations, operation)
    return replace(service, status=ServiceStatus.OPERATION_IN_PROGRESS, operations=operations, updated_at=now)


def _with_last(service: Service, now: float, **changes: object) -> Service:
    last = replace(service.operations[-1], updated_at=now, **changes)  # type: ignore[arg-type]
    return replace(service, operations=(*service.operations[:-1], last), updated_at=now)
