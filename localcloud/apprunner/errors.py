"""The errors that the emulator answers, by AWS's names.

    ApiError
    ├── InvalidRequest        InvalidRequestException; of the tagging API InvalidParameterException
    ├── NotFound              ResourceNotFoundException
    ├── InvalidState          InvalidStateException
    ├── QuotaExceeded         ServiceQuotaExceededException
    ├── Malformed             SerializationException: no JSON, or a member of another type
    ├── UnknownOperation      UnknownOperationException
    └── NotAuthenticated      no usable signature; its code says what is missing

What the identity system refuses is an ApiError with that system's code, such as AccessDeniedException.

Rule: only `wire` turns these into HTTP.
"""

from __future__ import annotations

MESSAGE_LIMIT = 600
"""The longest message of App Runner's own error shapes."""


class ApiError(Exception):
    """An error with AWS's code, a message and the HTTP status that goes with it."""

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
    """The ARN leads nowhere in the caller's region."""

    code = "ResourceNotFoundException"


class InvalidState(ApiError):
    """The resource cannot do this now."""

    code = "InvalidStateException"


class QuotaExceeded(ApiError):
    """One more is not allowed in this region."""

    code = "ServiceQuotaExceededException"


class Malformed(ApiError):
    """The body cannot be read as the operation's input."""

    code = "SerializationException"


class UnknownOperation(ApiError):
    """No such operation, or one that the emulator does not have."""

    code = "UnknownOperationException"


class NotAuthenticated(ApiError):
    """The request carries no usable SigV4 signature. App Runner's list of common errors gives it status 403."""

    code = "MissingAuthenticationTokenException"
    status = 403
