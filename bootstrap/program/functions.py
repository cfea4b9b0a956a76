"""The two functions: the same code with two handlers, under different roles and with different means.

The rule: each is told only what it needs. The API knows neither the state nor its key, as its role could not use them anyway.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from bootstrap.foundations.foundations import Foundations
from bootstrap.names import Names
from bootstrap.program.archive import code_archive
from bootstrap.program.roles import Role, Roles
from bootstrap.settings import Settings

API_HANDLER = "orchestrator.http_handler.handler"
WORKER_HANDLER = "orchestrator.worker_handler.handler"
RUNTIME = "python3.11"
# Lambda's own retries of an asynchronous call; then it is a dead letter. An hour later the light sweep has long sent it again.
_RETRIES, _MAX_AGE_SECONDS = 2, 3600
_LEAST_STORAGE = 512


@dataclass(frozen=True)
class Functions:
    api: aws.lambda_.Function
    worker: aws.lambda_.Function


def functions(
    settings: Settings,
    names: Names,
    foundations: Foundations,
    roles: Roles,
    image: pulumi.Input[str] | None,
    queue: aws.sqs.Queue,
    opts: pulumi.ResourceOptions,
) -> Functions:
    """Both functions with their log groups, and how the worker is called asynchronously: what fails goes to `queue`.

    They run from `image`; without one, from the checkout's own code.
    """
    api = _function(
        names.api_function,
        names,
        role=roles.api,
        timeout=settings.api_timeout,
        memory_size=settings.api_memory,
        environment=api_environment(settings, names),
        concurrency=settings.api_concurrency,
        retention=settings.log_retention_days,
        code=_code(image, API_HANDLER),
        opts=opts,
    )
    worker = _function(
        names.worker_function,
        names,
        role=roles.worker,
        timeout=settings.worker_timeout,
        memory_size=settings.worker_memory,
        environment=worker_environment(settings, names, foundations),
        concurrency=settings.worker_concurrency,
        retention=settings.log_retention_days,
        code=_code(image, WORKER_HANDLER),
        storage=settings.worker_storage,
        opts=opts,
    )
    aws.lambda_.FunctionEventInvokeConfig(
        "worker-asynchronous",
        function_name=worker.name,
        maximum_retry_attempts=_RETRIES,
        maximum_event_age_in_seconds=_MAX_AGE_SECONDS,
        destination_config=aws.lambda_.FunctionEventInvokeConfigDestinationConfigArgs(
            on_failure=aws.lambda_.FunctionEventInvokeConfigDestinationConfigOnFailureArgs(destination=queue.arn)
        ),
        # Lambda asks whether the worker's role may send to the queue; that the function waited for.
        opts=opts,
    )
    return Functions(api, worker)


def api_environment(settings: Settings, names: Names) -> dict[str, str]:
    """What the API function is told."""
    return {
        "FIBFACTORY_PLATFORM": settings.platform,
        "FIBFACTORY_TABLE": names.table,
        "FIBFACTORY_WORKER_FUNCTION": names.worker_function,
        "FIBFACTORY_OPERATORS": _json(settings.operators),
        "FIBFACTORY_GROUPS": _json(settings.groups),
        "FIBFACTORY_SESSION_OWNERS": _json(settings.session_owners),
        "FIBFACTORY_GITHUB": _json(settings.model_dump(include={"github"}, exclude_none=True)["github"]),
        "FIBFACTORY_GITHUB_ISSUER": settings.github_issuer,
        "FIBFACTORY_ENVIRONMENTS_PER_OWNER": str(settings.environments_per_owner),
        "FIBFACTORY_IMAGE_REGISTRIES": _json(settings.image_registries or [names.registry]),
        "FIBFACTORY_DEFAULT_TTL": settings.default_ttl,
        "FIBFACTORY_MAX_LIFETIME": settings.max_lifetime,
        "FIBFACTORY_ALLOW_NEVER": _json(settings.allow_never),
        **({"FIBFACTORY_SECRETS_PREFIX": settings.secrets_prefix} if settings.secrets_prefix else {}),
        # The metrics' dimension `service`: two platforms in one account are told apart by it.
        "POWERTOOLS_SERVICE_NAME": settings.platform,
        "POWERTOOLS_METRICS_NAMESPACE": "fibfactory",
        "LOG_LEVEL": "INFO",
    }


def worker_environment(settings: Settings, names: Names, foundations: Foundations) -> dict[str, str]:
    """What the worker function is told: the same, and where state, key and App Runner's access role are."""
    return {
        **api_environment(settings, names),
        "FIBFACTORY_BACKEND_URL": foundations.backend_url,
        "FIBFACTORY_SECRETS_PROVIDER": foundations.secrets_provider,
        "FIBFACTORY_PREFIX": settings.prefix,
        "FIBFACTORY_ACCESS_ROLE_ARN": names.role_arn(names.access_role),
        **({"FIBFACTORY_INSTANCE_ROLE_ARN": settings.instance_role_arn} if settings.instance_role_arn else {}),
    }


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _code(image: pulumi.Input[str] | None, handler: str) -> dict[str, Any]:
    if image is not None:
        command = aws.lambda_.FunctionImageConfigArgs(commands=[handler])
        return {"package_type": "Image", "image_uri": image, "image_config": command}
    return {"code": code_archive(), "handler": handler, "runtime": RUNTIME}


def _function(
    name: str,
    names: Names,
    *,
    role: Role,
    timeout: int,
    memory_size: int,
    environment: dict[str, str],
    concurrency: int | None,
    retention: int,
    code: dict[str, Any],
    opts: pulumi.ResourceOptions,
    storage: int = _LEAST_STORAGE,
) -> aws.lambda_.Function:
    group = aws.cloudwatch.LogGroup(f"{name}-log", name=names.log_group(name), retention_in_days=retention, opts=opts)
    return aws.lambda_.Function(
        name,
        name=name,
        role=role.arn,
        timeout=timeout,
        memory_size=memory_size,
        ephemeral_storage=aws.lambda_.FunctionEphemeralStorageArgs(size=storage),
        architectures=["x86_64"],
        # -1 is Lambda's word for "none kept".
        reserved_concurrent_executions=-1 if concurrency is None else concurrency,
        tracing_config=aws.lambda_.FunctionTracingConfigArgs(mode="Active"),
        environment=aws.lambda_.FunctionEnvironmentArgs(variables=environment),
        **code,
        # The group first, or Lambda would make one without retention; the policy first, or an early call is refused.
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[group, role.policy])),
    )
