"""The errors of fibfactory: one tree, with stable codes.

    FibfactoryError
    ├── Rejected            a caller's request is not accepted; nothing was written
    │   ├── BadRequest          the request is malformed
    │   ├── Unauthenticated     the request proves no identity
    │   ├── Forbidden           the caller lacks the right, or has reached a limit
    │   ├── NotFound            there is no such thing that this caller may see
    │   ├── Conflict            the record does not allow it as it is
    │   └── PreconditionFailed  If-Match names another version
    ├── VersionConflict     a conditional write lost its race: read again, decide again
    ├── LeaseLost           this worker does not hold the lease any more: stop, write nothing
    ├── LockLeft            the engine was killed and its lock stays: keep the lease to its end, which tells whose lock it is
    └── OperationFailed     the engine or the cloud refused; says whether trying again can help
        ├── Transient
        ├── Terminal
        └── Interrupted     stopped gracefully, its progress kept

The rule: adapters raise these, never a vendor's; only `api.problem_details` knows status codes.
"""

from __future__ import annotations

from enum import StrEnum


class ErrorCode(StrEnum):
    """Stable identifiers of what went wrong: clients may compare them, the API's contract lists them."""

    # A request that was not accepted.
    BAD_REQUEST = "bad_request"
    BAD_CURSOR = "bad_cursor"
    BAD_ID = "bad_id"
    BAD_IF_MATCH = "bad_if_match"
    BAD_JSON = "bad_json"
    BAD_LABEL = "bad_label"
    BAD_TTL = "bad_ttl"
    UNKNOWN_FIELD = "unknown_field"
    IMAGE_REGISTRY = "image_registry"
    NO_SECRETS = "no_secrets"
    SECRET_OUTSIDE_PREFIX = "secret_outside_prefix"
    TOO_LONG = "too_long"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NO_SUCH_PATH = "no_such_path"
    UNAUTHENTICATED = "unauthenticated"
    OPERATORS_ONLY = "operators_only"
    NOT_ALLOWED = "not_allowed"
    LIMIT_REACHED = "limit_reached"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    DESTROYED = "destroyed"
    DESTROYING = "destroying"
    EXISTS = "exists"
    ID_TAKEN = "id_taken"
    LIFETIME_OVER = "lifetime_over"
    PROTECTED = "protected"
    UNKNOWN_SPEC = "unknown_spec"
    VERSION_DIFFERS = "version_differs"

    # An operation that failed.
    ACCESS_DENIED = "access_denied"
    ACCESS_ROLE = "access_role"
    AWS_CLIENT = "aws_client"
    AWS_REFUSED = "aws_refused"
    AWS_UNAVAILABLE = "aws_unavailable"
    AWS_UNREACHABLE = "aws_unreachable"
    BAD_RECORD = "bad_record"
    BAD_STATE = "bad_state"
    BUSY = "busy"
    CREATE_FAILED = "create_failed"
    CREDENTIALS_EXPIRED = "credentials_expired"
    DELETE_FAILED = "delete_failed"
    DISK_FULL = "disk_full"
    ENGINE_FAILED = "engine_failed"
    ENGINE_KILLED = "engine_killed"
    IMPLAUSIBLE = "implausible"
    INSTANCE_ROLE = "instance_role"
    INTERRUPTED = "interrupted"
    LEASE_LOST = "lease_lost"
    LEFTOVERS = "leftovers"
    LOCK_LEFT = "lock_left"
    MACHINE = "machine"
    NAME_TAKEN = "name_taken"
    NEEDS_OPERATOR = "needs_operator"
    NO_BACKEND = "no_backend"
    NO_FOLDER = "no_folder"
    NO_PULUMI = "no_pulumi"
    NO_URL = "no_url"
    NOT_DEPLOYED = "not_deployed"
    NOT_PAUSED = "not_paused"
    NOT_RESUMED = "not_resumed"
    OPERATION_FAILED = "operation_failed"
    PASSPHRASE = "passphrase"
    PLUGIN_DIED = "plugin_died"
    QUOTA = "quota"
    REFUSED = "refused"
    ROLLED_BACK = "rolled_back"
    SERVICE_GONE = "service_gone"
    SERVICE_MISSING = "service_missing"
    STACK_LOCKED = "stack_locked"
    STACK_MISSING = "stack_missing"
    STATE_UNTIDY = "state_untidy"
    TERMINAL = "terminal"
    TOO_MANY_INVOCATIONS = "too_many_invocations"
    TRANSIENT = "transient"
    UNHEALTHY = "unhealthy"
    VERSION_CONFLICT = "version_conflict"
    WORKER_DIED = "worker_died"
    INTERNAL = "internal"


class FibfactoryError(Exception):
    """The base of all errors. The message says what happened and what to do."""

    code = ErrorCode.INTERNAL

    def __init__(self, message: str, code: ErrorCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code:
            self.code = code


class Rejected(FibfactoryError):
    """A request that can't be accepted."""


class BadRequest(Rejected):
    code = ErrorCode.BAD_REQUEST


class Unauthenticated(Rejected):
    code = ErrorCode.UNAUTHENTICATED


class Forbidden(Rejected):
    code = ErrorCode.OPERATORS_ONLY


class NotFound(Rejected):
    code = ErrorCode.NOT_FOUND


class Conflict(Rejected):
    code = ErrorCode.CONFLICT


class PreconditionFailed(Rejected):
    code = ErrorCode.VERSION_DIFFERS


class VersionConflict(FibfactoryError):
    code = ErrorCode.VERSION_CONFLICT


class LeaseLost(FibfactoryError):
    code = ErrorCode.LEASE_LOST


class LockLeft(FibfactoryError):
    code = ErrorCode.LOCK_LEFT


class OperationFailed(FibfactoryError):
    code = ErrorCode.OPERATION_FAILED


class Transient(OperationFailed):
    """Trying again can help: throttling, the network, a busy service."""

    code = ErrorCode.TRANSIENT


class Terminal(OperationFailed):
    """Trying again can't help until somebody changes something: a bad image, the quota, a missing permission."""

    code = ErrorCode.TERMINAL


class Interrupted(OperationFailed):
    """The operation was stopped gracefully, because something newer is wanted or the time is nearly up."""

    code = ErrorCode.INTERRUPTED


UNEXPECTED = "An unexpected error"


def message_of(error: Exception) -> str:
    """What may be stored about an error. Of one that is not ours only its type, as nothing has removed a secret from its text."""
    if isinstance(error, FibfactoryError):
        return error.message
    return f"{UNEXPECTED}, {type(error).__name__}. The worker function's log has the details."
