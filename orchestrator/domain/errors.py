"""The errors of fibfactory, one tree with stable codes.

    FibfactoryError
    ├── Rejected            a caller's request can't be accepted; nothing was written
    │   ├── BadRequest          what was asked is malformed
    │   ├── Unauthenticated     no identity came with it
    │   ├── Forbidden           an identity that may not: no operator, not let in, or at its limit
    │   ├── NotFound            there is no such thing that this caller may see
    │   ├── Conflict            it can't be done to the record as it is
    │   └── PreconditionFailed  If-Match names another version
    ├── VersionConflict     a conditional write lost its race: read again, decide again
    ├── LeaseLost           another worker holds the lease, or none does: stop, write nothing
    ├── LockLeft            the engine was killed and its lock stays: keep the lease to its end, which tells whose it is
    └── OperationFailed     the engine or the cloud refused; says whether trying again can help
        ├── Transient
        ├── Terminal
        └── Interrupted     stopped in order, its progress kept

The rule: adapters raise these and nothing of their vendor's; only `problems` knows status codes.
"""

from __future__ import annotations


class FibfactoryError(Exception):
    """Any error of ours. `code` is stable and part of the API; the message is one sentence and what to do."""

    code = "internal"

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code:
            self.code = code


class Rejected(FibfactoryError):
    """A request that can't be accepted."""


class BadRequest(Rejected):
    code = "bad_request"


class Unauthenticated(Rejected):
    code = "unauthenticated"


class Forbidden(Rejected):
    code = "operators_only"


class NotFound(Rejected):
    code = "not_found"


class Conflict(Rejected):
    code = "conflict"


class PreconditionFailed(Rejected):
    code = "version_differs"


class VersionConflict(FibfactoryError):
    code = "version_conflict"


class LeaseLost(FibfactoryError):
    code = "lease_lost"


class LockLeft(FibfactoryError):
    code = "lock_left"


class OperationFailed(FibfactoryError):
    code = "operation_failed"


class Transient(OperationFailed):
    """Trying again can help: throttling, the network, a busy service."""

    code = "transient"


class Terminal(OperationFailed):
    """Trying again can't help until somebody changes something: a bad image, the quota, a missing permission."""

    code = "terminal"


class Interrupted(OperationFailed):
    """The operation was stopped in order, because something newer is wanted or the time is nearly up."""

    code = "interrupted"
