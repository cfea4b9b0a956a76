"""What is alive on a platform, and destroying it.

The rule: environments are destroyed by asking the platform's own API and in no other way, so that each ends with its
receipt, and none is believed gone before the API says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

import boto3
from botocore.exceptions import ClientError

from bootstrap.errors import BootstrapError, Interrupted, explained
from bootstrap.names import PLATFORM_TAG, Names

Report = Callable[[str], None]
_POLL_SECONDS = 2.0
_UNDER_WAY = "destroying"
# Longer than any removal: after sixteen invocations of a quarter of an hour the platform itself gives up.
_PATIENCE_SECONDS = 5 * 3600.0


def alive(session: boto3.Session, names: Names) -> list[str]:
    """The ids of all environments that are not destroyed; none where there is no table."""
    # A consistent scan rather than the indexes: they lag, and this is the last look before the records are gone.
    pages = (
        session.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=names.table,
            ConsistentRead=True,
            ProjectionExpression="pk",
            FilterExpression="begins_with(pk, :environment) AND sk = :record AND #status <> :gone",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={
                ":environment": {"S": "ENV#"},
                ":record": {"S": "RECORD"},
                ":gone": {"S": "destroyed"},
            },
        )
    )
    with explained("look for environments"):
        try:
            return sorted({item["pk"]["S"].removeprefix("ENV#") for page in pages for item in page["Items"]})
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return []


def services(session: boto3.Session, names: Names) -> list[str]:
    """The names of all App Runner services with this platform's tag, whatever the records say and the prefix is now."""
    client = session.client("apprunner")
    with explained("look for services of App Runner"):
        return sorted(
            service["ServiceName"] for service in listed_services(client) if _ours(client, service["ServiceArn"], names)
        )


def listed_services(client: Any) -> Iterator[Mapping[str, Any]]:
    """The summaries of all App Runner services of the account and region. Its errors are botocore's."""
    token: dict[str, str] = {}
    while True:
        page = client.list_services(**token)
        yield from page["ServiceSummaryList"]
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def _ours(client: Any, arn: str, names: Names) -> bool:
    try:
        tags = client.list_tags_for_resource(ResourceArn=arn)["Tags"]
    except client.exceptions.ResourceNotFoundException:
        return False
    return {"Key": PLATFORM_TAG, "Value": names.platform} in tags


class Api(Protocol):
    """What is needed of the platform's API; `platform_api` has the real one."""

    def check_operator(self) -> None:
        """Raises AccountError for callers who aren't operators of the platform: they see only what is theirs."""

    def remove(self, environment_id: str) -> Mapping[str, Any]:
        """Ask for an environment's end, protected or not; its record."""

    def environment(self, environment_id: str) -> Mapping[str, Any]:
        """An environment's record, read consistently."""

    def statuses(self) -> Mapping[str, str]:
        """Each environment's status. It may lag: only `environment` says what is so."""


def destroy_all(
    api: Api,
    environment_ids: Iterable[str],
    report: Report,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Destroy these environments and wait until each is gone; `report` gets a line for each.

    Raises BootstrapError with those that failed and why, once nothing is under way any more; Interrupted when stopped.
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
                if record["status"] == "destroyed":
                    report(f"- {environment_id} destroyed ({took})")
                else:
                    failures[environment_id] = _why(record)
                    report(f"! {environment_id} not destroyed: {failures[environment_id]} ({took})")
            if clock() - started > _PATIENCE_SECONDS:
                failures |= dict.fromkeys(pending, "it is still destroying")
                break
            sleep(_POLL_SECONDS if pending else 0)
    except KeyboardInterrupt as stop:
        raise Interrupted(
            "Stopped. The environments that were asked for go on being destroyed; nothing else was touched.",
            "Run the same command again to wait for them.",
        ) from stop
    if failures:
        listed = "; ".join(f"{name}: {why}" for name, why in failures.items())
        raise BootstrapError(
            f"{len(failures)} of the environments could not be destroyed: {listed}.",
            "Mend the cause and run the same command again; nothing else was touched.",
        )


def _no_longer_destroying(api: Api, pending: dict[str, Mapping[str, Any]]) -> list[str]:
    """Which of the pending are over, one way or another; their records are brought up to date in place."""
    listed, over = api.statuses(), []
    for environment_id in sorted(pending):
        if listed.get(environment_id) != _UNDER_WAY:
            pending[environment_id] = api.environment(environment_id)
            if pending[environment_id]["status"] != _UNDER_WAY:
                over.append(environment_id)
    return over


def _why(record: Mapping[str, Any]) -> str:
    error = record.get("error")
    if record["status"] == "failed" and error:
        return f"{error['code']}: {error['message']}".rstrip(".")
    return f"it is {record['status']}, so somebody asked for it again"
