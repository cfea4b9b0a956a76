"""The operations on services: what is refused, what begins, what is shown.

Rules: a change answers at once with the service in progress and leaves the rest to the worker; a name is unique among
the services that are not deleted, which are also the ones the quota counts, CREATE_FAILED ones among them; a deleted
service can still be described.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from localcloud.apprunner import autoscaling, configuration, lifecycle
from localcloud.apprunner.cloud import Cloud
from localcloud.apprunner.errors import InvalidRequest, QuotaExceeded
from localcloud.apprunner.model import Block, Caller, Configuration, OperationType, Service, ServiceStatus
from localcloud.apprunner.paging import page
from localcloud.apprunner.settings import FaultKind
from localcloud.apprunner.tags import as_mapping
from localcloud.apprunner.worker import FAULTS

_PAGE = 20


def create_service(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """CreateService."""
    name = request["ServiceName"]
    tags = as_mapping(request.get("Tags", []))
    asked_scaling = request.get("AutoScalingConfigurationArn")
    wanted = configuration.create(request, autoscaling.for_service(cloud, caller, asked_scaling))
    others = cloud.store.services(caller.region)
    if any(other.name == name for other in others):
        raise InvalidRequest(f"Service with the provided name already exists: {name}.")
    if len(others) >= cloud.behaviour.quota:
        raise QuotaExceeded(f"The quota of {cloud.behaviour.quota} services in {caller.region} is used up.")
    _refuse_unknown_roles(cloud, "CreateService", name, wanted)
    service_id = uuid.uuid4().hex
    now = cloud.clock.now()
    service = Service(
        number=cloud.store.next_number(),
        name=name,
        id=service_id,
        arn=f"arn:aws:apprunner:{caller.region}:{caller.account}:service/{name}/{service_id}",
        region=caller.region,
        url=cloud.runtime.reserve(service_id),
        status=ServiceStatus.OPERATION_IN_PROGRESS,
        configuration=wanted,
        created_at=now,
        updated_at=now,
        tags=tags,
    )
    return _answer(cloud, _carry_out(cloud, lifecycle.begin_create(service, _operation_id()), "CreateService"))


def update_service(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """UpdateService. The answer already shows the new configuration."""
    service = cloud.store.service(request["ServiceArn"], caller.region)
    asked_scaling = request.get("AutoScalingConfigurationArn")
    scaling = autoscaling.for_service(cloud, caller, asked_scaling) if asked_scaling else None
    wanted = configuration.update(service.configuration, request, scaling)
    begun = lifecycle.begin(service, OperationType.UPDATE_SERVICE, _operation_id(), cloud.clock.now(), wanted)
    _refuse_unknown_roles(cloud, "UpdateService", service.name, wanted)
    return _answer(cloud, _carry_out(cloud, begun, "UpdateService"))


def delete_service(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """DeleteService."""
    return _answer(cloud, _begin(cloud, caller, request, OperationType.DELETE_SERVICE, "DeleteService"))


def pause_service(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """PauseService."""
    return _answer(cloud, _begin(cloud, caller, request, OperationType.PAUSE_SERVICE, "PauseService"))


def resume_service(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """ResumeService."""
    return _answer(cloud, _begin(cloud, caller, request, OperationType.RESUME_SERVICE, "ResumeService"))


def start_deployment(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """StartDeployment: the same configuration once more. A busy service refuses it, though its model does not say so."""
    service = _begin(cloud, caller, request, OperationType.START_DEPLOYMENT, "StartDeployment")
    return {"OperationId": service.operations[-1].id}


def describe_service(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """DescribeService, in any state."""
    return {"Service": _described(cloud, cloud.store.service(request["ServiceArn"], caller.region))}


def list_services(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """ListServices: all that are not deleted, oldest first."""
    shown, token = page(
        cloud.store.services(caller.region),
        lambda service: service.number,
        of="services",
        size=request.get("MaxResults", _PAGE),
        token=request.get("NextToken"),
    )
    return {"ServiceSummaryList": [_summary(service) for service in shown], "NextToken": token}


def list_operations(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """ListOperations: newest first, also of a deleted service."""
    service = cloud.store.service(request["ServiceArn"], caller.region)
    shown, token = page(
        list(enumerate(service.operations)),
        lambda numbered: -numbered[0],
        of=f"operations {service.id}",
        size=request.get("MaxResults", _PAGE),
        token=request.get("NextToken"),
    )
    summaries = [
        {
            "Id": operation.id,
            "Type": operation.type,
            "Status": operation.status,
            "TargetArn": service.arn,
            "StartedAt": operation.started_at,
            "EndedAt": operation.ended_at,
            "UpdatedAt": operation.updated_at,
        }
        for _, operation in shown
    ]
    return {"OperationSummaryList": summaries, "NextToken": token}


def _begin(cloud: Cloud, caller: Caller, request: Block, kind: OperationType, operation: str) -> Service:
    service = cloud.store.service(request["ServiceArn"], caller.region)
    return _carry_out(cloud, lifecycle.begin(service, kind, _operation_id(), cloud.clock.now()), operation)


def _carry_out(cloud: Cloud, service: Service, operation: str) -> Service:
    cloud.store.put(service)
    delay = cloud.behaviour.delays.of(service.operations[-1].type)
    cloud.worker.carry_out(service, delay, cloud.faults.take(FAULTS, operation, service.name))
    return service


def _refuse_unknown_roles(cloud: Cloud, operation: str, name: str, wanted: Configuration) -> None:
    """The errors of a role that IAM has not spread yet, where a fault asks for them. Messages as App Runner's."""
    roles = (
        (FaultKind.INSTANCE_ROLE, "instance role", configuration.instance_role(wanted)),
        (FaultKind.ACCESS_ROLE, "access role", configuration.access_role(wanted)),
    )
    for kind, words, arn in roles:
        if arn and cloud.faults.take((kind,), operation, name):
            raise InvalidRequest(f"Error in assuming {words} {arn}")


def _operation_id() -> str:
    return str(uuid.uuid4())


def _answer(cloud: Cloud, service: Service) -> Block:
    return {"Service": _described(cloud, service), "OperationId": service.operations[-1].id}


def _summary(service: Service) -> dict[str, Any]:
    return {
        "ServiceName": service.name,
        "ServiceId": service.id,
        "ServiceArn": service.arn,
        "ServiceUrl": service.url,
        "CreatedAt": service.created_at,
        "UpdatedAt": service.updated_at,
        "Status": service.status,
    }


def _described(cloud: Cloud, service: Service) -> dict[str, Any]:
    shown = service.configuration
    return _summary(service) | {
        "DeletedAt": service.deleted_at,
        "SourceConfiguration": shown.source,
        "InstanceConfiguration": shown.instance,
        "HealthCheckConfiguration": shown.health_check,
        "NetworkConfiguration": shown.network,
        "ObservabilityConfiguration": shown.observability,
        "EncryptionConfiguration": shown.encryption,
        "AutoScalingConfigurationSummary": autoscaling.summary_of(cloud, service.region, shown.autoscaling_arn),
    }


OPERATIONS: dict[str, Callable[[Cloud, Caller, Block], Block]] = {
    "CreateService": create_service,
    "DescribeService": describe_service,
    "ListServices": list_services,
    "UpdateService": update_service,
    "DeleteService": delete_service,
    "PauseService": pause_service,
    "ResumeService": resume_service,
    "StartDeployment": start_deployment,
    "ListOperations": list_operations,
}
