"""Steps that several end-to-end tests share: request an environment, wait for it, visit it, sweep."""

from __future__ import annotations

from typing import Any

import urllib3

from fibfactory_cli.client import Client
from tests.waiting import eventually
from tools.platform_on_localcloud import Platform

LATEST = "public.ecr.aws/fibfactory/fibservice:latest"
V2 = "public.ecr.aws/fibfactory/fibservice:v2"
BROKEN = "public.ecr.aws/fibfactory/fibservice:broken"
UNKNOWN = "public.ecr.aws/fibfactory/no-such-image:latest"
WAIT_SECONDS = 120.0


def put(client: Client, environment_id: str, image: str = LATEST, **more: Any) -> Any:
    """Request an environment; returns its record."""
    return client.call("PUT", f"/environments/{environment_id}", {"image": image, **more}).checked().body


def follow(client: Client, environment_id: str) -> Any:
    """Wait until the environment is settled; returns its record."""
    return client.follow(environment_id, timeout_seconds=WAIT_SECONDS)


def ready(client: Client, environment_id: str, image: str = LATEST, **more: Any) -> Any:
    """Request an environment and wait until it is ready; returns its record."""
    put(client, environment_id, image, **more)
    record = follow(client, environment_id)
    assert record["status"] == "ready", record["error"]
    return record


def destroyed(client: Client, environment_id: str) -> Any:
    """Delete an environment and wait until it is destroyed; returns its tombstone."""
    client.call("DELETE", f"/environments/{environment_id}").checked()
    record = follow(client, environment_id)
    assert record["status"] == "destroyed", record["error"]
    return record


def visit(url: str) -> bytes:
    return urllib3.request("GET", url, timeout=10).data


def run_sweep(operator: Client, **body: Any) -> Any:
    """Request a sweep and wait for its end; returns its report."""
    accepted = operator.call("POST", "/sweeps", body).checked()
    assert accepted.status == 202

    def finished() -> Any:
        report = operator.call("GET", f"/sweeps/{accepted.body['id']}").checked().body
        return None if report["status"] == "requested" else report

    return eventually(finished, "the sweep's report")


def service_arn(platform: Platform, environment_id: str) -> str:
    """The ARN of the environment's service, as App Runner lists it."""
    services = platform.cloud.session("operator").client("apprunner").list_services()["ServiceSummaryList"]
    (arn,) = [each["ServiceArn"] for each in services if each["ServiceName"] == f"fib-app-{environment_id}-service"]
    return str(arn)


def create_foreign_service(platform: Platform, name: str) -> str:
    """Create a service that does not belong to the platform; returns its ARN."""
    answer = (
        platform.cloud.session("operator")
        .client("apprunner")
        .create_service(
            ServiceName=name,
            SourceConfiguration={
                "ImageRepository": {"ImageIdentifier": LATEST, "ImageRepositoryType": "ECR_PUBLIC"},
                "AutoDeploymentsEnabled": False,
            },
        )
    )
    return str(answer["Service"]["ServiceArn"])


def table_items(platform: Platform) -> list[Any]:
    """All items of the platform's table, in DynamoDB's own form."""
    table = platform.cloud.session("operator").client("dynamodb")
    pages = table.get_paginator("scan").paginate(TableName=platform.outputs["table_name"], ConsistentRead=True)
    return [item for page in pages for item in page["Items"]]


def table_keys(platform: Platform) -> set[tuple[str, str]]:
    """The keys of all items of the platform's table."""
    return {(item["pk"]["S"], item["sk"]["S"]) for item in table_items(platform)}
