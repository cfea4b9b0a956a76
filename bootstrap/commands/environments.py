"""The environments of a platform: finding them, and destroying them.

The rule: environments are destroyed through the platform's own API only, so that each gets its receipt, and none counts as
destroyed before the API says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import boto3

from bootstrap.commands.platform_api import PlatformApi
from bootstrap.errors import BootstrapError, Interrupted, explained
from bootstrap.names import Names
from orchestrator.adapters.aws.apprunner import NOT_FOUND, listed
from orchestrator.adapters.aws_errors import none_if
from orchestrator.domain.environment import Status

Report = Callable[[str], None]
_POLL_SECONDS = 2.0
# Longer than any removal: after sixteen invocations of a quarter of an hour the platform itself gives up.
_TIMEOUT_SECONDS = 5 * 3600.0


def active_environments(session: boto3.Session, names: Names) -> list[str]:
    """The ids of all environments that are not destroyed; none if there is no table."""
    # A consistent scan rather than an index, which lags: this is the last check before the records are removed.
    pages = (
        session.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=names.table,
            ConsistentRead=True,
            ProjectionExpression="pk",
            FilterExpression="begins_with(pk, :environment) AND sk = :record AND #status <> :destroyed",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={
                ":environment": {"S": "ENV#"},
                ":record": {"S": "RECORD"},
                ":destroyed": {"S": Status.DESTROYED},
            },
        )
    )
    with explained("look for environments"):
        keys = none_if({"ResourceNotFoundException"}, lambda: list(pages.search("Items[].pk.S")))
    return sorted(key.removeprefix("ENV#") for key in keys or [])


def services(session: boto3.Session, names: Names) -> list[str]:
    """The names of all App Runner services with this platform's tag, whatever the records and the prefix say."""
    client = session.client("apprunner")

    def tags(arn: str) -> list[dict[str, str]]:
        return none_if({NOT_FOUND}, lambda: client.list_tags_for_resource(ResourceArn=arn)["Tags"]) or []

    with explained("look for App Runner services"):
        return sorted(each["ServiceName"] for each in listed(client) if names.owns(tags(each["ServiceArn"])))


def destroy_all(
    api: PlatformApi,
    environment_ids: Iterable[str],
    report: Report,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Destroy these environments and wait until each is destroyed; `report` gets a line for each.

    Raises BootstrapError with those that failed and why, once no other is being destroyed any more; Interrupted when stopped.
    """
    try:
        api.check_operator()
        started = clock()
        pending: dict[str, Mapping[str, Any]] = {}
        for environment_id in environment_ids:
            pending[environment_id] = api.remove(environment_id)
            report(f"~ {environment_id} {pending[environment_id]['status']}")
        failures: dict[str, str] = {}
        while pending:
            for environment_id in _no_longer_destroying(api, pending):
                record = pending.pop(environment_id)
                took = f"{clock() - started:.0f} s, {len(pending)} to go"
                if record["status"] == Status.DESTROYED:
                    report(f"- {environment_id} destroyed ({took})")
                else:
                    failures[environment_id] = _reason(record)
                    report(f"! {environment_id} not destroyed: {failures[environment_id]} ({took})")
            if clock() - started > _TIMEOUT_SECONDS:
                failures |= dict.fromkeys(pending, "it is still destroying")
                break
            sleep(_POLL_SECONDS if pending else 0)
    except KeyboardInterrupt as stop:
        raise Interrupted(
            "Stopped. The platform continues to destroy the environments; nothing else was changed.",
            "Run the same command again to wait for them.",
        ) from stop
    if failures:
        listed = "; ".join(f"{name}: {why}" for name, why in failures.items())
        raise BootstrapError(
            f"{len(failures)} of the environments could not be destroyed: {listed}.",
            "Remove the cause and run the same command again; nothing else was changed.",
        )


def _no_longer_destroying(api: PlatformApi, pending: dict[str, Mapping[str, Any]]) -> list[str]:
    """Those of the pending ones that are not being destroyed any more; their records are updated in place."""
    listed, over = api.statuses(), []
    for environment_id in sorted(pending):
        if listed.get(environment_id) != Status.DESTROYING:
            pending[environment_id] = api.environment(environment_id)
            if pending[environment_id]["status"] != Status.DESTROYING:
                over.append(environment_id)
    return over


def _reason(record: Mapping[str, Any]) -> str:
    error = record.get("error")
    if record["status"] == Status.FAILED and error:
        return f"{error['code']}: {error['message']}".rstrip(".")
    return f"it is {record['status']}, so somebody requested it again"
