"""What all readers of App Runner share: the list of services, and whether a service still exists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.adapters.aws_errors import none_if, translating

NOT_FOUND = "ResourceNotFoundException"

MOVED_ON = ("InvalidStateException", NOT_FOUND)
"""App Runner's errors for a service that has changed or gone since it was read."""


def listed(client: Any) -> Iterator[Mapping[str, Any]]:
    """The summaries of all services of the account and region; boto3 has no paginator. Its errors are botocore's."""
    token: dict[str, str] = {}
    while True:
        page = client.list_services(**token)
        yield from page["ServiceSummaryList"]
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def is_alive(client: Any, arn: str) -> bool:
    """Whether the service exists. App Runner describes a deleted one for a while, and the tagging API still shows it."""
    with translating("reading App Runner"):
        found = none_if((NOT_FOUND,), lambda: client.describe_service(ServiceArn=arn)["Service"])
    return found is not None and found["Status"] != "DELETED"
