"""What every look at App Runner shares: all services, page by page, and whether one still is_alive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from orchestrator.adapters.aws_errors import error_code, translating

_NOT_FOUND = "ResourceNotFoundException"

MOVED_ON = ("InvalidStateException", _NOT_FOUND)
"""What App Runner answers about a service that is no longer what it was a moment ago."""


def listed(client: Any) -> Iterator[Mapping[str, Any]]:
    """The summaries of all services of the account and region. Its errors are botocore's, for the caller to translate."""
    token: dict[str, str] = {}
    while True:
        page = client.list_services(**token)
        yield from page["ServiceSummaryList"]
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def is_alive(client: Any, arn: str) -> bool:
    """Whether the service is there and not deleted: for a while after its delete it is still described, and shown as tagged."""
    with translating("looking at App Runner"):
        try:
            status: str = client.describe_service(ServiceArn=arn)["Service"]["Status"]
        except ClientError as error:
            if error_code(error) == _NOT_FOUND:
                return False
            raise
    return status != "DELETED"
