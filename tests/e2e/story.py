"""Words that several end-to-end tests use: ask for, wait, visit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import urllib3

from fibfactory_cli.client import Client
from tools.platform_on_localcloud import Platform

LATEST = "public.ecr.aws/fibfactory/fibservice:latest"
V2 = "public.ecr.aws/fibfactory/fibservice:v2"
BROKEN = "public.ecr.aws/fibfactory/fibservice:broken"
UNKNOWN = "public.ecr.aws/fibfactory/nobody-has-this:latest"
PATIENCE = 120.0
T = TypeVar("T")


def ask(client: Client, environment_id: str, image: str = LATEST, **more: Any) -> Any:
    return client.call("PUT", f"/environments/{environment_id}", {"image": image, **more}).checked().body


def follow(client: Client, environment_id: str) -> Any:
    return client.follow(environment_id, patience=PATIENCE)


def ready(client: Client, environment_id: str, image: str = LATEST, **more: Any) -> Any:
    ask(client, environment_id, image, **more)
    record = follow(client, environment_id)
    assert record["status"] == "ready", record["error"]
    return record


def destroyed(client: Client, environment_id: str) -> Any:
    client.call("DELETE", f"/environments/{environment_id}").checked()
    record = follow(client, environment_id)
    assert record["status"] == "destroyed", record["error"]
    return record


def visit(url: str) -> bytes:
    return urllib3.request("GET", url, timeout=10).data


def eventually(look: Callable[[], T | None], what: str) -> T:
    """What `look` finds, once it finds something; fails after two minutes."""
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"Waited two minutes for {what}.")


def service_arn(platform: Platform, environment_id: str) -> str:
    """The ARN of the environment's service, as App Runner lists it."""
    services = platform.cloud.session("operator").client("apprunner").list_services()["ServiceSummaryList"]
    (arn,) = [each["ServiceArn"] for each in services if each["ServiceName"] == f"fib-app-{environment_id}-service"]
    return str(arn)
