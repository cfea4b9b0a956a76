"""The errors that the emulator answers, by AWS's names: an ApiError for each.

What IAM refuses is an ApiError with IAM's code, such as AccessDeniedException. Only `wire` turns these into HTTP.
"""

from __future__ import annotations

MESSAGE_LIMIT = 600
"""The longest message of App Runner's own error shapes."""


class ApiError(Exception):
    """An error with AWS's code, a message and the HTTP status that belongs to it."""

    code = "InternalServiceErrorException"
    status = 400

    def __init__(self, message: str, *, code: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message[:MESSAGE_LIMIT]
        self.code = code or self.code
        self.status = status or self.status


class InvalidRequest(ApiError):
    """One or more values are not acceptable."""

    code = "InvalidRequestException"


class NotFound(ApiError):
    """No resource in the caller's region has this ARN."""

    code = "ResourceNotFoundException"


class InvalidState(ApiError):
    """The resource's state does not allow the operation."""

    code = "InvalidStateException"


class QuotaExceeded(ApiError):
    """The region already has as many services as its quota allows."""

    code = "ServiceQuotaExceededException"


class Malformed(ApiError):
    """The body cannot be read as the operation's input: no JSON, or a member of another type."""

    code = "SerializationException"


class UnknownOperation(ApiError):
    """AWS or the emulator has no such operation."""

    code = "UnknownOperationException"


class NotAuthenticated(ApiError):
    """The request carries no usable SigV4 signature. App Runner's list of common errors gives it status 403."""

    code = "MissingAuthenticationTokenException"
    status = 403
