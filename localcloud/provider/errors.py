"""The error of a provider operation, and the text of AWS's errors."""

from __future__ import annotations

from botocore.exceptions import ClientError


class ProviderError(Exception):
    """An operation failed; the text is shown to the user as it is."""


def code_of(error: ClientError) -> str:
    """AWS's name of the error, without a namespace in front."""
    return str(error.response.get("Error", {}).get("Code", "")).rsplit("#", 1)[-1]


def message_of(error: ClientError) -> str:
    """AWS's text of the error."""
    return str(error.response.get("Error", {}).get("Message", ""))


def describe(error: BaseException, service: str = "AWS") -> str:
    """One line in the words of the official plug-in, which prints errors of the Go SDK. `service`: AWS's id of it.

    Source of the shape: "operation error AppRunner: CreateService, https response error StatusCode: 400, RequestID: …,
    InvalidRequestException: …" as seen in public reports of pulumi-aws.
    """
    if isinstance(error, ClientError):
        meta = error.response.get("ResponseMetadata", {})
        return (
            f"operation error {service}: {error.operation_name}, https response error "
            f"StatusCode: {meta.get('HTTPStatusCode', 0)}, RequestID: {meta.get('RequestId', '')}, "
            f"{code_of(error)}: {message_of(error)}"
        )
    if isinstance(error, ProviderError):
        return str(error)
    return f"{type(error).__name__}: {error}"
