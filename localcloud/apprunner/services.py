"""The operations on services: what is refused, what begins, what is shown.

Rules: a change answers at once with the service in progress and leaves the rest to the worker; a name is unique among
the services that are not deleted (CREATE_FAILED ones included), and the same services count towards the quota; a
deleted service can still be described.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from localcloud.apprunner import configuration, lifecycle
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
    wanted = configuration.create(request)
    others = cloud.store.services(caller.region)
    if any(other.name == name for other in others):
        raise InvalidRequest(f"Service with the provided name already exists: {name}.")
    if len(others) >= cloud.behaviour.quota:
        raise QuotaExceeded(f"The quota of {cloud.behaviour.quota} services in {caller.region} is used up.")
    _refuse_unknown_roles(cloud, OperationType.CREATE_SERVICE, name, wanted)
    service_id = uuid.uuid4().hex
    now = cloud.clock.now()
    service = Service(
        number=next(cloud.store.numbers),
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
    return _answer(_carry_out(cloud, lifecycle.begin_create(service, _operation_id())))


def update_service(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """UpdateService. The answer already shows the new configuration."""
    service = cloud.store.service(request["ServiceArn"], caller.region)
    wanted = configuration.update(service.configuration, request)
    kind = OperationType.UPDATE_SERVICE
    begun = lifecycle.begin(service, kind, _operation_id(), cloud.clock.now(), wanted)
    _refuse_unknown_roles(cloud, kind, service.name, wanted)
    return _answer(_carry_out(cloud, begun))


def change_service(kind: OperationType, cloud: Cloud, caller: Caller, request: Block) -> Block:
    """DeleteService, PauseService, ResumeService."""
    return _answer(_begin(kind, cloud, caller, request))


def start_deployment(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """StartDeployment: the same configuration once more. A busy service refuses it, though its model does not say so."""
    service = _begin(OperationType.START_DEPLOYMENT, cloud, caller, request)
    return {"OperationId": service.operations[-1].id}


def describe_service(cloud: Cloud, caller: Caller, request: Block) -> Block:
    """DescribeService, in any state."""
    return {"Service": _described(cloud.store.service(request["ServiceArn"], caller.region))}


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


def _begin(kind: OperationType, cloud: Cloud, caller: Caller, request: Block) -> Service:
    service = cloud.store.service(request["ServiceArn"], caller.region)
    return _carry_out(cloud, lifecycle.begin(service, kind, _operation_id(), cloud.clock.now()))


def _carry_out(cloud: Cloud, service: Service) -> Service:
    cloud.store.put(service)
    kind = service.operations[-1].type
    fault = cloud.faults.take(FAULTS, kind.api_name, service.name)
    cloud.worker.carry_out(service, cloud.behaviour.delays.of(kind), fault)
    return service


def _refuse_unknown_roles(cloud: Cloud, kind: OperationType, name: str, wanted: Configuration) -> None:
    """Raise the error of a role that is not known everywhere yet, if such a fault is waiting. The messages are App Runner's."""
    roles = (
        (FaultKind.INSTANCE_ROLE, "instance role", configuration.instance_role(wanted)),
        (FaultKind.ACCESS_ROLE, "access role", configuration.access_role(wanted)),
    )
    for fault, words, arn in roles:
        if arn and cloud.faults.take((fault,), kind.api_name, name):
            raise InvalidRequest(f"Error in assuming {words} {arn}")


def _operation_id() -> str:
    return str(uuid.uuid4())


def _answer(service: Service) -> Block:
    return {"Service": _described(service), "OperationId": service.operations[-1].id}


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


def _described(service: Service) -> Block:
    more = {"DeletedAt": service.deleted_at, "AutoScalingConfigurationSummary": _default_scaling(service)}
    return _summary(service) | service.configuration | more


def _default_scaling(service: Service) -> Block:
    """The scaling configuration that every account has. The status is in lowercase, as the service answers and
    Terraform's waiters expect, although the model's enum is in capitals.
    """
    prefix = service.arn.rpartition(":")[0]
    return {
        "AutoScalingConfigurationArn": f"{prefix}:autoscalingconfiguration/DefaultConfiguration/1/{1:032}",
        "AutoScalingConfigurationName": "DefaultConfiguration",
        "AutoScalingConfigurationRevision": 1,
        "Status": "active",
    }


OPERATIONS: dict[str, Callable[[Cloud, Caller, Block], Block]] = {
    "CreateService": create_service,
    "DescribeService": describe_service,
    "ListServices": list_services,
    "UpdateService": update_service,
    "DeleteService": partial(change_service, OperationType.DELETE_SERVICE),
    "PauseService": partial(change_service, OperationType.PAUSE_SERVICE),
    "ResumeService": partial(change_service, OperationType.RESUME_SERVICE),
    "StartDeployment": start_deployment,
    "ListOperations": list_operations,
}
