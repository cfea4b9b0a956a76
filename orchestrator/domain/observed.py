"""What a worker writes about its work: started, ready, destroyed, failed, interrupted.

The rule: every function requires the lease's token first.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from orchestrator.domain.environment import Environment, Failure, Observed, Operation, Receipt
from orchestrator.domain.errors import ErrorCode, OperationFailed, Terminal, Transient
from orchestrator.domain.lease import require_lease

MAX_ATTEMPTS = 5
"""How many transient failures of one generation, dead workers included, make it fail for good."""
MAX_INVOCATIONS = 16
"""How many invocations one operation may take before it fails for good."""
_FIRST_BACKOFF = timedelta(seconds=30)


def mark_started(environment: Environment, token: int, operation: Operation) -> Environment:
    """The operation starts. Until it ends well, the engine's state may differ from the cloud."""
    return _written(require_lease(environment, token), operation=operation, needs_refresh=True, retry_at=None)


def mark_ready(environment: Environment, token: int, observed: Observed) -> Environment:
    """The environment is as its spec of this generation says. A change that came in meanwhile stays outstanding."""
    return _succeeded(environment, token, observed)


def mark_destroyed(environment: Environment, token: int, receipt: Receipt) -> Environment:
    """The environment is destroyed, as the receipt proves. One that is desired again by now gets no receipt and starts anew."""
    return replace(_succeeded(environment, token, Observed()), receipt=None if environment.present else receipt)


def mark_failed(
    environment: Environment, token: int, generation: int, operation: Operation, error: OperationFailed, now: datetime
) -> Environment:
    """The operation on this generation failed: a transient failure is retried, five attempts in all; any other is final.

    A newer generation that came in meanwhile stays outstanding and is tried.
    """
    if require_lease(environment, token).generation != generation:
        return _written(environment, operation=None)
    attempts = environment.attempts + 1
    again = isinstance(error, Transient) and attempts < MAX_ATTEMPTS
    return _written(
        environment,
        operation=None,
        attempts=attempts,
        failure=Failure(operation=operation, code=error.code, message=error.message, final=not again, at=now),
        retry_at=now + _FIRST_BACKOFF * 2 ** (attempts - 1) if again else None,
    )


def mark_interrupted(
    environment: Environment, token: int, generation: int, operation: Operation, now: datetime
) -> Environment:
    """The operation was stopped gracefully and goes on in another invocation; after too many invocations it fails for good.

    An operation that was stopped because a newer generation is desired does not count.
    """
    if require_lease(environment, token).generation != generation:
        return _written(environment, operation=None, dispatched_at=now)
    continuations = environment.continuations + 1
    if continuations >= MAX_INVOCATIONS:
        error = Terminal(
            f"The operation did not end within {continuations} invocations. App Runner may be stuck: look at the service in the "
            "console, and ask again once it is idle.",
            ErrorCode.TOO_MANY_INVOCATIONS,
        )
        return mark_failed(environment, token, generation, operation, error, now)
    return _written(environment, operation=None, continuations=continuations, dispatched_at=now)


def _succeeded(environment: Environment, token: int, observed: Observed) -> Environment:
    return _written(
        require_lease(environment, token),
        observed=observed,
        operation=None,
        needs_refresh=False,
        expired_leases=(),
        failure=None,
        attempts=0,
        continuations=0,
        retry_at=None,
    )


def _written(environment: Environment, **changes: object) -> Environment:
    return replace(environment, version=environment.version + 1, **changes)  # type: ignore[arg-type]
