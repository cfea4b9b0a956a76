"""AWS's errors are translated here: Transient if trying again can help, else Terminal.

The codes are those of the AWS SDK's retry rules (throttling, timeouts, 5xx) and of App Runner's API model.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError, IncompleteReadError

from orchestrator.adapters.redaction import without_credentials
from orchestrator.domain.errors import ErrorCode, OperationFailed, Terminal, Transient

_RETRYABLE = frozenset(
    {
        "InternalServerError",
        "InternalServiceErrorException",
        "InternalFailure",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
        "ExpiredToken",
        "ExpiredTokenException",
    }
)

_BUSY_TABLE = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded", "TransactionConflict"})
"""The reasons of a cancelled transaction that can be tried again (DynamoDB's API reference, TransactWriteItems)."""


T = TypeVar("T")


def cancelled_by(error: ClientError) -> list[str]:
    """Why a transaction was cancelled, by its items, `None` for those that did not cause it; empty for any other error."""
    return [reason.get("Code", "None") for reason in error.response.get("CancellationReasons", [])]


def error_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def none_if(codes: Collection[str], read: Callable[[], T]) -> T | None:
    """What `read` returns; None when AWS answers with one of these codes, as it does for what does not exist."""
    try:
        return read()
    except ClientError as error:
        if error_code(error) not in codes:
            raise
        return None


def translated(error: Exception, doing: str) -> OperationFailed:
    """The error as Transient or Terminal; `doing` completes the sentence "While …"."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        told = without_credentials(str(error.response.get("Error", {}).get("Message", "")))
        message = f"While {doing}, AWS answered {error_code(error)}: {told}"
        if error_code(error) in _RETRYABLE or status >= 500 or _BUSY_TABLE & {*cancelled_by(error)}:
            return Transient(message, ErrorCode.AWS_UNAVAILABLE)
        return Terminal(message, ErrorCode.AWS_REFUSED)
    if isinstance(error, (ConnectionError, HTTPClientError, IncompleteReadError)):
        return Transient(f"While {doing}, AWS could not be reached: {error}", ErrorCode.AWS_UNREACHABLE)
    return Terminal(f"While {doing}: {error}", ErrorCode.AWS_CLIENT)


@contextmanager
def translating(doing: str) -> Iterator[None]:
    """Raise any error of boto3 in this block as Transient or Terminal; `doing` completes the sentence "While …"."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise translated(error, doing) from error
