"""The two functions: the same code with two handlers, with different roles and resources.

The rule: each gets only the settings that it needs. The API knows neither the state nor its key, and its role can't use them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from bootstrap.foundations.lookup import Foundations
from bootstrap.names import Names
from bootstrap.program.archive import code_archive
from bootstrap.program.blueprint import Blueprint
from bootstrap.program.roles import Role, Roles
from bootstrap.settings import Settings
from orchestrator.access_settings import AccessSettings

API_HANDLER = "orchestrator.http_handler.handler"
WORKER_HANDLER = "orchestrator.worker_handler.handler"
RUNTIME = "python3.11"
# Lambda's own retries of an asynchronous call, before it becomes a dead letter. Within an hour a light sweep has sent it again.
_RETRIES, _MAX_AGE_SECONDS = 2, 3600
_LEAST_STORAGE = 512


@dataclass(frozen=True)
class Functions:
    api: aws.lambda_.Function
    worker: aws.lambda_.Function


def functions(blueprint: Blueprint, roles: Roles, image: pulumi.Input[str] | None, queue: aws.sqs.Queue) -> Functions:
    """Both functions with their log groups. Asynchronous calls of the worker that fail go to `queue`.

    They run from `image`; without one, from the checkout's own code.
    """
    names, settings = blueprint.names, blueprint.settings
    api = _function(
        blueprint,
        names.api_function,
        roles.api,
        api_environment(settings, names),
        settings.api_concurrency,
        timeout=settings.api_timeout,
        memory_size=settings.api_memory,
        ephemeral_storage=aws.lambda_.FunctionEphemeralStorageArgs(size=_LEAST_STORAGE),
        **_code(image, API_HANDLER),
    )
    worker = _function(
        blueprint,
        names.worker_function,
        roles.worker,
        worker_environment(settings, blueprint.foundations),
        settings.worker_concurrency,
        timeout=settings.worker_timeout,
        memory_size=settings.worker_memory,
        ephemeral_storage=aws.lambda_.FunctionEphemeralStorageArgs(size=settings.worker_storage),
        **_code(image, WORKER_HANDLER),
    )
    aws.lambda_.FunctionEventInvokeConfig(
        "worker-asynchronous",
        function_name=worker.name,
        maximum_retry_attempts=_RETRIES,
        maximum_event_age_in_seconds=_MAX_AGE_SECONDS,
        destination_config=aws.lambda_.FunctionEventInvokeConfigDestinationConfigArgs(
            on_failure=aws.lambda_.FunctionEventInvokeConfigDestinationConfigOnFailureArgs(destination=queue.arn)
        ),
        # Lambda checks whether the worker's role may send to the queue; the function has waited for that policy.
        opts=blueprint.opts,
    )
    return Functions(api, worker)


def api_environment(settings: Settings, names: Names) -> dict[str, str]:
    """The environment variables of the API function."""
    shared = settings.model_dump(include=set(AccessSettings.model_fields), exclude_none=True)
    return {
        "FIBFACTORY_PLATFORM": settings.platform,
        "FIBFACTORY_TABLE": names.table,
        "FIBFACTORY_WORKER_FUNCTION": names.worker_function,
        **{f"FIBFACTORY_{name.upper()}": _text(value) for name, value in shared.items()},
        "FIBFACTORY_IMAGE_REGISTRIES": _text(settings.image_registries or [names.registry]),
        "FIBFACTORY_DEFAULT_TTL": settings.default_ttl,
        "FIBFACTORY_MAX_LIFETIME": settings.max_lifetime,
        # The metrics' dimension `service`, which separates two platforms in one account.
        "POWERTOOLS_SERVICE_NAME": settings.platform,
        "POWERTOOLS_METRICS_NAMESPACE": "fibfactory",
        "LOG_LEVEL": "INFO",
    }


def worker_environment(settings: Settings, foundations: Foundations) -> dict[str, str]:
    """The environment variables of the worker function: the API's, and where state, key and App Runner's access role are."""
    names = foundations.names
    return {
        **api_environment(settings, names),
        "FIBFACTORY_BACKEND_URL": foundations.backend_url,
        "FIBFACTORY_SECRETS_PROVIDER": foundations.secrets_provider,
        "FIBFACTORY_PREFIX": settings.prefix,
        "FIBFACTORY_ACCESS_ROLE_ARN": names.role_arn(names.access_role),
        **({"FIBFACTORY_INSTANCE_ROLE_ARN": settings.instance_role_arn} if settings.instance_role_arn else {}),
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _code(image: pulumi.Input[str] | None, handler: str) -> dict[str, Any]:
    if image is not None:
        command = aws.lambda_.FunctionImageConfigArgs(commands=[handler])
        return {"package_type": "Image", "image_uri": image, "image_config": command}
    return {"code": code_archive(), "handler": handler, "runtime": RUNTIME}


def _function(
    blueprint: Blueprint,
    name: str,
    role: Role,
    environment: dict[str, str],
    concurrency: int | None,
    **properties: Any,
) -> aws.lambda_.Function:
    group = aws.cloudwatch.LogGroup(
        f"{name}-log",
        name=blueprint.names.log_group(name),
        retention_in_days=blueprint.settings.log_retention_days,
        opts=blueprint.opts,
    )
    return aws.lambda_.Function(
        name,
        name=name,
        role=role.arn,
        architectures=["x86_64"],
        # -1 means no reserved concurrency.
        reserved_concurrent_executions=-1 if concurrency is None else concurrency,
        tracing_config=aws.lambda_.FunctionTracingConfigArgs(mode="Active"),
        environment=aws.lambda_.FunctionEnvironmentArgs(variables=environment),
        **properties,
        # Without the group Lambda would make one without retention; without the policy an early call would be refused.
        opts=blueprint.after(group, role.policy),
    )
